"""What is to be known of this machine, each section by itself; nothing in it is a secret.

Everything comes from the kernel's own files and calls: no process is started, no name is looked up.
What a system does not tell is left out. Sizes are bytes, times are seconds.
"""

import os
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from anyclaw_sdk.types import Json, Message

_ZONEINFO = "/zoneinfo/"
_CPU_MODEL = re.compile(r"^(?:model name|Model|cpu)\s*:\s*(.+)$", re.MULTILINE)
_KIBIBYTES = re.compile(r"^(\w+):\s+(\d+) kB$", re.MULTILINE)


def system() -> Message:
    kernel = os.uname()
    told = {"kernel": f"{kernel.sysname} {kernel.release}", "architecture": kernel.machine}
    return {"name": _system_name() or kernel.sysname, **told, "hostname": kernel.nodename}


def cpu() -> Message:
    found: Message = {"count": os.cpu_count(), "usable": len(os.sched_getaffinity(0))}
    if model := cpu_model(_read("/proc/cpuinfo")):
        found["model"] = model
    return found | {"load": [round(value, 2) for value in os.getloadavg()]}


def memory() -> Message:
    return memory_of(_read("/proc/meminfo"))


def uptime() -> Message:
    seconds = int(time.clock_gettime(time.CLOCK_BOOTTIME))
    booted = datetime.fromtimestamp(datetime.now(UTC).timestamp() - seconds, UTC)
    return {"seconds": seconds, "since": booted.isoformat(timespec="seconds")}


def clock() -> Message:
    now = datetime.now().astimezone()
    zone = zone_of(os.environ.get("TZ", ""), _link("/etc/localtime")) or now.tzname()
    return {"now": now.isoformat(timespec="seconds"), "zone": zone}


def disks(paths: Sequence[str]) -> list[Json]:
    """The file systems that these directories are on; of one that cannot be read, why."""
    return [_disk(path) for path in paths]


#: The sections that need nothing to be told; `disk` needs the directories.
SECTIONS: Mapping[str, Callable[[], Message]] = MappingProxyType(
    {"system": system, "cpu": cpu, "memory": memory, "uptime": uptime, "time": clock}
)


def cpu_model(cpuinfo: str) -> str:
    """What the processor is called in `/proc/cpuinfo`; "" where it has no name there."""
    found = _CPU_MODEL.search(cpuinfo)
    return found[1].strip() if found else ""


def memory_of(meminfo: str) -> Message:
    """The sizes of `/proc/meminfo` that people ask for."""
    sizes = {name: int(size) * 1024 for name, size in _KIBIBYTES.findall(meminfo)}
    names = {
        "total": "MemTotal",
        "available": "MemAvailable",
        "swap_total": "SwapTotal",
        "swap_free": "SwapFree",
    }
    return {name: sizes[ours] for name, ours in names.items() if ours in sizes}


def zone_of(variable: str, localtime: str) -> str:
    """The name of the time zone: of the variable TZ, else of what `/etc/localtime` points at."""
    if variable:
        return variable.removeprefix(":").rpartition(_ZONEINFO)[2]
    return localtime.rpartition(_ZONEINFO)[2] if _ZONEINFO in localtime else ""


def _disk(path: str) -> Message:
    try:
        found = os.statvfs(path)
    except OSError as error:
        return {"path": path, "error": (error.strerror or str(error)).lower()}
    free, total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    return {"path": path, "total": total, "free": free}


def _system_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""

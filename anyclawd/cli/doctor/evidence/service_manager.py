"""What systemd knows of the daemon's own unit: its state, and its settings as they are written.

Source: systemctl(1) `show` and `cat`, systemd.syntax(7), sd_booted(3).
"""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from anyclawd.cli.doctor.deployment import Deployment
from anyclawd.cli.doctor.verdict.service import ServiceFacts
from anyclawd.runtime import tree

_BOOTED = "/run/systemd/system"
_ANSWER_S = 5.0
_ASKED = (
    *("LoadState", "ActiveState", "SubState", "Result", "UnitFileState", "NRestarts"),
    *("NeedDaemonReload", "WatchdogUSec", "Restart", "Delegate", "User", "WorkingDirectory"),
)
#: `/user.slice/user-1000.slice/user@1000.service/app.slice/anyclawd.service` and below.
_OWN_MANAGER = re.compile(r"/user@(\d+)\.service/")
_NUMBERED = re.compile(r"(\d+)(us|ms|s|min|h)\b")
_UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}


def facts_of(pid: int | None, deployed: Deployment | None) -> ServiceFacts:
    """Of the unit that a daemon is in, else of the one that a configuration is deployed by."""
    if not os.access(_BOOTED, os.F_OK):
        return ServiceFacts(is_booted=False)
    if pid is not None:
        unit, is_users = _unit_of(pid)
    else:
        unit, is_users = (deployed.unit, deployed.is_users) if deployed else ("", False)
    if not unit:
        return ServiceFacts(is_booted=True, is_outside=True)
    manager = ("--user",) if is_users else ()
    said = _ask(*manager, "show", unit, f"--property={','.join(_ASKED)}")
    if said is None:
        return ServiceFacts(is_booted=True, unit=unit, is_silent=True)
    written = _ask(*manager, "cat", unit) or ""
    return told(unit, said, written, is_users=is_users, lingers=not is_users or _lingers())


def told(unit: str, shown: str, written: str, *, is_users: bool, lingers: bool) -> ServiceFacts:
    """What `show` and `cat` say of a unit."""
    said = dict(line.partition("=")[::2] for line in shown.splitlines())
    if said.get("LoadState") != "loaded":
        return ServiceFacts(is_booted=True, unit=unit, is_users=is_users)
    settings = _Settings(written, unit)
    return ServiceFacts(
        is_booted=True,
        unit=unit,
        is_users=is_users,
        is_loaded=True,
        active=said.get("ActiveState", ""),
        result=said.get("Result", ""),
        enabled=said.get("UnitFileState", ""),
        restarts=_number(said, "NRestarts"),
        needs_reload=said.get("NeedDaemonReload") == "yes",
        restart=said.get("Restart", ""),
        # What is shown is that of a run, and of one that does not run there is none.
        watchdog_s=_seconds(said.get("WatchdogUSec", "")) or settings.watchdog_s(),
        is_delegated=said.get("Delegate") == "yes",
        user=said.get("User", ""),
        working_directory=said.get("WorkingDirectory", "").lstrip("!-"),
        lingers=lingers,
        credentials=tuple(settings.credentials()),
        environment_files=tuple(settings.environment_files()),
    )


def _unit_of(pid: int) -> tuple[str, bool]:
    """The service whose control group a process is in, and whether a user's manager has it."""
    for line in tree.read(f"/proc/{pid}/cgroup").decode("utf-8", "surrogateescape").splitlines():
        path = line.split(":", 2)[-1]
        is_users = _OWN_MANAGER.search(path) is not None
        names = [name for name in path.split("/") if name.endswith(".service")]
        own = [name for name in names if not name.startswith("user@")]
        if own:
            return own[0], is_users
    return "", False


def _ask(*words: str) -> str | None:
    """What systemctl says; None where it does not."""
    try:
        done = subprocess.run(
            ["systemctl", "--no-pager", *words],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_ANSWER_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


#: Where a credential is from: a file, by the store that has it where no path is told, or the unit
#: itself.
_FROM_FILES = {"LoadCredential": "credstore", "LoadCredentialEncrypted": "credstore.encrypted"}
_CREDENTIAL_SETTINGS = (
    *_FROM_FILES,
    *("SetCredential", "SetCredentialEncrypted", "ImportCredential"),
)


class _Settings:
    """Settings as they are written, drop-ins included; an empty one takes back those before it."""

    def __init__(self, written: str, unit: str) -> None:
        self._instance = unit.removesuffix(".service").partition("@")[2]
        self._values: dict[str, list[str]] = {}
        for line in written.splitlines():
            setting, equals, value = line.strip().partition("=")
            if equals and not setting.startswith(("#", ";")):
                values = self._values.get(setting, [])
                self._values[setting] = [*values, value] if value else []

    def credentials(self) -> Iterator[tuple[str, str]]:
        """(name or pattern, the file it is loaded from) of each credential; no value is kept.

        The file begins with the name of a store where systemd looks for it in several places. It is
        empty where the value stands in the unit, of a pattern, and where it cannot be told.
        """
        for setting in _CREDENTIAL_SETTINGS:
            store = _FROM_FILES.get(setting)
            for value in self._values.get(setting, ()):
                name, _, rest = value.partition(":")
                name = self._expanded(name) or name
                file = self._expanded(rest or name)
                if store is None or file is None:
                    yield name, ""
                else:
                    yield name, file if file.startswith("/") else f"{store}/{file}"

    def watchdog_s(self) -> float:
        """A number alone is one of seconds. Source: systemd.service(5), WatchdogSec=."""
        text = "".join(self._values.get("WatchdogSec", [])[-1:])
        return float(text) if text.isdecimal() else _seconds(text)

    def environment_files(self) -> Iterator[str]:
        """The files of variables. Source: systemd.exec(5), EnvironmentFile=."""
        for value in self._values.get("EnvironmentFile", ()):
            path = self._expanded(value.removeprefix("-"))
            if path is not None and path.startswith("/"):
                yield path

    def _expanded(self, text: str) -> str | None:
        """As systemd reads it; None where that takes more than the name of a template's instance.

        Source: systemd.unit(5), specifiers.
        """
        parts = [part.replace("%i", self._instance) for part in text.split("%%")]
        return None if any("%" in part for part in parts) else "%".join(parts)


def _lingers() -> bool:
    """Whether our services go on when we log out. Source: loginctl(1) `enable-linger`."""
    import pwd

    name = pwd.getpwuid(os.getuid()).pw_name
    return Path("/var/lib/systemd/linger", name).exists()


def _number(shown: Mapping[str, str], name: str) -> int:
    text = shown.get(name, "")
    return int(text) if text.isdecimal() else 0


def _seconds(text: str) -> float:
    """`30s`, `1min 30s`, `infinity`, or a number of microseconds."""
    if text.isdecimal():
        return int(text) / 1e6
    return sum(int(number) * _UNITS_S[unit] for number, unit in _NUMBERED.findall(text))

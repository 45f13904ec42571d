"""The ports that a configuration asks for, and those that somebody listens on.

Source: proc_net(5), `tcp` and `tcp6`: addresses in words of the machine's byte order, state 0A.
"""

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from anyclawd.cli.doctor.scene import Scene
from anyclawd.cli.doctor.verdict.ports import Listener, PortFacts, Wanted
from anyclawd.model.plan import Plan
from anyclawd.model.unit import Kind
from anyclawd.runtime import tree

_LISTENS = b"0A"
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_UNPRIVILEGED = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
_LOOPBACK = "127.0.0.1"


def facts_of(scene: Scene, plan: Plan) -> PortFacts:
    wanted = tuple(_wanted(plan))
    daemon = scene.holder if scene.pid is None else scene.pid
    return PortFacts(
        wanted=wanted,
        listeners=listeners({one.port for one in wanted}, daemon),
        is_daemon_up=daemon is not None,
        unprivileged_from=int(tree.read(_UNPRIVILEGED).strip() or b"1024"),
    )


def _wanted(plan: Plan) -> Iterator[Wanted]:
    """By the daemon's own settings, and by the option `port` of channels and services."""
    settings = plan.settings
    if settings.admin_port:
        yield Wanted(who="admin_port", host=_LOOPBACK, port=settings.admin_port)
    if settings.tools_server_port and "mcp.core" in plan.units:
        host = settings.tools_server_host
        yield Wanted(who="tools_server_port", host=host, port=settings.tools_server_port)
    for name, unit in plan.units.items():
        port = unit.options.get("port") if unit.kind in (Kind.CHANNEL, Kind.SERVICE) else None
        number = int(port) if isinstance(port, str) and port.isdecimal() else port
        if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 65536:
            host = unit.options.get("host", _LOOPBACK)
            yield Wanted(who=name, host=host if isinstance(host, str) else "", port=number)


def listeners(ports: set[int], daemon: int | None = None) -> tuple[Listener, ...] | None:
    """Those on certain ports; None where the tables cannot be read.

    `daemon` is the pid of the one that has the state directory, if there is one.
    """
    tables = [table for table in map(tree.read, _TABLES) if table]
    if not tables:
        return None
    found = [
        (address, port, inode)
        for table in tables
        for address, port, inode in _rows(table)
        if port in ports
    ]
    owners = _owners({inode for _, _, inode in found}) if found else {}
    return tuple(
        _listener(address, port, owners.get(inode), daemon) for address, port, inode in found
    )


def _listener(address: str, port: int, pid: int | None, daemon: int | None) -> Listener:
    if pid is None:
        return Listener(address=address, port=port)
    name = tree.read(f"/proc/{pid}/comm").decode(errors="replace").strip()
    is_daemons = daemon is not None and daemon in (pid, *tree.ancestors_of(pid))
    owner = f"pid {pid} ({name})"
    return Listener(address=address, port=port, owner=owner, is_daemons=is_daemons)


def _rows(table: bytes) -> Iterator[tuple[str, int, str]]:
    """(address, port, inode) of each socket that listens."""
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTENS:
            address, _, port = fields[1].decode().partition(":")
            yield _address(address), int(port, 16), fields[9].decode()


def _address(text: str) -> str:
    words = [int(text[place : place + 8], 16) for place in range(0, len(text), 8)]
    raw = b"".join(struct.pack("=I", word) for word in words)
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def _owners(inodes: set[str]) -> dict[str, int]:
    """By the inode of a socket: who has it open, as far as we may see that."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    owners: dict[str, int] = {}
    for pid in _numbers("/proc"):
        for number in _numbers(f"/proc/{pid}/fd"):
            try:
                inode = wanted.get(str(Path(f"/proc/{pid}/fd/{number}").readlink()))
            except OSError:  # closed by now
                continue
            if inode is not None:
                owners.setdefault(inode, int(pid))
    return owners


def _numbers(directory: str) -> list[str]:
    """What a directory of the kernel holds by number; nothing if it is gone, or somebody else's."""
    try:
        return [name for name in os.listdir(directory) if name.isdecimal()]  # noqa: PTH208 - names and nothing else
    except OSError:
        return []

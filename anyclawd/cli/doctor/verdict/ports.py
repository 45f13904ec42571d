"""Who has the ports that a daemon listens on, or would."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from anyclawd.cli.doctor.finding import Finding, error, note, ok

#: Below it, a port takes a right of its own. Source: ip(7), ip_unprivileged_port_start.
_PRIVILEGED = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A port that is to be listened on."""

    who: str  #: a unit, or the daemon's own setting
    host: str  #: a name or an address
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A TCP socket that listens."""

    address: str  #: as an IP address; of version 6 without brackets
    port: int
    owner: str = ""  #: `pid 12 (name)` as far as it can be seen
    is_daemons: bool = False  #: of the daemon that the doctor asks after, or of its units


@dataclass(frozen=True, slots=True, kw_only=True)
class PortFacts:
    wanted: tuple[Wanted, ...]
    listeners: tuple[Listener, ...] | None  #: None where /proc does not tell
    is_daemon_up: bool = False  #: what cannot be seen may then be its own
    unprivileged_from: int = _PRIVILEGED


def findings(facts: PortFacts, *, is_root: bool) -> Iterator[Finding]:
    if facts.listeners is None:
        yield note("", "cannot tell which ports are taken: /proc/net does not say")
        return
    found = [*_taken(facts), *_twice(facts.wanted), *_privileged(facts, is_root=is_root)]
    yield from found
    if not found:
        ports = ", ".join(str(one.port) for one in facts.wanted) or "none is asked for"
        free = "free, or the daemon's own" if facts.is_daemon_up else "free"
        yield ok("", f"{free}: {ports}" if facts.wanted else ports)


def _taken(facts: PortFacts) -> Iterator[Finding]:
    for one in facts.wanted:
        for listener in facts.listeners or ():
            is_there = listener.port == one.port and _collide(one.host, listener.address)
            if is_there and not _may_be_daemons(listener, facts):
                by = listener.owner or "a process that cannot be seen from here"
                text = f"port {one.port} is taken by {by}"
                yield error(one.who, text, "stop that, or set another port (0 takes a free one)")
                break


def _may_be_daemons(listener: Listener, facts: PortFacts) -> bool:
    return listener.is_daemons or (facts.is_daemon_up and not listener.owner)


def _twice(wanted: Iterable[Wanted]) -> Iterator[Finding]:
    first: dict[int, Wanted] = {}
    for one in wanted:
        earlier = first.setdefault(one.port, one)
        if earlier is not one and _collide(one.host, earlier.host):
            text = f"port {one.port} is that of {earlier.who} as well; only one can have it"
            yield error(one.who, text, "set another port for one of them")


def _privileged(facts: PortFacts, *, is_root: bool) -> Iterator[Finding]:
    had = {one.port for one in facts.listeners or () if _may_be_daemons(one, facts)}
    for one in facts.wanted:
        if one.port < facts.unprivileged_from and not is_root and one.port not in had:
            text = f"port {one.port} is for root, or for who has CAP_NET_BIND_SERVICE"
            yield note(one.who, text, f"set one from {facts.unprivileged_from} up")


def _collide(one: str, other: str) -> bool:
    """Whether two sockets of one port cannot be there side by side; names count as loopback's."""
    return one in _ANY or other in _ANY or _plain(one) == _plain(other)


_ANY = frozenset({"0.0.0.0", "::", ""})


def _plain(host: str) -> str:
    return "127.0.0.1" if host == "localhost" else host.removeprefix("::ffff:")

"""Whether a daemon answers, and how it is."""

from collections.abc import Iterator
from dataclasses import dataclass

from anyclawd.cli.doctor.finding import Finding, RemoveSocket, error, note, ok, warning
from anyclawd.cli.render import duration
from anyclawd.model.state import SystemState

#: The loop is not to be blocked for longer; see docs/explanation/architecture.md.
_LAG_S, _LAG_BAD_S = 0.05, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """No daemon answers."""

    reason: str  #: empty where none was asked
    holder: int | None = None  #: the pid that has the state directory all the same
    stale_socket: str = ""
    lock: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonFacts:
    """A daemon that answers."""

    pid: int
    state: str
    own_version: str
    version: str
    socket: str
    warnings: tuple[str, ...] = ()
    lag_max_s: float | None = None  #: the largest lateness of a timer so far
    watchdog_s: float | None = None  #: None where it cannot be seen, 0 where nobody watches


def findings(facts: DaemonFacts | Silence) -> Iterator[Finding]:
    if isinstance(facts, Silence):
        yield from _silent(facts)
        return
    text = f"{facts.state}, pid {facts.pid}, version {facts.version}"
    match SystemState(facts.state):
        case SystemState.RUNNING:
            yield ok(facts.socket, text)
        case SystemState.DEGRADED:
            yield warning(facts.socket, text, "see the check 'units'")
        case SystemState.STARTING | SystemState.STOPPING:
            yield note(facts.socket, text, "ask again in a moment")
    if facts.version != facts.own_version:
        text = f"the daemon is {facts.version}, and {facts.own_version} is installed"
        yield warning("", text, "systemctl restart anyclawd, or stop and start the daemon")
    for one in facts.warnings:
        yield warning("", one)
    yield from _lag(facts.lag_max_s)
    if facts.watchdog_s == 0:
        text = "no watchdog looks after the daemon"
        yield note("", text, "run it under systemd with WatchdogSec=")


def _silent(facts: Silence) -> Iterator[Finding]:
    if facts.holder is not None:
        text = f"pid {facts.holder} has the state directory, but {facts.reason or 'was not asked'}"
        say = error if facts.reason else note
        yield say(facts.lock, text, "name its socket with -s; see also its log")
        return
    if facts.reason:
        yield note("", f"{facts.reason}; what only a daemon can tell is left out")
    else:
        yield note("", "none was asked; what only a daemon can tell is left out")
    if facts.stale_socket:
        fix = RemoveSocket(path=facts.stale_socket, lock=facts.lock)
        yield note(facts.stale_socket, "nobody listens on this socket any more", str(fix), fix)


def _lag(lag_s: float | None) -> Iterator[Finding]:
    if lag_s is None or lag_s <= _LAG_S:
        return
    text = f"its event loop was late by {duration(lag_s)} at the worst"
    say = warning if lag_s > _LAG_BAD_S else note
    yield say("", text, "see that the machine is not starved of processor time or memory")

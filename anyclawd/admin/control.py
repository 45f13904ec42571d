"""What the admin API asks of the daemon: one Protocol, one method for each route.

The daemon implements it; `tests/fakes/control.py` does so for tests. Answers are plain values that
JSON can carry, in the shapes of `docs/reference/admin-api.md`. What a caller did wrong is raised as
`RequestError`, a name that no unit has as `UnknownUnit`.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from anyclawd.model.errors import RequestError
from anyclawd.model.plan import Plan
from anyclawd.model.state import JobMode
from anyclawd.model.value import Json


class BadRequest(RequestError):
    """The request itself is not understood."""


class NoSuchRoute(RequestError):
    """The request is for a path, or by a method, that means nothing here."""


class Verb(StrEnum):
    """What `POST /v1/jobs` can ask for."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    RESET_FAILED = "reset-failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """One command about units, given by hand."""

    verb: Verb
    units: tuple[str, ...]
    mode: JobMode = JobMode.REPLACE
    origin: str = ""  #: who asked, in words: `uid 1000 (alice), pid 4242: anyclawctl`


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which lines to give: the last `lines` of one unit or of all, then, on request, new ones."""

    unit: str = ""  #: empty means every unit
    lines: int = 50
    follow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message to an agent, given by hand instead of by a channel."""

    content: Json  #: a text, or a list of content parts as a channel sends them
    channel: str = ""  #: empty means none: the answer goes to the caller alone
    peer: str = ""
    kind: str = "local"
    agent: str = ""  #: empty means the route decides


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long something took, over every time it happened."""

    count: int = 0
    sum_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitMeasure:
    """The numbers of one unit."""

    name: str
    active: str
    restarts: int = 0  #: automatic ones, since the daemon started
    start_s: float | None = None  #: from spawn until ready, of the latest start


def _no_numbers() -> Mapping[str, int]:
    return MappingProxyType({})


def _no_timings() -> Mapping[str, Timing]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Everything `/metrics` shows, read at one instant. Totals never decrease."""

    manager_restarts: Mapping[str, int] = field(default_factory=_no_numbers)
    agents_connected: int = 0
    channels_running: int = 0
    tool_invocations: Mapping[tuple[str, str], int] = field(
        default_factory=lambda: MappingProxyType({})
    )  #: (tool, `ok` or `error`) to how often
    tool_durations: Mapping[str, Timing] = field(default_factory=_no_timings)
    units: tuple[UnitMeasure, ...] = ()
    queue_depths: Mapping[str, int] = field(default_factory=_no_numbers)  #: by agent
    turn_durations: Mapping[str, Timing] = field(default_factory=_no_timings)  #: by agent
    truncated_answers: int = 0  #: cut short because their channel did not keep up
    loop_lag: Timing = Timing()  #: lateness of the timers that elapsed
    loop_lag_max_s: float = 0.0


class Submission(Protocol):
    """Jobs that have been accepted; they run whether or not anyone waits."""

    def rows(self) -> list[Json]:
        """A row for each unit as it stands now; `result` is null while its job runs."""

    async def wait_rows(self) -> list[Json]:
        """The rows once every job has its result. Cancelling the wait cancels no job."""


class Control(Protocol):
    """The daemon, as its admin API sees it."""

    def status(self) -> Json: ...

    def unit(self, name: str) -> Json:
        """Raises UnknownUnit, as does every method that takes the name of a unit."""

    def jobs(self) -> Json: ...

    def submit(self, request: JobRequest) -> Submission:
        """Enqueue the jobs; raises RequestError, with nothing enqueued, where they are refused."""

    def kill(self, units: tuple[str, ...], signal: int, origin: str) -> Json: ...

    def explain(self, name: str) -> Json: ...

    def plan(self) -> Plan:
        """The plan that runs; `admin.views` shows it."""

    def boot(self, offset: int) -> Json:
        """The record of a boot: 0 is this one, -1 the one before; raises RequestError if unkept.

        Reads files unless `offset` is 0; may then be called from any thread, as may `boots`.
        """

    def boots(self) -> Json:
        """A line for each boot that is kept, this one first."""

    def logs(self, query: LogQuery) -> AsyncIterator[Json]:
        """Lines, oldest first. Following ends by itself when the reader has fallen behind."""

    def events(self) -> AsyncIterator[Json]:
        """State changes from now on; ends by itself when the reader has fallen behind."""

    def send(self, message: Message) -> AsyncIterator[Json]:
        """What happens to the message until its turn ends.

        A refusal is raised before the first event. Closing the iterator says that nobody reads
        any more: a chat still gets its answer, a turn for this caller alone is cancelled.
        """

    def answer_permission(self, request_id: str, option_id: str, origin: str) -> None: ...

    def notify(self, channel: str, peer: str, text: str) -> None: ...

    def sessions(self) -> Json: ...

    def health(self) -> Json:
        """The original's `/health` body; its `status` is `healthy` or `degraded`."""

    def measures(self) -> Measures: ...

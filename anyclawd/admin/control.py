"""What the admin API asks of the daemon: one Protocol, one method for each route.

The daemon implements it; `tests/fakes/control.py` does so for tests. Answers are plain values that
JSON can carry, in the shapes of `docs/reference/admin-api.md`. What a caller did wrong is raised as
`RequestError`, a name that no unit has as `UnknownUnit`.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from anyclawd.admin.conversations import Conversations
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import RequestError
from anyclawd.model.plan import Plan
from anyclawd.model.state import Health, JobMode
from anyclawd.model.value import Json


class BadRequest(RequestError):
    """The request itself is not understood."""


class NoSuchRoute(RequestError):
    """The request is for a path, or by a method, that means nothing here."""


class NoSuchJob(RequestError):
    """No job has this number, or it has ended."""

    def __init__(self, job: int) -> None:
        super().__init__(f"no job {job} waits or runs; list-jobs has those that do")


class NothingMatches(RequestError):
    """No unit has a name that the pattern means."""

    def __init__(self, pattern: str) -> None:
        super().__init__(f"no unit's name matches {pattern!r}; list-units has all of them")


class Verb(StrEnum):
    """What `POST /v1/jobs` can ask for."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    TRY_RESTART = "try-restart"
    RELOAD = "reload"
    RESET_FAILED = "reset-failed"


class Whom(StrEnum):
    """Which processes of a unit a signal is for."""

    MAIN = "main"
    ALL = "all"  #: the groups of its main process and of its hook


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """One command about units, given by hand."""

    verb: Verb
    units: tuple[UnitName, ...]
    mode: JobMode = JobMode.REPLACE
    origin: str = ""  #: who asked, in words: `uid 1000 (alice), pid 4242: anyclawctl`


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadRequest:
    """Take over what the configuration says now, or only say what that would change."""

    is_dry: bool = False
    waits: bool = True  #: for the jobs that follow from the difference
    timeout_s: float | None = None  #: no longer than this
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KillRequest:
    """A signal to processes of units, given by hand."""

    units: tuple[UnitName, ...]
    signal: int
    whom: Whom = Whom.ALL
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which lines to give: the last `lines` of some units or of all, then, on request, new ones."""

    units: tuple[UnitName, ...] = ()  #: none means every unit
    lines: int = 50
    since: datetime | None = None  #: no line that is older
    follow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message to an agent, given by hand instead of by a channel."""

    content: Json  #: a text, or a list of content parts as a channel sends them
    channel: str = ""  #: empty means none: the answer goes to the caller alone
    peer: str = ""
    kind: str = "local"
    agent: str = ""  #: empty means the route decides
    session: str = ""  #: the key of the one to go on with; names channel, peer and agent
    can_ask: bool = True  #: whoever sends it can be asked for permission
    follows: bool = False  #: what the chat is shown after the turn is told as well


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
    health: Health | None = None  #: None without a check
    checks_passed: int = 0  #: health checks, since the daemon started
    checks_failed: int = 0
    memory_bytes: int | None = None
    cpu_s: float | None = None
    tasks: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreMeasure:
    """The numbers of the store."""

    is_healthy: bool = False  #: what it is given is written
    commits: int = 0
    waiting: int = 0  #: steps that are not written yet
    lost: int = 0  #: steps for which there was no room while it could not write


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
    sessions: Mapping[str, int] = field(default_factory=_no_numbers)  #: by state
    messages: Mapping[str, int] = field(default_factory=_no_numbers)  #: without outcome, by state
    messages_received: int = 0
    messages_ended: Mapping[str, int] = field(default_factory=_no_numbers)  #: by outcome
    refusals: Mapping[str, int] = field(default_factory=_no_numbers)  #: by reason
    messages_repeated: int = 0  #: of a source that was known already
    deliveries_pending: Mapping[str, int] = field(default_factory=_no_numbers)  #: by channel
    store: StoreMeasure = StoreMeasure()
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


class Rest(Protocol):
    """Units on their way to rest: no process, no job, and nothing that is about to start them."""

    def rows(self) -> list[Json]:
        """A row for each unit: as it stands now, or as it was when it was seen at rest."""

    async def wait(self, names: Iterable[UnitName]) -> None:
        """Return once each of these has come to rest, or has left the configuration."""


class Control(Protocol):
    """The daemon, as its admin API sees it."""

    @property
    def conversations(self) -> Conversations: ...

    def select(self, patterns: Iterable[str]) -> tuple[UnitName, ...]:
        """The units that names and patterns mean; the methods below take no other names.

        Raises UnknownUnit for a name, NothingMatches for a pattern that means nothing.
        """

    def status(self) -> Json: ...

    async def units(self, names: Iterable[UnitName], *, has_usage: bool) -> Json:
        """Rows, on request with what each unit uses now."""

    async def unit(self, name: UnitName, lines: int) -> Json:
        """One unit in detail, with so many lines of its log and of its last crash's."""

    def jobs(self) -> Json: ...

    def submit(self, request: JobRequest) -> Submission:
        """Enqueue the jobs; raises RequestError, with nothing enqueued, where they are refused."""

    def preview(self, request: JobRequest) -> Json:
        """The jobs that `submit` would enqueue, with their causes; raises as it would."""

    def cancel(self, job: int, origin: str) -> Json:
        """Raises NoSuchJob."""

    def rest(self, names: Iterable[UnitName]) -> Rest:
        """Watch units from now on until they have come to rest."""

    async def reload(self, request: ReloadRequest) -> Json:
        """Raises BadConfiguration, with nothing changed. It goes on where nobody waits."""

    def kill(self, request: KillRequest) -> Json: ...

    def explain(self, name: UnitName) -> Json: ...

    def schedule(self, name: UnitName) -> Json:
        """When the unit would be restarted if it went on ending at once."""

    def plan(self) -> Plan:
        """The plan that runs; `admin.views` shows it."""

    async def boot(self, offset: int) -> Json:
        """The record of a boot: 0 is this one, -1 the one before; raises RequestError if unkept."""

    async def boots(self) -> Json:
        """A line for each boot that is kept, this one first."""

    def logs(self, query: LogQuery) -> AsyncIterator[Json]:
        """Lines, oldest first. Following ends by itself when the reader has fallen behind."""

    def events(self) -> AsyncIterator[Json]:
        """State changes from now on; ends by itself when the reader has fallen behind."""

    def send(self, message: Message) -> AsyncIterator[Json]:
        """What happens to the message until its turn ends, or with `follows` until nobody reads.

        A refusal is raised before the first event. Closing the iterator says that nobody reads
        any more: a chat still gets its answer, a turn for this caller alone is cancelled.
        """

    def answer_permission(self, request_id: str, option_id: str, origin: str) -> None: ...

    def notify(self, channel: str, peer: str, text: str) -> None: ...

    def health(self) -> Json:
        """The original's `/health` body; its `status` is `healthy` or `degraded`."""

    async def measures(self) -> Measures: ...

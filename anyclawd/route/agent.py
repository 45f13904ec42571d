"""What the router knows of an agent while the daemon runs."""

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anyclawd.model.value import Json
from anyclawd.route.pool import Standing
from anyclawd.route.table import AgentRoute
from anyclawd.wire.acp import Capabilities

if TYPE_CHECKING:
    from anyclawd.route.session import Session

NO_CAPABILITIES = Capabilities()


@dataclass(slots=True, eq=False)
class Agent:
    """One agent; `sessions` is where its updates find their chat."""

    route: AgentRoute
    is_connected: bool = False
    is_closing: bool = False
    is_paused: bool = False  #: its stdin is full
    is_held: bool = False  #: its stdout is not read, until those it speaks to have caught up
    capabilities: Capabilities = NO_CAPABILITIES
    failure: str = ""  #: why it will not come back by itself; empty while it may
    is_resting: bool = False  #: a worker that has no process, and gets one when it is asked for
    sessions: dict[str, "Session"] = field(default_factory=dict)  #: by ACP session id
    members: list["Session"] = field(default_factory=list)  #: every chat routed to it
    due: deque["Session"] = field(default_factory=deque)  #: could run, and have not begun yet
    active: set["Session"] = field(default_factory=set)  #: those with a call under way
    opening: int = 0  #: how many `session/new` are under way
    #: Updates that overtook the answer to `session/new`, by the ACP session id they name.
    early: dict[str, list[tuple[dict[str, Json], int]]] = field(default_factory=dict)
    early_bytes: int = 0  #: of all that is kept so
    tools: tuple[tuple[str, str], ...] = ()  #: (name, description) of what it may use just now
    commands: list[Json] | None = None  #: the last commands it offered, ours not among them

    @property
    def standing(self) -> Standing:
        """Whether it can be had as a worker of its pool."""
        if self.failure:
            return Standing.OUT
        if self.is_resting or self.is_closing:
            return Standing.RESTING
        return Standing.READY if self.is_connected else Standing.COMING

    @property
    def takes_work(self) -> bool:
        return self.is_connected and not self.is_closing and not self.is_paused

    def dismiss(self, session: "Session") -> None:
        """The session is none of its chats any more."""
        self.members.remove(session)
        self.active.discard(session)
        if session in self.due:
            self.due.remove(session)

    def keep_early(
        self, session_id: str, params: dict[str, Json], size_bytes: int, limit: int
    ) -> None:
        """Keep an update for a session that is being opened; any other belongs to nobody."""
        if self.opening and self.early_bytes + size_bytes <= limit:
            self.early.setdefault(session_id, []).append((params, size_bytes))
            self.early_bytes += size_bytes

    def take_early(self, session_id: str) -> list[dict[str, Json]]:
        taken = self.early.pop(session_id, [])
        self.early_bytes -= sum(size_bytes for _, size_bytes in taken)
        return [params for params, _ in taken]

    def end_opening(self) -> None:
        """One `session/new` is over; with the last of them nobody waits for early updates."""
        self.opening -= 1
        if not self.opening:
            self.early.clear()
            self.early_bytes = 0

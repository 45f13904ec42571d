"""What the parts of the router need of it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from anyclawd.model.deps import UnitName
from anyclawd.route.agent import Agent
from anyclawd.route.commands import Command, SessionKey
from anyclawd.route.permission import Asks
from anyclawd.route.record import Conversation
from anyclawd.route.session import Session
from anyclawd.route.table import Routes


class Intake(StrEnum):
    """Whether messages are taken, and run."""

    WAITING = "waiting"  #: until the routes stand and the store is read: taken, and they wait
    OPEN = "open"
    #: The daemon stops: running turns may finish, and what waits is kept for the next start, or
    #: refused where nothing would keep it.
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Manners:
    """What a process of a channel has said that it can do."""

    has_receipts: bool = False
    has_forms: bool = False


class Desk(Protocol):
    """The router, seen by those that do a part of its work."""

    routes: Routes
    agents: dict[UnitName, Agent]

    @property
    def sessions(self) -> Mapping[SessionKey, Session]: ...

    @property
    def asks(self) -> Asks: ...

    @property
    def is_open(self) -> bool:
        """What waits may run."""

    @property
    def is_leaving_word(self) -> bool:
        """The daemon stops, and the next one is told what was asked."""

    @property
    def is_closed(self) -> bool:
        """The daemon stops: nothing new is begun."""

    def run(self, session: Session, steps: Iterable[Command], now: float) -> Iterator[Command]:
        """Perform a session's decision and keep what is common in step with it."""

    def knows(self, session: Session, row: Conversation) -> bool:
        """Whether the session's agent may know the ACP session of a row."""

    def wake(self, key: SessionKey) -> Session | None:
        """A session by its key, also one that was put away."""

    def manners_of(self, channel: str) -> Manners: ...

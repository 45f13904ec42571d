"""What the questions of agents need of the router."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from anyclawd.model.deps import UnitName
from anyclawd.route.agent import Agent
from anyclawd.route.commands import SessionKey
from anyclawd.route.permission import Asks
from anyclawd.route.session import Session
from anyclawd.route.table import Routes


@dataclass(frozen=True, slots=True)
class Manners:
    """What a process of a channel has said that it can do."""

    has_receipts: bool = False
    has_forms: bool = False


class Desk(Protocol):
    """The router, seen by `route.questions` and `route.forms`."""

    routes: Routes
    agents: dict[UnitName, Agent]

    @property
    def sessions(self) -> Mapping[SessionKey, Session]: ...

    @property
    def asks(self) -> Asks: ...

    @property
    def is_leaving_word(self) -> bool:
        """The daemon stops, and the next one is told what was asked."""

    def wake(self, key: SessionKey) -> Session | None:
        """A session by its key, also one that was put away."""

    def manners_of(self, channel: str) -> Manners: ...

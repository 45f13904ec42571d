"""What the gateway needs of others: of the store, and of the endpoint of the agents' tools."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from anyclawd.model.value import Json
from anyclawd.route.record import Conversation, Entry, Held, Restored, SessionKey
from anyclawd.store.failure import Done


class Endpoint(Protocol):
    """Where agents reach their tools; `daemon.mcp.McpCore` is one."""

    @property
    def is_settled(self) -> bool:
        """Whether it listens, or will not."""

    def when_settled(self, call: Callable[[], None]) -> None:
        """Call once it is settled, at once where it is."""

    def url(self, key: str) -> str:
        """Of the unit with this configuration key; empty where nothing listens."""


class NoEndpoint:
    """Of a daemon without tools."""

    is_settled = True

    def when_settled(self, call: Callable[[], None]) -> None:
        call()

    def url(self, key: str) -> str:
        return ""


NO_ENDPOINT = NoEndpoint()


class Store(Protocol):
    """Keeps conversations; `store.store.Store` does.

    The coroutines raise RequestError where it cannot be read.
    """

    @property
    def failure(self) -> str:
        """Why nothing can be kept at the moment; empty where all is well."""

    @property
    def commits(self) -> int:
        """Transactions that were written since the daemon began."""

    @property
    def waiting(self) -> int:
        """Steps that are not written yet."""

    @property
    def lost(self) -> int:
        """Steps that could be kept no longer while nothing could be written."""

    def append(
        self, entries: Sequence[Entry], done: Done | None = None, *, is_durable: bool
    ) -> None:
        """Write these in one transaction, after all that was handed in before; never waits."""

    async def read(self) -> Restored:
        """What an earlier run has left; waits until the store has been started."""

    async def message(self, id_: str, channel: str = "") -> dict[str, Json] | None: ...

    async def messages(self, session: str, limit: int) -> list[dict[str, Json]]: ...

    async def history(
        self, session: str, number: int, turns: int, max_bytes: int
    ) -> tuple[tuple[str, str], ...]: ...

    async def turns(self, session: str, limit: int, max_bytes: int) -> list[dict[str, Json]]: ...

    async def idle(self) -> dict[str, float]: ...

    async def conversations(self, session: str = "") -> tuple[Conversation, ...]: ...

    async def holders(self, wanted: Collection[Held]) -> dict[Held, SessionKey]:
        """Which chats have these sessions of agents, or had them in an earlier conversation."""

    async def export(self, session: str) -> dict[str, Json]: ...

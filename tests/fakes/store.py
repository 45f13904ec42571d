"""A store on paper: what the gateway needs of one, without a file, a thread or a wait.

It says that something is written before `append` returns, where the real one says so in a later
turn of the loop; whoever gets along with both depends on neither. `pages` is what it was given.
`tests/integration/store/test_contract.py` holds it against the real store.
"""

from collections.abc import Sequence

from anyclawd.gateway.seam import Done
from anyclawd.model.value import Json
from anyclawd.route.record import (
    AddMessage,
    AddTurn,
    Conversation,
    EndConversation,
    Entry,
    EraseSession,
    MarkMessages,
    MessageId,
    MessageState,
    Restored,
    SaveConversation,
    StoredMessage,
)
from anyclawd.store.failure import AlreadyKnown, Failure, NotWritten

_OVER = frozenset({MessageState.ANSWERED, MessageState.REFUSED, MessageState.INTERRUPTED})


class PaperStore:
    """Keeps what it is told, and can be told to keep nothing: `stuck` is why."""

    def __init__(self, restored: Restored | None = None) -> None:
        self.stuck = ""
        self.pages: list[Entry] = []
        self.restored = restored or Restored()
        self._messages: dict[MessageId, StoredMessage] = {}
        self._states: dict[MessageId, tuple[MessageState, str]] = {}
        self._sources: dict[tuple[str, str], MessageId] = {}
        self._turns: list[AddTurn] = []
        self._conversations: dict[tuple[str, int], Conversation] = {}

    @property
    def failure(self) -> str:
        return self.stuck

    def append(
        self, entries: Sequence[Entry], done: Done | None = None, *, is_durable: bool
    ) -> None:
        failure: Failure | None = NotWritten(self.stuck) if self.stuck else None
        if failure is None:
            for entry in entries:
                failure = self._write(entry) or failure
        if done is not None:
            done(failure)

    async def read(self) -> Restored:
        return self.restored

    async def message(self, id_: str, channel: str = "") -> dict[str, Json] | None:
        row = self._messages.get(MessageId(id_))
        if row is None or channel not in ("", row.channel):
            return None
        state, text = self._states[row.id]
        return {"messageId": id_, "session": row.session, "state": str(state), "text": text}

    async def messages(self, session: str, limit: int) -> list[dict[str, Json]]:
        found = [await self.message(row.id) for row in self._messages.values()]
        return [row for row in found if row is not None and row["session"] == session][-limit:]

    async def history(
        self, session: str, number: int, turns: int, max_bytes: int
    ) -> tuple[tuple[str, str], ...]:
        said = [
            (turn.prompt, turn.answer)
            for turn in self._turns
            if (turn.session, turn.number) == (session, number)
        ]
        return tuple(said[-turns:])

    async def conversations(self, session: str = "") -> tuple[Conversation, ...]:
        rows = [row for row in self._conversations.values() if session in ("", row.session)]
        return tuple(reversed(rows))

    async def export(self, session: str) -> dict[str, Json]:
        return {
            "conversations": [row.number for row in await self.conversations(session)],
            "messages": await self.messages(session, len(self._messages)),
            "turns": [turn.prompt for turn in self._turns if turn.session == session],
        }

    def _write(self, entry: Entry) -> Failure | None:
        self.pages.append(entry)
        match entry:
            case AddMessage(row):
                return self._add(row)
            case MarkMessages(ids, state, text):
                for id_ in ids:
                    self._mark(id_, state, text)
            case AddTurn():
                self._turns.append(entry)
            case SaveConversation(row):
                self._conversations[row.session, row.number] = row
            case EndConversation() | EraseSession():
                pass  # who reads these back has a real store
            case _:
                pass  # kept in `pages` alone
        return None

    def _add(self, row: StoredMessage) -> Failure | None:
        source = (row.channel, row.source_id)
        if row.source_id and source in self._sources:
            first = self._sources[source]
            return AlreadyKnown(first, self._states[first][0])
        self._sources[source] = row.id
        self._messages[row.id] = row
        self._states[row.id] = row.state, ""
        return None

    def _mark(self, id_: MessageId, state: MessageState, text: str) -> None:
        now = self._states.get(id_)
        if now is None:
            return
        if state is MessageState.DELIVERED and now[0] is MessageState.ANSWERED:
            self._states[id_] = state, now[1]
        elif now[0] not in (*_OVER, MessageState.DELIVERED):
            self._states[id_] = state, text

"""A store on paper: what the gateway needs of one, without a file, a thread or a wait.

It says that something is written before `append` returns, where the real one says so in a later
turn of the loop; whoever gets along with both depends on neither. `pages` is what it was given.
`tests/integration/store/test_contract.py` holds it against the real store.
"""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import assert_never

from anyclawd.gateway.seam import Done
from anyclawd.model.value import Json
from anyclawd.route.record import (
    AddDelivery,
    AddMessage,
    AddTurn,
    CloseAsk,
    CloseDelivery,
    Conversation,
    CopyTurns,
    DeliveryId,
    DropCode,
    DropGrant,
    EndConversation,
    Entry,
    EraseSession,
    ForgetChoices,
    Grant,
    Held,
    MarkMessages,
    MessageId,
    MessageState,
    PairingCode,
    RememberChoice,
    Restored,
    SaveAsk,
    SaveCode,
    SaveConversation,
    SaveGrant,
    SessionKey,
    StoredAsk,
    StoredDelivery,
    StoredMessage,
)
from anyclawd.store.failure import AlreadyKnown, Failure, NotWritten

_OVER = frozenset({MessageState.ANSWERED, MessageState.REFUSED, MessageState.INTERRUPTED})


class PaperStore:
    """Keeps what it is told, and can be told to keep nothing: `stuck` is why."""

    def __init__(self, restored: Restored | None = None) -> None:
        self.stuck = ""
        self.commits = self.waiting = self.lost = 0
        self.pages: list[Entry] = []
        self.restored = restored or Restored()
        self._messages: dict[MessageId, StoredMessage] = {}
        self._states: dict[MessageId, tuple[MessageState, str]] = {}
        self._sources: dict[tuple[str, str], MessageId] = {}
        self._turns: list[AddTurn] = []
        self._conversations: dict[tuple[str, int], Conversation] = {}
        self._deliveries: dict[DeliveryId, StoredDelivery] = {}
        self._asks: dict[str, StoredAsk] = {}
        self._choices: dict[tuple[str, str], RememberChoice] = {}
        self._grants: dict[Grant, None] = {}
        self._codes: dict[str, PairingCode] = {}

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

    def state_of(self, message: MessageId) -> MessageState | None:
        state, _ = self._states.get(message, (None, ""))
        return state

    def left(self, *, age_s: float = 0.0) -> Restored:
        """What the next daemon finds, when this one dies now and so much time goes by."""
        messages = [
            replace(row, state=state, is_again=bool(text), age_s=age_s)
            for row in self._messages.values()
            for state, text in [self._states[row.id]]
            if state in (MessageState.QUEUED, MessageState.RUNNING)
        ]
        rows = [row for row in self._conversations.values() if row.is_current]
        return Restored(
            is_durable=True,
            conversations=tuple(replace(row, idle_s=age_s) for row in rows),
            messages=tuple(messages),
            deliveries=tuple(replace(row, age_s=age_s) for row in self._deliveries.values()),
            asks=tuple(
                replace(row, remaining_s=row.remaining_s - age_s) for row in self._asks.values()
            ),
            choices=tuple(self._choices.values()),
            grants=tuple(self._grants),
            codes=tuple(self._codes.values()),
        )

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

    async def turns(self, session: str, limit: int, max_bytes: int) -> list[dict[str, Json]]:
        said = [
            {
                "conversation": turn.number,
                "prompt": turn.prompt,
                "answer": turn.answer,
                "stopReason": turn.stop_reason,
                "endedAt": "1970-01-01T00:00:00.000Z",
            }
            for turn in self._turns
            if turn.session == session
        ]
        return said[-limit:]

    async def idle(self) -> dict[str, float]:
        return {row.session: 0.0 for row in self._conversations.values()}

    async def conversations(self, session: str = "") -> tuple[Conversation, ...]:
        return self.conversations_of(session)

    def conversations_of(self, session: str = "") -> tuple[Conversation, ...]:
        rows = [row for row in self._conversations.values() if session in ("", row.session)]
        return tuple(reversed(rows))

    async def holders(self, wanted: Collection[Held]) -> dict[Held, SessionKey]:
        rows = self._conversations.values()
        return {held: row.session for row in rows if (held := _held(row)) in wanted}

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
            case CopyTurns(session, number, to):
                said = [
                    one for one in self._turns if (one.session, one.number) == (session, number)
                ]
                self._turns += [replace(turn, session=to, number=1) for turn in said]
            case AddTurn():
                self._turns.append(entry)
            case SaveConversation(row):
                self._end(row.session)
                self._conversations[row.session, row.number] = row
            case EndConversation(session, number):
                self._end(session, number)
            case AddDelivery(row):
                self._deliveries[row.id] = row
            case CloseDelivery(delivery):
                self._deliveries.pop(delivery, None)
            case SaveAsk(row):
                self._asks[row.request_id] = row
            case CloseAsk(request_id):
                self._asks.pop(request_id, None)
            case RememberChoice(session, kind):
                self._choices[session, kind] = entry
            case ForgetChoices(session):
                self._choices = {at: one for at, one in self._choices.items() if at[0] != session}
            case SaveGrant(grant):
                self._grants[grant] = None
            case DropGrant(grant):
                self._grants.pop(grant, None)
            case SaveCode(code):
                self._codes[code.code] = code
            case DropCode(code):
                self._codes.pop(code, None)
            case EraseSession(session):
                self._erase(session)
            case _:
                assert_never(entry)
        return None

    def _end(self, session: str, number: int | None = None) -> None:
        for at, row in self._conversations.items():
            if at[0] == session and number in (None, at[1]):
                self._conversations[at] = replace(row, is_current=False)

    def _erase(self, session: str) -> None:
        gone = [row.id for row in self._messages.values() if row.session == session]
        for id_ in gone:
            del self._messages[id_], self._states[id_]
        kept = {at: row for at, row in self._conversations.items() if at[0] != session}
        self._conversations = kept
        self._deliveries = {
            at: row for at, row in self._deliveries.items() if row.session != session
        }
        self._turns = [turn for turn in self._turns if turn.session != session]

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
            self._states[id_] = state, text or now[1]


def _held(row: Conversation) -> Held:
    return Held(row.agent, row.acp_id)


class SlowStore(PaperStore):
    """Says that something is written when it is told to, as a disk does."""

    def __init__(self, restored: Restored | None = None) -> None:
        super().__init__(restored)
        self._handed_in: deque[tuple[Sequence[Entry], Done | None, bool]] = deque()

    def append(
        self, entries: Sequence[Entry], done: Done | None = None, *, is_durable: bool
    ) -> None:
        self._handed_in.append((entries, done, is_durable))

    def commit(self, count: int | None = None) -> None:
        """Write so many of the transactions that wait, or all, with what comes of them."""
        while self._handed_in and count != 0:
            entries, done, is_durable = self._handed_in.popleft()
            super().append(entries, done, is_durable=is_durable)
            count = None if count is None else count - 1

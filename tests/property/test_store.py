"""The rows of a store are what a plain model says, and the same after a crash at any point.

A crash is what it leaves: the files of a store that runs, copied between two steps, opened anew.
"""

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

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
from tests.fakes.kept import AGENT, PEER, HandClock, Kept, running

S = MessageState
OPEN = (S.QUEUED, S.RUNNING)

sessions = st.sampled_from([SessionKey("web:dm:ann"), SessionKey("web:dm:bob")])
numbers = st.integers(1, 3)
texts = st.sampled_from(["", "a", "ä😀", 'it\'s "quoted"', "x" * 300])
ids = st.sampled_from([MessageId(f"m{number}") for number in range(4)])
delivery_ids = st.sampled_from([DeliveryId(f"d{number}") for number in range(3)])
kinds = st.sampled_from(["edit", "execute"])
seconds = st.sampled_from([0.5, 60.0, 3600.0])
objects = st.dictionaries(
    texts, st.one_of(texts, st.none(), st.lists(texts, max_size=2)), max_size=2
)
grants = st.builds(Grant, channel=st.just("web"), kind=st.just("dm"), peer_id=texts)

messages = st.builds(
    StoredMessage,
    id=ids,
    session=sessions,
    channel=st.sampled_from(["web", "telegram"]),
    peer=st.just(PEER),
    agent=st.sampled_from([None, AGENT]),
    source_id=st.sampled_from(["", "", "s1", "s2"]),
    content=st.lists(objects, max_size=2).map(tuple),
    metadata=st.one_of(st.none(), objects),
    size_bytes=st.integers(0, 2**40),
)
conversations = st.builds(
    Conversation,
    session=sessions,
    number=numbers,
    channel=st.just("web"),
    peer=st.just(PEER),
    agent=st.just(AGENT),
    acp_id=st.sampled_from(["acp-1", "acp-2"]),
    title=texts,
    has_turns=st.booleans(),
    choices=st.dictionaries(texts, st.booleans(), max_size=2).map(MappingProxyType),
    is_current=st.booleans(),
)
deliveries = st.builds(
    StoredDelivery,
    id=delivery_ids,
    session=sessions,
    channel=st.just("web"),
    peer=st.just(PEER),
    messages=st.lists(ids, max_size=2).map(tuple),
    content=st.one_of(texts, objects),
)
asks = st.builds(
    StoredAsk,
    request_id=st.sampled_from(["r1", "r2"]),
    session=sessions,
    channel=st.just("web"),
    description=texts,
    options=st.just((("yes", "Yes", False), ("no", "No", True))),
    fingerprint=texts,
    answer=texts,
    remaining_s=seconds,
)
codes = st.builds(
    PairingCode,
    code=st.sampled_from(["1111", "2222"]),
    grant=grants,
    session=sessions,
    peer=st.just(PEER),
    remaining_s=seconds,
)
steps = st.one_of(
    st.builds(
        MarkMessages,
        st.lists(ids, max_size=3, unique=True).map(tuple),
        st.sampled_from(MessageState),
        texts,
        st.one_of(st.none(), delivery_ids),
    ),
    st.builds(SaveConversation, conversations),
    st.builds(EndConversation, sessions, numbers),
    st.builds(AddTurn, sessions, numbers, texts, texts, texts),
    st.builds(CopyTurns, sessions, numbers, sessions),
    st.builds(AddDelivery, deliveries),
    st.builds(CloseDelivery, delivery_ids, st.booleans()),
    st.builds(SaveAsk, asks),
    st.builds(CloseAsk, st.sampled_from(["r1", "r2"])),
    st.builds(RememberChoice, sessions, kinds, st.booleans()),
    st.builds(ForgetChoices, sessions),
    st.builds(SaveGrant, grants),
    st.builds(DropGrant, grants),
    st.builds(SaveCode, codes),
    st.builds(DropCode, st.sampled_from(["1111", "2222"])),
    st.builds(EraseSession, sessions),
)
appends = st.one_of(
    messages.map(lambda row: (AddMessage(row),)), st.lists(steps, max_size=4).map(tuple)
)


class Model:
    """The rows in plain Python, the simplest way there is."""

    def __init__(self, clock: HandClock) -> None:
        self._clock = clock
        self.messages: dict[MessageId, StoredMessage] = {}
        self.texts: dict[MessageId, tuple[str, DeliveryId | None]] = {}
        self.conversations: dict[tuple[SessionKey, int], Conversation] = {}
        self.deliveries: dict[DeliveryId, StoredDelivery] = {}
        self.closed: set[DeliveryId] = set()
        self.turns: list[AddTurn] = []
        self.asks: dict[str, StoredAsk] = {}
        self.choices: dict[tuple[SessionKey, str], bool] = {}
        self.grants: dict[Grant, None] = {}
        self.codes: dict[str, PairingCode] = {}
        self._came_at: dict[object, int] = {}  # by what it is the instant of

    def append(self, entries: tuple[Entry, ...]) -> Failure | None:
        match entries:
            case (AddMessage(row),):
                return self._add(row)
        for entry in entries:
            self._apply(entry)
        return None

    def _add(self, row: StoredMessage) -> Failure | None:
        for other in self.messages.values():
            same = (other.channel, other.source_id) == (row.channel, row.source_id)
            if row.source_id and same:
                return AlreadyKnown(other.id, other.state)
        if row.id in self.messages:
            return NotWritten("")  # of whatever reason: the router never gives an id twice
        self.messages[row.id] = row
        self.texts[row.id] = ("", None)
        self._came_at[row.id] = self._clock()
        return None

    def _apply(self, entry: Entry) -> None:  # one arm an entry
        match entry:
            case MarkMessages(marked, state, text, delivery):
                for id_ in marked:
                    self._mark(id_, state, text, delivery)
            case SaveConversation(row):
                self._save(row)
            case EndConversation(session, number):
                row_or_none = self.conversations.get((session, number))
                if row_or_none is not None:
                    self.conversations[session, number] = replace(row_or_none, is_current=False)
            case AddTurn(session, number):
                self.turns.append(entry)
                if (session, number) in self.conversations:
                    self._came_at[session, number] = self._clock()
            case CopyTurns(session, number, to):
                said = [one for one in self.turns if (one.session, one.number) == (session, number)]
                self.turns += [replace(turn, session=to, number=1) for turn in said]
            case AddDelivery(delivery_row):
                self._came_at.setdefault(("delivery", delivery_row.id), self._clock())
                self.deliveries[delivery_row.id] = delivery_row
            case CloseDelivery(id_):
                if id_ in self.deliveries:
                    self.closed.add(id_)
            case SaveAsk(ask):
                self._came_at["ask", ask.request_id] = self._clock()
                self.asks[ask.request_id] = ask
            case CloseAsk(request_id):
                self.asks.pop(request_id, None)
            case RememberChoice(session, kind, allows):
                self.choices[session, kind] = allows
            case ForgetChoices(session):
                self.choices = {
                    key: allows for key, allows in self.choices.items() if key[0] != session
                }
            case SaveGrant(grant):
                self.grants[grant] = None
            case DropGrant(grant):
                self.grants.pop(grant, None)
            case SaveCode(code):
                self._came_at["code", code.code] = self._clock()
                self.codes[code.code] = code
            case DropCode(code_text):
                self.codes.pop(code_text, None)
            case EraseSession(session):
                self._erase(session)

    def forget(self) -> None:
        """The choices made in a chat go with its conversation."""
        current = {row.session for row in self.conversations.values() if row.is_current}
        self.choices = {key: allows for key, allows in self.choices.items() if key[0] in current}

    def _mark(self, id_: MessageId, state: S, text: str, delivery: DeliveryId | None) -> None:
        row = self.messages.get(id_)
        if row is None:
            return
        if row.state in OPEN or (row.state is S.ANSWERED and state is S.DELIVERED):
            self.messages[id_] = replace(row, state=state)
            said, to = self.texts[id_]
            self.texts[id_] = (text or said, delivery or to)

    def _save(self, row: Conversation) -> None:
        if row.is_current:
            for key, other in self.conversations.items():
                if key[0] == row.session:
                    self.conversations[key] = replace(other, is_current=False)
        self._came_at.setdefault(("first", row.session), self._clock())
        self._came_at[row.session, row.number] = self._clock()
        self.conversations[row.session, row.number] = row

    def _erase(self, session: SessionKey) -> None:
        for id_, row in list(self.messages.items()):
            if row.session == session:
                del self.messages[id_], self.texts[id_]
        for key in [key for key in self.conversations if key[0] == session]:
            del self.conversations[key]
        self._came_at.pop(("first", session), None)
        for delivery in [row for row in self.deliveries.values() if row.session == session]:
            del self.deliveries[delivery.id], self._came_at["delivery", delivery.id]
            self.closed.discard(delivery.id)
        self.turns = [turn for turn in self.turns if turn.session != session]
        self.asks = {key: row for key, row in self.asks.items() if row.session != session}
        self.codes = {key: row for key, row in self.codes.items() if row.session != session}
        self.choices = {key: value for key, value in self.choices.items() if key[0] != session}

    # -- what a later run reads ----------------------------------------------------------------

    def restored(self) -> Restored:
        chats = tuple(self._chats())
        with_past = {chat.session for chat in chats if chat.acp_id}
        return Restored(
            is_durable=True,
            conversations=chats,
            messages=tuple(
                replace(row, age_s=self._since(row.id), is_again=bool(self.texts[row.id][0]))
                for row in self.messages.values()
                if row.state in OPEN
            ),
            deliveries=tuple(
                replace(row, age_s=self._since(("delivery", row.id)))
                for row in self.deliveries.values()
                if row.id not in self.closed
            ),
            asks=tuple(
                replace(row, remaining_s=self._left(("ask", key), row.remaining_s))
                for key, row in self.asks.items()
            ),
            choices=tuple(
                RememberChoice(session, kind, allows)
                for (session, kind), allows in self.choices.items()
                if session in with_past
            ),
            grants=tuple(self.grants),
            codes=tuple(
                replace(row, remaining_s=left)
                for key, row in self.codes.items()
                if (left := self._left(("code", key), row.remaining_s))
            ),
        )

    def _chats(self) -> Iterator[Conversation]:
        for session in dict.fromkeys(key[0] for key in self.conversations):
            rows = [row for key, row in self.conversations.items() if key[0] == session]
            latest = max(row.number for row in rows)
            current = next((row for row in rows if row.is_current), None)
            last = max(rows, key=lambda row: row.number)
            if current is not None:
                idle_s = self._since((session, current.number))
                yield replace(current, latest=latest, idle_s=idle_s)
            else:
                yield Conversation(
                    session=session,
                    number=latest + 1,
                    channel=last.channel,
                    peer=last.peer,
                    agent=last.agent,
                    acp_id="",
                    idle_s=self._since((session, latest)),
                    latest=latest + 1,
                )

    def _since(self, what: object) -> float:
        return (self._clock() - self._came_at[what]) / 1000

    def _left(self, what: object, seconds_: float) -> float:
        end = self._came_at[what] + round(seconds_ * 1000)
        return max(0, end - self._clock()) / 1000


def _comparable(restored: Restored) -> Restored:
    """Parts whose order is no promise are sorted; sets of choices stay in theirs."""
    return replace(
        restored,
        conversations=tuple(sorted(restored.conversations, key=lambda row: row.session)),
        choices=tuple(sorted(restored.choices, key=str)),
        asks=tuple(sorted(restored.asks, key=str)),
        codes=tuple(sorted(restored.codes, key=str)),
    )


async def _play(
    script: list[tuple[tuple[Entry, ...], int]],
    forgets_at: set[int],
    crash_at: int,
    directory: Path,
) -> None:
    clock = HandClock()
    model = Model(clock)
    path = directory / "first" / "sessions.db"
    async with running(path, clock) as store:
        await store.has_forgotten.wait()  # from here on, nobody writes but these steps
        for at, (entries, pause_ms) in enumerate(script):
            expected = model.append(entries)
            found = await store.put(*entries, is_durable=bool(at % 2))
            if isinstance(expected, NotWritten):
                assert isinstance(found, NotWritten)
            else:
                assert found == expected
            clock.now_ms += pause_ms
            if at in forgets_at:
                await store.forget()
                model.forget()
            if at == crash_at:
                shutil.copytree(path.parent, directory / "crashed")
                await _check(model, directory / "crashed" / path.name, clock)
        await _check_states(model, store)
    await _check(model, path, clock)


async def _check(model: Model, path: Path, clock: HandClock) -> None:
    """A store that is opened on these files reads what the model says."""
    async with running(path, clock) as store:
        assert store.reports == []
        assert _comparable(await store.read()) == _comparable(model.restored())
        await _check_states(model, store)


async def _check_states(model: Model, store: Kept) -> None:
    for number in range(6):
        id_ = MessageId(f"m{number}")
        row, found = model.messages.get(id_), await store.message(id_)
        assert (row is None) == (found is None)
        if row is None or found is None:
            continue
        text, delivery = model.texts[id_]
        has_answer = row.state in (S.ANSWERED, S.DELIVERED)
        assert found["state"] == row.state
        assert found["deliveryId"] == (delivery or "")
        assert (found["stopReason"] if has_answer else found["text"]) == text
    for session in {turn.session for turn in model.turns}:
        for number in (1, 2, 3):
            said = tuple(
                (turn.prompt, turn.answer)
                for turn in model.turns
                if (turn.session, turn.number) == (session, number)
            )
            assert await store.history(session, number, 99, 10**9) == said


@settings(max_examples=80)
@given(
    script=st.lists(st.tuples(appends, st.sampled_from([0, 1, 700])), min_size=1, max_size=25),
    data=st.data(),
)
def test_a_stream_of_entries_and_a_crash_leave_what_a_model_says(
    script: list[tuple[tuple[Entry, ...], int]], data: st.DataObject
) -> None:
    places = st.integers(0, len(script) - 1)
    crash_at, forgets_at = data.draw(places), data.draw(st.sets(places, max_size=2))
    with TemporaryDirectory() as directory:
        asyncio.run(_play(script, forgets_at, crash_at, Path(directory)))

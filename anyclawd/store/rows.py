"""From SQL to values: what a start reads of an earlier run, and what is asked for in between.

Every function reads with the connection that it is given, in the thread of that connection.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.route.record import (
    Conversation,
    DeliveryId,
    Grant,
    Held,
    MessageId,
    MessageState,
    PairingCode,
    RememberChoice,
    Restored,
    SessionKey,
    StoredAsk,
    StoredDelivery,
    StoredMessage,
)
from anyclawd.store.entries import Value, encoded
from anyclawd.wire.channel import Peer

if TYPE_CHECKING:
    import sqlite3

_PEER = "channel_name, peer_id, kind"
_CONVERSATION = (
    f"session, number, channel, {_PEER}, agent, acp_id, title, has_turns, choices, active_at,"
    " is_current, max(number) OVER (PARTITION BY session)"
)
_MESSAGE = (
    f"id, session, channel, {_PEER}, agent, source_id, content, metadata, size_bytes, state,"
    " text, received_at"
)
_STATE_COLUMNS = (
    "messages.id, messages.session, messages.channel, state, text, delivery, received_at,"
    " updated_at, deliveries.content"
)
_STATE_TABLES = "messages LEFT JOIN deliveries ON deliveries.id = messages.delivery"
_STATE = f"SELECT {_STATE_COLUMNS} FROM {_STATE_TABLES}"
_SAID = "SELECT number, prompt, answer, stop_reason, ended_at FROM turns WHERE session = ?1"
#: States in which the text of a message is the stop reason of its answer.
_WITH_ANSWER = frozenset({MessageState.ANSWERED, MessageState.DELIVERED})


def restored(
    db: "sqlite3.Connection", now_ms: int, *, is_durable: bool, resting_since: int
) -> Restored:
    """What an earlier run has left; of conversations those that were active since an instant."""
    chats = tuple(_chats(db, now_ms, resting_since))
    with_past = {chat.session for chat in chats if chat.acp_id}
    return Restored(
        is_durable=is_durable,
        conversations=chats,
        messages=tuple(_messages(db, now_ms)),
        deliveries=tuple(_deliveries(db, now_ms)),
        asks=tuple(_asks(db, now_ms)),
        choices=tuple(choice for choice in _choices(db) if choice.session in with_past),
        grants=tuple(_grants(db)),
        codes=tuple(_codes(db, now_ms)),
    )


def conversations(db: "sqlite3.Connection", now_ms: int, session: str) -> tuple[Conversation, ...]:
    """Those of one chat, the latest first; of all chats where no session is given."""
    if not session:
        order = "ORDER BY active_at DESC, session, number DESC"
        return tuple(_conversations(db, now_ms, order, ()))
    where = "WHERE session = ?1 ORDER BY number DESC"
    return tuple(_conversations(db, now_ms, where, (encoded(session),)))


def holders(db: "sqlite3.Connection", wanted: Iterable[Held]) -> dict[Held, SessionKey]:
    """Which chats have these sessions of agents, or had them: the one that did so last."""
    stored = {(held.unit, encoded(held.acp_id)): held for held in wanted}
    sql = "SELECT agent, acp_id, session FROM conversations ORDER BY active_at"
    found = db.execute(sql)
    return {stored[row[:2]]: SessionKey(row[2]) for row in found if row[:2] in stored}


def known_message(
    db: "sqlite3.Connection", channel: Value, source_id: Value
) -> tuple[MessageId, MessageState]:
    """The message that a source has sent before."""
    sql = "SELECT id, state FROM messages WHERE channel = ?1 AND source_id = ?2"
    id_, state = db.execute(sql, (channel, source_id)).fetchone()
    return MessageId(id_), MessageState(state)


def message(db: "sqlite3.Connection", id_: str, channel: str) -> dict[str, Json] | None:
    """The state of one message; None where there is none, or none of that channel."""
    sql = f"{_STATE} WHERE messages.id = ?1 AND (?2 = '' OR messages.channel = ?2)"
    row = db.execute(sql, (encoded(id_), encoded(channel))).fetchone()
    return None if row is None else _state_of(row)


def messages(db: "sqlite3.Connection", session: str, limit: int) -> list[dict[str, Json]]:
    """The states of the latest messages of a chat, oldest first."""
    sql = f"{_STATE} WHERE messages.session = ?1 ORDER BY messages.place DESC LIMIT ?2"
    rows = db.execute(sql, (encoded(session), limit)).fetchall()
    return [_state_of(row) for row in reversed(rows)]


def history(
    db: "sqlite3.Connection", session: str, number: int, turns: int, max_bytes: int
) -> tuple[tuple[str, str], ...]:
    """The latest turns of a conversation that fit, oldest first: prompt and answer of each."""
    sql = (
        "SELECT prompt, answer FROM turns WHERE session = ?1 AND number = ?2"
        " ORDER BY place DESC LIMIT ?3"
    )
    found: list[tuple[str, str]] = []
    for prompt, answer in db.execute(sql, (encoded(session), number, turns)):
        max_bytes -= len(prompt.encode()) + len(answer.encode())
        if max_bytes < 0:
            break
        found.append((prompt, answer))
    return tuple(reversed(found))


def turns(
    db: "sqlite3.Connection", session: str, limit: int, max_bytes: int
) -> list[dict[str, Json]]:
    """The latest turns of a chat that fit, over all its conversations, oldest first."""
    found: list[dict[str, Json]] = []
    sql = f"{_SAID} ORDER BY place DESC LIMIT ?2"
    for row in db.execute(sql, (encoded(session), limit)):
        told = _said(row)
        max_bytes -= len(told["prompt"].encode()) + len(told["answer"].encode())
        if max_bytes < 0:
            break
        found.append(told)
    return found[::-1]


def idle(db: "sqlite3.Connection", now_ms: int) -> dict[str, float]:
    """For how many seconds nothing has happened, by chat."""
    sql = "SELECT session, max(active_at) FROM conversations GROUP BY session"
    return {session: _since(active_at, now_ms) for session, active_at in db.execute(sql)}


def export(db: "sqlite3.Connection", session: str) -> dict[str, Json]:
    """All that is kept of a chat, in JSON's words."""
    key = (encoded(session),)
    sql = (
        "SELECT number, agent, acp_id, title, has_turns, choices, is_current, created_at,"
        " active_at FROM conversations WHERE session = ?1 ORDER BY number"
    )
    told: list[dict[str, Json]] = [
        {
            "number": number,
            "agent": agent,
            "agentSessionId": acp_id,
            "title": title,
            "hasTurns": bool(has_turns),
            "choices": json.loads(choices),
            "isCurrent": bool(is_current),
            "createdAt": _instant(created_at),
            "activeAt": _instant(active_at),
        }
        for (
            number,
            agent,
            acp_id,
            title,
            has_turns,
            choices,
            is_current,
            created_at,
            active_at,
        ) in db.execute(sql, key)
    ]
    sql = (
        f"SELECT {_STATE_COLUMNS}, messages.content, metadata FROM {_STATE_TABLES}"
        " WHERE messages.session = ?1 ORDER BY messages.place"
    )
    sent = [
        {
            **_state_of(row),
            "content": json.loads(row[9]),
            "metadata": None if row[10] is None else json.loads(row[10]),
        }
        for row in db.execute(sql, key)
    ]
    said = [_said(row) for row in db.execute(f"{_SAID} ORDER BY place", key)]
    return {"session": session, "conversations": told, "messages": sent, "turns": said}


# --- parts ----------------------------------------------------------------------------------------


def _chats(db: "sqlite3.Connection", now_ms: int, resting_since: int) -> Iterator[Conversation]:
    """The conversation of each chat, or where it has none any more, the next one it will have."""
    idle_s = _since(resting_since, now_ms)
    order = (
        "ORDER BY min(created_at) OVER (PARTITION BY session), session, is_current DESC,"
        " number DESC"
    )
    last = ""
    for row in _conversations(db, now_ms, order, ()):
        if row.session == last:
            continue
        last = row.session
        if row.is_current and row.idle_s <= idle_s:
            yield row
        else:
            yield Conversation(
                session=row.session,
                number=row.latest + 1,
                channel=row.channel,
                peer=row.peer,
                agent=row.agent,
                acp_id="",
                idle_s=row.idle_s,
                latest=row.latest + 1,
            )


def _conversations(
    db: "sqlite3.Connection", now_ms: int, clause: str, values: tuple[str, ...]
) -> Iterator[Conversation]:
    sql = f"SELECT {_CONVERSATION} FROM conversations {clause}"
    for row in db.execute(sql, values):
        session, number, channel, name, peer_id, kind, agent, acp_id, title = row[:9]
        has_turns, choices, active_at, is_current, latest = row[9:]
        yield Conversation(
            session=SessionKey(session),
            number=number,
            channel=channel,
            peer=Peer(name, peer_id, kind),
            agent=UnitName(agent),
            acp_id=acp_id,
            title=title,
            has_turns=bool(has_turns),
            choices=MappingProxyType(json.loads(choices)),
            idle_s=_since(active_at, now_ms),
            latest=latest,
            is_current=bool(is_current),
        )


def _messages(db: "sqlite3.Connection", now_ms: int) -> Iterator[StoredMessage]:
    sql = f"SELECT {_MESSAGE} FROM messages WHERE state IN ('queued', 'running') ORDER BY place"
    for row in db.execute(sql):
        id_, session, channel, name, peer_id, kind, agent, source_id, content = row[:9]
        metadata, size_bytes, state, text, received_at = row[9:]
        yield StoredMessage(
            id=MessageId(id_),
            session=SessionKey(session),
            channel=channel,
            peer=Peer(name, peer_id, kind),
            agent=None if agent is None else UnitName(agent),
            source_id=source_id or "",
            content=tuple(json.loads(content)),
            metadata=None if metadata is None else MappingProxyType(json.loads(metadata)),
            size_bytes=size_bytes,
            state=MessageState(state),
            is_again=bool(text),
            age_s=_since(received_at, now_ms),
        )


def _deliveries(db: "sqlite3.Connection", now_ms: int) -> Iterator[StoredDelivery]:
    sql = (
        f"SELECT id, session, channel, {_PEER}, messages, content, added_at FROM deliveries"
        " WHERE closed_at IS NULL ORDER BY place"
    )
    for id_, session, channel, name, peer_id, kind, ids, content, added_at in db.execute(sql):
        yield StoredDelivery(
            id=DeliveryId(id_),
            session=SessionKey(session),
            channel=channel,
            peer=Peer(name, peer_id, kind),
            messages=tuple(MessageId(one) for one in json.loads(ids)),
            content=json.loads(content),
            age_s=_since(added_at, now_ms),
        )


def _asks(db: "sqlite3.Connection", now_ms: int) -> Iterator[StoredAsk]:
    sql = (
        "SELECT request_id, session, channel, description, options, fingerprint, answer,"
        " expires_at FROM asks ORDER BY place"
    )
    for request_id, session, channel, description, options, print_, answer, end in db.execute(sql):
        yield StoredAsk(
            request_id=request_id,
            session=SessionKey(session),
            channel=channel,
            description=description,
            options=tuple((id_, label, rejects) for id_, label, rejects in json.loads(options)),
            fingerprint=print_,
            answer=answer,
            remaining_s=_since(now_ms, end),
        )


def _choices(db: "sqlite3.Connection") -> Iterator[RememberChoice]:
    sql = "SELECT session, tool_kind, allows FROM choices ORDER BY place"
    for session, tool_kind, allows in db.execute(sql):
        yield RememberChoice(SessionKey(session), tool_kind, bool(allows))


def _grants(db: "sqlite3.Connection") -> Iterator[Grant]:
    for channel, kind, peer_id in db.execute(
        "SELECT channel, kind, peer_id FROM grants ORDER BY place"
    ):
        yield Grant(channel=channel, kind=kind, peer_id=peer_id)


def _codes(db: "sqlite3.Connection", now_ms: int) -> Iterator[PairingCode]:
    """Those that can be approved yet."""
    sql = (
        f"SELECT code, session, channel, grant_kind, grant_peer_id, {_PEER}, expires_at FROM codes"
        " WHERE expires_at > ?1 ORDER BY place"
    )
    for code, session, channel, kind, peer_id, *peer, end in db.execute(sql, (now_ms,)):
        yield PairingCode(
            code=code,
            grant=Grant(channel=channel, kind=kind, peer_id=peer_id),
            session=SessionKey(session),
            peer=Peer(*peer),
            remaining_s=_since(now_ms, end),
        )


def _said(row: tuple[Json, ...]) -> dict[str, Json]:
    number, prompt, answer, stop_reason, ended_at = row
    return {
        "conversation": number,
        "prompt": prompt,
        "answer": answer,
        "stopReason": stop_reason,
        "endedAt": _instant(ended_at),
    }


def _state_of(row: tuple[Json, ...]) -> dict[str, Json]:
    id_, session, channel, state, text, delivery, received_at, updated_at, content = row[:9]
    has_answer = state in _WITH_ANSWER
    answer = "" if content is None else text_of(json.loads(content))
    return {
        "messageId": id_,
        "session": session,
        "channel": channel,
        "state": state,
        "text": answer if has_answer else text,
        "stopReason": text if has_answer else "",
        "deliveryId": delivery or "",
        "receivedAt": _instant(received_at),
        "updatedAt": _instant(updated_at),
    }


def text_of(content: Json) -> str:
    """What a delivery says, as far as it is text: of its update, of content, or of its parts."""
    match content:
        case str():
            return content
        case {"update": update}:
            return text_of(update)
        case list():
            return "".join(map(text_of, content))
        case {"text": str(text)}:
            return text
        case {"content": inner}:
            return text_of(inner)
        case _:
            return ""


def _instant(at_ms: int) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _since(then_ms: int, now_ms: int) -> float:
    """Seconds from one instant to another; none where a clock was set back in between."""
    return max(0, now_ms - then_ms) / 1000

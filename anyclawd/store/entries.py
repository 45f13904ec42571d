"""From entries to SQL: what each of them does to the rows.

An entry becomes its statements when it is handed in, so that nothing that is changed afterwards in
what it carries gets into its row. Text of a peer may hold halves of surrogate pairs, which UTF-8
cannot say; they are written as the escapes that JSON knows them by.
"""

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias, assert_never

from anyclawd.model.value import Json
from anyclawd.route.record import (
    AddDelivery,
    AddMessage,
    AddTurn,
    CloseAsk,
    CloseDelivery,
    Conversation,
    CopyTurns,
    DropCode,
    DropGrant,
    EndConversation,
    Entry,
    EraseSession,
    ForgetChoices,
    Grant,
    MarkMessages,
    MessageState,
    PairingCode,
    RememberChoice,
    SaveAsk,
    SaveCode,
    SaveConversation,
    SaveGrant,
    StoredAsk,
    StoredDelivery,
    StoredMessage,
)
from anyclawd.wire.channel import Peer

#: What a column can hold, as far as ours do.
Value: TypeAlias = str | int | None


class Statement(NamedTuple):
    sql: str
    values: tuple[Value, ...]


#: The tables that hold something of a chat; a test holds them against the schema.
TABLES_OF_A_CHAT = (
    "conversations",
    "messages",
    "deliveries",
    "turns",
    "asks",
    "choices",
    "codes",
)

ADD_MESSAGE = (
    "INSERT INTO messages (id, session, channel, channel_name, peer_id, kind, agent, source_id,"
    " content, metadata, size_bytes, state, text, received_at, updated_at)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, '', ?13, ?13)"
    " ON CONFLICT (channel, source_id) WHERE source_id IS NOT NULL DO NOTHING"
)
#: A message that has its outcome keeps it: only an answer may be told to have been delivered.
_MARK = (
    "UPDATE messages SET state = ?2, text = coalesce(nullif(?3, ''), text),"
    " delivery = coalesce(?4, delivery), updated_at = ?5 WHERE id = ?1"
    f" AND (state IN ('{MessageState.QUEUED}', '{MessageState.RUNNING}')"
    f" OR (state = '{MessageState.ANSWERED}' AND ?2 = '{MessageState.DELIVERED}'))"
)
_RELIEVE = (
    "UPDATE conversations SET is_current = 0 WHERE session = ?1 AND is_current AND number <> ?2"
)
_SAVE_CONVERSATION = (
    "INSERT INTO conversations (session, number, channel, channel_name, peer_id, kind, agent,"
    " acp_id, title, has_turns, choices, is_current, created_at, active_at)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13)"
    " ON CONFLICT (session, number) DO UPDATE SET channel = ?3, channel_name = ?4, peer_id = ?5,"
    " kind = ?6, agent = ?7, acp_id = ?8, title = ?9, has_turns = ?10, choices = ?11,"
    " is_current = ?12, active_at = ?13"
)
_END_CONVERSATION = "UPDATE conversations SET is_current = 0 WHERE session = ?1 AND number = ?2"
_ADD_TURN = (
    "INSERT INTO turns (session, number, prompt, answer, stop_reason, ended_at)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
)
_COPY_TURNS = (
    "INSERT INTO turns (session, number, prompt, answer, stop_reason, ended_at)"
    " SELECT ?3, 1, prompt, answer, stop_reason, ended_at FROM turns"
    " WHERE session = ?1 AND number = ?2 ORDER BY place"
)
_TOUCH = "UPDATE conversations SET active_at = ?3 WHERE session = ?1 AND number = ?2"
_ADD_DELIVERY = (
    "INSERT INTO deliveries (id, session, channel, channel_name, peer_id, kind, messages, content,"
    " added_at, has_arrived) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0)"
    " ON CONFLICT (id) DO UPDATE SET session = ?2, channel = ?3, channel_name = ?4, peer_id = ?5,"
    " kind = ?6, messages = ?7, content = ?8"
)
_CLOSE_DELIVERY = (
    "UPDATE deliveries SET closed_at = ?3, has_arrived = ?2 WHERE id = ?1 AND closed_at IS NULL"
)
_SAVE_ASK = (
    "INSERT INTO asks (request_id, session, channel, description, options, fingerprint, answer,"
    " expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
    " ON CONFLICT (request_id) DO UPDATE SET session = ?2, channel = ?3, description = ?4,"
    " options = ?5, fingerprint = ?6, answer = ?7, expires_at = ?8"
)
_REMEMBER_CHOICE = (
    "INSERT INTO choices (session, tool_kind, allows) VALUES (?1, ?2, ?3)"
    " ON CONFLICT (session, tool_kind) DO UPDATE SET allows = ?3"
)
_SAVE_GRANT = (
    "INSERT INTO grants (channel, kind, peer_id, granted_at) VALUES (?1, ?2, ?3, ?4)"
    " ON CONFLICT (channel, kind, peer_id) DO NOTHING"
)
_DROP_GRANT = "DELETE FROM grants WHERE channel = ?1 AND kind = ?2 AND peer_id = ?3"
_SAVE_CODE = (
    "INSERT INTO codes (code, session, channel, grant_kind, grant_peer_id, channel_name, peer_id,"
    " kind, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
    " ON CONFLICT (code) DO UPDATE SET session = ?2, channel = ?3, grant_kind = ?4,"
    " grant_peer_id = ?5, channel_name = ?6, peer_id = ?7, kind = ?8, expires_at = ?9"
)
_ERASE = tuple(f"DELETE FROM {table} WHERE session = ?1" for table in TABLES_OF_A_CHAT)


def statements(entry: Entry, now_ms: int) -> Iterator[Statement]:
    """What an entry that is handed in at this instant does, in order."""
    match entry:
        case AddMessage(message):
            yield Statement(ADD_MESSAGE, _message(message, now_ms))
        case MarkMessages(ids, state, text, delivery):
            to = None if delivery is None else encoded(delivery)
            for one in ids:
                yield Statement(_MARK, (encoded(one), state, encoded(text), to, now_ms))
        case SaveConversation(conversation):
            if conversation.is_current:
                key = encoded(conversation.session), conversation.number
                yield Statement(_RELIEVE, key)
            yield Statement(_SAVE_CONVERSATION, (*_conversation(conversation), now_ms))
        case EndConversation(session, number):
            yield Statement(_END_CONVERSATION, (encoded(session), number))
        case AddTurn(session, number, prompt, answer, stop_reason):
            said = encoded(prompt), encoded(answer), encoded(stop_reason)
            yield Statement(_ADD_TURN, (encoded(session), number, *said, now_ms))
            yield Statement(_TOUCH, (encoded(session), number, now_ms))
        case CopyTurns(session, number, to):
            yield Statement(_COPY_TURNS, (encoded(session), number, encoded(to)))
        case AddDelivery(sent):
            yield Statement(_ADD_DELIVERY, (*_delivery(sent), now_ms))
        case CloseDelivery(delivery, has_arrived):
            yield Statement(_CLOSE_DELIVERY, (encoded(delivery), int(has_arrived), now_ms))
        case SaveAsk(ask):
            yield Statement(_SAVE_ASK, (*_ask(ask), _later(now_ms, ask.remaining_s)))
        case CloseAsk(request_id):
            yield Statement("DELETE FROM asks WHERE request_id = ?1", (encoded(request_id),))
        case RememberChoice(session, tool_kind, allows):
            choice = encoded(session), encoded(tool_kind), int(allows)
            yield Statement(_REMEMBER_CHOICE, choice)
        case ForgetChoices(session):
            yield Statement("DELETE FROM choices WHERE session = ?1", (encoded(session),))
        case SaveGrant(grant):
            yield Statement(_SAVE_GRANT, (*_grant(grant), now_ms))
        case DropGrant(grant):
            yield Statement(_DROP_GRANT, _grant(grant))
        case SaveCode(code):
            yield Statement(_SAVE_CODE, (*_code(code), _later(now_ms, code.remaining_s)))
        case DropCode(text):
            yield Statement("DELETE FROM codes WHERE code = ?1", (encoded(text),))
        case EraseSession(session):
            for sql in _ERASE:
                yield Statement(sql, (encoded(session),))
        case _:
            assert_never(entry)


def is_erasure(statement: Statement) -> bool:
    """Whether this ends an erasure, after which nothing of it shall be left anywhere."""
    return statement.sql is _ERASE[-1]


def encoded(text: str) -> str:
    """The text as it stands in its column."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
    return text


def _message(it: StoredMessage, now_ms: int) -> tuple[Value, ...]:
    metadata = None if it.metadata is None else _json(it.metadata)
    return (
        encoded(it.id),
        encoded(it.session),
        encoded(it.channel),
        *_peer(it.peer),
        it.agent,
        encoded(it.source_id) or None,
        _json(it.content),
        metadata,
        it.size_bytes,
        it.state,
        now_ms,
    )


def _conversation(it: Conversation) -> tuple[Value, ...]:
    return (
        encoded(it.session),
        it.number,
        encoded(it.channel),
        *_peer(it.peer),
        it.agent,
        encoded(it.acp_id),
        encoded(it.title),
        int(it.has_turns),
        _json(it.choices),
        int(it.is_current),
    )


def _delivery(it: StoredDelivery) -> tuple[Value, ...]:
    return (
        encoded(it.id),
        encoded(it.session),
        encoded(it.channel),
        *_peer(it.peer),
        _json(it.messages),
        _json(it.content),
    )


def _ask(it: StoredAsk) -> tuple[Value, ...]:
    return (
        encoded(it.request_id),
        encoded(it.session),
        encoded(it.channel),
        encoded(it.description),
        _json(it.options),
        encoded(it.fingerprint),
        encoded(it.answer),
    )


def _grant(it: Grant) -> tuple[str, str, str]:
    return encoded(it.channel), encoded(it.kind), encoded(it.peer_id)


def _code(it: PairingCode) -> tuple[Value, ...]:
    return (encoded(it.code), encoded(it.session), *_grant(it.grant), *_peer(it.peer))


def _peer(peer: Peer) -> tuple[str, str, str]:
    return encoded(peer.channel_name), encoded(peer.peer_id), encoded(peer.kind)


def _later(now_ms: int, seconds: float) -> int:
    return now_ms + round(seconds * 1000)


def _as_map(value: Json) -> Json:
    """Maps that cannot be written to are no dicts, which is all that JSON knows."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"no JSON: {type(value).__name__}")


_json = json.JSONEncoder(separators=(",", ":"), default=_as_map).encode

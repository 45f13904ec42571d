"""What the store keeps of conversations, and the changes that the router makes to it.

Rows are what a later start reads; entries are what is written. An entry stands for a whole step in
the life of what it names, so that entries of one command go into one transaction and none of them
has to be read back before the next is made. The store stamps the wall clock; nothing here has one.

A message: queued when its row is there, running when its prompt is about to leave, then answered,
refused or interrupted; `delivered` when its answer has reached the channel's process, or, where
the channel confirms, its user. A delivery is the end of a turn on its way to its chat; it keeps its
id however often it is sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, NewType, TypeAlias

from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.wire.channel import Peer

#: `{channel}:{kind}:{peer_id}`; it is also the `sessionId` that a channel sees.
SessionKey = NewType("SessionKey", str)
#: One received message; minted by the gateway, never used twice, also not by a later daemon.
MessageId = NewType("MessageId", str)
#: One answer on its way to its chat; that of the first message it answers.
DeliveryId = NewType("DeliveryId", str)


class Held(NamedTuple):
    """A session as the agent names it that holds it."""

    unit: UnitName
    acp_id: str


class MessageState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    ANSWERED = "answered"
    DELIVERED = "delivered"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"


# --- rows -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """One ACP session of a chat. A chat has one at a time and counts them from 1."""

    session: SessionKey
    number: int
    channel: str
    peer: Peer
    agent: UnitName  #: the unit that holds it; of a pool the worker
    acp_id: str
    title: str = ""
    has_turns: bool = False  #: something was said in it
    #: What its user has chosen, by the id of the option; `mode` where the agent has modes only.
    choices: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))
    idle_s: float = 0.0  #: since it was last active; set when read
    latest: int = 0  #: the highest number that its chat has come to; set when read
    is_current: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    id: MessageId
    session: SessionKey
    channel: str
    peer: Peer
    agent: UnitName | None  #: where the channel has no route of its own
    source_id: str  #: unique for its channel; empty where the channel gives none
    content: tuple[Json, ...]
    metadata: Mapping[str, Json] | None
    size_bytes: int
    state: MessageState = MessageState.QUEUED
    is_again: bool = False  #: it has been prompted once and is tried again; set when read
    age_s: float = 0.0  #: set when read


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDelivery:
    id: DeliveryId
    session: SessionKey
    channel: str
    peer: Peer
    messages: tuple[MessageId, ...]
    content: Json  #: what `channel/deliverMessage` carries, the whole answer in it
    age_s: float = 0.0  #: set when read


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAsk:
    """A request for permission that was waiting."""

    request_id: str
    session: SessionKey
    channel: str
    description: str
    options: tuple[tuple[str, str, bool], ...]  #: id, label, whether it rejects
    fingerprint: str  #: what is asked about: equal for the same question asked again
    answer: str = ""  #: the option chosen since; empty while it waits
    remaining_s: float = 0.0  #: until it times out; set when read


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A peer that was admitted by hand."""

    channel: str
    kind: str
    peer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingCode:
    code: str
    grant: Grant
    session: SessionKey
    peer: Peer
    remaining_s: float = 0.0  #: set when read


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What an earlier run has left; each part in the order in which it came to be."""

    is_durable: bool = False  #: what is recorded outlives the daemon
    conversations: tuple[Conversation, ...] = ()  #: the current one of each chat
    messages: tuple[StoredMessage, ...] = ()  #: that have no outcome
    deliveries: tuple[StoredDelivery, ...] = ()  #: that nobody has confirmed
    asks: tuple[StoredAsk, ...] = ()
    choices: tuple["RememberChoice", ...] = ()
    grants: tuple[Grant, ...] = ()
    codes: tuple[PairingCode, ...] = ()


# --- entries --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddMessage:
    """Keep a message. The only entry that can be refused: its source id may be known already."""

    message: StoredMessage


@dataclass(frozen=True, slots=True)
class MarkMessages:
    """Move messages on. A message that has its outcome keeps it; only `delivered` may follow."""

    ids: tuple[MessageId, ...]
    state: MessageState
    text: str = ""  #: the stop reason of an answer, else why it has none, or is tried again
    delivery: DeliveryId | None = None


@dataclass(frozen=True, slots=True)
class SaveConversation:
    """Insert or replace by session and number."""

    conversation: Conversation


@dataclass(frozen=True, slots=True)
class EndConversation:
    """It is not the current one of its chat any more; it may be resumed by its number."""

    session: SessionKey
    number: int


@dataclass(frozen=True, slots=True)
class AddTurn:
    """What was said in one turn, as far as it is text."""

    session: SessionKey
    number: int
    prompt: str
    answer: str
    stop_reason: str


@dataclass(frozen=True, slots=True)
class CopyTurns:
    """What was said in a conversation was said in the first one of another chat as well."""

    session: SessionKey
    number: int
    to: SessionKey


@dataclass(frozen=True, slots=True)
class AddDelivery:
    delivery: StoredDelivery


@dataclass(frozen=True, slots=True)
class CloseDelivery:
    """It has arrived, or is given up."""

    id: DeliveryId
    has_arrived: bool = True


@dataclass(frozen=True, slots=True)
class SaveAsk:
    """Insert or replace; `remaining_s` of the row is how long it is kept from now on."""

    ask: StoredAsk


@dataclass(frozen=True, slots=True)
class CloseAsk:
    request_id: str


@dataclass(frozen=True, slots=True)
class RememberChoice:
    """Answer the same kind of tool the same way for the rest of this chat's conversation."""

    session: SessionKey
    tool_kind: str
    allows: bool


@dataclass(frozen=True, slots=True)
class ForgetChoices:
    session: SessionKey


@dataclass(frozen=True, slots=True)
class SaveGrant:
    grant: Grant


@dataclass(frozen=True, slots=True)
class DropGrant:
    grant: Grant


@dataclass(frozen=True, slots=True)
class SaveCode:
    code: PairingCode


@dataclass(frozen=True, slots=True)
class DropCode:
    code: str


@dataclass(frozen=True, slots=True)
class EraseSession:
    """Forget all of a chat: conversations, messages, answers, what was said."""

    session: SessionKey


Entry: TypeAlias = (
    AddMessage
    | MarkMessages
    | SaveConversation
    | EndConversation
    | AddTurn
    | CopyTurns
    | AddDelivery
    | CloseDelivery
    | SaveAsk
    | CloseAsk
    | RememberChoice
    | ForgetChoices
    | SaveGrant
    | DropGrant
    | SaveCode
    | DropCode
    | EraseSession
)

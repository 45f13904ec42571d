"""What the router decides shall be done: imperative, frozen, performed by the gateway in order."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, NewType, TypeAlias

from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.route.record import AddMessage, DeliveryId, Entry, MessageId, SessionKey
from anyclawd.wire.channel import Peer, RefusalReason

__all__ = ["DeliveryId", "MessageId", "SessionKey"]  # which most users of commands need as well

#: One call to an agent; its answer carries it, so that a late answer is known as late.
Token = NewType("Token", int)


class Attempt(StrEnum):
    """The ways to come to an ACP session, in the order in which they are tried."""

    RESUME = "session/resume"
    LOAD = "session/load"
    NEW = "session/new"
    RECALL = "recall"  #: the new session is to be told what was said before: read that


class Outcome(StrEnum):
    """How an accepted message ended; each ends in exactly one of these, and the user sees it."""

    ANSWERED = "answered"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"


class TimerKind(StrEnum):
    SILENCE = "silence"  #: the agent says nothing within a turn
    OPEN = "open"  #: a session is being opened
    CANCEL = "cancel"  #: a cancelled prompt has no answer yet
    PERMISSION = "permission"
    WORKER = "worker"  #: a worker of a pool rests; owned by its unit


class Timer(NamedTuple):
    """Names one deadline; arming it again moves it."""

    kind: TimerKind
    owner: str  #: session key, request id of a permission, or unit of a worker
    token: Token


@dataclass(frozen=True, slots=True)
class OpenSession:
    agent: UnitName
    token: Token
    attempt: Attempt
    session_id: str  #: the one to resume or load; empty for a new one
    chat: SessionKey  #: whose session it is to be


@dataclass(frozen=True, slots=True)
class ReadHistory:
    """Read what was said in a conversation, for the prompt that goes on with it."""

    token: Token
    session: SessionKey
    number: int
    turns: int  #: the latest so many
    max_bytes: int


@dataclass(frozen=True, slots=True)
class ListConversations:
    """Read which conversations a chat has had; `message` comes back with the answer."""

    session: SessionKey
    message: MessageId


@dataclass(frozen=True, slots=True)
class SetOption:
    """Choose a value of a config option, or a mode where `option` is empty."""

    agent: UnitName
    session_id: str
    message: MessageId  #: comes back with the answer, and so does the session
    option: str
    value: Json
    session: SessionKey


@dataclass(frozen=True, slots=True)
class CloseSession:
    """The session is not used any more; agents that advertise `session/close` are told so."""

    agent: UnitName
    session_id: str
    chat: SessionKey  #: whose it was


@dataclass(frozen=True, slots=True)
class Prompt:
    agent: UnitName
    token: Token
    session_id: str
    blocks: list[Json]
    session: SessionKey


@dataclass(frozen=True, slots=True)
class CancelPrompt:
    agent: UnitName
    session_id: str
    session: SessionKey


@dataclass(frozen=True, slots=True)
class Abandon:
    """Nobody waits for the answer of this call any more."""

    agent: UnitName
    token: Token
    session: SessionKey


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell the channel whose session this is; precedes all else about it."""

    channel: str
    session: SessionKey
    peer: Peer


@dataclass(frozen=True, slots=True)
class Deliver:
    channel: str
    session: SessionKey
    content: Json  #: a map gets `sessionId` and `_received_at_ms` when it is sent
    delivery: DeliveryId | None = None  #: set where it ends a turn: DeliveryWritten follows
    is_repeat: bool = False  #: an earlier process of the channel, or of ours, may have sent it


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """These messages go to the agent now."""

    channel: str
    session: SessionKey
    peer: Peer
    messages: tuple[MessageId, ...]


@dataclass(frozen=True, slots=True)
class StartResponse:
    channel: str
    session: SessionKey


@dataclass(frozen=True, slots=True)
class CompleteResponse:
    channel: str
    session: SessionKey
    stop_reason: str


@dataclass(frozen=True, slots=True)
class AskPermission:
    channel: str
    session: SessionKey
    request_id: str
    description: str
    options: tuple[tuple[str, str], ...]  #: (option id, label)


@dataclass(frozen=True, slots=True)
class AnswerPermission:
    agent: UnitName
    ask: int  #: the gateway's handle of the agent's request
    option_id: str | None  #: None answers `cancelled`


@dataclass(frozen=True, slots=True)
class AskForm:
    """An elicitation, for a channel that can show it; `params` are the agent's own."""

    channel: str
    session: SessionKey
    request_id: str
    params: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class AnswerElicitation:
    agent: UnitName
    ask: int  #: the gateway's handle of the agent's request
    action: str  #: accept, decline or cancel
    content: Mapping[str, Json] | None


@dataclass(frozen=True, slots=True)
class WithdrawPermission:
    """Nobody needs to answer this request any more."""

    channel: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Settle:
    """A message has its outcome; the user has been sent, or is sent right before, what it says."""

    message: MessageId
    outcome: Outcome
    text: str  #: stop reason of an answer, else the reason
    session: SessionKey
    reason: RefusalReason | None = None  #: set where it is refused before it was accepted
    retry_after_s: float = 0.0  #: when it is worth trying again; 0 says nothing


@dataclass(frozen=True, slots=True)
class Record:
    """Write entries in one transaction. What is decided later about the same session is done later.

    Later commands of `session` wait until the entries are in: so a prompt leaves after its messages
    are known to run, and an answer after it is kept. Where `needs_commit` is false a store that
    cannot write holds nobody up. No session: nothing waits.
    """

    session: SessionKey | None
    entries: tuple[Entry, ...]
    needs_commit: bool = False


@dataclass(frozen=True, slots=True)
class StoreMessage:
    """Keep a message that is admitted: MessageStored, MessageKnown or MessageNotStored follows."""

    entry: AddMessage


@dataclass(frozen=True, slots=True)
class StartWorker:
    """One more process is wanted of a pool."""

    agent: UnitName


@dataclass(frozen=True, slots=True)
class StopWorker:
    """A process of a pool has rested for long enough."""

    agent: UnitName


@dataclass(frozen=True, slots=True)
class ArmTimer:
    timer: Timer
    at: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    timer: Timer


@dataclass(frozen=True, slots=True)
class ReportDrained:
    """Intake is closed and no turn runs any more."""


Command: TypeAlias = (
    OpenSession
    | ReadHistory
    | ListConversations
    | SetOption
    | CloseSession
    | Prompt
    | CancelPrompt
    | Abandon
    | Announce
    | Deliver
    | Acknowledge
    | StartResponse
    | CompleteResponse
    | AskPermission
    | AnswerPermission
    | AskForm
    | AnswerElicitation
    | WithdrawPermission
    | Record
    | StoreMessage
    | StartWorker
    | StopWorker
    | Settle
    | ArmTimer
    | CancelTimer
    | ReportDrained
)

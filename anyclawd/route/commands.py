"""What the router decides shall be done: imperative, frozen, performed by the gateway in order."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, NewType, TypeAlias

from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.wire.channel import Peer

#: One accepted message; minted by the gateway, counted up, never used twice.
MessageId = NewType("MessageId", int)
#: One call to an agent; its answer carries it, so that a late answer is known as late.
Token = NewType("Token", int)
#: `{channel}:{kind}:{peer_id}`; it is also the `sessionId` that a channel sees.
SessionKey = NewType("SessionKey", str)


class Attempt(StrEnum):
    """The ways to come to an ACP session, in the order in which they are tried."""

    RESUME = "session/resume"
    LOAD = "session/load"
    NEW = "session/new"


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


class Timer(NamedTuple):
    """Names one deadline; arming it again moves it."""

    kind: TimerKind
    owner: str  #: session key, or request id of a permission
    token: Token


@dataclass(frozen=True, slots=True)
class OpenSession:
    agent: UnitName
    token: Token
    attempt: Attempt
    session_id: str  #: the one to resume or load; empty for a new one


@dataclass(frozen=True, slots=True)
class CloseSession:
    """The session is not used any more; sent to agents that advertise `session/close`."""

    agent: UnitName
    session_id: str


@dataclass(frozen=True, slots=True)
class Prompt:
    agent: UnitName
    token: Token
    session_id: str
    blocks: list[Json]


@dataclass(frozen=True, slots=True)
class CancelPrompt:
    agent: UnitName
    session_id: str


@dataclass(frozen=True, slots=True)
class Abandon:
    """Nobody waits for the answer of this call any more."""

    agent: UnitName
    token: Token


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
    | WithdrawPermission
    | Settle
    | ArmTimer
    | CancelTimer
    | ReportDrained
)

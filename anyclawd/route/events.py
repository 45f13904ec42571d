"""What has happened, as far as the router is concerned: past tense, frozen, sent by the gateway."""

from dataclasses import dataclass
from typing import TypeAlias

from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.route.commands import MessageId, SessionKey, Timer, Token
from anyclawd.route.table import Routes
from anyclawd.wire.acp import Capabilities, PermissionRequest
from anyclawd.wire.channel import Peer


@dataclass(frozen=True, slots=True)
class IntakeOpened:
    """The routes stand: what waits may run."""


@dataclass(frozen=True, slots=True)
class IntakeClosed:
    """The daemon stops: nothing new is accepted or begun."""


@dataclass(frozen=True, slots=True)
class TurnsCutOff:
    """The bound of the orderly stop has elapsed: what still runs ends now."""


@dataclass(frozen=True, slots=True)
class RoutesReplaced:
    """Another table holds. What runs goes on; what begins from now on goes where it says."""

    routes: Routes


@dataclass(frozen=True, slots=True)
class ChannelRemoved:
    """A channel that the routes do not name any more has gone: nobody is at the other end."""

    channel: str


@dataclass(frozen=True, slots=True)
class AgentRemoved:
    """An agent that the routes do not name any more has gone."""

    agent: UnitName


@dataclass(frozen=True, slots=True)
class ChannelReady:
    """A channel process has answered its handshake; it knows of no session yet."""

    channel: str
    held: tuple[SessionKey, ...] = ()  #: sessions that have something waiting for it


@dataclass(frozen=True, slots=True)
class ChannelFailed:
    """The channel will not come back by itself."""

    channel: str


@dataclass(frozen=True, slots=True)
class AgentStarted:
    """A process of it runs and has not answered yet: whoever wants something of it may wait."""

    agent: UnitName


@dataclass(frozen=True, slots=True)
class AgentReady:
    agent: UnitName
    capabilities: Capabilities


@dataclass(frozen=True, slots=True)
class AgentClosing:
    """Its stop has begun: it may finish what runs, nothing new is sent to it."""

    agent: UnitName


@dataclass(frozen=True, slots=True)
class AgentPaused:
    """It does not read as fast as it is written to: prompts wait."""

    agent: UnitName


@dataclass(frozen=True, slots=True)
class AgentResumed:
    agent: UnitName


@dataclass(frozen=True, slots=True)
class AgentHeld:
    """Its stdout is not read for a while, or is read again: no silence of its own doing."""

    agent: UnitName
    is_held: bool


@dataclass(frozen=True, slots=True)
class AgentLost:
    agent: UnitName


@dataclass(frozen=True, slots=True)
class AgentFailed:
    """The agent will not come back by itself."""

    agent: UnitName
    reason: str


@dataclass(frozen=True, slots=True)
class MessageReceived:
    message: MessageId
    channel: str
    peer: Peer
    content: list[Json]
    metadata: dict[str, Json] | None
    size_bytes: int
    agent: UnitName | None = None  #: where the channel has no route of its own


@dataclass(frozen=True, slots=True)
class MessageWithdrawn:
    """The one who waits for this message, and would alone have read its answer, has gone."""

    message: MessageId
    channel: str
    peer: Peer


@dataclass(frozen=True, slots=True)
class NotificationReceived:
    """A text for a chat that no agent is involved in."""

    channel: str
    peer: Peer
    text: str


@dataclass(frozen=True, slots=True)
class SessionOpened:
    token: Token
    session_id: str  #: empty where the answer to a resume or load names none


@dataclass(frozen=True, slots=True)
class OpenFailed:
    token: Token
    text: str


@dataclass(frozen=True, slots=True)
class UpdateReceived:
    agent: UnitName
    session_id: str
    params: dict[str, Json]  #: the router keeps it and may change it
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PushReceived:
    """0.9 `session/push`: content outside of any prompt, for a session that is known."""

    agent: UnitName
    session_id: str
    content: list[Json]


@dataclass(frozen=True, slots=True)
class PromptAnswered:
    token: Token
    stop_reason: str


@dataclass(frozen=True, slots=True)
class PromptFailed:
    token: Token
    text: str
    is_unknown_session: bool


@dataclass(frozen=True, slots=True)
class PermissionAsked:
    agent: UnitName
    ask: int  #: comes back in AnswerPermission
    request: PermissionRequest
    fallback_id: str  #: names the request towards users if the agent does not


@dataclass(frozen=True, slots=True)
class PermissionAnswered:
    channel: str | None  #: None where an administrator answers
    request_id: str
    option_id: str


@dataclass(frozen=True, slots=True)
class PermissionUndeliverable:
    """The channel cannot ask its user."""

    channel: str
    request_id: str


@dataclass(frozen=True, slots=True)
class TimerElapsed:
    timer: Timer


Event: TypeAlias = (
    IntakeOpened
    | IntakeClosed
    | TurnsCutOff
    | RoutesReplaced
    | ChannelRemoved
    | AgentRemoved
    | ChannelReady
    | ChannelFailed
    | AgentStarted
    | AgentReady
    | AgentClosing
    | AgentPaused
    | AgentResumed
    | AgentHeld
    | AgentLost
    | AgentFailed
    | MessageReceived
    | MessageWithdrawn
    | NotificationReceived
    | SessionOpened
    | OpenFailed
    | UpdateReceived
    | PushReceived
    | PromptAnswered
    | PromptFailed
    | PermissionAsked
    | PermissionAnswered
    | PermissionUndeliverable
    | TimerElapsed
)

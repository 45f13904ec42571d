"""What has happened, as far as the router is concerned: past tense, frozen, sent by the gateway."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.route.commands import DeliveryId, MessageId, SessionKey, Timer, Token
from anyclawd.route.record import Conversation, Grant, Restored
from anyclawd.route.table import Routes
from anyclawd.route.toolbox import Offered
from anyclawd.wire.acp import Capabilities, Choices, PermissionRequest
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
class WorkerRests:
    """A worker of a pool has no process, and gets one when it is asked for."""

    agent: UnitName


@dataclass(frozen=True, slots=True)
class AgentRemoved:
    """An agent that the routes do not name any more has gone."""

    agent: UnitName


@dataclass(frozen=True, slots=True)
class StoreRead:
    """The store stands: what an earlier run has left. Precedes IntakeOpened; comes once."""

    restored: Restored


@dataclass(frozen=True, slots=True)
class ChannelReady:
    """A channel process has answered its handshake; it knows of no session yet."""

    channel: str
    held: tuple[SessionKey, ...] = ()  #: sessions that have something waiting for it
    has_acceptance: bool = False  #: told of a refusal, it shows it to its user itself
    has_receipts: bool = False  #: it confirms what has arrived
    has_forms: bool = False  #: it can show an elicitation


@dataclass(frozen=True, slots=True)
class ChannelLost:
    """Its process has gone, and with it maybe the beginning of an answer."""

    channel: str


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
    source_id: str = ""  #: the channel's own name of it, unique there; empty where it gives none
    has_acceptance: bool = False  #: its sender is told of a refusal by the answer to this
    is_trusted: bool = False  #: an administrator has sent it: nobody else is asked


@dataclass(frozen=True, slots=True)
class MessageStored:
    """Its row is committed: it is accepted."""

    message: MessageId


@dataclass(frozen=True, slots=True)
class MessageKnown:
    """A message of the same source is there already: this one is none."""

    message: MessageId


@dataclass(frozen=True, slots=True)
class MessageNotStored:
    message: MessageId
    reason: str


@dataclass(frozen=True, slots=True)
class DeliveryWritten:
    """The end of a turn was handed to a process of its channel."""

    delivery: DeliveryId


@dataclass(frozen=True, slots=True)
class DeliveryConfirmed:
    """The channel says that the end of a turn has reached its user."""

    channel: str
    delivery: DeliveryId


@dataclass(frozen=True, slots=True)
class HistoryRead:
    token: Token
    turns: tuple[tuple[str, str], ...]  #: prompt and answer, the oldest first


@dataclass(frozen=True, slots=True)
class ConversationsListed:
    session: SessionKey
    message: MessageId
    conversations: tuple[Conversation, ...]  #: the latest first


@dataclass(frozen=True, slots=True)
class OptionSet:
    """The answer to SetOption."""

    session: SessionKey
    session_id: str  #: the ACP session that it is about; the chat may have left it
    message: MessageId
    choices: Choices | None  #: None where the answer tells of none
    error: str = ""


@dataclass(frozen=True, slots=True)
class SessionCommanded:
    """An administrator does to a session what its user could: `new`, `cancel` or `close`."""

    session: SessionKey
    verb: str


@dataclass(frozen=True, slots=True)
class SessionForked:
    """An agent has made a copy of a session's conversation; it becomes a session of its own."""

    session: SessionKey
    acp_id: str


@dataclass(frozen=True, slots=True)
class SessionDeleted:
    """Forget it, with all that is kept of it."""

    session: SessionKey


@dataclass(frozen=True, slots=True)
class PairingApproved:
    code: str


@dataclass(frozen=True, slots=True)
class GrantRevoked:
    grant: Grant


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
    choices: Choices | None = None  #: modes and config options, where the answer tells of them


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
class ToolsListed:
    """A tool unit runs, and offers this from now on."""

    unit: UnitName
    offered: tuple[Offered, ...]


@dataclass(frozen=True, slots=True)
class ToolGone:
    """A tool unit has lost its process; it offers nothing until it lists again."""

    unit: UnitName


@dataclass(frozen=True, slots=True)
class ToolRemoved:
    """A tool unit is configured no more, and at rest."""

    unit: UnitName


@dataclass(frozen=True, slots=True)
class ToolsServed:
    """Whether agents can reach their tools at all; they can until it is said otherwise."""

    is_served: bool


@dataclass(frozen=True, slots=True)
class ToolDelivered:
    """A tool that a session has called has something for its chat: content parts."""

    session: SessionKey
    delivery: DeliveryId
    content: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class PromptAnswered:
    token: Token
    stop_reason: str


@dataclass(frozen=True, slots=True)
class PromptIntercepted:
    """A hook has ended the turn in the agent's place, which knows nothing of the prompt."""

    token: Token
    text: str  #: the answer, or why there is none
    is_refusal: bool


@dataclass(frozen=True, slots=True)
class AgentHeard:
    """It has said something that the chat is not shown: a sign of life."""

    agent: UnitName
    session_id: str


@dataclass(frozen=True, slots=True)
class PromptFailed:
    token: Token
    text: str
    is_unknown_session: bool
    is_unrun: bool = False  #: the agent does not know this very session, so it has done nothing


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
    peer: Peer | None = None  #: who chose, where the channel says so


@dataclass(frozen=True, slots=True)
class PermissionUndeliverable:
    """The channel cannot ask its user."""

    channel: str
    request_id: str


@dataclass(frozen=True, slots=True)
class PermissionCancelled:
    """The agent does not wait for this answer any more (`$/cancel_request`)."""

    agent: UnitName
    ask: int


@dataclass(frozen=True, slots=True)
class ElicitationAsked:
    agent: UnitName
    ask: int  #: comes back in AnswerElicitation
    session_id: str
    params: Mapping[str, Json]  #: as the agent has sent them


@dataclass(frozen=True, slots=True)
class ElicitationAnswered:
    """By a channel that was sent AskForm."""

    channel: str
    request_id: str
    action: str
    content: Mapping[str, Json] | None
    peer: Peer | None = None


@dataclass(frozen=True, slots=True)
class TimerElapsed:
    timer: Timer


#: What comes of calls to agents.
AnswerEvent: TypeAlias = (
    SessionOpened
    | OpenFailed
    | HistoryRead
    | PromptAnswered
    | PromptIntercepted
    | PromptFailed
    | OptionSet
)
#: The life of messages and of answers.
MessageEvent: TypeAlias = (
    MessageReceived
    | MessageStored
    | MessageKnown
    | MessageNotStored
    | MessageWithdrawn
    | NotificationReceived
    | DeliveryWritten
    | DeliveryConfirmed
    | ConversationsListed
)
#: What becomes known of tools, and what they send.
ToolEvent: TypeAlias = ToolsListed | ToolGone | ToolRemoved | ToolsServed | ToolDelivered
#: Questions of agents and what becomes of them.
QuestionEvent: TypeAlias = (
    PermissionAsked
    | PermissionAnswered
    | PermissionUndeliverable
    | PermissionCancelled
    | ElicitationAsked
    | ElicitationAnswered
)
#: The coming and going of processes.
ProcessEvent: TypeAlias = (
    ChannelReady
    | ChannelLost
    | ChannelFailed
    | ChannelRemoved
    | AgentStarted
    | AgentReady
    | AgentClosing
    | AgentPaused
    | AgentResumed
    | AgentHeld
    | AgentLost
    | AgentFailed
    | WorkerRests
    | AgentRemoved
)
#: What is of one agent, which may be known no more.
AgentEvent: TypeAlias = (
    UpdateReceived
    | PushReceived
    | AgentHeard
    | PermissionAsked
    | PermissionCancelled
    | ElicitationAsked
    | AgentStarted
    | AgentReady
    | AgentClosing
    | AgentPaused
    | AgentResumed
    | AgentHeld
    | AgentLost
    | AgentFailed
    | WorkerRests
    | AgentRemoved
)
#: What the daemon and its administrators do.
RuleEvent: TypeAlias = (
    IntakeOpened
    | IntakeClosed
    | TurnsCutOff
    | RoutesReplaced
    | StoreRead
    | SessionCommanded
    | SessionForked
    | SessionDeleted
    | PairingApproved
    | GrantRevoked
)
Event: TypeAlias = (
    UpdateReceived
    | PushReceived
    | AgentHeard
    | TimerElapsed
    | AnswerEvent
    | MessageEvent
    | QuestionEvent
    | ToolEvent
    | ProcessEvent
    | RuleEvent
)

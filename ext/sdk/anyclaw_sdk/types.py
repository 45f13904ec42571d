"""The values an extension meets, as they are called in Python; `from_wire` reads them leniently.

A reader takes what it can use: a missing or misshapen field gets its default, an unknown one is
left alone. Writers are exact. Plain named tuples, because dataclasses cost 10 ms to import.
"""

from typing import Any, NamedTuple, TypeAlias

#: None, bool, int, float, str, or a list or a string-keyed map of these.
Json: TypeAlias = Any
#: A JSON object: one frame of the wire, its parameters, or a content block.
Message: TypeAlias = dict[str, Json]

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
SERVER_ERROR = -32000
UNKNOWN_MESSAGE = -32001
REQUEST_CANCELLED = -32800


class RpcError(Exception):
    """An error answer: raised by a handler it is sent, received for a call of ours it is raised."""

    def __init__(self, code: int, message: str, data: Json = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data


class MethodNotFound(RpcError):
    def __init__(self, method: str) -> None:
        super().__init__(METHOD_NOT_FOUND, f"method {method!r} is not supported")


class SupervisorGone(ConnectionResetError):
    """A call of ours can get no answer any more; the program is about to end."""

    def __init__(self) -> None:
        super().__init__("the supervisor closed the connection")


class MessageRefused(RpcError):
    """The supervisor did not accept a message; nothing is kept of it, nothing else comes of it."""

    def __init__(
        self,
        message: str,
        reason: str = "",
        *,
        retry_after_s: float | None = None,
        message_id: str = "",
    ) -> None:
        self.reason = reason  #: rate-limit, queue, access, stopping, store or agent; "" unknown
        self.retry_after_s = retry_after_s  #: where waiting helps
        self.message_id = message_id
        data: Message = {"messageId": message_id, "state": "refused", "reason": reason}
        if retry_after_s is not None:
            data["retryAfter"] = retry_after_s
        super().__init__(SERVER_ERROR, message, data)

    @classmethod
    def from_error(cls, error: RpcError) -> "MessageRefused | None":
        """The refusal that an error answer tells of; None where it tells of something else."""
        data = map_of(error.data)
        if error.code != SERVER_ERROR:
            return None
        return cls(
            error.message,
            text_of(data.get("reason")),
            retry_after_s=_number_of(data.get("retryAfter")),
            message_id=text_of(data.get("messageId")),
        )


def text_of(value: Json, default: str = "") -> str:
    return value if isinstance(value, str) else default


def map_of(value: Json) -> Message:
    return value if isinstance(value, dict) else {}


def list_of(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _number_of(value: Json) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None


# --- what a channel sees ---------------------------------------------------------------------


class PeerInfo(NamedTuple):
    """Who is on the far side of a channel; with the channel's key it names the session."""

    channel_name: str
    peer_id: str
    kind: str = "direct"  #: direct, group, channel, local or unknown

    @classmethod
    def from_wire(cls, value: Json) -> "PeerInfo":
        raw = map_of(value)
        return cls(
            text_of(raw.get("channelName")),
            text_of(raw.get("peerId")),
            text_of(raw.get("kind"), "unknown"),
        )

    def to_wire(self) -> Message:
        return {"channelName": self.channel_name, "peerId": self.peer_id, "kind": self.kind}


class ReplyMetadata(NamedTuple):
    """What the user's message refers to; only what is set is sent."""

    reply_to_message_id: str | None = None
    reply_to_text: str | None = None
    reply_to_sender: str | None = None
    reply_to_sender_id: str | None = None
    reply_to_is_quote: bool | None = None
    reply_to_media_type: str | None = None
    thread_id: str | None = None

    def to_wire(self) -> Message:
        wire = {
            "replyToMessageId": self.reply_to_message_id,
            "replyToText": self.reply_to_text,
            "replyToSender": self.reply_to_sender,
            "replyToSenderId": self.reply_to_sender_id,
            "replyToIsQuote": self.reply_to_is_quote,
            "replyToMediaType": self.reply_to_media_type,
            "threadId": self.thread_id,
        }
        return {key: value for key, value in wire.items() if value is not None}


class ChannelCapabilities(NamedTuple):
    streaming: bool = True  #: shows chunks as they come
    rich_text: bool = False  #: renders Markdown
    media: bool = False  #: shows images, files and audio
    acceptance: bool = False  #: waits until a message is accepted, and shows why it is not
    delivery_receipts: bool = False  #: confirms what has arrived; see Channel.confirms_deliveries
    elicitation: bool = False  #: shows forms and links, see Channel.show_elicitation

    def to_wire(self) -> Message:
        """What is beyond the original is told only where it is true."""
        wire = {"streaming": self.streaming, "richText": self.rich_text, "media": self.media}
        more = {
            "acceptance": self.acceptance,
            "deliveryReceipts": self.delivery_receipts,
            "elicitation": self.elicitation,
        }
        return wire | {name: True for name, is_there in more.items() if is_there}


class SupervisorCapabilities(NamedTuple):
    """What the supervisor can do beyond the original; all of anyclawd, none of anyclaw 0.9."""

    acceptance: bool = False
    delivery_receipts: bool = False
    elicitation: bool = False

    @classmethod
    def from_wire(cls, value: Json) -> "SupervisorCapabilities":
        raw = map_of(value)
        names = ("acceptance", "deliveryReceipts", "elicitation")
        return cls(*(raw.get(name) is True for name in names))


class Ack(NamedTuple):
    """How the user wants a message acknowledged: `options.ack` of the channel's entry."""

    reaction: bool = False
    typing: bool = False
    reaction_emoji: str = "\N{EYES}"
    reaction_lifecycle: str = "remove"  #: or replace_done

    @classmethod
    def from_wire(cls, value: Json) -> "Ack":
        raw, plain = map_of(value), cls()
        return cls(
            raw.get("reaction") is True,
            raw.get("typing") is True,
            text_of(raw.get("reactionEmoji"), plain.reaction_emoji),
            text_of(raw.get("reactionLifecycle"), plain.reaction_lifecycle),
        )


class ChannelInitialize(NamedTuple):
    """The handshake: which channel this process is, and its options over its own defaults."""

    channel_id: str  #: the key of the entry in the configuration
    options: Message
    ack: Ack = Ack()
    protocol_version: int = 1
    supervisor: SupervisorCapabilities = SupervisorCapabilities()


class Accepted(NamedTuple):
    """The supervisor has the message."""

    message_id: str  #: "" from a supervisor without acceptance, which tells none
    is_duplicate: bool = False  #: its source id was there before: nothing else comes of it
    state: str = "queued"  #: see MessageState; of a duplicate that of the first

    @classmethod
    def from_wire(cls, value: Json) -> "Accepted":
        raw = map_of(value)
        return cls(
            text_of(raw.get("messageId")),
            raw.get("duplicate") is True,
            text_of(raw.get("state"), "queued"),
        )


class MessageState(NamedTuple):
    """What has become of a message."""

    message_id: str
    state: str  #: queued, running, answered, delivered, refused or interrupted
    session_id: str = ""
    text: str = ""  #: the answer, or why there is none
    stop_reason: str = ""
    delivery_id: str = ""
    received_at: str = ""
    updated_at: str = ""

    @classmethod
    def from_wire(cls, value: Json) -> "MessageState":
        raw = map_of(value)
        return cls(
            text_of(raw.get("messageId")),
            text_of(raw.get("state")),
            text_of(raw.get("session")),
            text_of(raw.get("text")),
            text_of(raw.get("stopReason")),
            text_of(raw.get("deliveryId")),
            text_of(raw.get("receivedAt")),
            text_of(raw.get("updatedAt")),
        )

    def to_wire(self) -> Message:
        """Only what is known is told."""
        wire = {
            "messageId": self.message_id,
            "state": self.state,
            "session": self.session_id,
            "text": self.text,
            "stopReason": self.stop_reason,
            "deliveryId": self.delivery_id,
            "receivedAt": self.received_at,
            "updatedAt": self.updated_at,
        }
        return {key: value for key, value in wire.items() if value}


class Delivery(NamedTuple):
    """Something to show; the end of a turn has a delivery id and names what it answers."""

    session_id: str
    content: Json  #: read it with anyclaw_sdk.content
    meta: Message

    @classmethod
    def from_wire(cls, params: Message) -> "Delivery":
        return cls(
            text_of(params.get("sessionId")), params.get("content"), map_of(params.get("_meta"))
        )

    @property
    def delivery_id(self) -> str:
        """The same however often it is sent; "" for all but the end of a turn."""
        return text_of(self.meta.get("anyclaw/deliveryId"))

    @property
    def message_ids(self) -> list[str]:
        """The messages that it answers."""
        ids = list_of(self.meta.get("anyclaw/messageIds"))
        return [id_ for id_ in ids if isinstance(id_, str)]

    @property
    def is_redelivered(self) -> bool:
        """It was sent before and not confirmed: the user may have seen it."""
        return self.meta.get("anyclaw/redelivered") is True


class SessionCreated(NamedTuple):
    """Sent before any delivery of that session: remember which peer the session belongs to."""

    session_id: str
    peer: PeerInfo

    @classmethod
    def from_wire(cls, params: Message) -> "SessionCreated":
        return cls(text_of(params.get("sessionId")), PeerInfo.from_wire(params.get("peerInfo")))


class PermissionOption(NamedTuple):
    option_id: str
    label: str


class PermissionRequest(NamedTuple):
    request_id: str
    session_id: str
    description: str
    options: tuple[PermissionOption, ...]

    @classmethod
    def from_wire(cls, params: Message, rpc_id: Json = None) -> "PermissionRequest":
        """Read `channel/requestPermission`; without a requestId the JSON-RPC id stands for it."""
        request_id = text_of(params.get("requestId")) or ("" if rpc_id is None else str(rpc_id))
        options = [map_of(option) for option in list_of(params.get("options"))]
        return cls(
            request_id,
            text_of(params.get("sessionId")),
            text_of(params.get("description")) or "Permission requested",
            tuple(
                PermissionOption(
                    text_of(option.get("optionId")),
                    text_of(option.get("label")) or text_of(option.get("name")),
                )
                for option in options
            ),
        )

    def to_wire(self) -> Message:
        return {
            "requestId": self.request_id,
            "sessionId": self.session_id,
            "description": self.description,
            "options": [
                {"optionId": option.option_id, "label": option.label} for option in self.options
            ],
        }


class PermissionAnswer(NamedTuple):
    option_id: str
    peer: PeerInfo | None = None  #: who chose, where the channel can tell


class Elicitation(NamedTuple):
    """The agent asks for something: a form to fill in, or a link to visit."""

    request_id: str
    session_id: str
    mode: str  #: form or url
    message: str
    requested_schema: Message  #: of a form: a JSON Schema of plain properties
    url: str  #: of a link: shown in full, opened by nobody but the user

    @classmethod
    def from_wire(cls, params: Message, rpc_id: Json = None) -> "Elicitation":
        """Read `channel/elicit`; without a requestId the JSON-RPC id stands for it."""
        request_id = text_of(params.get("requestId")) or ("" if rpc_id is None else str(rpc_id))
        return cls(
            request_id,
            text_of(params.get("sessionId")),
            text_of(params.get("mode")) or "form",
            text_of(params.get("message")),
            map_of(params.get("requestedSchema")),
            text_of(params.get("url")),
        )

    def to_wire(self) -> Message:
        wire: Message = {
            "requestId": self.request_id,
            "sessionId": self.session_id,
            "mode": self.mode,
            "message": self.message,
        }
        if self.requested_schema:
            wire["requestedSchema"] = self.requested_schema
        return wire | ({"url": self.url} if self.url else {})


class ElicitationAnswer(NamedTuple):
    action: str  #: accept, decline or cancel
    content: Message | None = None  #: what was entered, by the names of the schema
    peer: PeerInfo | None = None  #: who answered, where the channel can tell

    def to_wire(self) -> Message:
        wire: Message = {"action": self.action}
        if self.content is not None:
            wire["content"] = self.content
        return wire | ({"peerInfo": self.peer.to_wire()} if self.peer else {})


# --- what an agent sees ----------------------------------------------------------------------


class AgentInitialize(NamedTuple):
    """The handshake: who calls, and the agent's options over its own defaults."""

    options: Message  #: `_meta.options` over the root `options` of an 0.9 supervisor
    client_capabilities: Message  #: `clientCapabilities`, else the root `capabilities` of 0.9
    protocol_version: int
    meta: Message

    @classmethod
    def from_wire(cls, params: Message, defaults: Message) -> "AgentInitialize":
        meta, version = map_of(params.get("_meta")), params.get("protocolVersion")
        given = map_of(params.get("options")) | map_of(meta.get("options"))
        return cls(
            defaults | given,
            map_of(params.get("clientCapabilities") or params.get("capabilities")),
            version if isinstance(version, int) else 1,
            meta,
        )


class SessionRequest(NamedTuple):
    """`session/new`, `session/load` or `session/resume`."""

    session_id: str  #: "" where a new session is asked for without naming it
    cwd: str
    mcp_servers: list[Json]
    meta: Message

    @classmethod
    def from_wire(cls, params: Message) -> "SessionRequest":
        return cls(
            text_of(params.get("sessionId")),
            text_of(params.get("cwd")),
            list_of(params.get("mcpServers")),
            map_of(params.get("_meta")),
        )


# --- what a hook sees ------------------------------------------------------------------------


class HookInitialize(NamedTuple):
    """The handshake: the hook's options over its own defaults."""

    options: Message
    namespace: str  #: tells apart the supervisors of one machine

    @classmethod
    def from_wire(cls, params: Message, defaults: Message) -> "HookInitialize":
        return cls(defaults | map_of(params.get("options")), text_of(params.get("namespace")))


# --- what a tool sees ------------------------------------------------------------------------


class Caller(NamedTuple):
    """Who calls a tool of a trusted unit: `_meta["anyclaw/call"]`."""

    id: str = ""  #: the call, as long as it runs
    session: str = ""  #: the chat: `{channel}:{kind}:{peer}`
    agent: str = ""  #: as the configuration calls it
    workspace: str = ""  #: the agent's directory
    channel: str = ""  #: as the configuration calls it

    @classmethod
    def from_wire(cls, value: Json) -> "Caller":
        raw = map_of(value)
        return cls(*(text_of(raw.get(name)) for name in cls._fields))


# --- what a service sees ---------------------------------------------------------------------


class ServiceInitialize(NamedTuple):
    """The handshake: the service's options over its own defaults."""

    options: Message
    namespace: str  #: tells apart the supervisors of one machine
    port: int = 0  #: where the user wants it to listen; 0 where that is open

    @classmethod
    def from_wire(cls, params: Message, defaults: Message) -> "ServiceInitialize":
        port = params.get("port")
        return cls(
            defaults | map_of(params.get("options")),
            text_of(params.get("namespace")),
            port if isinstance(port, int) and not isinstance(port, bool) else 0,
        )

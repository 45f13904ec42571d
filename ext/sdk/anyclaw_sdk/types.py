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


def text_of(value: Json, default: str = "") -> str:
    return value if isinstance(value, str) else default


def map_of(value: Json) -> Message:
    return value if isinstance(value, dict) else {}


def list_of(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


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

    def to_wire(self) -> Message:
        return {"streaming": self.streaming, "richText": self.rich_text, "media": self.media}


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


class Delivery(NamedTuple):
    session_id: str
    content: Json  #: read it with anyclaw_sdk.content
    meta: Message

    @classmethod
    def from_wire(cls, params: Message) -> "Delivery":
        return cls(
            text_of(params.get("sessionId")), params.get("content"), map_of(params.get("_meta"))
        )


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

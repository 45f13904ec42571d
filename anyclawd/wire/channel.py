"""The channel protocol, version 1: what the gateway sends to a channel, and how it reads one.

Reading is lenient: content may be plain text (before 0.6.1 it was), a peer may lack all but its
id. What is added to the original's wire is negotiated in `initialize`: each side lists the
capabilities it has, and neither uses one that the other does not list.
Source: the original's channel wire protocol; docs/reference/channel-protocol.md.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.unit import Ack
from anyclawd.model.value import Json
from anyclawd.wire import jsonrpc
from anyclawd.wire.lenient import as_list, as_map, as_text

PROTOCOL_VERSION = 1
#: Some channels answer the number of the agent protocol; they mean version 1 as well.
SPOKEN_VERSIONS = (1, 2)
#: What we can do beyond the original; told in `initialize`, additive.
CAPABILITIES: dict[str, Json] = {"acceptance": True, "deliveryReceipts": True, "elicitation": True}

#: The error answer to `channel/messageState` for a message that is not known.
UNKNOWN_MESSAGE = -32001

#: A channel's own name of a message may be this long; a longer one is no message at all.
SOURCE_ID_MAX_CHARS = 512

SOURCE_ID = "anyclaw/sourceId"
DELIVERY_ID = "anyclaw/deliveryId"
MESSAGE_IDS = "anyclaw/messageIds"
REDELIVERED = "anyclaw/redelivered"
#: In the `_meta` of a tool call's update: it did not end by itself.
CANCELLED = "anyclaw/cancelled"


class Peer(NamedTuple):
    """Who is on the far side of a channel."""

    channel_name: str  #: as the channel calls itself; the gateway goes by its unit
    peer_id: str
    kind: str

    def to_wire(self) -> dict[str, Json]:
        return {"channelName": self.channel_name, "peerId": self.peer_id, "kind": self.kind}


class Handshake(NamedTuple):
    """A channel's answer to `initialize`."""

    capabilities: dict[str, Json]
    defaults: dict[str, Json]

    @property
    def has_acceptance(self) -> bool:
        """It sends messages as requests and shows its users why one is refused."""
        return self.capabilities.get("acceptance") is True

    @property
    def has_receipts(self) -> bool:
        """It confirms what has reached its users."""
        return self.capabilities.get("deliveryReceipts") is True

    @property
    def has_forms(self) -> bool:
        """It can show an elicitation, a form or a link."""
        return self.capabilities.get("elicitation") is True


class Inbound(NamedTuple):
    """One `channel/sendMessage`."""

    peer: Peer
    content: list[Json]  #: content parts, each a map
    metadata: dict[str, Json] | None
    source_id: str = ""  #: the channel's own name of it, unique there; empty where it gives none


class RefusalReason(StrEnum):
    """Why a message is not accepted."""

    RATE_LIMIT = "rate-limit"  #: too many of this chat or this channel; later is better
    QUEUE = "queue"  #: too many wait already; later is better
    ACCESS = "access"  #: this peer may not talk to this agent
    STOPPING = "stopping"  #: the daemon is about to end
    STORE = "store"  #: it cannot be kept
    AGENT = "agent"  #: its agent will not come back by itself, or there is none


class Refusal(NamedTuple):
    reason: RefusalReason
    text: str  #: for the user
    retry_after_s: float | None = None  #: where waiting helps


class Acceptance(NamedTuple):
    """What becomes of a message; where `refusal` is set it is not accepted, and not kept."""

    message_id: str  #: of a duplicate that of the first
    is_duplicate: bool = False  #: its source id was there before: nothing else comes of it
    state: str = "queued"  #: of a duplicate that of the first
    refusal: Refusal | None = None


class PermissionAnswer(NamedTuple):
    request_id: str  #: empty where the answer names none
    option_id: str
    peer: Peer | None  #: who chose, where the channel says so


class ElicitationAnswer(NamedTuple):
    action: str  #: accept, decline or cancel
    content: dict[str, Json] | None  #: what was entered, with accept
    peer: Peer | None  #: who answered, where the channel says so


def _id_text(value: Json) -> str:
    """An id as text; some platforms count, so a whole number is one as well."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else as_text(value)


# --- what we send ---------------------------------------------------------------------------------


def initialize_params(
    channel_id: str, ack: Ack | None, options: dict[str, Json]
) -> dict[str, Json]:
    params: dict[str, Json] = {
        "protocolVersion": PROTOCOL_VERSION,
        "channelId": channel_id,
        "capabilities": CAPABILITIES,
    }
    if ack is not None:
        params["ack"] = {
            "reaction": ack.reaction,
            "typing": ack.typing,
            "reactionEmoji": ack.reaction_emoji,
            "reactionLifecycle": str(ack.reaction_lifecycle),
        }
    return params | {"options": options}


def session_created(session_id: str, peer: Peer) -> bytes:
    params = {"sessionId": session_id, "peerInfo": peer.to_wire()}
    return jsonrpc.notification("channel/sessionCreated", params)


def deliver(session_id: str, content: Json, meta: dict[str, Json] | None = None) -> bytes:
    params = {"sessionId": session_id, "content": content}
    if meta:
        params["_meta"] = meta
    return jsonrpc.notification("channel/deliverMessage", params)


def error_content(text: str) -> dict[str, Json]:
    """The content that tells of an error, as both older and newer channels read it."""
    return {
        "error": text,
        "update": {"sessionUpdate": "result", "isError": True, "content": text},
    }


def delivery_meta(
    delivery_id: str, message_ids: Sequence[str], *, is_repeat: bool = False
) -> dict[str, Json]:
    """The `_meta` of a delivery that ends a turn: its id, and the messages it answers."""
    meta: dict[str, Json] = {DELIVERY_ID: delivery_id, MESSAGE_IDS: list(message_ids)}
    return {**meta, REDELIVERED: True} if is_repeat else meta


def deliver_head(session_id: str) -> str:
    """The start of a `channel/deliverMessage` whose content is spliced from an agent's own text."""
    name = jsonrpc.encode_value(session_id)
    return (
        '{"jsonrpc":"2.0","method":"channel/deliverMessage","params":{"sessionId":'
        f'{name},"content":{{"sessionId":{name}'
    )


def ack_message(session_id: str, peer: Peer) -> bytes:
    params = {
        "sessionId": session_id,
        "channelName": peer.channel_name,
        "peerId": peer.peer_id,
        "messageId": None,
    }
    return jsonrpc.notification("channel/ackMessage", params)


def typing_indicator(session_id: str, peer: Peer) -> bytes:
    params = {"sessionId": session_id, "channelName": peer.channel_name}
    return jsonrpc.notification("channel/typingIndicator", params)


def ack_lifecycle(session_id: str, action: str, stop_reason: str = "") -> bytes:
    params = {"sessionId": session_id, "action": action}
    if stop_reason:
        params["stopReason"] = stop_reason
    return jsonrpc.notification("channel/ackLifecycle", params)


def permission_params(
    request_id: str, session_id: str, description: str, options: list[tuple[str, str]]
) -> dict[str, Json]:
    return {
        "requestId": request_id,
        "sessionId": session_id,
        "description": description,
        "options": [{"optionId": option_id, "label": label} for option_id, label in options],
    }


def elicit_params(request_id: str, session_id: str, asked: Mapping[str, Json]) -> dict[str, Json]:
    """The params of `channel/elicit`; `asked` are those of the agent's `elicitation/create`."""
    params: dict[str, Json] = {
        "requestId": request_id,
        "sessionId": session_id,
        "mode": asked.get("mode", "form"),
        "message": asked.get("message", ""),
    }
    return params | {key: asked[key] for key in ("requestedSchema", "url") if key in asked}


def withdraw(request_id: str) -> bytes:
    """Nobody waits for the answer to this question any more."""
    return jsonrpc.notification("channel/withdrawRequest", {"requestId": request_id})


def accepted(acceptance: Acceptance) -> dict[str, Json]:
    """The result of a `channel/sendMessage` request that was not refused."""
    result: dict[str, Json] = {"accepted": True, "messageId": acceptance.message_id}
    if acceptance.is_duplicate:
        result |= {"duplicate": True, "state": acceptance.state}
    return result


def refused(message_id: str, refusal: Refusal) -> jsonrpc.RpcError:
    """The error answer to a `channel/sendMessage` request that was refused."""
    data: dict[str, Json] = {
        "messageId": message_id,
        "state": "refused",
        "reason": str(refusal.reason),
    }
    if refusal.retry_after_s is not None:
        data["retryAfter"] = refusal.retry_after_s
    return jsonrpc.RpcError(jsonrpc.SERVER_ERROR, refusal.text, data)


CLOSE = jsonrpc.notification("channel/close", {})


# --- what we read ---------------------------------------------------------------------------------


def read_handshake(result: Json) -> Handshake:
    """Raises RemoteProtocolError where the channel cannot be spoken to."""
    answer = as_map(result)
    version = answer.get("protocolVersion", PROTOCOL_VERSION)
    if isinstance(version, bool) or version not in SPOKEN_VERSIONS:
        raise RemoteProtocolError(
            f"the channel answered initialize with protocolVersion {version!r:.80}, expected 1 or 2"
        )
    return Handshake(as_map(answer.get("capabilities")), as_map(answer.get("defaults")))


def read_message(params: Json, channel_name: str) -> Inbound:
    """Raises RemoteProtocolError where nobody could be answered or nothing was said."""
    found = as_map(params)
    peer = read_peer(found.get("peerInfo"), channel_name)
    content = found.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    parts = [item for item in as_list(content) if isinstance(item, dict)]
    if not parts:
        raise RemoteProtocolError("channel/sendMessage: content holds no content part")
    metadata = found.get("metadata")
    source_id = _id_text(as_map(found.get("_meta")).get(SOURCE_ID))
    if len(source_id) > SOURCE_ID_MAX_CHARS:
        raise RemoteProtocolError(
            f"channel/sendMessage: {SOURCE_ID} is longer than {SOURCE_ID_MAX_CHARS} characters"
        )
    return Inbound(peer, parts, metadata if isinstance(metadata, dict) else None, source_id)


def read_peer(value: Json, channel_name: str) -> Peer:
    peer = as_map(value)
    peer_id = _id_text(peer.get("peerId"))
    if not peer_id:
        raise RemoteProtocolError("channel/sendMessage: peerInfo has no peerId")
    name = as_text(peer.get("channelName")) or channel_name
    return Peer(name, peer_id, as_text(peer.get("kind")) or "unknown")


def _read_answerer(value: Json, channel_name: str) -> Peer | None:
    """Who answered a question; None where the channel names nobody."""
    peer = as_map(value)
    return read_peer(peer, channel_name) if _id_text(peer.get("peerId")) else None


def read_permission_answer(value: Json, channel_name: str) -> PermissionAnswer:
    """An absent option is `once`."""
    found = as_map(value)
    option_id = as_text(found.get("optionId")) or as_text(
        as_map(found.get("result")).get("optionId")
    )
    peer = _read_answerer(found.get("peerInfo"), channel_name)
    return PermissionAnswer(as_text(found.get("requestId")), option_id or "once", peer)


def read_elicitation_answer(value: Json, channel_name: str) -> ElicitationAnswer:
    """An action that is none of the three is `cancel`: nobody has decided."""
    found = as_map(value)
    action = found.get("action")
    if action not in ("accept", "decline", "cancel"):
        action = "cancel"
    content = as_map(found.get("content")) if action == "accept" else None
    return ElicitationAnswer(action, content, _read_answerer(found.get("peerInfo"), channel_name))


def read_receipt(params: Json) -> str:
    """The delivery that has arrived. Raises RemoteProtocolError where none is named."""
    delivery_id = as_text(as_map(params).get("deliveryId"))
    if not delivery_id:
        raise RemoteProtocolError("channel/deliveryReceipt: deliveryId is missing")
    return delivery_id


def read_message_id(params: Json) -> str:
    """The message whose state is asked for. Raises RemoteProtocolError where none is named."""
    message_id = as_text(as_map(params).get("messageId"))
    if not message_id:
        raise RemoteProtocolError("channel/messageState: messageId is missing")
    return message_id

"""The channel protocol, version 1: what the gateway sends to a channel, and how it reads one.

Reading is lenient: content may be plain text (before 0.6.1 it was), a peer may lack all but its
id. Source: the original's channel wire protocol; docs/reference/channel-protocol.md.
"""

from typing import NamedTuple

from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.unit import Ack
from anyclawd.model.value import Json
from anyclawd.wire import jsonrpc

PROTOCOL_VERSION = 1
#: Some channels answer the number of the agent protocol; they mean version 1 as well.
SPOKEN_VERSIONS = (1, 2)


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


class Inbound(NamedTuple):
    """One `channel/sendMessage`."""

    peer: Peer
    content: list[Json]  #: content parts, each a map
    metadata: dict[str, Json] | None


def _map(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


# --- what we send ---------------------------------------------------------------------------------


def initialize_params(
    channel_id: str, ack: Ack | None, options: dict[str, Json]
) -> dict[str, Json]:
    params: dict[str, Json] = {"protocolVersion": PROTOCOL_VERSION, "channelId": channel_id}
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


def deliver(session_id: str, content: Json) -> bytes:
    params = {"sessionId": session_id, "content": content}
    return jsonrpc.notification("channel/deliverMessage", params)


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


CLOSE = jsonrpc.notification("channel/close", {})


# --- what we read ---------------------------------------------------------------------------------


def read_handshake(result: Json) -> Handshake:
    """Raises RemoteProtocolError where the channel cannot be spoken to."""
    answer = _map(result)
    version = answer.get("protocolVersion", PROTOCOL_VERSION)
    if isinstance(version, bool) or version not in SPOKEN_VERSIONS:
        raise RemoteProtocolError(
            f"the channel answered initialize with protocolVersion {version!r:.80}, expected 1 or 2"
        )
    return Handshake(_map(answer.get("capabilities")), _map(answer.get("defaults")))


def read_message(params: Json, channel_name: str) -> Inbound:
    """Raises RemoteProtocolError where nobody could be answered or nothing was said."""
    found = _map(params)
    peer = read_peer(found.get("peerInfo"), channel_name)
    content = found.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    items = content if isinstance(content, list) else []
    parts = [item for item in items if isinstance(item, dict)]
    if not parts:
        raise RemoteProtocolError("channel/sendMessage: content holds no content part")
    metadata = found.get("metadata")
    return Inbound(peer, parts, metadata if isinstance(metadata, dict) else None)


def read_peer(value: Json, channel_name: str) -> Peer:
    peer = _map(value)
    number = peer.get("peerId")
    is_number = isinstance(number, int) and not isinstance(number, bool)
    peer_id = str(number) if is_number else _text(number)
    if not peer_id:
        raise RemoteProtocolError("channel/sendMessage: peerInfo has no peerId")
    name = _text(peer.get("channelName")) or channel_name
    return Peer(name, peer_id, _text(peer.get("kind")) or "unknown")


def read_permission_answer(value: Json) -> tuple[str, str]:
    """The request id, where one is given, and the chosen option; an absent one is `once`."""
    found = _map(value)
    option_id = _text(found.get("optionId")) or _text(_map(found.get("result")).get("optionId"))
    return _text(found.get("requestId")), option_id or "once"

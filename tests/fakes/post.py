"""A channel that the test plays, with acceptance and receipts: it knows of each message what it was
told, and of each answer which one it is.
"""

from typing import NamedTuple

from anyclawd.model.value import Json
from tests.fakes.daemon import Deadline
from tests.fakes.puppet import CHANNEL_RESULT, ChannelPuppet, Frame, shown

#: What such a channel answers `initialize` with.
RESULT: Json = {
    **CHANNEL_RESULT,
    "capabilities": {
        **CHANNEL_RESULT["capabilities"],
        "acceptance": True,
        "deliveryReceipts": True,
    },
}


class Delivery(NamedTuple):
    """The end of a turn, as it came."""

    id: str
    messages: tuple[str, ...]
    is_repeat: bool
    text: str  #: of the end itself; what was streamed before it is not in it
    is_error: bool


def delivery_of(frame: Frame) -> Delivery | None:
    """What a frame delivers, if it is the end of a turn."""
    if frame.get("method") != "channel/deliverMessage" or "_meta" not in frame["params"]:
        return None
    params, meta = frame["params"], frame["params"]["_meta"]
    content = params["content"]
    return Delivery(
        meta["anyclaw/deliveryId"],
        tuple(meta["anyclaw/messageIds"]),
        meta.get("anyclaw/redelivered", False),
        shown(content)[1],
        isinstance(content, str) or "error" in content,
    )


def message(source_id: str, text: str, peer: str = "ann") -> Frame:
    """A `channel/sendMessage` request; its id is the source id."""
    params = {
        "peerInfo": {"channelName": "web", "peerId": peer, "kind": "direct"},
        "content": [{"type": "text", "text": text}],
        "_meta": {"anyclaw/sourceId": source_id},
    }
    return {"id": source_id, "method": "channel/sendMessage", "params": params}


class Post:
    """One process of the channel."""

    def __init__(self, puppet: ChannelPuppet) -> None:
        self.puppet = puppet
        self._asked = 0

    def send(self, source_id: str, text: str, peer: str = "ann") -> None:
        self.puppet.say(message(source_id, text, peer))

    def answer(self, source_id: str) -> Json:
        """What a message was answered with: the result, or the data of the error."""
        frame = self.puppet.expect_answer(source_id)
        return frame["result"] if "result" in frame else frame["error"]["data"]

    def hand_in(self, source_id: str, text: str, peer: str = "ann") -> str:
        """Send a message that is accepted; its id."""
        self.send(source_id, text, peer)
        answer = self.answer(source_id)
        assert answer["accepted"], answer
        found: str = answer["messageId"]
        return found

    def delivery(self) -> Delivery:
        """The next end of a turn."""
        frame = self.puppet.take(lambda frame: delivery_of(frame) is not None, "an answer")
        found = delivery_of(frame)
        assert found is not None
        return found

    def confirm(self, delivery: Delivery) -> None:
        params = {"deliveryId": delivery.id}
        self.puppet.say({"method": "channel/deliveryReceipt", "params": params})

    def state(self, message_id: str) -> Json:
        """What the daemon tells of a message."""
        self._asked += 1
        rpc_id = f"state-{self._asked}"
        params = {"messageId": message_id}
        self.puppet.say({"id": rpc_id, "method": "channel/messageState", "params": params})
        return self.puppet.expect_answer(rpc_id)["result"]

    def wait_state(self, message_id: str, state: str) -> Json:
        """What it tells once the message is in this state; each question is a sign of life."""
        deadline = Deadline()
        while (told := self.state(message_id))["state"] != state:
            deadline.left(f"{message_id} to be {state}; it is {told['state']}")
        return told

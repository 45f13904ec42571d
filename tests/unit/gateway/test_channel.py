"""What a channel's connection makes of its frames, and the frames it makes of what is decided."""

import json
from collections.abc import Callable, Mapping

import pytest

from anyclawd.gateway.channel import (
    STATE_QUESTIONS_MAX,
    TIMES_ASKED_MAX,
    ChannelPeer,
    OnAccepted,
    OnState,
)
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import RequestError
from anyclawd.model.span import BUILT_IN
from anyclawd.model.unit import ChannelRole, Kind, Protocol, Unit
from anyclawd.model.value import Json
from anyclawd.route.commands import AskForm, AskPermission, SessionKey
from anyclawd.wire import channel
from anyclawd.wire.channel import Acceptance, ElicitationAnswer, Peer, Refusal, RefusalReason
from tests.fakes.wire import FakeReport, FakeWire

UNIT = Unit(
    name=UnitName("web.channel"),
    kind=Kind.CHANNEL,
    span=BUILT_IN,
    protocol=Protocol.CHANNEL,
    argv=("/bin/channel",),
    channel=ChannelRole(agent=UnitName("default.agent")),
)
SESSION = SessionKey("web:direct:ann")
ANN = {"channelName": "web", "peerId": "ann", "kind": "direct"}
MESSAGE = {"peerInfo": ANN, "content": "hello", "_meta": {"anyclaw/sourceId": "7"}}
FORM = AskForm("web", SESSION, "e1", {"mode": "form", "message": "Which?", "requestedSchema": {}})
QUESTION = AskPermission("web", SESSION, "r1", "Run it?", (("yes", "Yes"),))


class Host:
    """The gateway as far as a channel knows it: keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[tuple[channel.Inbound, OnAccepted | None]] = []
        self.receipts: list[str] = []
        self.states: list[tuple[str, OnState]] = []
        self.permissions: list[tuple[str, str, Peer | None]] = []
        self.elicitations: list[tuple[str, ElicitationAnswer]] = []
        self.unaskable: list[str] = []
        self.waiting: set[str] = set()  #: questions that no answer so far has ended
        self.handshakes: list[channel.Handshake] = []
        self.is_lost = False
        self.on_permission: Callable[[], None] | None = None

    def channel_ready(self, peer: ChannelPeer, handshake: channel.Handshake) -> None:
        self.handshakes.append(handshake)

    def channel_message(
        self, name: str, message: channel.Inbound, size_bytes: int, answer: OnAccepted | None
    ) -> None:
        self.messages.append((message, answer))

    def channel_receipt(self, name: str, delivery_id: str) -> None:
        self.receipts.append(delivery_id)

    def channel_message_state(self, name: str, message_id: str, answer: OnState) -> None:
        self.states.append((message_id, answer))

    def channel_permission(
        self, name: str, request_id: str, option_id: str, peer: Peer | None
    ) -> None:
        self.permissions.append((request_id, option_id, peer))
        if self.on_permission is not None:
            self.on_permission()

    def channel_elicitation(self, name: str, request_id: str, answer: ElicitationAnswer) -> None:
        self.elicitations.append((request_id, answer))

    def channel_question_waits(self, request_id: str) -> bool:
        return request_id in self.waiting

    def channel_cannot_ask(self, name: str, request_id: str) -> None:
        self.unaskable.append(request_id)

    def channel_paused(self, peer: ChannelPeer, *, is_paused: bool) -> None:
        """A paused channel is the gateway's business."""

    def channel_lost(self, peer: ChannelPeer) -> None:
        self.is_lost = True

    def flush(self) -> None:
        """Nothing waits here."""


class Line:
    """One channel process after its handshake, and the host behind its connection."""

    def __init__(self, **capabilities: Json) -> None:
        self.host, self.wire = Host(), FakeWire(UNIT)
        self.peer = ChannelPeer(UNIT, self.wire, FakeReport(), self.host, {})
        (handshake,) = self.wire.take()
        self.say(id=handshake["id"], result={"protocolVersion": 1, "capabilities": capabilities})

    def say(self, **message: Json) -> None:
        line = json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"
        self.peer.connection.data_received(line)

    def heard(self) -> Mapping[str, Json]:
        (message,) = self.wire.take()
        return message


def test_a_message_is_answered_when_it_is_accepted() -> None:
    line = Line(acceptance=True)
    line.say(id="q", method="channel/sendMessage", params=MESSAGE)
    assert line.wire.take() == []
    ((message, answer),) = line.host.messages
    assert message.source_id == "7"
    assert answer is not None
    answer(Acceptance("m1"))
    assert line.heard() == {
        "jsonrpc": "2.0",
        "id": "q",
        "result": {"accepted": True, "messageId": "m1"},
    }


def test_a_message_is_answered_with_why_it_is_refused() -> None:
    line = Line()
    line.say(id=7, method="channel/sendMessage", params=MESSAGE)
    ((_, answer),) = line.host.messages
    assert answer is not None
    answer(Acceptance("m1", refusal=Refusal(RefusalReason.QUEUE, "too many wait", 3.0)))
    data = {"messageId": "m1", "state": "refused", "reason": "queue", "retryAfter": 3.0}
    error = {"code": -32000, "message": "too many wait", "data": data}
    assert line.heard() == {"jsonrpc": "2.0", "id": 7, "error": error}


def test_answers_come_as_they_are_given_and_late_ones_hurt_nobody() -> None:
    line = Line()
    for number in range(3):
        line.say(id=number, method="channel/sendMessage", params=MESSAGE)
    first, second, third = [answer for _, answer in line.host.messages if answer]
    second(Acceptance("m2"))
    first(Acceptance("m1"))
    assert [message["id"] for message in line.wire.take()] == [1, 0]
    line.peer.connection.connection_lost()
    third(Acceptance("m3"))
    assert line.wire.take() == []
    assert line.host.is_lost


def test_a_message_as_a_notification_waits_for_no_answer() -> None:
    line = Line()
    line.say(method="channel/sendMessage", params=MESSAGE)
    ((_, answer),) = line.host.messages
    assert answer is None


@pytest.mark.parametrize(
    ("method", "text"),
    [
        ("channel/sendMessage", "channel/sendMessage: peerInfo has no peerId"),
        ("channel/deliveryReceipt", "channel/deliveryReceipt: deliveryId is missing"),
        ("channel/messageState", "channel/messageState: messageId is missing"),
    ],
)
def test_what_cannot_be_read_is_refused_and_harms_nobody(method: str, text: str) -> None:
    line = Line()
    line.say(id=1, method=method, params={"peerInfo": {}})
    assert line.heard()["error"] == {"code": -32602, "message": text}
    line.say(method=method, params=None)
    line.say(method="channel/deliveryReceipt", params={"deliveryId": "d1"})
    assert line.host.messages == []
    assert line.host.receipts == ["d1"]


def test_a_receipt_as_a_request_is_answered() -> None:
    line = Line()
    line.say(id=1, method="channel/deliveryReceipt", params={"deliveryId": "d1"})
    assert line.heard()["result"] == {}
    assert line.host.receipts == ["d1"]


def test_the_state_of_a_message_is_told_when_it_is_known() -> None:
    line = Line()
    for number in (1, 2, 3):
        params = {"messageId": f"m{number}"}
        line.say(id=number, method="channel/messageState", params=params)
    (first, known), (second, unknown), (_, unreadable) = line.host.states
    assert (first, second) == ("m1", "m2")
    unknown(None)
    known({"messageId": "m1", "state": "running"})
    unreadable(RequestError("the store cannot be read"))
    assert [message.get("error") or message["result"] for message in line.wire.take()] == [
        {"code": -32001, "message": "no message 'm2' is known"},
        {"messageId": "m1", "state": "running"},
        {"code": -32000, "message": "the store cannot be read"},
    ]


def test_only_so_many_questions_wait_for_the_store() -> None:
    line = Line()
    for number in range(STATE_QUESTIONS_MAX + 1):
        line.say(id=number, method="channel/messageState", params={"messageId": "m1"})
    refused = line.heard()
    assert refused["id"] == STATE_QUESTIONS_MAX
    assert refused["error"]["code"] == -32000
    line.host.states[0][1](None)
    line.say(id="again", method="channel/messageState", params={"messageId": "m1"})
    assert len(line.host.states) == STATE_QUESTIONS_MAX + 1


def test_a_permission_is_answered_by_a_peer() -> None:
    line = Line()
    line.peer.ask(QUESTION)
    asked = line.heard()
    line.say(id=asked["id"], result={"requestId": "r1", "optionId": "yes", "peerInfo": ANN})
    for respond in ({"optionId": "yes"}, {"requestId": "r2", "optionId": "no"}):
        line.say(method="channel/respondPermission", params=respond)
    assert line.host.permissions == [
        ("r1", "yes", Peer("web", "ann", "direct")),
        ("r2", "no", None),
    ]


def test_a_form_is_shown_and_answered() -> None:
    line = Line(elicitation=True)
    line.peer.ask_form(FORM)
    asked = line.heard()
    assert asked["method"] == "channel/elicit"
    assert asked["params"] == {
        "requestId": "e1",
        "sessionId": SESSION,
        "mode": "form",
        "message": "Which?",
        "requestedSchema": {},
    }
    entered = {"action": "accept", "content": {"which": "left"}, "peerInfo": ANN}
    line.say(id=asked["id"], result=entered)
    answer = ElicitationAnswer("accept", {"which": "left"}, Peer("web", "ann", "direct"))
    assert line.host.elicitations == [("e1", answer)]


def test_a_form_that_cannot_be_shown_is_cancelled() -> None:
    line = Line()
    line.peer.ask_form(FORM)
    line.say(id=line.heard()["id"], error={"code": -32601, "message": "no such method"})
    assert line.host.elicitations == [("e1", ElicitationAnswer("cancel", None, None))]


def test_a_question_that_nobody_waits_for_is_taken_back_once() -> None:
    line = Line()
    line.peer.ask(QUESTION)
    line.peer.ask_form(FORM)
    permission, form = line.wire.take()
    for request_id in ("r1", "e1"):
        line.peer.withdraw(request_id)
        line.peer.withdraw(request_id)
    assert [(told["method"], told["params"]) for told in line.wire.take()] == [
        ("channel/withdrawRequest", {"requestId": "r1"}),
        ("channel/withdrawRequest", {"requestId": "e1"}),
    ]
    line.say(id=permission["id"], result={"optionId": "yes"})
    line.say(id=form["id"], result={"action": "accept"})
    assert (line.host.permissions, line.host.elicitations) == ([], [])


def test_a_question_asked_anew_has_one_answer() -> None:
    line = Line()
    line.peer.ask(QUESTION)
    line.peer.ask(QUESTION)
    first, second = line.wire.take()
    for asked in (first, second):
        line.say(id=asked["id"], result={"optionId": "yes"})
    assert line.host.permissions == [("r1", "yes", None)]


def test_an_answer_of_somebody_else_leaves_the_question_open() -> None:
    line = Line()
    line.host.waiting.add("r1")
    line.peer.ask(QUESTION)
    line.say(id=line.heard()["id"], result={"optionId": "yes", "peerInfo": {"peerId": "eve"}})
    again = line.heard()
    assert (again["method"], again["params"]["requestId"]) == ("channel/requestPermission", "r1")
    line.host.waiting.clear()
    line.say(id=again["id"], result={"optionId": "no", "peerInfo": ANN})
    assert line.wire.take() == []
    assert [option for _, option, _ in line.host.permissions] == ["yes", "no"]


def test_a_channel_that_answers_by_itself_is_asked_so_often_and_no_more() -> None:
    line = Line()
    line.host.waiting.add("e1")
    line.peer.ask_form(FORM)
    for _ in range(TIMES_ASKED_MAX):
        line.say(id=line.heard()["id"], result={"action": "accept", "peerInfo": ANN})
    assert line.wire.take() == []
    assert len(line.host.elicitations) == TIMES_ASKED_MAX


def test_a_question_that_was_put_anew_meanwhile_is_not_put_twice() -> None:
    line = Line()
    line.host.waiting.add("r1")
    line.peer.ask(QUESTION)
    first = line.heard()
    line.host.on_permission = lambda: line.peer.ask(QUESTION)
    line.say(id=first["id"], result={"optionId": "yes"})
    assert line.heard()["params"]["requestId"] == "r1"


def test_a_question_that_is_withdrawn_by_its_answer_is_over() -> None:
    """What is asked next may go by the same name, and be no question for this channel."""
    line = Line()
    line.host.waiting.add("r1")
    line.peer.ask(QUESTION)
    line.host.on_permission = lambda: line.peer.withdraw("r1")
    line.say(id=line.heard()["id"], result={"optionId": "yes"})
    assert line.wire.take() == []


def test_a_channel_that_cannot_ask_says_so() -> None:
    line = Line()
    line.peer.ask(QUESTION)
    line.say(id=line.heard()["id"], error={"code": -32601, "message": "no such method"})
    assert line.host.unaskable == ["r1"]


def test_the_handshake_tells_what_both_can() -> None:
    line = Line(acceptance=True, deliveryReceipts=True)
    (handshake,) = line.host.handshakes
    assert (handshake.has_acceptance, handshake.has_receipts) == (True, True)
    assert not handshake.has_forms

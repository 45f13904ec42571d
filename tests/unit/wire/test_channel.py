"""How channels are read, and what they are told."""

import json

import pytest

from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.value import Json
from anyclawd.wire import channel
from anyclawd.wire.channel import Acceptance, Inbound, Peer, Refusal, RefusalReason

TEXT = {"type": "text", "text": "x"}
MESSAGES = {  # behaviour: (params, message)
    "whole": (
        {
            "peerInfo": {"channelName": "tg", "peerId": "1:2", "kind": "group"},
            "content": [TEXT],
            "metadata": {"threadId": "3"},
        },
        Inbound(Peer("tg", "1:2", "group"), [TEXT], {"threadId": "3"}),
    ),
    "text-as-before-0.6.1": (
        {"peerInfo": {"peerId": "1"}, "content": "x"},
        Inbound(Peer("web", "1", "unknown"), [TEXT], None),
    ),
    "peer-as-a-number": (
        {"peerInfo": {"peerId": 7}, "content": [TEXT, "odd"], "metadata": []},
        Inbound(Peer("web", "7", "unknown"), [TEXT], None),
    ),
    "named-by-its-source": (
        {"peerInfo": {"peerId": "1"}, "content": "x", "_meta": {"anyclaw/sourceId": "update-7"}},
        Inbound(Peer("web", "1", "unknown"), [TEXT], None, "update-7"),
    ),
    "counted-by-its-source": (
        {"peerInfo": {"peerId": "1"}, "content": "x", "_meta": {"anyclaw/sourceId": 7}},
        Inbound(Peer("web", "1", "unknown"), [TEXT], None, "7"),
    ),
    "a-source-id-that-is-none": (
        {"peerInfo": {"peerId": "1"}, "content": "x", "_meta": {"anyclaw/sourceId": True}},
        Inbound(Peer("web", "1", "unknown"), [TEXT], None),
    ),
}


@pytest.mark.parametrize(("params", "message"), MESSAGES.values(), ids=MESSAGES)
def test_read_message(params: Json, message: Inbound) -> None:
    assert channel.read_message(params, "web") == message


@pytest.mark.parametrize(
    "params",
    [
        None,
        {"content": "x"},
        {"peerInfo": {"peerId": True}, "content": "x"},
        {"peerInfo": {"peerId": "1"}},
        {"peerInfo": {"peerId": "1"}, "content": [1]},
    ],
)
def test_a_message_from_nobody_or_with_nothing_is_refused(params: Json) -> None:
    with pytest.raises(RemoteProtocolError):
        channel.read_message(params, "web")


def test_a_source_id_too_long_to_be_kept_is_refused() -> None:
    meta = {"anyclaw/sourceId": "x" * (channel.SOURCE_ID_MAX_CHARS + 1)}
    with pytest.raises(RemoteProtocolError, match="sourceId is longer than 512 characters"):
        channel.read_message({**MESSAGES["whole"][0], "_meta": meta}, "web")


BOB = {"channelName": "tg", "peerId": 7, "kind": "direct"}


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ({"requestId": "1", "optionId": "yes"}, ("1", "yes", None)),
        ({"result": {"optionId": "yes"}}, ("", "yes", None)),
        ({"requestId": "1"}, ("1", "once", None)),
        (None, ("", "once", None)),
        ({"optionId": "yes", "peerInfo": BOB}, ("", "yes", Peer("tg", "7", "direct"))),
        ({"optionId": "yes", "peerInfo": {"peerId": True}}, ("", "yes", None)),
    ],
)
def test_read_permission_answer(value: Json, answer: tuple[str, str, Peer | None]) -> None:
    assert channel.read_permission_answer(value, "web") == answer


ENTERED = {"name": "x"}


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ({"action": "accept", "content": ENTERED}, ("accept", ENTERED, None)),
        ({"action": "accept"}, ("accept", {}, None)),
        ({"action": "decline", "content": ENTERED}, ("decline", None, None)),
        ({"action": "cancel", "peerInfo": BOB}, ("cancel", None, Peer("tg", "7", "direct"))),
        ({"action": "maybe"}, ("cancel", None, None)),
        ({"action": ["accept"]}, ("cancel", None, None)),
        (None, ("cancel", None, None)),
    ],
)
def test_read_elicitation_answer(value: Json, answer: tuple[str, Json, Peer | None]) -> None:
    assert channel.read_elicitation_answer(value, "web") == answer


@pytest.mark.parametrize("params", [None, {}, {"deliveryId": 7, "messageId": ""}])
def test_a_receipt_or_question_that_names_nothing_is_refused(params: Json) -> None:
    with pytest.raises(RemoteProtocolError, match="deliveryId is missing"):
        channel.read_receipt(params)
    with pytest.raises(RemoteProtocolError, match="messageId is missing"):
        channel.read_message_id(params)


def test_what_was_accepted_is_told_with_its_id() -> None:
    assert channel.accepted(Acceptance("m1")) == {"accepted": True, "messageId": "m1"}
    assert channel.accepted(Acceptance("m1", is_duplicate=True, state="answered")) == {
        "accepted": True,
        "messageId": "m1",
        "duplicate": True,
        "state": "answered",
    }


@pytest.mark.parametrize(("retry_after_s", "told"), [(None, {}), (2.5, {"retryAfter": 2.5})])
def test_what_was_refused_is_told_with_the_reason(
    retry_after_s: float | None, told: dict[str, Json]
) -> None:
    refusal = Refusal(RefusalReason.RATE_LIMIT, "too many", retry_after_s)
    data = {"messageId": "m1", "state": "refused", "reason": "rate-limit", **told}
    assert channel.refused("m1", refusal) == (-32000, "too many", data)


def test_a_delivery_tells_its_id_and_what_it_answers() -> None:
    meta = channel.delivery_meta("d1", ["m1", "m2"], is_repeat=True)
    assert json.loads(channel.deliver("s", "x", meta))["params"] == {
        "sessionId": "s",
        "content": "x",
        "_meta": {
            "anyclaw/deliveryId": "d1",
            "anyclaw/messageIds": ["m1", "m2"],
            "anyclaw/redelivered": True,
        },
    }
    assert "anyclaw/redelivered" not in channel.delivery_meta("d1", [])
    assert "_meta" not in json.loads(channel.deliver("s", "x"))["params"]


def test_a_channel_is_asked_with_what_the_agent_has_asked() -> None:
    asked = {"mode": "url", "message": "Log in", "url": "https://x.example/", "sessionId": "acp"}
    assert channel.elicit_params("r", "s", asked) == {
        "requestId": "r",
        "sessionId": "s",
        "mode": "url",
        "message": "Log in",
        "url": "https://x.example/",
    }


@pytest.mark.parametrize("given", [True, 1, "true", None])
def test_only_true_is_a_capability(given: Json) -> None:
    told = {"acceptance": given, "deliveryReceipts": given, "elicitation": given}
    found = channel.read_handshake({"capabilities": told})
    assert (found.has_acceptance, found.has_receipts, found.has_forms) == (given is True,) * 3


def test_a_handshake_of_another_version_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="protocolVersion 3, expected 1 or 2"):
        channel.read_handshake({"protocolVersion": 3})


def test_a_handshake_without_a_version_is_of_version_1() -> None:
    assert channel.read_handshake({"defaults": {"a": 1}}).defaults == {"a": 1}

"""How channels are read."""

import pytest

from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.value import Json
from anyclawd.wire import channel
from anyclawd.wire.channel import Inbound, Peer

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


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ({"requestId": "1", "optionId": "yes"}, ("1", "yes")),
        ({"result": {"optionId": "yes"}}, ("", "yes")),
        ({"requestId": "1"}, ("1", "once")),
        (None, ("", "once")),
    ],
)
def test_read_permission_answer(value: Json, answer: tuple[str, str]) -> None:
    assert channel.read_permission_answer(value) == answer


def test_a_handshake_of_another_version_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="protocolVersion 3, expected 1 or 2"):
        channel.read_handshake({"protocolVersion": 3})


def test_a_handshake_without_a_version_is_of_version_1() -> None:
    assert channel.read_handshake({"defaults": {"a": 1}}).defaults == {"a": 1}

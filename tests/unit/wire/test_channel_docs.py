"""The page about the channel protocol: it names all that is spoken, and its examples are spoken."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from anyclawd.model.value import Json
from anyclawd.wire import channel, jsonrpc
from anyclawd.wire.channel import Acceptance, Peer, Refusal, RefusalReason

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/reference/channel-protocol.md").read_text()
BLOCKS = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)


def frames() -> Iterator[tuple[int, str, str]]:
    """(number of the example, who speaks, the line)"""
    for number, block in enumerate(BLOCKS):
        for line in block.splitlines():
            arrow, _, frame = line.partition(" ")
            yield number, arrow, frame


def peer_of(params: Json) -> Peer:
    return channel.read_peer(params["peerInfo"], "board")


def encoded(method: str, id_: Json, params: Json) -> bytes:
    """What we would write for a message of this method that says the same."""
    match method:
        case "initialize":
            params = channel.initialize_params(params["channelId"], None, params["options"])
        case "channel/sessionCreated":
            return channel.session_created(params["sessionId"], peer_of(params))
        case "channel/deliverMessage":
            meta = params.get("_meta")
            if meta is not None:
                meta = channel.delivery_meta(
                    meta["anyclaw/deliveryId"],
                    meta["anyclaw/messageIds"],
                    is_repeat="anyclaw/redelivered" in meta,
                )
            return channel.deliver(params["sessionId"], params["content"], meta)
        case "channel/requestPermission":
            options = [(option["optionId"], option["label"]) for option in params["options"]]
            request_id, session_id = params["requestId"], params["sessionId"]
            params = channel.permission_params(
                request_id, session_id, params["description"], options
            )
        case "channel/elicit":
            params = channel.elicit_params(params["requestId"], params["sessionId"], params)
        case "channel/withdrawRequest":
            return channel.withdraw(params["requestId"])
        case _:
            raise AssertionError(f"the daemon sends no {method}")
    return jsonrpc.request(id_, method, params)


def answered(id_: Json, result: Json, error: jsonrpc.RpcError | None) -> bytes:
    """What we would answer a request of the channel with to say the same."""
    if error is not None:
        refusal = Refusal(
            RefusalReason(error.data["reason"]), error.message, error.data.get("retryAfter")
        )
        return jsonrpc.failure(id_, channel.refused(error.data["messageId"], refusal))
    if "accepted" in result:
        acceptance = Acceptance(
            result["messageId"],
            is_duplicate=result.get("duplicate", False),
            state=result.get("state", "queued"),
        )
        result = channel.accepted(acceptance)
    return jsonrpc.result(id_, result)


@pytest.mark.parametrize(
    "line", [frame for _, arrow, frame in frames() if arrow == "->"], ids=lambda line: line[16:56]
)
def test_what_the_daemon_says_in_the_examples_is_what_it_writes(line: str) -> None:
    match jsonrpc.read(line.encode()):
        case jsonrpc.Request(id_, method, params):
            assert json.loads(encoded(method, id_, params)) == json.loads(line)
        case jsonrpc.Notification(method, params):
            assert json.loads(encoded(method, None, params)) == json.loads(line)
        case jsonrpc.Response(id_, result, error):
            assert json.loads(answered(id_, result, error)) == json.loads(line)
        case None:
            pytest.fail("the line is no message")


def read(method: str, params: Json) -> Json:
    """What we make of a message of the channel; raises where nothing can be made of it."""
    match method:
        case "channel/sendMessage":
            return channel.read_message(params, "board")
        case "channel/deliveryReceipt":
            return channel.read_receipt(params)
        case "channel/messageState":
            return channel.read_message_id(params)
        case _:
            raise AssertionError(f"the channel sends no {method}")


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_what_the_channel_says_in_the_examples_is_understood(number: int) -> None:
    asked: dict[Json, str] = {}
    for line in (frame for block, _, frame in frames() if block == number):
        match jsonrpc.read(line.encode()):
            case jsonrpc.Request(id_, method, _) if method in ("initialize", "channel/elicit"):
                asked[id_] = method
            case jsonrpc.Request(_, method, params) | jsonrpc.Notification(method, params):
                if f"<- {line}" in BLOCKS[number]:
                    assert read(method, params)
            case jsonrpc.Response(id_, result, _) if f"<- {line}" in BLOCKS[number]:
                if asked[id_] == "initialize":
                    assert channel.read_handshake(result).capabilities
                else:
                    assert channel.read_elicitation_answer(result, "board") == (
                        result["action"],
                        result["content"],
                        peer_of(result),
                    )


def test_the_page_names_all_that_is_spoken() -> None:
    sources = [ROOT / "anyclawd/wire/channel.py", ROOT / "anyclawd/gateway/channel.py"]
    spoken = {
        found
        for source in sources
        for found in re.findall(r'"(channel/\w+|anyclaw/\w+)"', source.read_text())
    }
    named = {f"`{word}`" for word in [*spoken, *RefusalReason, *channel.CAPABILITIES]}
    named |= {f"`capabilities.{word}`" for word in channel.CAPABILITIES}
    named |= {str(channel.SOURCE_ID_MAX_CHARS), str(channel.UNKNOWN_MESSAGE)}
    assert {word for word in named if word not in PAGE} == set()

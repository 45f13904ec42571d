import asyncio
from collections.abc import Coroutine

import pytest

from anyclaw_sdk._channel_harness import ChannelHarness
from anyclaw_sdk.channel import PERMISSIONS_MAX, Channel, Outbound, PermissionBroker
from anyclaw_sdk.content import content_to_string
from anyclaw_sdk.testing import ChannelTester
from anyclaw_sdk.types import (
    INTERNAL_ERROR,
    METHOD_NOT_FOUND,
    Ack,
    ChannelCapabilities,
    ChannelInitialize,
    Delivery,
    Json,
    Message,
    PeerInfo,
    PermissionAnswer,
    PermissionOption,
    PermissionRequest,
    ReplyMetadata,
    RpcError,
    SessionCreated,
    SupervisorCapabilities,
)

PEER = PeerInfo("board", "7", "direct")
QUESTION = PermissionRequest("r1", "s", "Run it?", (PermissionOption("yes", "Yes"),))


def run(test: Coroutine[None, None, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(bounded())


class Board(Channel):
    def __init__(self) -> None:
        self.story: list[str] = []
        self.asked: list[PermissionRequest] = []
        self.request: ChannelInitialize | None = None
        self.gate = asyncio.Event()

    def capabilities(self) -> ChannelCapabilities:
        return ChannelCapabilities(rich_text=True)

    def defaults(self) -> Message:
        return {"colour": "white"}

    async def on_initialize(self, request: ChannelInitialize) -> None:
        self.request = request
        self.story.append("initialize")
        if request.options["colour"] == "none":
            raise RpcError(-32000, "option colour: none is no colour")

    async def on_ready(self, outbound: Outbound, permissions: PermissionBroker) -> None:
        self.outbound, self.permissions = outbound, permissions
        self.story.append("ready")

    async def serve(self) -> None:
        self.story.append("serve")
        try:
            await asyncio.Event().wait()
        finally:
            self.story.append("served")

    async def deliver_message(self, delivery: Delivery) -> None:
        text = content_to_string(delivery.content)
        if text == "wait":
            await self.gate.wait()
        if text == "fail":
            raise ZeroDivisionError("by zero")
        self.story.append(f"{delivery.session_id}: {text}")

    async def show_permission_prompt(self, request: PermissionRequest) -> None:
        if request.description == "fail":
            raise ZeroDivisionError("by zero")
        self.asked.append(request)

    async def on_session_created(self, created: SessionCreated) -> None:
        self.story.append(f"{created.session_id} is {created.peer.peer_id}")

    async def handle_unknown(self, method: str, params: Message) -> Json:
        if method == "board/size":
            return [3, 4]
        return await super().handle_unknown(method, params)


def test_the_handshake_comes_in_order() -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            result = await tester.initialize({"size": 3}, channel_id="b", ack={"typing": True})
            assert result == {
                "protocolVersion": 1,
                "capabilities": {"streaming": True, "richText": True, "media": False},
                "defaults": {"colour": "white"},
            }
            await tester.deliver("s", "hello")
            assert tester.channel.request == ChannelInitialize(
                "b",
                {"colour": "white", "size": 3},
                Ack(typing=True),
                supervisor=SupervisorCapabilities(True, True, True),
            )
        assert tester.channel.story == ["initialize", "ready", "serve", "s: hello", "served"]

    run(test())


def test_a_refused_handshake_says_why_and_serves_nothing() -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            with pytest.raises(RpcError, match="none is no colour"):
                await tester.initialize({"colour": "none"})
        assert tester.channel.story == ["initialize"]

    run(test())


def test_messages_are_handled_in_the_order_of_the_wire() -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            await tester.create_session("s", PEER)
            for number in range(3):
                await tester.deliver("s", str(number))
            assert tester.channel.story == ["s is 7", "s: 0", "s: 1", "s: 2"]

    run(test())


def test_a_failing_delivery_harms_only_itself() -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            with pytest.raises(ZeroDivisionError):
                await tester.deliver("s", "fail")
            await tester.deliver("s", "next")
            assert tester.channel.story == ["s: next"]

    run(test())


def test_messages_leave_in_the_wire_s_shape() -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            await tester.initialize()
            outbound = tester.channel.outbound
            await outbound.send_message(PEER, "hello")
            await outbound.send_message(
                PEER,
                [{"type": "image", "url": "u"}],
                metadata=ReplyMetadata(thread_id="9"),
                meta={"anyclaw/sourceId": "1"},
            )
            first, second = await tester.next_outbound(), await tester.next_outbound()
            peer = {"channelName": "board", "peerId": "7", "kind": "direct"}
            assert first == {
                "jsonrpc": "2.0",
                "method": "channel/sendMessage",
                "params": {"peerInfo": peer, "content": [{"type": "text", "text": "hello"}]},
            }
            assert second["params"] == {
                "peerInfo": peer,
                "content": [{"type": "image", "url": "u"}],
                "metadata": {"threadId": "9"},
                "_meta": {"anyclaw/sourceId": "1"},
            }

    run(test())


def test_a_permission_is_answered_when_the_user_decides() -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            await tester.initialize()
            answer = await tester.show_permission_prompt(QUESTION)
            again = await tester.show_permission_prompt(QUESTION)
            await tester.deliver("s", "the prompt holds nothing up")
            assert tester.channel.asked == [QUESTION, QUESTION]
            assert tester.channel.permissions.pending() == [QUESTION]
            assert tester.channel.permissions.resolve("r1", "yes")
            assert await answer == await again == {"requestId": "r1", "optionId": "yes"}
            assert not tester.channel.permissions.resolve("r1", "yes")

    run(test())


def test_a_permission_asked_by_notification_is_answered_by_one() -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            await tester.initialize()
            await tester.notify("channel/requestPermission", QUESTION.to_wire())
            tester.channel.permissions.resolve("r1", "yes")
            message = await tester.next_outbound()
            assert message["method"] == "channel/respondPermission"
            assert message["params"] == {"requestId": "r1", "optionId": "yes"}

    run(test())


def test_a_channel_that_cannot_ask_says_so() -> None:
    async def test() -> None:
        async with ChannelTester(Channel()) as tester:
            await tester.initialize()
            answer = await tester.show_permission_prompt(QUESTION)
            with pytest.raises(RpcError) as caught:
                await answer
            assert caught.value.code == METHOD_NOT_FOUND

    run(test())


def test_a_prompt_that_fails_to_show_is_refused() -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            question = QUESTION._replace(description="fail").to_wire()
            with pytest.raises(RpcError) as caught:
                await tester.request("channel/requestPermission", question)
            assert caught.value.code == INTERNAL_ERROR

    with pytest.raises(ZeroDivisionError):
        run(test())


def test_unknown_methods() -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            assert await tester.request("board/size", {}) == [3, 4]
            await tester.notify("channel/ackMessage", {})
            with pytest.raises(RpcError) as caught:
                await tester.request("board/shape", {})
            assert caught.value.code == METHOD_NOT_FOUND

    run(test())


@pytest.mark.parametrize("ending", ["channel/close", "the end of stdin"])
def test_what_has_arrived_is_still_delivered_at_the_end(ending: str) -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            for content in ("wait", "last"):
                params = {"sessionId": "s", "content": content}
                tester._near.notify("channel/deliverMessage", params)
            if ending == "channel/close":
                tester._near.notify("channel/close", {})
            else:
                tester._far.end()
            tester.channel.gate.set()
        assert tester.channel.story == ["s: wait", "s: last"]

    run(test())


def test_a_delivery_that_outlives_the_grace_is_cut_off() -> None:
    async def test() -> None:
        channel = Board()
        channel.eof_grace_s = 0.0
        async with ChannelTester(channel) as tester:
            tester._near.notify("channel/deliverMessage", {"sessionId": "s", "content": "wait"})
        assert channel.story == []

    run(test())


def test_work_that_fails_ends_the_program_with_1() -> None:
    class Broken(Channel):
        async def serve(self) -> None:
            raise ZeroDivisionError("by zero")

    async def test() -> None:
        async with ChannelTester(Broken()) as tester:
            await tester.initialize()
            await tester._far.wait_ended()
            assert isinstance(tester._harness, ChannelHarness)
            assert tester._harness.exit_code == 1

    with pytest.raises(ZeroDivisionError):
        run(test())


def test_the_oldest_question_is_given_up_for_one_too_many() -> None:
    broker = PermissionBroker()
    outcomes: list[PermissionAnswer | RpcError] = []
    for number in range(PERMISSIONS_MAX + 1):
        broker.register(QUESTION._replace(request_id=str(number)), outcomes.append)
    assert [str(outcome) for outcome in outcomes] == [
        f"given up: more than {PERMISSIONS_MAX} permission requests are waiting"
    ]
    assert broker.find("0") is None
    assert len(broker.pending()) == PERMISSIONS_MAX

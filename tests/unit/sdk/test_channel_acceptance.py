"""What a channel may do beyond the original: acceptance, receipts, elicitation."""

import asyncio
from collections.abc import Coroutine

import pytest

from anyclaw_sdk.channel import ELICITATIONS_MAX, Channel, Outbound, PermissionBroker
from anyclaw_sdk.testing import ChannelTester
from anyclaw_sdk.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    Accepted,
    ChannelCapabilities,
    ChannelInitialize,
    Delivery,
    Elicitation,
    Json,
    Message,
    MessageRefused,
    MessageState,
    PeerInfo,
    PermissionOption,
    PermissionRequest,
    RpcError,
    SupervisorCapabilities,
    SupervisorGone,
)

PEER = PeerInfo("board", "7", "direct")
ANN = PeerInfo("board", "ann", "group")
FORM = Elicitation("e1", "s", "form", "Which?", {"type": "object"}, "")
LINK = Elicitation("e2", "s", "url", "Log in", {}, "https://x.example/?a=b")
QUESTION = PermissionRequest("r1", "s", "Run it?", (PermissionOption("yes", "Yes"),))
ALL = ChannelCapabilities(acceptance=True, delivery_receipts=True, elicitation=True)


def run(test: Coroutine[None, None, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(bounded())


class Board(Channel):
    def __init__(self, capabilities: ChannelCapabilities = ALL) -> None:
        self.told = capabilities
        self.shown: list[Delivery] = []
        self.asked: list[Elicitation] = []
        self.withdrawn: list[str] = []

    def capabilities(self) -> ChannelCapabilities:
        return self.told

    async def on_initialize(self, request: ChannelInitialize) -> None:
        self.supervisor = request.supervisor

    async def on_ready(self, outbound: Outbound, permissions: PermissionBroker) -> None:
        self.outbound, self.permissions = outbound, permissions

    async def deliver_message(self, delivery: Delivery) -> None:
        if delivery.content == "fail":
            raise ZeroDivisionError("by zero")
        self.shown.append(delivery)

    async def show_permission_prompt(self, request: PermissionRequest) -> None:
        """It is in the broker."""

    async def show_elicitation(self, request: Elicitation) -> None:
        if request.message == "fail":
            raise ZeroDivisionError("by zero")
        self.asked.append(request)

    async def on_request_withdrawn(self, request_id: str) -> None:
        self.withdrawn.append(request_id)


def answering(outcome: Json | RpcError) -> ChannelTester[Board]:
    """A tester that answers whatever its board asks like this."""

    def answer(method: str, params: Message) -> Json:
        if isinstance(outcome, RpcError):
            raise outcome
        return outcome

    return ChannelTester(Board(), answer)


def test_each_side_tells_what_it_can() -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            assert (await tester.initialize())["capabilities"] == {
                "streaming": True,
                "richText": False,
                "media": False,
                "acceptance": True,
                "deliveryReceipts": True,
                "elicitation": True,
            }
            assert tester.channel.supervisor == SupervisorCapabilities(True, True, True)

    run(test())


def test_a_message_is_accepted_under_its_id() -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            await tester.initialize()
            sent = tester.channel.outbound.send_message(PEER, "hello", source_id="update-7")
            assert await sent == Accepted("m1")
            message = await tester.next_outbound()
            assert message["method"] == "channel/sendMessage"
            assert message["params"]["_meta"] == {"anyclaw/sourceId": "update-7"}

    run(test())


def test_a_second_one_of_the_same_source_is_told_as_such() -> None:
    known = {"accepted": True, "messageId": "m1", "duplicate": True, "state": "answered"}

    async def test() -> None:
        async with answering(known) as tester:
            await tester.initialize()
            found = await tester.channel.outbound.send_message(PEER, "hello", source_id="1")
            assert found == Accepted("m1", True, "answered")

    run(test())


def test_a_refused_message_says_why_and_when_to_try_again() -> None:
    refusal = MessageRefused("too many", "rate-limit", retry_after_s=2.5, message_id="m9")

    async def test() -> None:
        async with answering(refusal) as tester:
            await tester.initialize()
            with pytest.raises(MessageRefused, match="too many") as caught:
                await tester.channel.outbound.send_message(PEER, "hello")
        found = caught.value
        assert (found.reason, found.retry_after_s, found.message_id) == ("rate-limit", 2.5, "m9")

    run(test())


def test_a_refusal_without_particulars_is_still_one() -> None:
    async def test() -> None:
        async with answering(RpcError(-32000, "no")) as tester:
            await tester.initialize()
            with pytest.raises(MessageRefused, match="no") as caught:
                await tester.channel.outbound.send_message(PEER, "hello")
        assert (caught.value.reason, caught.value.retry_after_s) == ("", None)

    run(test())


def test_a_message_that_could_not_be_read_is_no_refusal() -> None:
    async def test() -> None:
        async with answering(RpcError(INVALID_PARAMS, "peerInfo has no peerId")) as tester:
            await tester.initialize()
            with pytest.raises(RpcError, match="no peerId") as caught:
                await tester.channel.outbound.send_message(PeerInfo("board", ""), "hello")
        assert not isinstance(caught.value, MessageRefused)

    run(test())


def test_a_supervisor_that_goes_away_leaves_it_open() -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            await tester.initialize()
            tester._far.end()
            with pytest.raises(SupervisorGone):
                await tester.channel.outbound.send_message(PEER, "hello")

    run(test())


@pytest.mark.parametrize(
    ("capabilities", "offered"),
    [(ChannelCapabilities(), {"acceptance": True}), (ALL, None), (ALL, {"acceptance": "yes"})],
    ids=["channel-without", "supervisor-without", "supervisor-misspelt"],
)
def test_without_acceptance_a_message_leaves_as_ever(
    capabilities: ChannelCapabilities, offered: Json
) -> None:
    async def test() -> None:
        async with ChannelTester(Board(capabilities)) as tester:
            params = {"protocolVersion": 1, "channelId": "b", "capabilities": offered}
            await tester.request("initialize", params)
            assert await tester.channel.outbound.send_message(PEER, "hello") == Accepted("")
            assert "id" not in await tester.next_outbound()

    run(test())


def test_a_message_may_be_sent_while_a_delivery_is_handled() -> None:
    class Parrot(Board):
        async def deliver_message(self, delivery: Delivery) -> None:
            self.found = await self.outbound.send_message(PEER, delivery.content)

    async def test() -> None:
        async with ChannelTester(Parrot()) as tester:
            await tester.initialize()
            await tester.deliver("s", "again")
            assert tester.channel.found == Accepted("m1")

    run(test())


def test_the_state_of_a_message_is_asked_for() -> None:
    wire = {"messageId": "m1", "state": "answered", "session": "s", "stopReason": "end_turn"}

    async def test() -> None:
        async with answering(wire) as tester:
            await tester.initialize()
            found = await tester.channel.outbound.message_state("m1")
            assert found == MessageState("m1", "answered", "s", stop_reason="end_turn")
            assert found.to_wire() == wire

    run(test())


def test_an_unknown_message_has_no_state() -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            await tester.initialize()
            assert await tester.channel.outbound.message_state("m1") is None

    run(test())


def test_a_state_that_cannot_be_told_is_an_error() -> None:
    async def test() -> None:
        async with answering(RpcError(-32000, "later")) as tester:
            await tester.initialize()
            with pytest.raises(RpcError, match="later"):
                await tester.channel.outbound.message_state("m1")

    run(test())


def test_the_end_of_a_turn_is_confirmed_once_it_is_shown() -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            await tester.initialize()
            await tester.deliver("s", "chunk")
            await tester.deliver(
                "s", "end", delivery_id="d1", message_ids=["m1", "m2"], is_redelivered=True
            )
            receipt = await tester.next_outbound()
            assert receipt["method"] == "channel/deliveryReceipt"
            assert receipt["params"] == {"deliveryId": "d1"}
            chunk, end = tester.channel.shown
            assert (chunk.delivery_id, chunk.message_ids, chunk.is_redelivered) == ("", [], False)
            assert (end.delivery_id, end.message_ids) == ("d1", ["m1", "m2"])
            assert end.is_redelivered

    run(test())


def test_what_could_not_be_shown_is_not_confirmed() -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            await tester.initialize()
            with pytest.raises(ZeroDivisionError):
                await tester.deliver("s", "fail", delivery_id="d1")
            await tester.deliver("s", "end", delivery_id="d2")
            assert (await tester.next_outbound())["params"] == {"deliveryId": "d2"}

    run(test())


def test_a_channel_may_confirm_by_itself() -> None:
    class Postman(Board):
        confirms_deliveries = False

    async def test() -> None:
        async with ChannelTester(Postman()) as tester:
            await tester.initialize()
            await tester.deliver("s", "end", delivery_id="d1")
            await tester.channel.outbound.send_message(PEER, "hello")
            assert (await tester.next_outbound())["method"] == "channel/sendMessage"
            await tester.channel.outbound.confirm_delivery("d1")
            assert (await tester.next_outbound())["params"] == {"deliveryId": "d1"}

    run(test())


@pytest.mark.parametrize(
    ("capabilities", "offered"),
    [(ChannelCapabilities(), {"deliveryReceipts": True}), (ALL, {"acceptance": True})],
    ids=["channel-without", "supervisor-without"],
)
def test_nobody_confirms_what_the_other_does_not_expect(
    capabilities: ChannelCapabilities, offered: Json
) -> None:
    async def test() -> None:
        async with ChannelTester(Board(capabilities)) as tester:
            await tester.request("initialize", {"protocolVersion": 1, "capabilities": offered})
            await tester.deliver("s", "end", delivery_id="d1")
            await tester.channel.outbound.notify("board/barrier", {})
            assert (await tester.next_outbound())["method"] == "board/barrier"

    run(test())


def test_a_permission_tells_who_chose() -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            await tester.initialize()
            answer = await tester.show_permission_prompt(QUESTION)
            tester.channel.permissions.resolve("r1", "yes", ANN)
            peer = {"channelName": "board", "peerId": "ann", "kind": "group"}
            assert await answer == {"requestId": "r1", "optionId": "yes", "peerInfo": peer}

    run(test())


def test_an_elicitation_is_answered_when_the_user_decides() -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            await tester.initialize()
            form, link = await tester.show_elicitation(FORM), await tester.show_elicitation(LINK)
            await tester.deliver("s", "a form holds nothing up")
            board = tester.channel
            assert board.asked == board.elicitations.pending() == [FORM, LINK]
            assert board.elicitations.find("e1") == FORM
            assert board.elicitations.resolve("e1", "accept", {"which": "left"}, ANN)
            assert not board.elicitations.resolve("e1", "cancel")
            assert board.elicitations.resolve("e2", "decline")
            assert await form == {
                "action": "accept",
                "content": {"which": "left"},
                "peerInfo": ANN.to_wire(),
            }
            assert await link == {"action": "decline"}

    run(test())


def test_a_channel_that_cannot_show_a_form_says_so() -> None:
    async def test() -> None:
        async with ChannelTester(Channel()) as tester:
            await tester.initialize()
            with pytest.raises(RpcError) as caught:
                await tester.request("channel/elicit", FORM.to_wire())
            assert caught.value.code == METHOD_NOT_FOUND

    run(test())


def test_a_form_that_fails_to_show_is_refused() -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            await tester.initialize()
            with pytest.raises(RpcError) as caught:
                await tester.request("channel/elicit", FORM._replace(message="fail").to_wire())
            assert caught.value.code == INTERNAL_ERROR
            assert tester.channel.elicitations.pending() == []

    with pytest.raises(ZeroDivisionError):
        run(test())


def test_a_question_that_nobody_waits_for_is_taken_back() -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            await tester.initialize()
            await tester.show_permission_prompt(QUESTION)
            await tester.show_elicitation(FORM)
            for request_id in ("r1", "e1", "answered"):
                await tester.withdraw(request_id)
            board = tester.channel
            assert board.withdrawn == ["r1", "e1"]
            assert board.permissions.pending() == []
            assert board.elicitations.pending() == []
            assert not board.permissions.resolve("r1", "yes")

    run(test())


def test_the_oldest_form_is_given_up_for_one_too_many() -> None:
    async def test() -> None:
        async with ChannelTester(Board()) as tester:
            await tester.initialize()
            first = await tester.show_elicitation(FORM._replace(request_id="0"))
            for number in range(ELICITATIONS_MAX):
                await tester.show_elicitation(FORM._replace(request_id=str(number + 1)))
            with pytest.raises(RpcError, match="given up: more than 100 elicitations are waiting"):
                await first
            assert len(tester.channel.elicitations.pending()) == ELICITATIONS_MAX

    run(test())

import asyncio
from collections.abc import Coroutine

import pytest

from anyclaw_sdk.agent import Agent, Client, Turn
from anyclaw_sdk.testing import AgentTester
from anyclaw_sdk.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    REQUEST_CANCELLED,
    AgentInitialize,
    Json,
    Message,
    RpcError,
    SessionRequest,
)


def run(test: Coroutine[None, None, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(bounded())


class Echo(Agent):
    def __init__(self) -> None:
        self.gate = asyncio.Event()  #: a prompt `wait` ends when it is set
        self.story: list[str] = []

    def capabilities(self) -> Message:
        return {"loadSession": True}

    def defaults(self) -> Message:
        return {"prefix": "Echo", "tone": "flat"}

    def on_initialize(self, request: AgentInitialize) -> None:
        if request.options.get("refuse"):
            raise RpcError(INVALID_PARAMS, "option refuse: set")

    async def on_ready(self, client: Client) -> None:
        await client.update("early", {"sessionUpdate": "notice"})

    async def new_session(self, request: SessionRequest) -> str:
        return f"in {request.cwd} with {len(request.mcp_servers)}"

    async def prompt(self, turn: Turn) -> str:
        self.story.append(f"begin {turn.text}")
        match turn.text:
            case "wait":
                await turn.thought("waiting")
                await self.gate.wait()
            case "fail":
                raise ZeroDivisionError("by zero")
            case "ask":
                options: list[Message] = [{"optionId": "yes", "name": "Yes", "kind": "allow_once"}]
                await turn.message(str(await turn.request_permission({"title": "t"}, options)))
            case "no json":
                return object()  # type: ignore[return-value]  # a mistake authors make
            case text:
                await turn.message(f"{self.options.get('prefix', 'Echo')}: {text}")
        return "end_turn"

    async def on_turn_end(self, turn: Turn) -> None:
        self.story.append(f"end {turn.text}")

    def on_cancel(self, session_id: str) -> None:
        self.story.append(f"cancel {session_id}")

    async def handle_unknown(self, method: str, params: Message) -> Json:
        if method == "_slow":
            await self.gate.wait()
        return await super().handle_unknown(method, params)

    async def on_close(self) -> None:
        self.story.append("close")


def test_a_turn_streams_and_ends() -> None:
    async def test() -> None:
        async with AgentTester(Echo()) as tester:
            result = await tester.initialize({"prefix": "Hi"})
            assert result == {
                "protocolVersion": 1,
                "agentCapabilities": {"loadSession": True},
                "defaults": {"prefix": "Echo", "tone": "flat"},
            }
            assert tester.agent.options == {"prefix": "Hi", "tone": "flat"}
            session = await tester.new_session("/tmp", [{}])
            assert session == "in /tmp with 1"
            record = await tester.prompt(session, "hello")
            assert (record.stop_reason, record.text) == ("end_turn", "Hi: hello")
        assert tester.agent.story == ["begin hello", "end hello", "close"]

    run(test())


def test_ready_comes_before_the_first_request() -> None:
    async def test() -> None:
        async with AgentTester(Echo()) as tester:
            await tester.initialize()
            await tester.new_session()
            assert tester.updates[0] == ("early", {"sessionUpdate": "notice"})

    run(test())


def test_a_refused_handshake_says_why() -> None:
    async def test() -> None:
        async with AgentTester(Echo()) as tester:
            with pytest.raises(RpcError, match="option refuse: set"):
                await tester.initialize({"refuse": True})
            assert tester.updates == []

    run(test())


def test_cancel_ends_the_turn_and_those_queued_behind_it() -> None:
    async def test() -> None:
        async with AgentTester(Echo()) as tester:
            first = tester.start_prompt("s", "wait")
            await tester.wait_update("agent_thought_chunk")
            second, other = tester.start_prompt("s", "second"), tester.start_prompt("o", "other")
            tester.cancel("s")
            assert await first == {"stopReason": "cancelled"}
            assert await second == {"stopReason": "cancelled"}
            assert await other == {"stopReason": "end_turn"}
            assert tester.agent.story[:2] == ["begin wait", "cancel s"]
            assert "begin second" not in tester.agent.story

    run(test())


def test_a_turn_cancelled_before_its_first_step_is_answered() -> None:
    async def test() -> None:
        async with AgentTester(Echo()) as tester:
            turn = tester.start_prompt("s", "hello")
            tester.cancel("s")
            assert await turn == {"stopReason": "cancelled"}

    run(test())


def test_cancel_as_a_request_is_answered() -> None:
    async def test() -> None:
        async with AgentTester(Echo()) as tester:
            assert await tester.request("session/cancel", {"sessionId": "s"}) == {}

    run(test())


def test_turns_of_one_session_run_one_after_another() -> None:
    async def test() -> None:
        async with AgentTester(Echo()) as tester:
            first, second = tester.start_prompt("s", "wait"), tester.start_prompt("s", "second")
            await tester.wait_update("agent_thought_chunk")
            other = await tester.start_prompt("o", "other")
            assert other == {"stopReason": "end_turn"}
            assert not second.done()
            tester.agent.gate.set()
            await first
            await second
            story = [line for line in tester.agent.story if "other" not in line]
            assert story == ["begin wait", "end wait", "begin second", "end second"]

    run(test())


def test_one_request_can_be_cancelled() -> None:
    async def test() -> None:
        async with AgentTester(Echo()) as tester:
            await tester.initialize()  # request 1
            slow = tester._near.call("_slow", {})
            tester._near.notify("$/cancel_request", {"requestId": 2})
            with pytest.raises(RpcError) as caught:
                await slow
            assert caught.value.code == REQUEST_CANCELLED

    run(test())


def test_a_permission_is_awaited() -> None:
    async def test() -> None:
        async with AgentTester(Echo()) as tester:
            assert (await tester.prompt("s", "ask")).text == "yes"

        def cancelled(method: str, params: Message) -> Json:
            return {"outcome": {"outcome": "cancelled"}}

        async with AgentTester(Echo(), cancelled) as tester:
            assert (await tester.prompt("s", "ask")).text == "None"

    run(test())


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("nope", {}, METHOD_NOT_FOUND),
        ("session/load", {"sessionId": "s"}, METHOD_NOT_FOUND),
        ("session/resume", {"sessionId": "s"}, METHOD_NOT_FOUND),
        ("session/new", {"mcpServers": []}, INVALID_PARAMS),
        ("session/new", {"cwd": "/"}, INVALID_PARAMS),
        ("session/prompt", {"sessionId": "s", "prompt": []}, INVALID_PARAMS),
        ("session/prompt", {"sessionId": "s", "prompt": "hello"}, INVALID_PARAMS),
        ("session/prompt", {"prompt": [{"type": "text", "text": "hi"}]}, INVALID_PARAMS),
    ],
)
def test_refusals(method: str, params: Message, code: int) -> None:
    async def test() -> None:
        async with AgentTester(Echo()) as tester:
            with pytest.raises(RpcError) as caught:
                await tester.request(method, params)
            assert caught.value.code == code

    run(test())


@pytest.mark.parametrize("prompt", ["fail", "no json"])
def test_a_failing_prompt_is_answered_and_the_next_one_runs(prompt: str) -> None:
    async def test() -> None:
        async with AgentTester(Echo()) as tester:
            with pytest.raises(RpcError, match=r"Error: ") as caught:
                await tester.start_prompt("s", prompt)
            assert caught.value.code == INTERNAL_ERROR
            assert (await tester.prompt("s", "hello")).text == "Echo: hello"

    with pytest.raises((ZeroDivisionError, TypeError)):
        run(test())


def test_a_turn_running_at_the_end_has_its_grace() -> None:
    async def test() -> None:
        async with AgentTester(Echo()) as tester:
            turn = tester.start_prompt("s", "wait")
            await tester.wait_update("agent_thought_chunk")
            tester._far.end()
            tester.agent.gate.set()
            assert await turn == {"stopReason": "end_turn"}

    run(test())


def test_a_turn_that_outlives_the_grace_is_cancelled() -> None:
    async def test() -> None:
        agent = Echo()
        agent.eof_grace_s = 0.0
        async with AgentTester(agent) as tester:
            turn = tester.start_prompt("s", "wait")
            await tester.wait_update("agent_thought_chunk")
            tester._far.end()
            assert await turn == {"stopReason": "cancelled"}

    run(test())

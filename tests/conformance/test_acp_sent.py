"""Everything that is sent to agents, judged by the official models of ACP.

The only member that the models do not know is `options` in the root of `initialize`, which 0.9
agents read (docs/adr); every other unknown member is an error here.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping

import pytest
from acp import schema
from pydantic import BaseModel

from anyclawd.gateway.gateway import Gateway
from anyclawd.model.value import Json
from tests.conformance.requirements_acp import PROVED, REQUIREMENTS, proves
from tests.integration.gateway.peers import (
    AgentProcess,
    ChannelProcess,
    agent_unit,
    channel_unit,
    plan_of,
)

MODELS: Mapping[str, type[BaseModel]] = {
    "initialize": schema.InitializeRequest,
    "session/new": schema.NewSessionRequest,
    "session/load": schema.LoadSessionRequest,
    "session/resume": schema.ResumeSessionRequest,
    "session/close": schema.CloseSessionRequest,
    "session/prompt": schema.PromptRequest,
    "session/cancel": schema.CancelNotification,
    "$/cancel_request": schema.CancelRequestNotification,
}
NOTIFICATIONS = ("session/cancel", "$/cancel_request")


class Transcript(AgentProcess):
    """An agent that has everything it is sent judged."""

    def expect(self, method: str) -> Json:
        message = super().expect(method)
        judge(message)
        return message


def judge(message: Json) -> None:
    assert message["jsonrpc"] == "2.0"
    method, params = message["method"], dict(message["params"])
    assert ("id" in message) is (method not in NOTIFICATIONS)
    if method == "initialize" and "options" in params:
        assert params.pop("options") == params["_meta"]["options"]
    known = MODELS[method].model_validate(params)
    told = known.model_dump(by_alias=True, exclude_unset=True, mode="json")
    assert told == params, "a member that the schema does not know"


def start(
    options: Json = None, answer_timeout_s: float = 30.0, **capabilities: Json
) -> tuple[Gateway, ChannelProcess, Transcript]:
    units = (
        agent_unit(options=options or {}, answer_timeout_s=answer_timeout_s),
        channel_unit(),
    )
    gateway = Gateway(plan_of(*units), environ={})
    gateway.start()
    channel, agent = ChannelProcess(gateway, units[1]), Transcript(gateway, units[0])
    channel.initialize()
    assert [message["method"] for message in agent.wire.take()] == ["initialize"]
    agent.say({"id": 1, "result": {"protocolVersion": 1, "agentCapabilities": capabilities}})
    return gateway, channel, agent


def again(gateway: Gateway, agent: Transcript, **capabilities: Json) -> Transcript:
    agent.die()
    agent = Transcript(gateway, agent.wire.unit)
    agent.initialize(**capabilities)
    return agent


def in_loop(test: Callable[..., Coroutine[None, None, None]]) -> Callable[..., None]:
    """Run a test in a loop of its own, bounded in time."""

    def run() -> None:
        asyncio.run(asyncio.wait_for(test(), 20))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@proves("init-first", "init-version", "init-capabilities")
@in_loop
async def test_initialize() -> None:
    unit = agent_unit(options={"model": "x"})
    agent = Transcript(Gateway(plan_of(unit), environ={}), unit)
    params = agent.expect("initialize")["params"]
    assert agent.read() == []
    assert params["protocolVersion"] == 1
    assert params["clientCapabilities"] == {
        "fs": {"readTextFile": False, "writeTextFile": False},
        "terminal": False,
        "session": {"configOptions": {"boolean": {}}},
        "elicitation": {"form": {}, "url": {}},
    }


@proves("init-mismatch")
@in_loop
async def test_a_version_we_cannot_speak_ends_the_connection() -> None:
    unit = agent_unit()
    agent = Transcript(Gateway(plan_of(unit), environ={}), unit)
    agent.answer(agent.expect("initialize"), {"protocolVersion": 9})
    assert agent.report.told[0][0] == "failed"


@proves("session-new", "prompt-blocks", "prompt-baseline")
@in_loop
async def test_every_kind_of_content_is_a_block() -> None:
    _, channel, agent = start(promptCapabilities={})
    parts = [
        {"type": "text", "text": "x"},
        {"type": "image", "url": "data:image/png;base64,QUJD"},
        {"type": "image", "url": "https://example.org/i.png"},
        {"type": "audio", "url": "QUJD"},
        {"type": "file", "url": "https://example.org/a.pdf", "mimeType": "application/pdf"},
    ]
    channel.message("", content=parts, metadata={"threadId": "7"})
    assert agent.open("s1")["cwd"].startswith("/")
    blocks = agent.expect("session/prompt")["params"]["prompt"]
    kinds = [block["type"] for block in blocks]
    assert kinds == ["text", "text", "image", "image", "audio", "resource_link"]


@in_loop
async def test_an_embedded_file_is_a_block_too() -> None:
    _, channel, agent = start(promptCapabilities={"embeddedContext": True})
    channel.message("", content=[{"type": "file", "url": "file:///a", "mimeType": "a/b"}])
    agent.open("s1")
    assert agent.expect("session/prompt")["params"]["prompt"][0]["type"] == "resource"


@proves("session-load-gated", "session-resume-gated", "session-again")
@in_loop
async def test_a_session_is_taken_up_only_as_the_agent_can() -> None:
    gateway, channel, agent = start()
    for number, (capabilities, method) in enumerate(
        [
            ({"loadSession": True}, "session/load"),
            ({"sessionCapabilities": {"resume": {}}}, "session/resume"),
            ({}, "session/new"),
        ]
    ):
        channel.message("hello")
        if number == 0:
            agent.open("s1")
        agent.answer(agent.expect("session/prompt"), {})
        agent = again(gateway, agent, **capabilities)
        channel.message("again")
        request = agent.expect(method)
        assert request["params"]["cwd"] == "/work"
        assert request["params"]["mcpServers"] == []
        agent.answer(request, {"sessionId": "s2"} if method == "session/new" else {})
        agent.answer(agent.expect("session/prompt"), {})


@proves("session-close-gated", "cancel-notification")
@in_loop
async def test_a_session_that_is_left_is_closed() -> None:
    _, channel, agent = start(sessionCapabilities={"close": {}})
    channel.message("hello")
    agent.open("s1")
    agent.expect("session/prompt")
    channel.message("/new")
    agent.expect("session/cancel")
    agent.expect("$/cancel_request")
    assert agent.expect("session/close")["params"] == {"sessionId": "s1"}


@proves("prompt-one-at-a-time", "cancel-late-updates")
@in_loop
async def test_a_turn_ends_when_the_agent_says_so() -> None:
    _, channel, agent = start()
    channel.message("hello")
    agent.open("s1")
    prompt = agent.expect("session/prompt")
    channel.message("more")
    channel.message("/cancel")
    agent.expect("session/cancel")
    assert agent.read() == []
    channel.read()
    agent.chunk("s1", "late")
    assert channel.shown() == [("agent_message_chunk", "late")]
    agent.answer(prompt, {"stopReason": "cancelled"})
    agent.expect("session/prompt")


def ask(agent: AgentProcess) -> None:
    options = [{"optionId": "a", "name": "Allow", "kind": "allow_once"}]
    params = {"sessionId": "s1", "toolCall": {"toolCallId": "t"}, "options": options}
    agent.say({"id": 5, "method": "session/request_permission", "params": params})


def outcome_of(agent: AgentProcess) -> schema.RequestPermissionResponse:
    answer = next(message for message in agent.read() if message.get("id") == 5)
    return schema.RequestPermissionResponse.model_validate(answer["result"])


@proves("cancel-permissions", "permission-selected")
@in_loop
async def test_permissions_are_answered() -> None:
    _, channel, agent = start()
    channel.message("hello")
    agent.open("s1")
    agent.expect("session/prompt")
    ask(agent)
    channel.answer(channel.expect("channel/requestPermission"), {"optionId": "a"})
    selected = outcome_of(agent).outcome
    assert isinstance(selected, schema.AllowedOutcome)
    assert selected.option_id == "a"
    ask(agent)
    channel.message("/cancel")
    assert isinstance(outcome_of(agent).outcome, schema.DeniedOutcome)


@proves("unknown-request", "unknown-notification", "unknown-update")
@in_loop
async def test_what_is_unknown_does_no_harm() -> None:
    _, channel, agent = start()
    channel.message("hello")
    agent.open("s1")
    agent.expect("session/prompt")
    channel.read()
    agent.say({"method": "_vendor/note", "params": {}})
    assert agent.read() == []
    agent.update("s1", "some_day", x=1)
    assert channel.delivered()[0]["update"] == {"sessionUpdate": "some_day", "x": 1}
    agent.say({"id": "q", "method": "_vendor/ask", "params": {}})
    assert agent.read()[0]["error"]["code"] == -32601


@proves("cancel-request")
@in_loop
async def test_a_request_that_takes_too_long_is_given_up() -> None:
    _, channel, agent = start(answer_timeout_s=0.01)
    channel.message("hello")
    request = agent.expect("session/new")
    agent.wire.take()
    await agent.wire.wait_written()
    assert agent.expect("$/cancel_request")["params"] == {"requestId": request["id"]}


@pytest.mark.parametrize("clause", REQUIREMENTS)
def test_every_clause_is_proved_or_deferred(clause: str) -> None:
    assert bool(REQUIREMENTS[clause].deferral) is not (clause in PROVED)


def test_every_proof_has_its_clause() -> None:
    assert set(PROVED) <= set(REQUIREMENTS)

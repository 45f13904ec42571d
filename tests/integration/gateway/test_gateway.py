"""The gateway on in-memory wires: scripted processes speak the real protocols with it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from anyclawd.gateway.gateway import Gateway
from anyclawd.gateway.outbox import NOTICE
from anyclawd.model.credential import not_given
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import RequestError
from anyclawd.model.plan import Settings
from anyclawd.model.policy import Timeouts
from anyclawd.model.span import BUILT_IN
from anyclawd.model.unit import Ack, Kind, Protocol, Unit
from anyclawd.model.value import Json
from anyclawd.wire.service import Installation
from tests.fakes.world import answering
from tests.integration.gateway.peers import (
    AgentProcess,
    ChannelProcess,
    Process,
    agent_unit,
    channel_unit,
    open_gateway,
    plan_of,
    running,
)

KEY = "web:direct:ann"


def boot(**agent: Json) -> tuple[Gateway, ChannelProcess, AgentProcess]:
    units = agent_unit(**agent), channel_unit()
    gateway = open_gateway(plan_of(*units), environ={}, wall_ms=lambda: 1234)
    gateway.start()
    channel, process = ChannelProcess(gateway, units[1]), AgentProcess(gateway, units[0])
    channel.initialize()
    process.initialize()
    return gateway, channel, process


async def test_a_message_reaches_the_agent_and_its_answer_streams_back() -> None:
    _, channel, agent = boot()
    channel.message("hello")
    assert agent.open("s1") == {"cwd": "/work", "mcpServers": []}
    prompt = agent.expect("session/prompt")
    assert prompt["params"] == {"sessionId": "s1", "prompt": [{"type": "text", "text": "hello"}]}
    agent.chunk("s1", "Hi ")
    agent.chunk("s1", "there")
    agent.answer(prompt, {"stopReason": "end_turn"})
    methods = [(m["method"], m["params"].get("sessionId")) for m in channel.inbox + channel.read()]
    assert methods == [
        ("channel/sessionCreated", KEY),
        ("channel/ackMessage", KEY),
        ("channel/typingIndicator", KEY),
        ("channel/ackLifecycle", KEY),
        ("channel/deliverMessage", KEY),
        ("channel/deliverMessage", KEY),
        ("channel/deliverMessage", KEY),
        ("channel/ackLifecycle", KEY),
    ]


async def open_turn(channel: ChannelProcess, agent: AgentProcess, text: str = "hello") -> Json:
    """A turn that runs in session s1: its prompt request."""
    channel.message(text)
    agent.open("s1")
    return agent.expect("session/prompt")


async def test_ten_rapid_messages_become_one_prompt_in_order() -> None:
    _, channel, agent = boot()
    prompt = await open_turn(channel, agent, "0")
    for number in range(1, 10):
        channel.message(str(number))
    agent.answer(prompt, {})
    merged = agent.expect("session/prompt")["params"]["prompt"]
    assert [block["text"] for block in merged] == [str(number) for number in range(1, 10)]
    assert [m for m in agent.read() if m["method"] == "session/prompt"] == []


async def test_a_result_is_made_up_only_where_the_agent_streams_none() -> None:
    _, channel, agent = boot()
    prompt = await open_turn(channel, agent)
    agent.answer(prompt, {"stopReason": "max_tokens"})
    assert channel.shown() == [("result", "max_tokens")]
    channel.message("again")
    prompt = agent.expect("session/prompt")
    agent.update("s1", "result", content="Echo: again")
    agent.answer(prompt, {})
    assert channel.shown() == [("result", "Echo: again")]


async def test_updates_and_answers_in_one_read_keep_their_order() -> None:
    _, channel, agent = boot()
    prompt = await open_turn(channel, agent)
    params = {"sessionId": "s1", "update": {"sessionUpdate": "plan", "entries": []}}
    agent.say(
        {"method": "session/update", "params": params},
        {"id": str(prompt["id"]), "result": {"stopReason": "end_turn"}},
        {"method": "session/update", "params": params},
    )
    kinds = [content["update"]["sessionUpdate"] for content in channel.delivered()]
    assert kinds == ["plan", "result", "plan"]  # the last one is late and still shown


async def test_updates_that_overtake_the_answer_to_session_new_are_shown() -> None:
    _, channel, agent = boot()
    channel.message("hello")
    agent.chunk("s1", "early")
    assert channel.shown() == []
    agent.open("s1")
    assert channel.shown() == [("agent_message_chunk", "early")]


async def test_a_crash_ends_the_turn_and_the_queue_runs_after_it() -> None:
    gateway, channel, agent = boot()
    await open_turn(channel, agent)
    channel.message("second")
    agent.die()
    assert channel.shown() == [("result", "Agent crashed — restarting (default)")]
    agent = AgentProcess(gateway, agent.wire.unit)
    async with running(gateway):
        agent.initialize()
        agent.open("s2")
        prompt = (await agent.wait_for("session/prompt"))["params"]["prompt"]
    assert prompt[-1] == {"type": "text", "text": "second"}
    told = "[Platform context: this conversation goes on. What was said so far:\n"
    assert prompt[0]["text"] == f"{told}User: hello\nAgent: \n]\n"


async def test_an_agent_that_stays_dead_refuses_what_waits_and_what_comes() -> None:
    gateway, channel, agent = boot()
    agent.die()
    channel.message("waits")
    assert channel.shown() == []
    gateway.unit_failed(agent.wire.unit, "start-limit-hit")
    told = ("result", "Agent default is not available: start-limit-hit")
    assert channel.shown() == [told]
    channel.message("comes")
    assert channel.shown() == [told]


@pytest.mark.parametrize("way", ["session/resume", "session/load"])
async def test_recovery_comes_back_to_the_session_and_swallows_the_replay(way: str) -> None:
    gateway, channel, agent = boot()
    agent.answer(await open_turn(channel, agent), {})
    agent.die()
    channel.read()
    agent = AgentProcess(gateway, agent.wire.unit)
    can_resume = {"sessionCapabilities": {"resume": {}}}
    agent.initialize(loadSession=True, **(can_resume if way == "session/resume" else {}))
    channel.message("again")
    request = agent.expect(way)
    assert request["params"] == {"sessionId": "s1", "cwd": "/work", "mcpServers": []}
    agent.chunk("s1", "what was said before")
    agent.answer(request, None)
    agent.expect("session/prompt")
    agent.chunk("s1", "news")
    assert channel.shown() == [("agent_message_chunk", "news")]


async def test_each_way_back_is_tried_once() -> None:
    gateway, channel, agent = boot()
    agent.answer(await open_turn(channel, agent), {})
    agent.die()
    agent = AgentProcess(gateway, agent.wire.unit)
    agent.initialize(loadSession=True, sessionCapabilities={"resume": {}})
    channel.message("again")
    agent.fail(agent.expect("session/resume"), -32603, "internal")
    agent.fail(agent.expect("session/load"), -32603, "internal")
    async with running(gateway):
        agent.open("s9")
        assert (await agent.wait_for("session/prompt"))["params"]["sessionId"] == "s9"


async def test_a_session_that_cannot_be_made_is_told_as_the_original_does() -> None:
    _, channel, agent = boot()
    channel.message("hello")
    agent.fail(agent.expect("session/new"), -32000, "no key")
    assert channel.shown() == [("text", "⚠️ Failed to create session: no key")]


async def test_cancel_ends_the_turn_when_the_agent_answers() -> None:
    _, channel, agent = boot()
    prompt = await open_turn(channel, agent)
    channel.message("/cancel@my_bot")
    assert agent.expect("session/cancel")["params"] == {"sessionId": "s1"}
    agent.chunk("s1", "late")
    agent.answer(prompt, {"stopReason": "cancelled"})
    assert channel.shown() == [
        ("agent_message_chunk", "Operation cancelled."),
        ("agent_message_chunk", "late"),
        ("result", "cancelled"),
    ]
    channel.message("/cancel")
    shown = channel.delivered()
    assert shown[0]["update"]["content"] == "No active operation to cancel."
    assert shown[1]["update"] == {"sessionUpdate": "result"}


async def test_new_leaves_the_session_and_its_late_updates() -> None:
    _, channel, agent = boot()
    await open_turn(channel, agent)
    channel.message("/new")
    agent.expect("session/cancel")
    agent.open("s2")
    agent.chunk("s1", "of the old conversation")
    assert channel.shown() == [
        ("result", "cancelled"),
        ("agent_message_chunk", "New conversation started."),
    ]
    channel.message("fresh")
    assert agent.expect("session/prompt")["params"]["sessionId"] == "s2"


def permission(request_id: int | str = 9000, **members: Json) -> Json:
    options = [
        {"optionId": "yes", "name": "Allow", "kind": "allow_once"},
        {"optionId": "no", "name": "Deny", "kind": "reject_once"},
    ]
    params = {"sessionId": "s1", "options": options, "toolCall": {"title": "rm"}, **members}
    return {"id": request_id, "method": "session/request_permission", "params": params}


async def test_a_permission_goes_to_the_user_and_back_once() -> None:
    _, channel, agent = boot()
    await open_turn(channel, agent)
    agent.say(permission())
    asked = channel.expect("channel/requestPermission")
    assert asked["params"] == {
        "requestId": "9000-4d2",
        "sessionId": KEY,
        "description": "rm",
        "options": [{"optionId": "yes", "label": "Allow"}, {"optionId": "no", "label": "Deny"}],
    }
    channel.answer(asked, {"requestId": "9000-4d2", "optionId": "yes"})
    respond = {"method": "channel/respondPermission"}
    channel.say({**respond, "params": {"requestId": "9000-4d2", "optionId": "no"}})
    answers = [message for message in agent.read() if "result" in message]
    assert [a["result"] for a in answers] == [
        {"outcome": {"outcome": "selected", "optionId": "yes"}}
    ]
    agent.say(permission())  # the same name again: an old button must not answer it
    assert channel.expect("channel/requestPermission")["params"]["requestId"] == "9000-4d2-2"


async def test_a_permission_that_nobody_can_be_asked_is_rejected() -> None:
    _, channel, agent = boot()
    await open_turn(channel, agent)
    agent.say(permission(sessionId="unknown"))
    assert agent.read()[-1]["result"]["outcome"]["optionId"] == "no"
    agent.say(permission())
    channel.fail(channel.expect("channel/requestPermission"), -32601, "no such method")
    assert agent.read()[-1]["result"]["outcome"]["optionId"] == "no"


async def test_cancelling_answers_the_permissions_that_wait() -> None:
    _, channel, agent = boot()
    await open_turn(channel, agent)
    agent.say(permission())
    channel.message("/cancel")
    assert agent.read()[-1] == {
        "jsonrpc": "2.0",
        "id": 9000,
        "result": {"outcome": {"outcome": "cancelled"}},
    }


async def test_a_permission_is_asked_again_after_a_restart_of_the_channel() -> None:
    gateway, channel, agent = boot()
    await open_turn(channel, agent)
    agent.say(permission())
    channel.die()
    agent.chunk("s1", "while it is away, ")
    agent.chunk("s1", "text waits")
    channel = ChannelProcess(gateway, channel.wire.unit)
    channel.initialize()
    methods = [message["method"] for message in channel.read()]
    assert methods[0] == "channel/sessionCreated"
    assert sorted(methods[1:]) == [
        "channel/ackLifecycle",
        "channel/deliverMessage",
        "channel/deliverMessage",
        "channel/requestPermission",
    ]


async def test_a_slow_channel_slows_no_other() -> None:
    units = agent_unit(), channel_unit("slow"), channel_unit("fast")
    gateway = open_gateway(plan_of(*units))
    gateway.start()
    agent = AgentProcess(gateway, units[0])
    slow, fast = ChannelProcess(gateway, units[1]), ChannelProcess(gateway, units[2])
    for process in (agent, slow, fast):
        process.initialize()
    slow.message("hello")
    agent.open("s1")
    slow_prompt = agent.expect("session/prompt")
    fast.message("hello")
    agent.open("s2")
    slow.read()
    slow.sink.pause_writing()
    for number in range(3000):
        agent.chunk("s1", f"{number:04}" * 100)
        agent.chunk("s2", str(number))
    assert len(fast.shown()) == 3000
    assert slow.read() == []
    agent.answer(slow_prompt, {})
    slow.sink.resume_writing()
    shown = slow.shown()
    assert shown[0][1].startswith("0000")
    assert shown[-2:] == [("agent_message_chunk", NOTICE), ("result", "end_turn")]
    assert len(str(shown)) < 2**21


@pytest.mark.parametrize("source", ["env", "credential"])
async def test_options_travel_revealed_in_both_places(source: str, tmp_path: Path) -> None:
    (tmp_path / "KEY").write_text("s3\n")
    marked = {"key": {"!secret": {source: "KEY", "default": None}}}
    unit = agent_unit(options=marked)
    environ = {"KEY": "s3", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    agent = AgentProcess(open_gateway(plan_of(unit), environ=environ), unit)
    params = agent.initialize()
    assert params["options"] == params["_meta"]["options"] == {"key": "s3"}
    assert params["protocolVersion"] == 1


@pytest.mark.parametrize("version", [0, 3, "1", None, True])
async def test_another_protocol_version_fails_the_agent(version: Json) -> None:
    unit = agent_unit()
    agent = AgentProcess(open_gateway(plan_of(unit)), unit)
    agent.answer(agent.expect("initialize"), {"protocolVersion": version})
    found = "no protocolVersion" if version is None else f"protocolVersion {version!r}"
    assert agent.report.told == [
        ("failed", f"the agent answered initialize with {found}, expected 1 or 2")
    ]


async def test_noise_is_counted_and_breaks_nothing() -> None:
    gateway, channel, agent = boot()
    agent.sink.data_received(b'hello\n[1,2]\n{"a":1}\n{broken\n\n\xff\xfe\n')
    await open_turn(channel, agent)
    agent.die()
    assert gateway.overview.noise(agent.wire.unit.name) == 5


async def test_a_line_that_is_too_long_fails_the_unit() -> None:
    _, _, agent = boot()
    agent.sink.data_received(b"x" * (16 * 2**20 + 1))
    assert agent.report.told[-1] == (
        "failed",
        "a line on stdout is longer than 16777216 bytes (stdout_line_max)",
    )


async def test_unknown_requests_are_answered_so() -> None:
    _, _, agent = boot()
    agent.say({"id": "x", "method": "fs/read_text_file", "params": {}})
    assert agent.read()[-1]["error"]["code"] == -32601


async def test_pushes_and_updates_outside_a_prompt_are_delivered() -> None:
    _, channel, agent = boot()
    agent.answer(await open_turn(channel, agent), {})
    channel.read()
    agent.chunk("s1", "by the way")
    blocks = [{"type": "text", "text": "ping"}]
    params = {"sessionId": "s1", "content": blocks}
    agent.say({"id": 1, "method": "session/push", "params": params})
    assert agent.read()[-1]["result"] == {}
    agent.say({"id": 2, "method": "_session/push", "params": {**params, "sessionId": "?"}})
    assert agent.read()[-1]["error"]["code"] == -32001
    agent.say({"id": 3, "method": "session/push", "params": {"sessionId": "s1"}})
    assert agent.read()[-1]["error"]["code"] == -32602
    first, second = channel.delivered()
    assert first["update"]["content"]["text"] == "by the way"
    assert second["update"] == {"sessionUpdate": "push_message", "content": blocks}


async def test_commands_of_the_agent_come_with_those_of_the_platform() -> None:
    _, channel, agent = boot()
    update = {"sessionUpdate": "available_commands_update", "commands": [{"name": "help"}]}
    params = {"sessionId": "__global__", "update": update}
    agent.say({"method": "session/update", "params": params})
    await open_turn(channel, agent)
    offered = channel.delivered()[0]["update"]
    assert [command["name"] for command in offered["availableCommands"]] == [
        "help",
        "new",
        "cancel",
        "status",
        "sessions",
        "resume",
    ]


async def test_tool_events_get_the_members_that_channels_read() -> None:
    _, channel, agent = boot()
    await open_turn(channel, agent)
    agent.update("s1", "tool_call", toolCallId="t", title="Read", rawInput={"path": "x"})
    agent.update("s1", "tool_call_update", toolCallId="t", rawOutput={"output": "done"})
    agent.say({"method": "session/update", "params": {"sessionId": "s1", "update": "?"}})
    call, done, malformed = channel.delivered()
    assert (call["update"]["name"], call["update"]["input"]) == ("Read", {"path": "x"})
    assert (done["update"]["output"], done["_received_at_ms"]) == ("done", 1234)
    assert malformed["error"] == "Agent sent malformed update: update is no object"
    assert malformed["update"] == {"sessionUpdate": "result"}


async def collect(stream: AsyncIterator[Json]) -> list[Json]:
    return [event async for event in stream]


async def test_an_administrator_streams_an_answer_without_any_channel() -> None:
    gateway, channel, agent = boot()
    stream = gateway.admin_desk.send({"content": "hello", "peer": "me"})
    agent.open("s1")
    prompt = agent.expect("session/prompt")
    agent.chunk("s1", "Hi")
    agent.answer(prompt, {})
    assert await collect(stream) == [
        {"type": "accepted", "session": "@anyclawctl:local:me", "messageId": "4d2-1"},
        {
            "type": "update",
            "update": {
                "sessionUpdate": "agent_message_chunk",
                "content": {"type": "text", "text": "Hi"},
            },
        },
        {"type": "update", "update": {"sessionUpdate": "result", "stopReason": "end_turn"}},
        {"type": "result", "stopReason": "end_turn", "isError": False, "text": "Hi"},
    ]
    assert channel.read() == []


async def test_an_administrator_in_a_chat_is_seen_there_and_can_answer_permissions() -> None:
    gateway, channel, agent = boot()
    channel.message("hello")
    agent.open("s1")
    agent.answer(agent.expect("session/prompt"), {})
    channel.read()
    stream = gateway.admin_desk.send({"content": "and now?", "channel": "web", "peer": "ann"})
    prompt = agent.expect("session/prompt")
    agent.say(permission(sessionId="s1"))
    gateway.admin_desk.answer_permission("9000-4d2", "yes", "a test")
    assert agent.read()[-1]["result"]["outcome"]["optionId"] == "yes"
    agent.chunk("s1", "Now.")
    agent.answer(prompt, {})
    kinds = [event["type"] for event in await collect(stream)]
    assert kinds == ["accepted", "permission", "update", "update", "result"]
    assert channel.shown() == [("agent_message_chunk", "Now."), ("result", "end_turn")]


async def test_a_caller_who_goes_away_cancels_what_only_he_would_read() -> None:
    gateway, _, agent = boot()
    stream = gateway.admin_desk.send({"content": "hello"})
    agent.open("s1")
    assert (await anext(stream))["type"] == "accepted"
    await stream.aclose()
    agent.expect("session/cancel")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": ""}, "content: expected a text or a list of content parts"),
        ({"content": "x", "channel": "nope"}, "no channel 'nope'; there is 'web'"),
        ({"content": "x", "channel": "web"}, "channel 'web': name the peer as well"),
        ({"content": "x", "agent": "nope"}, "no agent 'nope'; there is 'default'"),
    ],
)
async def test_what_an_administrator_cannot_send(message: Json, text: str) -> None:
    gateway, _, _ = boot()
    with pytest.raises(RequestError) as refused:
        gateway.admin_desk.send(message)
    assert str(refused.value) == text


async def test_a_notification_waits_for_the_end_of_the_turn() -> None:
    gateway, channel, agent = boot()
    prompt = await open_turn(channel, agent)
    gateway.admin_desk.notify("web", "ann", "the house is on fire")
    assert channel.shown() == []
    agent.answer(prompt, {})
    assert channel.shown() == [
        ("result", "end_turn"),
        ("agent_message_chunk", "the house is on fire"),
        ("result", "end_turn"),
    ]


async def test_a_stop_refuses_what_waits_and_lets_the_turn_finish() -> None:
    gateway, channel, agent = boot()
    prompt = await open_turn(channel, agent)
    channel.message("waits")
    drained: list[bool] = []
    gateway.close_intake(lambda: drained.append(True))
    channel.message("comes")
    assert drained == []
    agent.answer(prompt, {})
    assert drained == [True]
    refused = ("result", "anyclawd is shutting down; please send the message again later")
    assert channel.shown() == [("result", "end_turn"), refused, refused]


async def test_a_stop_cuts_off_what_does_not_finish() -> None:
    gateway, channel, agent = boot()
    await open_turn(channel, agent)
    drained: list[bool] = []
    gateway.close_intake(lambda: drained.append(True))
    gateway.cut_off()
    assert drained == [True]
    agent.expect("session/cancel")
    assert channel.shown() == [("result", "Interrupted: anyclawd is shutting down")]


async def test_an_idle_gateway_is_drained_at_once() -> None:
    gateway, _, _ = boot()
    drained: list[bool] = []
    gateway.close_intake(lambda: drained.append(True))
    assert drained == [True]


async def test_silence_ends_the_turn() -> None:
    _, channel, agent = boot(prompt_idle_timeout_s=0.01)
    prompt = await open_turn(channel, agent)
    channel.read()
    await channel.wire.wait_written()
    assert channel.shown() == [("result", "Agent default did not respond for 0.01 seconds")]
    agent.expect("session/cancel")
    agent.answer(prompt, {"stopReason": "cancelled"})
    assert channel.shown() == []
    channel.message("again")
    agent.expect("session/prompt")


async def test_a_message_as_a_request_is_answered() -> None:
    gateway, channel, agent = boot()
    params = {"peerInfo": {"peerId": 7}, "content": "hello"}
    channel.say({"id": 1, "method": "channel/sendMessage", "params": params})
    assert channel.answer_to(1)["result"] == {"accepted": True, "messageId": "4d2-1"}
    channel.say({"id": 2, "method": "channel/sendMessage", "params": {"content": "hello"}})
    assert channel.read()[-1]["error"]["code"] == -32602
    gateway.close_intake(lambda: None)
    channel.say({"id": 3, "method": "channel/sendMessage", "params": params})
    refused = channel.answer_to(3)["error"]
    assert refused["code"] == -32000
    assert refused["data"] == {"messageId": "4d2-2", "state": "refused", "reason": "stopping"}
    assert agent.expect("session/new")


async def test_a_channel_says_goodbye_before_its_stdin_closes() -> None:
    gateway, channel, _ = boot()
    channel.sink.close()
    assert channel.read()[-1]["method"] == "channel/close"
    assert gateway.overview.channels() == []


async def test_a_channel_without_an_agent_refuses() -> None:
    unit = channel_unit(agent="nobody")
    gateway = open_gateway(plan_of(unit))
    gateway.start()
    channel = ChannelProcess(gateway, unit)
    channel.initialize()
    channel.message("hello")
    text = "Agent nobody is not available: no such agent is configured and enabled"
    assert channel.shown() == [("result", text)]
    assert gateway.overview.agents() == []


async def test_the_ack_settings_of_a_channel_are_followed() -> None:
    units = agent_unit(), channel_unit(ack=Ack(reaction=True))
    gateway = open_gateway(plan_of(*units))
    gateway.start()
    channel, agent = ChannelProcess(gateway, units[1]), AgentProcess(gateway, units[0])
    assert channel.initialize() == {
        "protocolVersion": 1,
        "channelId": "web",
        "capabilities": {"acceptance": True, "deliveryReceipts": True, "elicitation": True},
        "ack": {
            "reaction": True,
            "typing": False,
            "reactionEmoji": "👀",
            "reactionLifecycle": "remove",
        },
        "options": {},
    }
    agent.initialize()
    await open_turn(channel, agent)
    methods = [message["method"] for message in channel.read()]
    assert methods == ["channel/sessionCreated", "channel/ackMessage"]


async def test_a_service_is_initialized_and_shut_down() -> None:
    unit = Unit(
        name=UnitName("proxy.service"),
        kind=Kind.SERVICE,
        span=BUILT_IN,
        protocol=Protocol.SERVICE,
        argv=("/bin/proxy",),
        options={"port": 8080},
    )
    service = Process(open_gateway(plan_of(unit)), unit)
    request = service.expect("initialize")
    assert request["params"] == {"namespace": "anyclaw", "options": {"port": 8080}, "port": 8080}
    service.answer(request, {"port": 8080, "installation": {}})
    assert service.report.told == [("ready", "")]
    service.sink.close()
    assert service.expect("shutdown")


@pytest.mark.parametrize("protocol", [Protocol.SERVICE, Protocol.HOOK])
async def test_what_a_service_offers_is_told_before_it_is_ready(protocol: Protocol) -> None:
    unit = answering("s.service", protocol=protocol)
    gateway = open_gateway(plan_of(unit))
    told: list[object] = []

    def note(name: str, offered: Installation) -> None:
        told.append((name, offered, list(service.report.told)))

    gateway.installed = note
    service = Process(gateway, unit)
    urls = {"media": "http://m"}
    service.answer(service.expect("initialize"), {"installation": {"urls": urls}})
    assert told == [("s.service", Installation(urls=(("media", "http://m"),)), [])]
    assert service.report.told == [("ready", "")]


@pytest.mark.parametrize("protocol", [Protocol.SERVICE, Protocol.HOOK])
async def test_a_service_that_offers_what_nobody_can_use_fails(protocol: Protocol) -> None:
    unit = answering("s.service", protocol=protocol)
    service = Process(open_gateway(plan_of(unit)), unit)
    offered = {"environment": {"KEY": ["s3cret"]}}
    service.answer(service.expect("initialize"), {"installation": offered})
    text = "environment.KEY is a list, expected text"
    whole = f"answered initialize with an installation that cannot be used: {text}"
    assert service.report.told == [("failed", whole)]


async def test_an_agent_that_does_not_read_gets_no_more_prompts() -> None:
    _, channel, agent = boot()
    agent.sink.pause_writing()
    channel.message("hello")
    assert agent.read() == []
    agent.sink.resume_writing()
    assert agent.expect("session/new")


async def test_sessions_are_shown_as_they_are() -> None:
    gateway, channel, agent = boot()
    await open_turn(channel, agent)
    channel.message("waits")
    assert list(map(gateway.chats.row, gateway.chats.keys())) == [
        {
            "session": KEY,
            "channel": "web",
            "kind": "direct",
            "peer": "ann",
            "agent": "default",
            "worker": "default.agent",
            "agent_session": "s1",
            "state": "prompting",
            "queued": 1,
            "conversation": 1,
            "title": "",
        }
    ]
    assert gateway.overview.agents() == [{"name": "default", "connected": True, "session_count": 1}]
    assert (gateway.overview.channels(), gateway.overview.queue_depths()) == (
        ["web"],
        {"default": 1},
    )


async def test_the_defaults_of_a_handshake_lie_under_the_options_of_the_user() -> None:
    marked = {"key": {"!secret": {"value": "s3"}}, "color": "red"}
    unit = channel_unit(options=marked)
    gateway = open_gateway(plan_of(unit, agent_unit()))
    channel = ChannelProcess(gateway, unit)
    defaults = {"color": "blue", "size": 3}
    channel.answer(channel.expect("initialize"), {"protocolVersion": 1, "defaults": defaults})
    found = gateway.overview.effective_options(unit.name)
    assert found == {"key": "<secret>", "color": "red", "size": 3}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("env", "variable 'KEY' is not set; set it where the daemon is started"),
        ("credential", not_given("KEY", {})),
    ],
)
async def test_a_secret_of_an_option_that_is_not_there_fails_the_unit(
    source: str, text: str
) -> None:
    unit = agent_unit(options={"key": {"!secret": {source: "KEY", "default": None}}})
    agent = AgentProcess(open_gateway(plan_of(unit)), unit)
    failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    agent.report.on_failed = failed.set_result
    assert await failed == f"options: {text}"


async def test_an_agent_that_closes_its_stdout_and_stays_is_failed() -> None:
    unit = replace(agent_unit(), timeouts=Timeouts(eof_grace_s=0.01))
    agent = AgentProcess(open_gateway(plan_of(unit)), unit)
    failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    agent.report.on_failed = failed.set_result
    agent.sink.eof_received()
    assert await failed == "it has closed its stdout and stays"


async def test_an_option_that_rejects_is_chosen_when_nobody_answers_in_time() -> None:
    units = agent_unit(), channel_unit()
    settings = Settings(permission_timeout_s=0.01)
    gateway = open_gateway(plan_of(*units, settings=settings))
    gateway.start()
    channel, agent = ChannelProcess(gateway, units[1]), AgentProcess(gateway, units[0])
    channel.initialize()
    agent.initialize()
    await open_turn(channel, agent)
    agent.say(permission())
    agent.wire.take()
    await agent.wire.wait_written()
    assert agent.read()[-1]["result"]["outcome"] == {"outcome": "selected", "optionId": "no"}
    asked = channel.expect("channel/requestPermission")
    channel.answer(asked, {"optionId": "yes"})
    assert agent.read() == []


async def test_two_channels_never_see_each_others_permissions() -> None:
    units = agent_unit(), channel_unit("one"), channel_unit("two")
    gateway = open_gateway(plan_of(*units))
    gateway.start()
    agent = AgentProcess(gateway, units[0])
    one, two = ChannelProcess(gateway, units[1]), ChannelProcess(gateway, units[2])
    for process in (agent, one, two):
        process.initialize()
    await open_turn(one, agent)
    agent.say(permission())
    asked = one.expect("channel/requestPermission")["params"]["requestId"]
    answer = {"requestId": asked, "optionId": "yes"}
    two.say({"method": "channel/respondPermission", "params": answer})
    assert agent.read() == []
    assert [message["method"] for message in two.read()] == []
    one.say({"method": "channel/respondPermission", "params": answer})
    assert agent.read()[-1]["result"]["outcome"]["optionId"] == "yes"


async def test_a_thousand_sessions_with_ten_thousand_messages_lose_nothing() -> None:
    gateway, channel, agent = boot()
    for number in range(10):
        for peer in range(1000):
            channel.message(str(number), peer=str(peer))
    answers = 0
    while requests := agent.read():
        for request in requests:
            if request["method"] == "session/new":
                agent.answer(request, {"sessionId": f"s{request['id']}"})
            else:
                answers += len(request["params"]["prompt"])
                agent.answer(request, {})
    assert answers == 10_000
    ends = [kind for kind, _ in channel.shown()]
    assert ends == ["result"] * 1000
    assert not gateway.counters.refusals


async def test_an_administrator_is_refused_before_his_message_is_accepted() -> None:
    gateway, _, agent = boot()
    gateway.unit_failed(agent.wire.unit, "start-limit-hit")
    with pytest.raises(RequestError, match="not available: start-limit-hit"):
        await anext(gateway.admin_desk.send({"content": "hello"}))
    gateway.close_intake(lambda: None)
    with pytest.raises(RequestError, match="anyclawd is stopping"):
        gateway.admin_desk.send({"content": "hello"})


async def test_who_cannot_be_asked_for_permission_is_denied_at_once() -> None:
    gateway, _, agent = boot()
    gateway.admin_desk.send({"content": "hello", "can_ask": False})
    agent.open("s1")
    agent.expect("session/prompt")
    agent.say(permission(sessionId="s1"))
    assert agent.read()[-1]["result"]["outcome"]["optionId"] == "no"


async def test_the_end_of_the_gateway_leaves_no_timer_and_no_caller() -> None:
    gateway, _, agent = boot()
    life = asyncio.ensure_future(gateway.run())  # noqa: TID251  # the test is its owner
    stream = gateway.admin_desk.send({"content": "hello"})
    agent.open("s1")
    await asyncio.sleep(0)
    life.cancel()
    with pytest.raises(asyncio.CancelledError):
        await life
    assert (await collect(stream))[-1]["isError"] is True
    assert not gateway._timers


async def test_commands_of_the_platform_work_for_administrators() -> None:
    gateway, _, agent = boot()
    stream = gateway.admin_desk.send({"content": "/new"})
    agent.open("s1")
    events = await collect(stream)
    assert [event["type"] for event in events] == ["accepted", "update", "result"]
    assert events[-1]["text"] == "New conversation started."


async def test_an_agent_that_speaks_to_a_full_channel_only_is_held_and_loses_nothing() -> None:
    _, channel, agent = boot()
    await open_turn(channel, agent)
    channel.read()
    channel.sink.pause_writing()
    sent = 0
    while agent.wire.is_reading:
        agent.chunk("s1", "x" * 1000)
        sent += 1
    channel.sink.resume_writing()
    assert agent.wire.is_reading
    assert channel.shown() == [("agent_message_chunk", "x" * 1000)] * sent
    assert 100 < sent < 200


async def test_a_held_agent_is_read_again_when_it_is_to_serve_somebody_else() -> None:
    units = agent_unit(), channel_unit("slow"), channel_unit("fast")
    gateway = open_gateway(plan_of(*units))
    gateway.start()
    agent = AgentProcess(gateway, units[0])
    slow, fast = ChannelProcess(gateway, units[1]), ChannelProcess(gateway, units[2])
    for process in (agent, slow, fast):
        process.initialize()
    await open_turn(slow, agent)
    slow.sink.pause_writing()
    while agent.wire.is_reading:
        agent.chunk("s1", "x" * 1000)
    fast.message("hello")
    assert agent.wire.is_reading
    agent.open("s2")
    prompt = agent.expect("session/prompt")
    agent.chunk("s1", "x" * 1000)
    assert agent.wire.is_reading
    agent.answer(prompt, {})
    assert not agent.wire.is_reading


async def test_a_full_channel_is_waited_for_no_longer_than_an_agent() -> None:
    _, channel, agent = boot(prompt_idle_timeout_s=0.01)
    prompt = await open_turn(channel, agent)
    channel.read()
    channel.sink.pause_writing()
    while agent.wire.is_reading:
        agent.chunk("s1", "x" * 1000)
    while not agent.wire.is_reading:
        await agent.wire.wait_reading()
    agent.answer(prompt, {})
    channel.sink.resume_writing()
    assert channel.shown()[-1] == ("result", "end_turn")


async def test_a_channel_that_comes_amid_a_burst_takes_nothing_from_it() -> None:
    units = agent_unit(), channel_unit("one"), channel_unit("two")
    gateway = open_gateway(plan_of(*units))
    gateway.start()
    agent = AgentProcess(gateway, units[0])
    one, two = ChannelProcess(gateway, units[1]), ChannelProcess(gateway, units[2])
    one.initialize()
    for peer in ("ann", "bob"):
        one.message("x" * 2**20, peer=peer)
    agent.initialize()
    two.initialize()
    agent.open("s1")
    agent.open("s2")
    for _ in range(2):
        agent.answer(agent.expect("session/prompt"), {})
    assert [kind for kind, _ in one.shown()] == ["result", "result"]


async def test_a_refused_handshake_tells_no_more_than_fits_into_a_status() -> None:
    unit = agent_unit()
    agent = AgentProcess(open_gateway(plan_of(unit)), unit)
    agent.fail(agent.expect("initialize"), -1, "x" * 100_000)
    ((what, reason),) = agent.report.told
    assert what == "failed"
    assert reason.startswith("answered initialize with an error: xxx")
    assert len(reason) < 600


async def test_a_permission_that_is_settled_while_its_channel_is_behind_is_not_asked() -> None:
    _, channel, agent = boot()
    prompt = await open_turn(channel, agent)
    channel.read()
    channel.sink.pause_writing()
    agent.chunk("s1", "text that waits before the question")
    agent.say(permission())
    channel.message("/cancel")
    agent.answer(prompt, {"stopReason": "cancelled"})
    channel.sink.resume_writing()
    assert "channel/requestPermission" not in [m.get("method") for m in channel.read()]


async def test_no_notification_is_lost_however_long_a_turn_runs() -> None:
    gateway, channel, agent = boot()
    prompt = await open_turn(channel, agent)
    channel.read()
    sent = [str(number) for number in range(200)]
    for text in sent:
        gateway.admin_desk.notify("web", "ann", text)
    agent.answer(prompt, {})
    assert [text for kind, text in channel.shown() if kind == "agent_message_chunk"] == sent


async def test_a_channel_that_comes_later_hears_of_a_session_once() -> None:
    units = agent_unit(), channel_unit()
    gateway = open_gateway(plan_of(*units))
    gateway.start()
    agent = AgentProcess(gateway, units[0])
    agent.initialize()
    stream = gateway.admin_desk.send(
        {"content": "hello", "channel": "web", "peer": "ann", "kind": "direct"}
    )
    agent.open("s1")
    agent.answer(agent.expect("session/prompt"), {})
    await collect(stream)
    channel = ChannelProcess(gateway, units[1])
    channel.initialize()
    methods = [message["method"] for message in channel.read()]
    assert methods[0] == "channel/sessionCreated"
    assert methods.count("channel/sessionCreated") == 1
    assert "channel/deliverMessage" in methods


async def test_an_agent_that_is_started_again_is_waited_for_before_it_is_ready() -> None:
    gateway, channel, agent = boot()
    agent.die()
    gateway.unit_failed(agent.wire.unit, "it was stopped by hand")
    agent = AgentProcess(gateway, agent.wire.unit)
    channel.message("hello")
    assert channel.shown() == []
    agent.initialize()
    agent.open("s1")
    assert agent.expect("session/prompt")

"""Hooks between the gateway and an agent, on in-memory wires: what reaches whom, in what order."""

from collections.abc import Callable
from pathlib import Path

import pytest

from anyclawd.gateway import hook_lanes, hooks
from anyclawd.model.conversation import HookEvent, HookFailure, HookUse, Pool
from anyclawd.model.deps import UnitName
from anyclawd.model.span import BUILT_IN
from anyclawd.model.unit import Kind, Protocol, Unit
from anyclawd.model.value import Json
from tests.integration.gateway.peers import (
    AgentProcess,
    ChannelProcess,
    Params,
    Process,
    agent_unit,
    channel_unit,
    open_gateway,
    plan_of,
    running,
)

KEY = "web:direct:ann"
PAGE = Path(__file__).parents[3] / "docs/reference/hook-protocol.md"
SKIP, REFUSE = HookFailure.SKIP, HookFailure.REFUSE


def hook_unit(name: str = "guard", **options: Json) -> Unit:
    return Unit(
        name=UnitName(f"{name}.service"),
        kind=Kind.SERVICE,
        span=BUILT_IN,
        protocol=Protocol.HOOK,
        argv=("/bin/hook",),
        options=options or {"level": 3},
    )


def use(
    name: str = "guard",
    *shown: HookEvent,
    on_failure: HookFailure = REFUSE,
    timeout_s: float = 1000.0,
) -> HookUse:
    return HookUse(
        unit=UnitName(f"{name}.service"),
        events=shown or tuple(HookEvent),
        on_failure=on_failure,
        timeout_s=timeout_s,
    )


class HookProcess(Process):
    def initialize(self, *names: str) -> Params:
        request = self.expect("initialize")
        self.answer(request, {"events": list(names)} if names else {})
        return request["params"]

    def decide(self, event: str, **verdict: Json) -> Params:
        """Answer the oldest question of this kind; what it was."""
        request = self.expect(f"hook/{event}")
        self.answer(request, {"action": "pass"} | verdict)
        return request["params"]

    def is_asked(self) -> bool:
        self.inbox += self.wire.take()
        return any(message.get("method", "").startswith("hook/") for message in self.inbox)


class Stand:
    """A gateway with a channel, an agent and the hooks that `uses` name."""

    def __init__(self, *uses: HookUse, runs: bool = True) -> None:
        self.units = agent_unit(hooks=uses), channel_unit()
        guards = [hook_unit(name) for name in dict.fromkeys(one.unit[:-8] for one in uses)]
        self.gateway = open_gateway(plan_of(*self.units, *guards), environ={}, wall_ms=lambda: 1234)
        self.gateway.start()
        self.hooks = [HookProcess(self.gateway, unit) for unit in guards if runs]
        for hook in self.hooks:
            hook.initialize()
        self.channel = ChannelProcess(self.gateway, self.units[1])
        self.agent = AgentProcess(self.gateway, self.units[0])
        self.channel.initialize()
        self.agent.initialize(loadSession=True)

    @property
    def hook(self) -> HookProcess:
        return self.hooks[0]

    def start_agent(self) -> None:
        """Another process of it."""
        self.agent = AgentProcess(self.gateway, self.units[0])
        self.agent.initialize(loadSession=True)

    def turn(self, text: str = "hello") -> Params:
        """A turn that every hook has let through: its prompt request."""
        self.channel.message(text)
        if not self.gateway.router.agents[self.units[0].name].sessions:
            self.agent.open("s1")
        for hook in self.hooks:
            hook.decide("prompt")
        prompt = self.agent.expect("session/prompt")
        self.channel.read()
        return prompt

    def prompts(self) -> list[Json]:
        return [m["params"]["prompt"] for m in self.agent.read() if m["method"] == "session/prompt"]


def text(said: str) -> Json:
    return [{"type": "text", "text": said}]


def chunk(said: str) -> Json:
    content = {"type": "text", "text": said}
    return {"sessionUpdate": "agent_message_chunk", "content": content}


# --- prompts ----------------------------------------------------------------------------------


async def test_a_hook_is_told_whose_prompt_it_is_and_passes_it() -> None:
    stand = Stand(use())
    stand.channel.message("hello")
    stand.agent.open("s1")
    assert stand.prompts() == []
    asked = stand.hook.decide("prompt")
    assert asked == {
        "session": KEY,
        "agent": "default",
        "acpSessionId": "s1",
        "prompt": text("hello"),
    }
    assert stand.prompts() == [text("hello")]


async def test_hooks_change_a_prompt_one_after_another() -> None:
    stand = Stand(use("first"), use("second"))
    stand.channel.message("hello")
    stand.agent.open("s1")
    first, second = stand.hooks
    first.decide("prompt", action="change", prompt=text("from first"))
    asked = second.decide("prompt", action="change", prompt=text("from second"))
    assert asked["prompt"] == text("from first")
    assert stand.prompts() == [text("from second")]


async def test_a_hook_is_told_of_a_pool_and_not_of_its_workers() -> None:
    pool = Pool(agent=UnitName("default.agent"))
    worker = agent_unit("default@1", hooks=(use(),), pool=pool)
    units = worker, channel_unit(), hook_unit()
    gateway = open_gateway(plan_of(*units), environ={})
    gateway.start()
    hook, channel = HookProcess(gateway, units[2]), ChannelProcess(gateway, units[1])
    agent = AgentProcess(gateway, worker)
    for process in (hook, channel, agent):
        process.initialize()
    channel.message("hello")
    agent.open("s1")
    assert hook.decide("prompt")["agent"] == "default"


async def test_a_refused_prompt_ends_its_turn_with_the_reason() -> None:
    stand = Stand(use("first"), use("second"))
    stand.channel.message("hello")
    stand.agent.open("s1")
    stand.channel.read()
    first, second = stand.hooks
    first.decide("prompt", action="refuse", reason="no such talk here")
    [shown] = stand.channel.delivered()
    assert shown["error"] == "no such talk here"
    assert shown["update"] == {
        "sessionUpdate": "result",
        "isError": True,
        "content": "no such talk here",
    }
    assert not second.is_asked()
    assert stand.prompts() == []
    assert stand.turn("again")["params"]["prompt"] == text("again")


async def test_an_answered_prompt_shows_the_hook_s_text_as_the_agent_s_answer() -> None:
    stand = Stand(use())
    stand.channel.message("what time is it?")
    stand.agent.open("s1")
    stand.channel.read()
    stand.hook.decide("prompt", action="answer", text="noon")
    assert stand.channel.shown() == [("agent_message_chunk", "noon"), ("result", "end_turn")]
    assert stand.prompts() == []
    stand.turn()


async def test_what_a_refused_prompt_should_have_told_the_agent_the_next_one_does() -> None:
    stand = Stand(use("guard", HookEvent.PROMPT))
    stand.agent.answer(stand.turn("first"), {})
    stand.agent.die()
    stand.agent = AgentProcess(stand.gateway, stand.units[0])
    stand.agent.initialize()
    stand.channel.message("second")
    stand.hook.read()
    async with running(stand.gateway):
        stand.agent.open("s2")
        await stand.hook.wire.wait_written()
    told = stand.hook.decide("prompt", action="refuse", reason="no")["prompt"]
    stand.channel.message("third")
    again = stand.hook.decide("prompt")["prompt"]
    assert (told[-1]["text"], again[-1]["text"]) == ("second", "third")
    assert "first" in told[0]["text"]
    assert again[:-1] == told[:-1]


# --- updates ----------------------------------------------------------------------------------


async def test_updates_are_passed_changed_and_dropped_in_their_order() -> None:
    stand = Stand(use())
    prompt = stand.turn()
    for said in ("one", "two", "three"):
        stand.agent.chunk("s1", said)
    stand.agent.answer(prompt, {"stopReason": "end_turn"})
    assert stand.channel.shown() == []
    asked = stand.hook.decide("update")
    assert asked == {
        "session": KEY,
        "agent": "default",
        "acpSessionId": "s1",
        "update": chunk("one"),
    }
    stand.hook.decide("update", action="drop")
    assert stand.channel.shown() == [("agent_message_chunk", "one")]
    stand.hook.decide("update", action="change", update=chunk("3"))
    assert stand.channel.shown() == [("agent_message_chunk", "3"), ("result", "end_turn")]


async def test_a_session_is_asked_about_one_thing_at_a_time_and_holds_up_no_other() -> None:
    stand = Stand(use("guard", HookEvent.UPDATE))
    stand.channel.message("hello", peer="ann")
    stand.agent.open("s1")
    stand.channel.message("hello", peer="bob")
    stand.agent.open("s2")
    stand.channel.read()
    stand.agent.chunk("s1", "to ann")
    stand.agent.chunk("s1", "more")
    stand.agent.chunk("s2", "to bob")
    asked = [m["params"]["session"] for m in stand.hook.read()]
    assert asked == ["web:direct:ann", "web:direct:bob"]


async def test_what_no_hook_is_shown_goes_the_short_way() -> None:
    stand = Stand(use("guard", HookEvent.PROMPT))
    prompt = stand.turn()
    stand.agent.chunk("s1", "hi")
    stand.agent.answer(prompt, {})
    assert stand.channel.shown() == [("agent_message_chunk", "hi"), ("result", "end_turn")]


async def test_a_hook_says_in_its_handshake_what_it_wants_to_be_asked() -> None:
    stand = Stand(use(), runs=False)
    hook = HookProcess(stand.gateway, hook_unit())
    assert hook.initialize("prompt") == {"namespace": "anyclaw", "options": {"level": 3}}
    assert hook.report.told == [("ready", "")]
    stand.hooks.append(hook)
    stand.turn()
    stand.agent.chunk("s1", "hi")
    assert stand.channel.shown() == [("agent_message_chunk", "hi")]
    hook.die()
    stand.agent.chunk("s1", "there")
    assert stand.channel.shown() == [("agent_message_chunk", "there")]


async def test_a_push_is_shown_as_the_update_that_it_becomes() -> None:
    stand = Stand(use())
    stand.agent.answer(stand.turn(), {})
    stand.channel.read()
    params = {"sessionId": "s1", "content": text("ping")}
    stand.agent.say({"id": 1, "method": "session/push", "params": params})
    stand.agent.say({"id": 2, "method": "session/push", "params": params})
    pushed = {"sessionUpdate": "push_message", "content": text("***")}
    asked = stand.hook.decide("update", action="change", update=pushed)
    assert asked["update"] == {"sessionUpdate": "push_message", "content": text("ping")}
    stand.hook.decide("update", action="drop")
    assert [content["update"] for content in stand.channel.delivered()] == [pushed]
    assert [message["result"] for message in stand.agent.read() if "result" in message] == [{}, {}]


async def test_what_a_load_replays_is_asked_of_nobody_and_shown_to_nobody() -> None:
    stand = Stand(use())
    stand.agent.answer(stand.turn(), {})
    stand.agent.die()
    stand.start_agent()
    stand.channel.message("again")
    request = stand.agent.expect("session/load")
    stand.agent.chunk("s1", "what was said before")
    stand.agent.update("s1", "available_commands_update", availableCommands=[])
    stand.agent.answer(request, None)
    asked = stand.hook.decide("update")
    assert asked["update"]["sessionUpdate"] == "available_commands_update"
    stand.hook.decide("prompt")
    stand.channel.read()
    stand.agent.chunk("s1", "news")
    stand.hook.decide("update")
    assert stand.channel.shown() == [("agent_message_chunk", "news")]


# --- permissions ------------------------------------------------------------------------------


OPTIONS = [
    {"optionId": "yes", "name": "Allow", "kind": "allow_once"},
    {"optionId": "no", "name": "Deny", "kind": "reject_once"},
]


def permission() -> Json:
    params = {"sessionId": "s1", "options": OPTIONS, "toolCall": {"title": "rm"}}
    return {"id": 9000, "method": "session/request_permission", "params": params}


def outcomes(agent: AgentProcess) -> list[Json]:
    return [message["result"]["outcome"] for message in agent.read() if "result" in message]


async def test_a_permission_that_is_passed_or_changed_goes_to_the_user() -> None:
    stand = Stand(use("first"), use("second"))
    stand.turn()
    stand.agent.say(permission())
    first, second = stand.hooks
    assert first.decide("permission")["request"] == permission()["params"]
    request = {"options": OPTIONS[1:], "toolCall": {"title": "remove"}}
    second.decide("permission", action="change", request=request)
    shown = stand.channel.expect("channel/requestPermission")["params"]
    assert shown["description"] == "remove"
    assert shown["options"] == [{"optionId": "no", "label": "Deny"}]


async def test_a_permission_is_answered_by_a_hook() -> None:
    stand = Stand(use())
    stand.turn()
    stand.agent.say(permission())
    stand.hook.decide("permission", action="select", optionId="yes")
    assert outcomes(stand.agent) == [{"outcome": "selected", "optionId": "yes"}]
    assert stand.channel.read() == []


async def test_cancel_answers_a_permission_that_waits_for_a_hook() -> None:
    stand = Stand(use())
    stand.turn()
    stand.agent.say(permission())
    asked = stand.hook.expect("hook/permission")
    stand.channel.message("/cancel")
    assert outcomes(stand.agent) == [{"outcome": "cancelled"}]
    assert stand.hook.expect("$/cancel_request")["params"] == {"requestId": asked["id"]}
    stand.hook.answer(asked, {"action": "select", "optionId": "yes"})
    assert outcomes(stand.agent) == []


async def test_cancel_answers_all_that_wait_for_a_hook_even_if_that_dies() -> None:
    stand = Stand(use())
    stand.turn()
    stand.agent.say(permission(), permission() | {"id": 9001}, permission() | {"id": 9002})
    stand.hook.die()
    assert outcomes(stand.agent) == [{"outcome": "selected", "optionId": "no"}] * 3
    hook = HookProcess(stand.gateway, hook_unit())
    hook.initialize()
    stand.agent.say(permission(), permission() | {"id": 9001})
    stand.channel.message("/cancel")
    assert outcomes(stand.agent) == [{"outcome": "cancelled"}] * 2


async def test_the_end_of_a_form_stays_behind_it() -> None:
    stand = Stand(use("guard", HookEvent.UPDATE))
    stand.channel.message("hello")
    stand.agent.open("s1")
    stand.agent.expect("session/prompt")
    stand.agent.chunk("s1", "a form for you")
    visit = {"mode": "url", "url": "https://example.org/", "message": "Log in", "sessionId": "s1"}
    params = {**visit, "elicitationId": "e1"}
    stand.agent.say({"id": 5, "method": "elicitation/create", "params": params})
    stand.agent.say({"method": "elicitation/complete", "params": {"elicitationId": "e1"}})
    assert [message for message in stand.agent.read() if "result" in message] == []
    stand.hook.decide("update")
    [answered] = [message for message in stand.agent.read() if "result" in message]
    assert answered["id"] == 5


async def test_an_agent_takes_back_a_permission_that_waits_for_a_hook() -> None:
    stand = Stand(use())
    stand.turn()
    stand.agent.say(permission())
    stand.agent.say({"method": "$/cancel_request", "params": {"requestId": 9000}})
    assert stand.agent.read()[-1]["error"]["code"] == -32800
    stand.agent.chunk("s1", "never mind")
    stand.hook.expect("$/cancel_request")
    stand.hook.decide("update")
    assert stand.channel.shown() == [("agent_message_chunk", "never mind")]


# --- the end of what waits --------------------------------------------------------------------


async def test_a_cancelled_prompt_that_waits_for_a_hook_is_never_sent() -> None:
    stand = Stand(use())
    stand.channel.message("hello")
    stand.agent.open("s1")
    asked = stand.hook.expect("hook/prompt")
    stand.channel.read()
    stand.channel.message("/cancel")
    stand.hook.answer(asked, {"action": "pass"})
    assert stand.agent.read() == []
    assert stand.channel.shown() == [
        ("agent_message_chunk", "Operation cancelled."),
        ("result", "cancelled"),
    ]
    stand.turn("again")


async def test_the_last_words_of_an_agent_go_their_way() -> None:
    stand = Stand(use())
    prompt = stand.turn()
    stand.agent.chunk("s1", "all said")
    stand.agent.say(permission())
    stand.agent.answer(prompt, {"stopReason": "end_turn"})
    stand.agent.die()
    stand.channel.message("and now?")
    stand.hook.decide("update")
    assert stand.channel.shown() == [("agent_message_chunk", "all said"), ("result", "end_turn")]
    assert not stand.hook.is_asked()
    stand.start_agent()
    stand.agent.answer(stand.agent.expect("session/load"), None)
    stand.hook.decide("prompt")
    assert stand.prompts() == [text("and now?")]


async def test_a_turn_that_an_agent_leaves_open_ends_behind_its_last_words() -> None:
    stand = Stand(use())
    stand.turn()
    stand.agent.chunk("s1", "half an ans")
    stand.agent.die()
    assert stand.channel.shown() == []
    stand.hook.decide("update")
    told = ("result", "Agent crashed — restarting (default)")
    assert stand.channel.shown() == [("agent_message_chunk", "half an ans"), told]


async def test_last_words_are_given_up_when_there_is_a_successor() -> None:
    stand = Stand(use())
    stand.turn()
    stand.agent.chunk("s1", "half an ans")
    asked = stand.hook.expect("hook/update")
    stand.agent.die()
    stand.start_agent()
    told = ("result", "Agent crashed — restarting (default)")
    assert stand.channel.shown() == [told]
    assert stand.hook.expect("$/cancel_request")["params"] == {"requestId": asked["id"]}
    stand.hook.answer(asked, {"action": "pass"})
    assert stand.channel.read() == []


async def test_last_words_are_given_up_when_the_unit_has_failed() -> None:
    stand = Stand(use())
    stand.turn()
    stand.agent.chunk("s1", "half an ans")
    stand.agent.die()
    stand.gateway.unit_failed(stand.units[0], "start-limit-hit")
    assert stand.channel.shown() == [("result", "Agent crashed — restarting (default)")]
    stand.channel.message("anybody?")
    told = ("result", "Agent default is not available: start-limit-hit")
    assert stand.channel.shown() == [told]


async def test_a_prompt_is_not_sent_to_the_successor_of_the_agent_it_was_for() -> None:
    stand = Stand(use())
    stand.channel.message("hello")
    stand.agent.open("s1")
    asked = stand.hook.expect("hook/prompt")
    stand.agent.die()
    stand.start_agent()
    stand.hook.answer(asked, {"action": "pass"})
    assert stand.prompts() == []


async def test_an_agent_that_stops_is_sent_nothing_more() -> None:
    stand = Stand(use())
    stand.channel.message("hello")
    stand.agent.open("s1")
    asked = stand.hook.expect("hook/prompt")
    stand.agent.sink.close()
    stand.hook.answer(asked, {"action": "pass"})
    assert stand.agent.read() == []
    stand.agent.die()
    assert stand.channel.shown()[-1] == ("result", "Agent stopped (default)")


async def test_a_full_lane_holds_the_agent_and_not_memory() -> None:
    stand = Stand(use())
    prompt = stand.turn()
    while stand.agent.wire.is_reading:
        stand.agent.chunk("s1", "x")
    stand.agent.answer(prompt, {})
    hold = hook_lanes.HOLD_ENTRIES
    for _ in range(hold // 2):
        assert not stand.agent.wire.is_reading
        stand.hook.decide("update")
    while stand.hook.is_asked():
        stand.hook.decide("update")
    assert stand.agent.wire.is_reading
    shown = stand.channel.shown()
    assert len(shown) > hold
    assert shown[-1] == ("result", "end_turn")


# --- hooks that fail --------------------------------------------------------------------------


def fails_with_an_error(hook: HookProcess, event: str) -> None:
    hook.fail(hook.expect(f"hook/{event}"), -32603, "by zero")


def answers_nonsense(hook: HookProcess, event: str) -> None:
    hook.decide(event, action="perhaps")


def dies(hook: HookProcess, event: str) -> None:
    hook.expect(f"hook/{event}")
    hook.die()


def closes_its_stdout(hook: HookProcess, event: str) -> None:
    hook.expect(f"hook/{event}")
    hook.sink.eof_received()


FAILURES = {
    "error": (fails_with_an_error, "answered hook/{} with an error: by zero (-32603)"),
    "nonsense": (answers_nonsense, "answered hook/{} with action 'perhaps'"),
    "death": (dies, "is not running"),
    "end": (closes_its_stdout, "is not running"),
}
Fail = Callable[[HookProcess, str], None]


@pytest.mark.parametrize(("fail", "why"), FAILURES.values(), ids=FAILURES)
async def test_a_hook_that_fails_refuses_by_policy(fail: Fail, why: str) -> None:
    stand = Stand(use())
    stand.channel.message("hello")
    stand.agent.open("s1")
    stand.channel.read()
    fail(stand.hook, "prompt")
    refused = f"Message not passed on: hook guard {why.format('prompt')}"
    assert stand.channel.shown() == [("result", refused)]
    assert stand.prompts() == []


@pytest.mark.parametrize(("fail", "why"), FAILURES.values(), ids=FAILURES)
async def test_an_update_that_a_failing_hook_keeps_back_is_told_once(fail: Fail, why: str) -> None:
    stand = Stand(use("guard", HookEvent.UPDATE))
    stand.channel.message("hello")
    stand.agent.open("s1")
    stand.channel.read()
    stand.agent.chunk("s1", "secret")
    fail(stand.hook, "update")
    notice = f"[Part of this was left out: hook guard {why.format('update')}.]"
    assert stand.channel.shown() == [("agent_message_chunk", notice)]
    if "running" in why:
        stand.agent.chunk("s1", "more")
        assert stand.channel.shown() == []


@pytest.mark.parametrize(("fail", "why"), FAILURES.values(), ids=FAILURES)
async def test_a_permission_that_a_failing_hook_keeps_back_is_denied(fail: Fail, why: str) -> None:
    stand = Stand(use("guard", HookEvent.PERMISSION))
    stand.channel.message("hello")
    stand.agent.open("s1")
    stand.agent.expect("session/prompt")
    stand.agent.say(permission())
    fail(stand.hook, "permission")
    assert outcomes(stand.agent) == [{"outcome": "selected", "optionId": "no"}]


@pytest.mark.parametrize(("fail", "why"), FAILURES.values(), ids=FAILURES)
async def test_a_hook_that_fails_is_skipped_by_policy(fail: Fail, why: str) -> None:
    stand = Stand(use("guard", on_failure=SKIP), use("next"))
    stand.channel.message("hello")
    stand.agent.open("s1")
    fail(stand.hook, "prompt")
    stand.hooks[1].decide("prompt")
    assert stand.prompts() == [text("hello")]


async def test_a_hook_that_does_not_run_fails_at_once() -> None:
    stand = Stand(use(), runs=False)
    stand.channel.message("hello")
    stand.agent.open("s1")
    told = ("result", "Message not passed on: hook guard is not running")
    assert stand.channel.shown() == [told]
    hook = HookProcess(stand.gateway, hook_unit())
    hook.initialize()
    stand.hooks.append(hook)
    stand.turn("again")


async def test_a_hook_that_hangs_is_waited_for_so_long_and_not_for_every_question() -> None:
    stand = Stand(use("guard", HookEvent.UPDATE, timeout_s=0.01))
    stand.channel.message("hello")
    stand.agent.open("s1")
    stand.agent.expect("session/prompt")
    stand.channel.read()
    for number in range(100):
        stand.agent.chunk("s1", str(number))
    for number in range(hooks.MISSES_MAX):
        asked = stand.hook.expect("hook/update")
        assert asked["params"]["update"] == chunk(str(number))
        await stand.hook.wire.wait_written()
    assert stand.hook.report.told == [("ready", ""), ("degraded", "does not answer")]
    notice = "[Part of this was left out: hook guard did not answer within 0.01 seconds.]"
    assert stand.channel.shown() == [("agent_message_chunk", notice)]
    stand.agent.chunk("s1", "not even asked about")
    assert not stand.hook.is_asked()


async def test_a_hook_whose_handshake_names_no_event_of_ours_fails() -> None:
    stand = Stand(use(), runs=False)
    hook = HookProcess(stand.gateway, hook_unit())
    hook.answer(hook.expect("initialize"), {"events": ["prompts"]})
    expected = "expected some of prompt, update, permission"
    told = f"answered initialize with event 'prompts', {expected}"
    assert hook.report.told == [("failed", told)]


async def test_a_hook_that_stops_is_asked_nothing_more_and_may_finish() -> None:
    stand = Stand(use())
    stand.channel.message("hello")
    stand.agent.open("s1")
    asked = stand.hook.expect("hook/prompt")
    stand.hook.sink.close()
    assert stand.hook.expect("shutdown")
    stand.hook.answer(asked, {"action": "pass"})
    assert stand.prompts() == [text("hello")]
    stand.agent.chunk("s1", "hi")
    assert not stand.hook.is_asked()


async def test_the_conversation_in_the_reference_is_what_is_spoken() -> None:
    block = PAGE.read_text().rpartition("```text\n")[2].partition("```")[0]
    stand = Stand(use(), runs=False)
    hook = HookProcess(stand.gateway, hook_unit(word="secret"))
    said = b""
    for line in block.splitlines():
        if line.startswith("> "):
            said += f"{line[2:]}\n".encode()
            if "hook/prompt" in line:
                stand.channel.message("the secret, please")
                stand.agent.open("s1")
        else:
            assert hook.wire.written == said
            hook.wire.take()
            said = b""
            hook.sink.data_received(f"{line[2:]}\n".encode())
    assert stand.channel.shown()[-1] == ("result", "We do not talk about that.")


async def test_a_session_that_is_new_is_no_replay_even_if_its_id_is_known() -> None:
    stand = Stand(use("guard", HookEvent.UPDATE))
    stand.channel.message("hello")
    stand.agent.open("s1")
    stand.agent.answer(stand.agent.expect("session/prompt"), {})
    stand.agent.die()
    stand.start_agent()
    stand.channel.message("again")
    load = stand.agent.expect("session/load")
    stand.channel.message("/cancel")
    stand.agent.answer(load, {})
    stand.channel.message("/new")
    stand.agent.open("s1")
    stand.agent.chunk("s1", "secret")
    assert stand.hook.decide("update", action="drop")["update"] == chunk("secret")

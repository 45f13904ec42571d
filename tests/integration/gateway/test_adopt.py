"""The gateway takes over another plan while turns run: what goes on, what moves, what goes."""

from dataclasses import replace

import pytest

from anyclawd.gateway.gateway import Gateway
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import RequestError
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from tests.integration.gateway.peers import (
    AgentProcess,
    ChannelProcess,
    agent_unit,
    channel_unit,
    open_gateway,
    plan_of,
)

OLD, NEW = agent_unit("old"), agent_unit("new")
TO_OLD, TO_NEW = channel_unit(agent="old"), channel_unit(agent="new")


def boot(*units: Unit) -> Gateway:
    gateway = open_gateway(plan_of(*units), environ={}, wall_ms=lambda: 1234)
    gateway.start()
    return gateway


def agent_of(gateway: Gateway, unit: Unit, **capabilities: Json) -> AgentProcess:
    process = AgentProcess(gateway, unit)
    process.initialize(**capabilities)
    return process


def channel_of(gateway: Gateway, unit: Unit) -> ChannelProcess:
    process = ChannelProcess(gateway, unit)
    process.initialize()
    return process


async def test_a_turn_of_what_stays_notices_nothing() -> None:
    gateway = boot(OLD, TO_OLD)
    agent, channel = agent_of(gateway, OLD), channel_of(gateway, TO_OLD)
    channel.message("hello")
    agent.open("s1")
    prompt = agent.expect("session/prompt")
    agent.chunk("s1", "one")
    gateway.adopt(plan_of(OLD, NEW, TO_OLD, channel_unit("other", "new")))
    agent.chunk("s1", "two")
    agent.answer(prompt, {"stopReason": "end_turn"})
    assert channel.shown() == [
        ("agent_message_chunk", "one"),
        ("agent_message_chunk", "two"),
        ("result", "end_turn"),
    ]


async def test_a_chat_that_is_routed_elsewhere_ends_its_turn_first() -> None:
    gateway = boot(OLD, NEW, TO_OLD)
    old, new = agent_of(gateway, OLD, sessionCapabilities={"close": {}}), agent_of(gateway, NEW)
    channel = channel_of(gateway, TO_OLD)
    channel.message("first")
    old.open("s1")
    prompt = old.expect("session/prompt")
    channel.message("second")
    gateway.adopt(plan_of(OLD, NEW, TO_NEW))
    assert new.read() == []
    old.chunk("s1", "answer")
    old.answer(prompt, {"stopReason": "end_turn"})
    new.open("n1")
    assert new.expect("session/prompt")["params"]["prompt"][0]["text"] == "second"
    assert old.expect("session/close")["params"] == {"sessionId": "s1"}
    assert channel.shown() == [("agent_message_chunk", "answer"), ("result", "end_turn")]


async def test_a_chat_at_rest_is_handed_over_at_once() -> None:
    gateway = boot(OLD, NEW, TO_OLD)
    old, new = agent_of(gateway, OLD), agent_of(gateway, NEW)
    channel = channel_of(gateway, TO_OLD)
    channel.message("first")
    old.open("s1")
    old.answer(old.expect("session/prompt"), {})
    gateway.adopt(plan_of(OLD, NEW, TO_NEW))
    channel.message("second")
    new.open("s1")  # an id of its own that happens to be the same
    assert new.expect("session/prompt")["params"]["prompt"][0]["text"] == "second"
    assert [m for m in old.read() if m["method"] == "session/prompt"] == []


async def test_what_opens_a_session_with_the_old_agent_moves_on() -> None:
    gateway = boot(OLD, NEW, TO_OLD)
    old, new = agent_of(gateway, OLD), agent_of(gateway, NEW)
    channel = channel_of(gateway, TO_OLD)
    channel.message("hello")
    opening = old.expect("session/new")
    gateway.adopt(plan_of(OLD, NEW, TO_NEW))
    new.open("n1")
    prompt = new.expect("session/prompt")
    old.answer(opening, {"sessionId": "late"})
    new.answer(prompt, {"stopReason": "end_turn"})
    assert channel.shown() == [("result", "end_turn")]


async def test_messages_wait_for_an_agent_that_is_new() -> None:
    gateway = boot(OLD, TO_OLD)
    channel = channel_of(gateway, TO_OLD)
    gateway.adopt(plan_of(NEW, TO_NEW))
    channel.message("hello")
    new = agent_of(gateway, NEW)
    new.open("n1")
    assert new.expect("session/prompt")["params"]["prompt"][0]["text"] == "hello"


async def test_what_waits_for_a_removed_agent_is_refused() -> None:
    """I1: with a reason, and to the one who waits."""
    gateway = boot(OLD, TO_OLD)
    channel = channel_of(gateway, TO_OLD)
    channel.message("hello")
    gateway.adopt(plan_of(TO_OLD))
    [(kind, text)] = channel.shown()
    assert kind == "result"
    assert text == "Agent old is not available: no such agent is configured and enabled"
    assert gateway.overview.agents() == []


async def test_a_removed_agent_may_finish_its_turn() -> None:
    gateway = boot(OLD, TO_OLD)
    agent, channel = agent_of(gateway, OLD), channel_of(gateway, TO_OLD)
    channel.message("hello")
    agent.open("s1")
    prompt = agent.expect("session/prompt")
    gateway.adopt(plan_of(TO_OLD))
    agent.chunk("s1", "bye")
    agent.answer(prompt, {"stopReason": "end_turn"})
    assert channel.shown() == [("agent_message_chunk", "bye"), ("result", "end_turn")]
    agent.die()
    gateway.forget(OLD.name)
    channel.message("anybody")
    [(_, text)] = channel.shown()
    assert "no such agent" in text


async def test_an_agent_that_comes_back_answers_again() -> None:
    gateway = boot(OLD, TO_OLD)
    agent, channel = agent_of(gateway, OLD), channel_of(gateway, TO_OLD)
    gateway.adopt(plan_of(TO_OLD))
    agent.die()
    gateway.unit_failed(OLD, "it was stopped")
    gateway.forget(OLD.name)
    gateway.adopt(plan_of(OLD, TO_OLD))
    channel.message("hello")
    assert channel.shown() == []
    again = agent_of(gateway, OLD)
    again.open("s1")
    assert again.expect("session/prompt")["params"]["prompt"][0]["text"] == "hello"


async def test_a_removed_channel_is_forgotten_with_its_chats() -> None:
    gateway = boot(OLD, TO_OLD)
    agent, channel = agent_of(gateway, OLD), channel_of(gateway, TO_OLD)
    channel.message("hello")
    agent.open("s1")
    prompt = agent.expect("session/prompt")
    gateway.adopt(plan_of(OLD))
    with pytest.raises(RequestError, match="no channel 'web'"):
        gateway.admin_desk.notify("web", "ann", "hi")
    channel.message("more")
    channel.die()
    gateway.forget(TO_OLD.name)
    assert agent.expect("session/cancel")["params"] == {"sessionId": "s1"}
    agent.answer(prompt, {"stopReason": "cancelled"})
    assert gateway.chats.keys() == []
    assert gateway.overview.channels() == []
    assert gateway.counters.outcomes == {"interrupted": 1, "refused": 1}


async def test_a_channel_that_comes_back_begins_anew() -> None:
    gateway = boot(OLD, TO_OLD)
    agent = agent_of(gateway, OLD)
    channel_of(gateway, TO_OLD).die()
    gateway.adopt(plan_of(OLD))
    gateway.forget(TO_OLD.name)
    gateway.adopt(plan_of(OLD, TO_OLD))
    channel = channel_of(gateway, TO_OLD)
    channel.message("hello")
    agent.open("s1")
    agent.answer(agent.expect("session/prompt"), {"stopReason": "end_turn"})
    assert channel.shown() == [("result", "end_turn")]


async def test_a_longer_line_is_allowed_at_once() -> None:
    short = replace(TO_OLD, stdout_line_max_bytes=400)
    gateway = boot(OLD, short)
    channel = channel_of(gateway, short)
    gateway.adopt(plan_of(OLD, replace(short, stdout_line_max_bytes=4000)))
    channel.message("x" * 1000)
    assert channel.report.told == [("ready", "")]
    assert gateway.overview.queue_depths() == {"old": 1}


async def test_options_of_a_unit_that_has_gone_are_none() -> None:
    gateway = boot(OLD, TO_OLD)
    gateway.adopt(plan_of(TO_OLD))
    assert gateway.overview.effective_options(UnitName("old.agent")) == {}

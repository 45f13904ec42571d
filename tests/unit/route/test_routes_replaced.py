"""Another table of routes takes over: limits that change under a turn, and what is refused."""

from dataclasses import replace
from types import MappingProxyType
from typing import get_args

import pytest

from anyclawd.model.deps import UnitName
from anyclawd.route import commands, events, texts
from anyclawd.route.commands import MessageId, Outcome, SessionKey, TimerKind
from anyclawd.route.router import Router
from anyclawd.route.table import AgentRoute, Routes
from anyclawd.wire.acp import Capabilities, PermissionOption, PermissionRequest
from anyclawd.wire.channel import Peer, RefusalReason
from tests.fakes.intake import codes, take_in

AGENT = UnitName("a.agent")
ROUTE = AgentRoute(unit=AGENT, name="a", prompt_idle_timeout_s=10.0)
PEER = Peer("web", "ann", "direct")


def routes(route: AgentRoute = ROUTE, *channels: str) -> Routes:
    return Routes(
        agents=MappingProxyType({AGENT: route}),
        channels=MappingProxyType(dict.fromkeys(channels or ("web",), AGENT)),
    )


def receive(router: Router, number: int) -> list[commands.Command]:
    content = [{"type": "text", "text": "hello"}]
    event = events.MessageReceived(MessageId(str(number)), "web", PEER, content, None, 10)
    return take_in(router, event, 0.0)


def prompting() -> Router:
    """A router with a turn that has run since the instant 0."""
    router = Router(routes(), codes())
    router.step(events.IntakeOpened(), 0.0)
    router.step(events.AgentReady(AGENT, Capabilities()), 0.0)
    [opening] = [one for one in receive(router, 1) if isinstance(one, commands.OpenSession)]
    router.step(events.SessionOpened(opening.token, "s1"), 0.0)
    return router


def silence_of(router: Router) -> events.TimerElapsed:
    [(token, session)] = router.calls.items()
    return events.TimerElapsed(commands.Timer(TimerKind.SILENCE, session.key, token))


def test_a_silence_that_has_become_allowed_ends_no_turn() -> None:
    router = prompting()
    router.step(events.RoutesReplaced(routes(replace(ROUTE, prompt_idle_timeout_s=0.0))), 5.0)
    assert router.step(silence_of(router), 10.0) == []


def test_a_longer_silence_is_waited_for() -> None:
    router = prompting()
    router.step(events.RoutesReplaced(routes(replace(ROUTE, prompt_idle_timeout_s=60.0))), 5.0)
    [armed] = router.step(silence_of(router), 10.0)
    assert isinstance(armed, commands.ArmTimer)
    assert armed.at == 60.0


def test_the_same_routes_change_nothing() -> None:
    router = prompting()
    assert router.step(events.RoutesReplaced(routes()), 5.0) == []


def test_a_message_of_a_channel_that_is_leaving_is_refused() -> None:
    router = prompting()
    router.step(events.RoutesReplaced(routes(ROUTE, "other")), 5.0)
    [refusal] = receive(router, 2)
    assert isinstance(refusal, commands.Settle)
    assert (refusal.text, refusal.reason) == (texts.NO_SUCH_CHANNEL, RefusalReason.AGENT)


def test_a_channel_that_has_gone_ends_its_turn() -> None:
    router = prompting()
    router.step(events.RoutesReplaced(routes(ROUTE, "other")), 5.0)
    decided = router.step(events.ChannelRemoved("web"), 6.0)
    key = SessionKey("web:direct:ann")
    assert commands.CancelPrompt(AGENT, "s1", key) in decided
    settled = commands.Settle(MessageId("1"), Outcome.INTERRUPTED, texts.REMOVED, key)
    assert settled in decided
    assert (router.sessions, router.calls, router.running) == ({}, {}, 0)


GONE = UnitName("gone.agent")
REQUEST = PermissionRequest("s1", "r", "May I?", (PermissionOption("yes", "Yes", rejects=False),))
LAST_WORDS: list[events.AgentEvent] = [
    events.UpdateReceived(GONE, "s1", {"update": {"sessionUpdate": "plan"}}, 1),
    events.PushReceived(GONE, "s1", []),
    events.AgentHeard(GONE, "s1"),
    events.PermissionAsked(GONE, 1, REQUEST, "r"),
    events.PermissionCancelled(GONE, 1),
    events.ElicitationAsked(GONE, 1, "s1", {}),
    events.AgentStarted(GONE),
    events.AgentReady(GONE, Capabilities()),
    events.AgentClosing(GONE),
    events.AgentPaused(GONE),
    events.AgentResumed(GONE),
    events.AgentHeld(GONE, is_held=True),
    events.AgentLost(GONE),
    events.AgentFailed(GONE, "gone"),
    events.WorkerRests(GONE),
    events.AgentRemoved(GONE),
]


@pytest.mark.parametrize("event", LAST_WORDS, ids=lambda event: type(event).__name__)
def test_last_words_of_an_agent_that_nobody_knows_mean_nothing(event: events.AgentEvent) -> None:
    router = prompting()
    assert router.step(event, 1.0) == []
    assert set(router.agents) == {AGENT}


def test_all_that_is_of_an_agent_is_among_them() -> None:
    assert {type(event) for event in LAST_WORDS} == set(get_args(events.AgentEvent))
    of_agents = {
        kind
        for kind in get_args(events.Event)
        if "agent" in kind.__dataclass_fields__ and kind is not events.MessageReceived
    }
    assert of_agents == set(get_args(events.AgentEvent))

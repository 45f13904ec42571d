"""The coming and going of processes: what it means to the sessions they are there for.

What is common to all chats of an agent is kept with the agent; each session decides for itself what
becomes of it (`route.lane`).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, assert_never

from anyclawd.route import chat, events, lane, messages, removal, texts
from anyclawd.route.agent import NO_CAPABILITIES, Agent
from anyclawd.route.commands import Command
from anyclawd.route.desk import Manners

if TYPE_CHECKING:
    from anyclawd.route.router import Router


def decide(router: "Router", event: events.ProcessEvent, now: float) -> Iterator[Command]:
    match event:
        case events.ChannelReady():
            yield from _channel_ready(router, event, now)
        case events.ChannelLost(channel):
            for session in router.sessions.values():
                if session.channel == channel:
                    session.channel_lost()
        case events.ChannelFailed(channel):
            yield from router.questions.channel_failed(channel, now)
        case events.ChannelRemoved(channel):
            yield from removal.remove_channel(router, channel, now)
        case events.AgentStarted(name):
            router.agents[name].failure, router.agents[name].is_resting = "", False
        case events.WorkerRests(name):
            router.agents[name].failure, router.agents[name].is_resting = "", True
        case events.AgentReady(name, capabilities):
            agent = router.agents[name]
            agent.is_connected, agent.is_closing, agent.is_paused = True, False, False
            agent.capabilities = capabilities
            router.make_due(agent)
            yield from router.workers.note_rest(agent, now)
        case events.AgentPaused(name):
            router.agents[name].is_paused = True
        case events.AgentResumed(name):
            router.agents[name].is_paused = False
            router.make_due(router.agents[name])
        case events.AgentHeld(name, is_held):
            router.agents[name].is_held = is_held
        case events.AgentClosing(name):
            router.agents[name].is_closing = True
        case events.AgentLost(name):
            yield from _agent_lost(router, router.agents[name], now)
        case events.AgentRemoved(name):
            yield from removal.remove_agent(router, name, now)
        case events.AgentFailed(name, reason):
            yield from agent_failed(router, router.agents[name], reason, now)
        case _:
            assert_never(event)


def _channel_ready(router: "Router", event: events.ChannelReady, now: float) -> Iterator[Command]:
    """Tell the new process whose sessions wait for it, and what has not arrived."""
    channel = event.channel
    router.manners[channel] = Manners(event.has_receipts, event.has_forms)
    for session in router.sessions.values():
        if session.channel == channel:
            session.channel_returned()
    for key in event.held:
        if held := router.wake(key):
            yield from chat.announce(held)
    yield from router.give_up_overdue(channel, now)
    for pending in router.deliveries.of(channel):
        if pending.is_written:
            yield from messages.repeat(router, pending)
    yield from router.questions.show_again(channel)


def _agent_lost(router: "Router", agent: Agent, now: float) -> Iterator[Command]:
    name, is_stop = agent.route.name, agent.is_closing
    text = texts.stopped(name) if is_stop else texts.crashed(name)
    agent.is_connected, agent.is_closing, agent.capabilities = False, False, NO_CAPABILITIES
    agent.is_paused, agent.is_held = False, False
    for session in tuple(agent.members):
        router.calls.pop(session.token, None)
        yield from router.questions.orphan(session, now)
        yield from router.run(session, lane.agent_lost(session, text, is_stop=is_stop), now)
        yield from router.wishes.agent_gone(session, now)
        if session.heir is not None:
            yield from router.run(session, lane.advance(session, now), now)
    agent.sessions.clear()
    yield from router.workers.place_members(agent, now)


def agent_failed(router: "Router", agent: Agent, reason: str, now: float) -> Iterator[Command]:
    """It does not come back by itself: nothing waits for it any more."""
    agent.failure = reason
    yield from router.workers.place_members(agent, now)
    text = texts.unavailable(agent.route.name, reason)
    for session in tuple(agent.members):
        if router.is_closed and router.outlives(session):
            continue  # it is the next daemon's
        if session.heir is None:  # else what waits is the heir's
            yield from router.run(session, lane.give_up(session, text), now)

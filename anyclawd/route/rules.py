"""What the daemon and its administrators do to all sessions, or to one by its name."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, assert_never

from anyclawd.route import chat, events, lane, processes, removal, texts
from anyclawd.route.commands import Command, Record, ReportDrained
from anyclawd.route.desk import Intake
from anyclawd.route.record import DropCode, DropGrant, SaveGrant
from anyclawd.route.restore import restore
from anyclawd.route.session import Phase, Session
from anyclawd.route.table import Routes

if TYPE_CHECKING:
    from anyclawd.route.router import Router


def decide(router: "Router", event: events.RuleEvent, now: float) -> Iterator[Command]:
    match event:
        case events.RoutesReplaced(routes):
            yield from _replace_routes(router, routes, now)
        case events.StoreRead(restored):
            yield from restore(router, restored, now)
        case events.IntakeOpened():
            router.intake = Intake.OPEN
            for session in router.sessions.values():
                session.is_open = True
            for agent in router.agents.values():
                router.make_due(agent)
        case events.IntakeClosed():
            yield from _close_intake(router, now)
        case events.TurnsCutOff():
            for session in list(router.sessions.values()):
                yield from router.run(session, lane.cut_off(session, now), now)
        case events.SessionCommanded(key, verb):
            if found := router.wake(key):
                yield from router.run(found, _commanded(found, verb, now), now)
        case events.SessionForked(key, acp_id):
            yield from router.roster.fork(key, acp_id, now)
        case events.SessionDeleted(key):
            yield from removal.delete_chat(router, key, now)
        case events.PairingApproved(code):
            if row := router.gate.approve(code, now):
                yield Record(None, (SaveGrant(row.grant), DropCode(row.code)))
                yield from chat.tell_stranger(
                    row.grant.channel, row.session, row.peer, texts.ADMITTED
                )
        case events.GrantRevoked(grant):
            if router.gate.revoke(grant):
                yield Record(None, (DropGrant(grant),))
        case _:
            assert_never(event)


def _commanded(session: Session, verb: str, now: float) -> Iterator[Command]:
    match verb:
        case "new":
            return lane.renew(session, None, now)
        case "cancel":
            return lane.cancel(session, None, now)
        case "close":
            return lane.close(session, now)
    raise ValueError(f"{session.key}: nothing is called {verb!r}")


def _replace_routes(router: "Router", routes: Routes, now: float) -> Iterator[Command]:
    """Meet the agents of the new table, hand chats over, and refuse what nobody will answer."""
    former, router.routes = router.routes, routes
    router.gate.access = routes.access
    for unit, route in routes.agents.items():
        agent = router.meet(route)
        is_other_pool, agent.route = route.pool != agent.route.pool, route
        if unit not in former.agents:
            agent.failure = ""
        if is_other_pool and agent.is_connected:
            yield from router.workers.note_rest(agent, now)
    router.meet_missing()
    for session in list(router.sessions.values()):
        session.role = routes.role_of(session.channel)
        routed = routes.channels.get(session.channel)
        if routed is None:
            continue
        owner = session.heir or session.agent
        if owner.route.unit not in routes.answering(routed):
            heir = router.agents[router.workers.worker_for(routed, None)]
            yield from router.run(session, lane.hand_over(session, heir, now), now)
            if session.has_work:
                yield from router.workers.place(session, now)
    router.tell_of_tools()
    for unit, agent in router.agents.items():
        if unit not in routes.agents:
            yield from processes.agent_failed(router, agent, texts.NO_SUCH_AGENT, now)


def _close_intake(router: "Router", now: float) -> Iterator[Command]:
    router.intake = Intake.CLOSED
    for session in list(router.sessions.values()):
        session.is_open = False
        if not router.outlives(session):
            yield from router.run(session, lane.give_up(session, texts.SHUTTING_DOWN), now)
        elif session.phase is Phase.OPENING:
            yield from router.run(session, lane.pause(session), now)
    if not router.running:
        yield ReportDrained()

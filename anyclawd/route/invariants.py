"""What must hold after every step of the router; tests check it, the daemon does not."""

from anyclawd.route.commands import Attempt
from anyclawd.route.desk import Intake
from anyclawd.route.router import Router
from anyclawd.route.session import Phase, Session


def check(router: Router) -> None:
    """Raises AssertionError naming the session and the rule that it breaks."""
    for session in router.sessions.values():
        for rule, holds in _rules(router, session):
            assert holds, f"{session.key}: {rule} (phase {session.phase})"
    turns = sum(session.turn is not None for session in router.sessions.values())
    assert turns == router.running, f"{turns} turns run, {router.running} are counted"
    for agent in router.agents.values():
        opening = sum(session.attempt is Attempt.NEW for session in agent.members)
        assert opening == agent.opening, f"{agent.route.unit}: {agent.opening} openings counted"
        active = {session for session in agent.members if session.token in router.calls}
        assert active == agent.active, f"{agent.route.unit}: its active sessions are miscounted"
        assert agent.opening or not agent.early, f"{agent.route.unit}: early updates are kept"
    for channel, held in router.admission.bytes.items():
        assert held > 0, f"{channel}: {held} bytes are held"
    for session in router.sessions.values():
        for message in session.queue:
            assert message.id in router.admission, f"{session.key}: {message.id} is not held"
        assert session.key not in router.put_away, f"{session.key}: it is here and put away"


def _rules(router: Router, session: Session) -> list[tuple[str, bool]]:
    agent, phase = session.agent, session.phase
    has_turn = phase in (Phase.PROMPTING, Phase.CANCELLING)
    has_call = has_turn or phase is Phase.OPENING
    return [
        ("a turn runs if and only if a prompt is out", (session.turn is not None) is has_turn),
        ("an idle session has an empty queue", phase is not Phase.IDLE or not session.queue),
        ("a waiting session has what waits", phase is not Phase.WAITING or session.has_work),
        (
            "only an opening session has an attempt",
            (session.attempt is None) is not (phase is Phase.OPENING),
        ),
        ("its call is known", not has_call or router.calls.get(session.token) is session),
        ("a call needs a connected agent", not has_call or agent.is_connected),
        (
            "nothing waits while it could run",
            phase is not Phase.WAITING
            or not (session.is_open and agent.takes_work and session not in agent.due),
        ),
        (
            "nothing waits after intake has closed",
            router.is_durable or not (router.intake is Intake.CLOSED and session.queue),
        ),
        (
            "it has its ACP session for itself",
            not session.acp_id or (agent.sessions.get(session.acp_id) is session),
        ),
        ("live and stale exclude each other", not (session.acp_id and session.stale_id)),
        (
            "its questions are of agents that are there",
            all(router.agents[ask.agent].is_connected for ask in router.asks.of(session.key)),
        ),
        ("only a turn keeps it from its heir", session.heir is None or has_turn),
        ("it is on its way to where it is routed", _is_routed(router, session)),
    ]


def _is_routed(router: Router, session: Session) -> bool:
    routed = router.routes.channels.get(session.channel)
    if routed is None or session.peer.kind == "fork":
        return True
    owner = session.heir or session.agent
    return owner.route.unit in router.routes.answering(routed)

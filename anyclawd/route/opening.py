"""The way to an ACP session, and the way out of one.

Theory
------
The way there: resume, load, new, as far as the agent advertises them and there is a session to
come back to; each at most once and bounded by a timer, whatever the error says. An attempt during
which the agent died counts as made. What a resume or load replays is swallowed until the next
prompt. A new ACP session for a conversation in which something was said is told of it by its first
prompt: what was said is read from the store (*recall*) before it is sent. The id to come back to is
given up only when another one is there.

An opening ends in the phase *idle*, whatever has come of it, or in another attempt. Nothing here
begins what is next: `lane` does.
"""

from collections.abc import Iterator, Sequence

from anyclawd.route import chat, conversation, ending, prompt, prompting, texts
from anyclawd.route.commands import (
    ArmTimer,
    Attempt,
    CancelTimer,
    CloseSession,
    Command,
    OpenSession,
    Outcome,
    ReadHistory,
    Timer,
    TimerKind,
)
from anyclawd.route.session import Phase, Session
from anyclawd.wire.acp import Choices


def begin(session: Session, now: float) -> Iterator[Command]:
    """Try the first way, or the next one where some were tried."""
    session.ways = session.ways or _ways(session)
    session.attempt = session.ways.pop(0)
    session.phase, session.token = Phase.OPENING, session.issue_token()
    session_id = "" if session.attempt is Attempt.NEW else session.stale_id
    if session.attempt is Attempt.NEW:
        session.agent.opening += 1
    else:
        session.agent.sessions[session_id] = session
        session.is_replaying = True
    yield from _bound(session, now)
    unit = session.agent.route.unit
    yield OpenSession(unit, session.token, session.attempt, session_id, session.key)


def _ways(session: Session) -> list[Attempt]:
    can = session.agent.capabilities
    has_old = bool(session.stale_id) and session.stale_id not in session.agent.sessions
    ways = [(Attempt.RESUME, can.resume and has_old), (Attempt.LOAD, can.load and has_old)]
    return [way for way, is_open in ways if is_open] + [Attempt.NEW]


def _bound(session: Session, now: float) -> Iterator[Command]:
    if session.agent.route.answer_timeout_s:
        timer = Timer(TimerKind.OPEN, session.key, session.token)
        yield ArmTimer(timer, now + session.agent.route.answer_timeout_s)


# --- what comes of an attempt ---------------------------------------------------------------------


def opened(
    session: Session, session_id: str, options: Choices | None, now: float
) -> Iterator[Command]:
    attempt, early = session.attempt, session.agent.take_early(session_id)
    yield from leave(session)
    acp_id = session_id or (session.stale_id if attempt is not Attempt.NEW else "")
    if not acp_id:
        yield from _go_on(session, "the answer to session/new has no sessionId", now)
        return
    if acp_id in session.agent.sessions:  # nobody may read another chat's answers
        yield from _go_on(session, "the agent gave the id of another session", now)
        return
    session.bind(acp_id)
    session.stale_id, session.ways, session.failures, session.past = "", [], 0, ""
    session.is_fresh = attempt is Attempt.NEW
    session.is_replaying = attempt is not Attempt.NEW
    session.options = options or ()
    yield conversation.save(session)
    yield from conversation.choose_again(session)
    yield from ending.greet(session)
    has_offer = any(params["update"]["sessionUpdate"] == chat.OFFER for params in early)
    if attempt is Attempt.NEW and session.agent.commands is not None and not has_offer:
        yield from chat.offer_commands(session)
    for params in early:
        yield from prompting.show(session, params, now)
    if attempt is Attempt.NEW and _has_past(session):
        yield from _recall(session, now)
    else:
        session.phase = Phase.IDLE


def failed(session: Session, text: str, now: float) -> Iterator[Command]:
    yield from leave(session)
    yield from _go_on(session, text, now)


def elapsed(session: Session, now: float) -> Iterator[Command]:
    """There is no answer in time."""
    if session.attempt is Attempt.RECALL:
        yield from recalled(session, ())
        return
    yield prompting.abandon_call(session)
    seconds = session.agent.route.answer_timeout_s
    text = f"no answer to {session.attempt} within {seconds:g} seconds"
    yield from failed(session, text, now)


def _go_on(session: Session, text: str, now: float) -> Iterator[Command]:
    """An attempt has failed: try the next way, or refuse what waits where there is none."""
    if session.ways:
        yield from begin(session, now)
        return
    text = texts.no_session(text)
    session.phase = Phase.IDLE
    yield from ending.drop_work(session, Outcome.REFUSED, text, notice=text)


# --- what was said before -------------------------------------------------------------------------


def _has_past(session: Session) -> bool:
    return session.has_turns and session.agent.route.history.turns > 0


def _recall(session: Session, now: float) -> Iterator[Command]:
    """Read what was said before, for the first prompt of an ACP session that was made anew."""
    history, session.token = session.agent.route.history, session.issue_token()
    session.attempt, session.phase = Attempt.RECALL, Phase.OPENING
    yield from _bound(session, now)
    token, number = session.token, session.number
    yield ReadHistory(token, session.key, number, history.turns, history.max_bytes)


def recalled(session: Session, turns: Sequence[tuple[str, str]]) -> Iterator[Command]:
    yield from leave(session)
    session.past = prompt.history_context(turns)
    session.phase = Phase.IDLE


# --- the way out ----------------------------------------------------------------------------------


def leave(session: Session) -> Iterator[Command]:
    """End an attempt, however it went; the caller decides the next phase."""
    if session.attempt is Attempt.NEW:
        session.agent.end_opening()
    elif session.attempt is not Attempt.RECALL:
        session.agent.sessions.pop(session.stale_id, None)
    session.attempt, session.is_replaying = None, False
    yield CancelTimer(Timer(TimerKind.OPEN, session.key, session.token))


def abandon(session: Session) -> Iterator[Command]:
    """End an attempt whose answer nobody waits for any more."""
    yield from leave(session)
    yield prompting.abandon_call(session)


def close(session: Session) -> Iterator[Command]:
    """Nothing is to reach the chat from the ACP session any more."""
    if session.acp_id and session.agent.takes_work:
        yield CloseSession(session.agent.route.unit, session.acp_id, session.key)


def leave_agent(session: Session) -> Iterator[Command]:
    """Nothing is under way with the agent: be none of its sessions any more."""
    yield from close(session)
    session.unbind()
    session.stale_id, session.ways, session.failures, session.is_fresh = "", [], 0, True
    session.options = ()
    session.agent.dismiss(session)

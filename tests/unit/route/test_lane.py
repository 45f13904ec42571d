"""What a session does next: what there is to do, against what it may do it with."""

import pytest

from anyclawd.route import lane, prompting
from anyclawd.route.commands import (
    Attempt,
    Command,
    Deliver,
    MessageId,
    OpenSession,
    Prompt,
    Settle,
)
from anyclawd.route.session import Phase, Session
from tests.fakes.desk import only
from tests.fakes.session import make_agent, make_message, make_session, make_turn

NEXT = {  # behaviour: (what waits, is open, agent reads, has an ACP session, phase, what begins)
    "nothing-waits": ("", True, True, True, Phase.IDLE, None),
    "nothing-waits-and-nobody-is-there": ("", False, False, False, Phase.IDLE, None),
    "a-message-is-prompted": ("message", True, True, True, Phase.PROMPTING, Prompt),
    "a-message-needs-a-session": ("message", True, True, False, Phase.OPENING, OpenSession),
    "a-message-waits-for-the-agent": ("message", True, False, True, Phase.WAITING, None),
    "a-message-waits-for-the-routes": ("message", False, True, True, Phase.WAITING, None),
    "/new-is-answered": ("/new", True, True, True, Phase.IDLE, Deliver),
    "/new-opens-a-session": ("/new", True, True, False, Phase.OPENING, OpenSession),
    "a-question-about-options-opens-one": ("/model", True, True, False, Phase.OPENING, OpenSession),
    "a-question-about-options-waits": ("/model", True, False, False, Phase.WAITING, None),
}


def waiting(what: str, *, is_open: bool, reads: bool, has_session: bool) -> Session:
    session = make_session(make_agent(is_connected=reads))
    session.is_open = is_open
    if has_session:
        session.bind("s1")
    match what:
        case "message":
            session.queue.append(make_message("hello"))
        case "/new":
            session.greetings.append(MessageId("1"))
        case "/model":
            session.askers.append(MessageId("1"))
    return session


@pytest.mark.parametrize("former", [Phase.IDLE, Phase.WAITING])
@pytest.mark.parametrize(
    ("what", "is_open", "reads", "has_session", "phase", "begins"), NEXT.values(), ids=NEXT
)
def test_what_is_next(
    what: str,
    is_open: bool,
    reads: bool,
    has_session: bool,
    phase: Phase,
    begins: type[Command] | None,
    former: Phase,
) -> None:
    session = waiting(what, is_open=is_open, reads=reads, has_session=has_session)
    session.phase = former
    decided = list(lane.advance(session, 1.0))
    assert session.phase is phase
    begun = {type(one) for one in decided} & {Prompt, OpenSession, Deliver}
    assert begun == ({begins} if begins else set())


@pytest.mark.parametrize("phase", [Phase.OPENING, Phase.PROMPTING, Phase.CANCELLING])
def test_nothing_begins_beside_a_call(phase: Phase) -> None:
    session = waiting("message", is_open=True, reads=True, has_session=True)
    session.phase, session.heir = phase, make_agent()
    assert list(lane.advance(session, 1.0)) == []
    assert session.phase is phase
    assert session.heir is not None


def test_what_waits_goes_to_the_heir_before_anything_begins() -> None:
    session = waiting("message", is_open=True, reads=True, has_session=True)
    session.is_fresh = False
    former, heir = session.agent, make_agent(load=True)  # another worker of the same name
    session.heir = heir
    [opened] = only(lane.advance(session, 1.0), OpenSession)
    assert (opened.attempt, opened.session_id) == (Attempt.LOAD, "s1")
    assert session.agent is heir
    assert session in heir.members
    assert session not in former.members
    assert not former.sessions


def test_what_has_ended_is_followed_by_what_is_next() -> None:
    session = waiting("message", is_open=True, reads=True, has_session=True)
    session.phase, session.turn = Phase.PROMPTING, make_turn("before")
    decided = list(lane.go_on(session, prompting.answered(session, "end_turn"), 1.0))
    told = [type(one) for one in decided if isinstance(one, (Deliver, Settle, Prompt))]
    assert told == [Deliver, Settle, Prompt]

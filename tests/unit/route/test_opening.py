"""The ways to an ACP session: which there are, in which order, and where they end."""

import pytest

from anyclawd.model.value import Json
from anyclawd.route import opening
from anyclawd.route.commands import Attempt, CancelTimer, CloseSession, OpenSession, TimerKind
from anyclawd.route.session import Phase
from tests.fakes.desk import only
from tests.fakes.session import make_agent, make_message, make_session

RESUME, LOAD, NEW = Attempt.RESUME, Attempt.LOAD, Attempt.NEW

WAYS = {  # behaviour: (what the agent can, the session to come back to, the ways in their order)
    "all": ({"resume": True, "load": True}, "old", [RESUME, LOAD, NEW]),
    "resume": ({"resume": True}, "old", [RESUME, NEW]),
    "load": ({"load": True}, "old", [LOAD, NEW]),
    "it-can-do-neither": ({}, "old", [NEW]),
    "there-is-none-to-come-back-to": ({"resume": True, "load": True}, "", [NEW]),
    "another-chat-has-it": ({"resume": True, "load": True}, "taken", [NEW]),
}


@pytest.mark.parametrize(("can", "known", "ways"), WAYS.values(), ids=WAYS)
def test_each_way_is_tried_once_and_in_order(
    can: dict[str, Json], known: str, ways: list[Attempt]
) -> None:
    agent = make_agent(**can)
    make_session(agent).bind("taken")
    session = make_session(agent)
    session.stale_id = known
    session.queue.append(make_message("hello"))
    tried = only(opening.begin(session, 1.0), OpenSession)
    while session.phase is Phase.OPENING:
        assert set(agent.sessions) - {"taken"} <= {known}
        tried += only(opening.failed(session, "broken", 2.0), OpenSession)
    assert [one.attempt for one in tried] == ways
    assert [one.session_id for one in tried] == [*[known] * (len(ways) - 1), ""]
    assert set(agent.sessions) == {"taken"}
    assert not agent.opening
    assert session.stale_id == known  # given up only where another one is there
    assert not session.has_work


@pytest.mark.parametrize(
    ("answer", "bound"),
    {"its own id": ("s2", "s2"), "none, so the one asked for": ("", "old")}.values(),
)
def test_a_session_that_is_resumed(answer: str, bound: str) -> None:
    session = make_session(make_agent(resume=True))
    session.stale_id = "old"
    list(opening.begin(session, 1.0))
    assert session.is_replaying
    decided = list(opening.opened(session, answer, None, 2.0))
    assert [one.timer.kind for one in only(decided, CancelTimer)] == [TimerKind.OPEN]
    assert (session.phase, session.acp_id, session.stale_id) == (Phase.IDLE, bound, "")
    assert session.agent.sessions == {bound: session}
    assert session.is_replaying  # until the next prompt
    assert not session.is_fresh


@pytest.mark.parametrize("answer", ["", "taken"])
def test_an_answer_that_names_no_session_of_its_own(answer: str) -> None:
    agent = make_agent()
    other = make_session(agent)
    other.bind("taken")
    session = make_session(agent)
    list(opening.begin(session, 1.0))
    list(opening.opened(session, answer, None, 2.0))
    assert (session.phase, session.acp_id) == (Phase.IDLE, "")
    assert agent.sessions == {"taken": other}


def test_who_leaves_an_agent_is_none_of_its_sessions() -> None:
    session = make_session()
    agent = session.agent
    session.bind("s1")
    agent.active.add(session)
    agent.due.append(session)
    assert only(opening.leave_agent(session), CloseSession)
    assert [*agent.sessions, *agent.members, *agent.active, *agent.due] == []
    assert (session.acp_id, session.known_id, session.is_fresh) == ("", "", True)

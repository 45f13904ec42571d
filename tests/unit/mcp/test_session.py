from itertools import count

import pytest

from anyclawd.mcp import session as module
from anyclawd.mcp.session import SESSIONS_PER_TOKEN, Holder, Session, Sessions
from anyclawd.model.deps import UnitName
from anyclawd.route.grants import Grant

GRANT = Grant("chat:direct:alice", UnitName("mock.agent"))
ALICE = Holder("alice", None, GRANT)
BOB = Holder("bob", None, GRANT)


class Begun:
    def __init__(self) -> None:
        numbers = count()
        self.ended: list[Session] = []
        self.sessions = Sessions(lambda: f"id-{next(numbers)}", self.ended.append)


def test_a_session_is_found_by_who_has_begun_it_only() -> None:
    begun = Begun()
    session = begun.sessions.begin(ALICE, "2025-06-18")
    assert begun.sessions.find(session.id, ALICE) is session
    assert begun.sessions.find(session.id, BOB) is None
    assert begun.sessions.find(session.id, Holder("alice", UnitName("x.tool"), GRANT)) is None
    assert begun.sessions.find("id-9", ALICE) is None


def test_a_chat_that_gets_another_name_keeps_its_sessions() -> None:
    begun = Begun()
    session = begun.sessions.begin(ALICE, "2025-06-18")
    moved = Holder("alice", None, Grant("chat:direct:bob", UnitName("mock.agent")))
    assert begun.sessions.find(session.id, moved) is session


def test_what_has_ended_is_not_found_and_ends_once() -> None:
    begun = Begun()
    session = begun.sessions.begin(ALICE, "2025-06-18")
    begun.sessions.end(session)
    begun.sessions.end(session)
    assert begun.sessions.find(session.id, ALICE) is None
    assert begun.ended == [session]
    assert len(begun.sessions) == 0


def test_of_too_many_of_one_client_the_one_used_least_recently_ends() -> None:
    begun = Begun()
    first, second, *_ = [begun.sessions.begin(ALICE, "x") for _ in range(SESSIONS_PER_TOKEN)]
    others = begun.sessions.begin(BOB, "x")
    assert begun.sessions.find(first.id, ALICE) is first
    begun.sessions.begin(ALICE, "x")
    assert begun.ended == [second]
    assert begun.sessions.find(others.id, BOB) is others


def test_of_too_many_of_all_the_one_used_least_recently_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SESSIONS_MAX", 2)
    begun = Begun()
    first, second = begun.sessions.begin(ALICE, "x"), begun.sessions.begin(BOB, "x")
    begun.sessions.find(first.id, ALICE)
    begun.sessions.begin(ALICE, "x")
    assert begun.ended == [second]


def test_all_end_together() -> None:
    begun = Begun()
    sessions = [begun.sessions.begin(ALICE, "x"), begun.sessions.begin(BOB, "x")]
    begun.sessions.end_all()
    assert begun.ended == sessions
    assert len(begun.sessions) == 0

"""Tokens of sessions: how long they hold."""

import pytest

from anyclawd.model.deps import UnitName
from anyclawd.route.grants import Grant, Grants
from anyclawd.route.record import SessionKey

ANN, BOB = SessionKey("web:direct:ann"), SessionKey("web:direct:bob")
CODER, WRITER = UnitName("coder.agent"), UnitName("writer.agent")


def test_a_token_says_who_asks() -> None:
    grants = Grants()
    grants.begin("t", Grant(ANN, CODER))
    assert grants.find("t") == Grant(ANN, CODER)
    assert grants.find("") is None
    assert grants.find("T") is None


def test_another_token_for_the_same_chat_ends_the_first() -> None:
    grants = Grants()
    grants.begin("one", Grant(ANN, CODER))
    grants.begin("two", Grant(ANN, CODER))
    assert (grants.find("one"), grants.find("two")) == (None, Grant(ANN, CODER))
    assert len(grants) == 1


def test_an_end_ends_one_session_and_tells_its_token() -> None:
    grants = Grants()
    grants.begin("ann", Grant(ANN, CODER))
    grants.begin("bob", Grant(BOB, CODER))
    assert grants.end(Grant(ANN, CODER)) == "ann"
    assert grants.end(Grant(ANN, CODER)) == ""
    assert (grants.find("ann"), grants.find("bob")) == (None, Grant(BOB, CODER))


def test_an_agent_takes_all_of_its_tokens_along() -> None:
    grants = Grants()
    grants.begin("ann", Grant(ANN, CODER))
    grants.begin("bob", Grant(BOB, CODER))
    grants.begin("other", Grant(ANN, WRITER))
    grants.end_agent(CODER)
    assert [grants.find(token) for token in ("ann", "bob", "other")] == [
        None,
        None,
        Grant(ANN, WRITER),
    ]


def test_the_oldest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anyclawd.route.grants.GRANTS_MAX", 2)
    grants = Grants()
    for name in ("one", "two", "three"):
        grants.begin(name, Grant(SessionKey(f"web:direct:{name}"), CODER))
    assert len(grants) == 2
    assert grants.find("one") is None
    assert grants.find("three") is not None

"""What a chat is told and in which order: announced, started, held, whole."""

from collections.abc import Callable
from functools import partial

import pytest

from anyclawd.model.value import Json
from anyclawd.route import chat
from anyclawd.route.commands import Announce, Deliver, DeliveryId, SessionKey, StartResponse
from anyclawd.route.session import Phase, Session
from tests.fakes.desk import ANN, KEY
from tests.fakes.session import make_session, make_turn

NOTE: Json = {"update": {"sessionUpdate": "agent_message_chunk", "content": "note"}}
ANNOUNCE, START = Announce("web", KEY, ANN), StartResponse("web", KEY)
SHOWN = Deliver("web", KEY, NOTE)


def in_turn(*, is_settled: bool = False) -> Session:
    session = make_session()
    session.phase, session.turn = Phase.PROMPTING, make_turn("hello")
    session.turn.is_settled = is_settled
    return session


def test_a_session_is_announced_once_to_each_process_of_its_channel() -> None:
    session = make_session()
    assert list(chat.deliver(session, NOTE)) == [ANNOUNCE, SHOWN]
    assert list(chat.deliver(session, NOTE)) == [SHOWN]
    session.channel_returned()
    assert list(chat.deliver(session, NOTE)) == [ANNOUNCE, SHOWN]


def test_a_response_is_started_once_by_the_first_part_of_it() -> None:
    session = in_turn()
    assert list(chat.show_in_turn(session, NOTE)) == [ANNOUNCE, START, SHOWN]
    assert list(chat.show_in_turn(session, NOTE)) == [SHOWN]


@pytest.mark.parametrize(
    ("make", "starts"),
    {
        "no turn runs": (make_session, False),
        "a turn runs": (in_turn, True),
        "its user has seen the end of it": (partial(in_turn, is_settled=True), False),
    }.values(),
)
def test_what_is_shown_at_once_is_in_the_turn_that_its_user_waits_for(
    make: Callable[[], Session], starts: bool
) -> None:
    delivery = DeliveryId("1")
    shown = Deliver("web", KEY, NOTE, delivery)
    assert list(chat.show(make(), NOTE, delivery)) == [ANNOUNCE, *([START] * starts), shown]


def test_what_belongs_to_no_turn_is_held_until_it_has_ended() -> None:
    session = in_turn()
    assert list(chat.notify(session, NOTE)) == []
    assert not session.is_resting
    session.turn = None
    assert list(chat.show_held(session)) == [ANNOUNCE, SHOWN]
    assert list(chat.notify(session, NOTE)) == [SHOWN]
    assert list(chat.show_held(session)) == []


def test_with_one_text_more_than_are_held_all_are_shown() -> None:
    session = in_turn()
    for _ in range(chat.HELD_MAX):
        assert list(chat.notify(session, NOTE)) == []
    assert list(chat.notify(session, NOTE)) == [ANNOUNCE, *[SHOWN] * (chat.HELD_MAX + 1)]
    assert session.held == []


def test_a_tool_call_that_runs_at_the_end_is_shown_as_ended() -> None:
    session = in_turn()
    assert session.turn is not None
    for tool in ("b", "a"):
        session.turn.note_tool({"toolCallId": tool, "status": "in_progress"})
    shown = [one for one in chat.end_tools(session, session.turn) if isinstance(one, Deliver)]
    told = [one.content["update"] for one in shown]
    assert [(one["toolCallId"], one["status"]) for one in told] == [
        ("a", "failed"),
        ("b", "failed"),
    ]


WHOLE = {  # behaviour: (the end, what was said, what of it is in the end then)
    "the-answer-is-put-in": (chat.result("end_turn"), "hello", "hello"),
    "nothing-was-said": (chat.result("end_turn"), "", None),
    "the-end-has-a-text-of-its-own": (
        {"update": {"sessionUpdate": "result", "content": "short"}},
        "hello",
        "short",
    ),
}


@pytest.mark.parametrize(("end", "answer", "content"), WHOLE.values(), ids=WHOLE)
def test_an_end_with_all_of_the_answer_in_it(
    end: dict[str, Json], answer: str, content: str | None
) -> None:
    before = {**end["update"]}
    assert chat.whole(end, answer)["update"].get("content") == content
    assert end["update"] == before


def test_a_stranger_is_told_in_a_session_that_is_announced_for_it() -> None:
    key = SessionKey("web:direct:eve")
    told = list(chat.tell_stranger("web", key, ANN, "who are you?"))
    assert told[0] == Announce("web", key, ANN)
    assert [one.session for one in told[1:] if isinstance(one, Deliver)] == [key, key]

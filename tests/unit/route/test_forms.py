"""Elicitations in a chat: drawn by its channel, or put as questions; and what ends them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.route import commands, events
from anyclawd.route.commands import (
    AnswerElicitation,
    AnswerPermission,
    AskForm,
    AskPermission,
    TimerKind,
)
from anyclawd.route.session import Phase
from anyclawd.wire.acp import PermissionOption, PermissionRequest
from anyclawd.wire.channel import Peer
from tests.fakes.desk import (
    AGENT,
    ANN,
    BOB,
    KEY,
    ROUTE,
    Desk,
    only,
    outcomes,
    prompted,
    routes,
    shown,
)

NAME: Json = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
SURE: Json = {"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"]}
Answer = tuple[int, str, Json]


def elicit(
    desk: Desk, schema: Json = NAME, handle: int = 1, session_id: str = "s1"
) -> list[commands.Command]:
    params = {"mode": "form", "message": "Who?", "requestedSchema": schema}
    return desk.step(events.ElicitationAsked(AGENT, handle, session_id, params))


def drawing() -> Desk:
    """A channel that shows forms, in a turn."""
    desk = Desk().prompting()
    desk.channel_ready(forms=True)
    return desk


def answers(decided: list[commands.Command]) -> list[Answer]:
    return [(one.ask, one.action, one.content) for one in only(decided, AnswerElicitation)]


def fill_in(
    desk: Desk, name: str = "form-1", channel: str = "web", peer: Peer | None = None
) -> list[commands.Command]:
    content = {"name": "ann"}
    return desk.step(events.ElicitationAnswered(channel, name, "accept", content, peer))


# --- drawn ----------------------------------------------------------------------------------------


def test_a_channel_that_can_is_given_the_form_as_it_is() -> None:
    desk = drawing()
    [form] = only(elicit(desk), AskForm)
    assert (form.request_id, form.params["requestedSchema"]) == ("form-1", NAME)
    assert answers(fill_in(desk)) == [(1, "accept", {"name": "ann"})]
    assert fill_in(desk) == []


@pytest.mark.parametrize(
    ("channel", "peer", "counts"),
    [("web", ANN, True), ("web", BOB, False), ("other", ANN, False), ("web", None, True)],
)
def test_an_answer_is_its_peers_own(channel: str, peer: Peer | None, counts: bool) -> None:
    desk = drawing()
    elicit(desk)
    assert bool(answers(fill_in(desk, channel=channel, peer=peer))) is counts


def test_nothing_is_filled_into_a_link() -> None:
    desk = drawing()
    params = {"mode": "url", "message": "Log in", "url": "https://x.test/", "elicitationId": "e"}
    desk.step(events.ElicitationAsked(AGENT, 1, "s1", params))
    assert answers(fill_in(desk)) == [(1, "accept", None)]


def test_a_new_process_of_the_channel_is_given_it_again_under_another_name() -> None:
    desk = drawing()
    elicit(desk)
    [form] = only(desk.channel_ready(forms=True), AskForm)
    assert form.request_id != "form-1"
    assert fill_in(desk) == []
    assert answers(fill_in(desk, form.request_id)) == [(1, "accept", {"name": "ann"})]


# --- put as questions -----------------------------------------------------------------------------


def test_in_any_other_chat_a_reply_is_the_next_message_of_its_peer() -> None:
    desk = Desk().prompting()
    assert "Who?" in shown(elicit(desk))[0]
    decided = desk.say("Ann")
    assert answers(decided) == [(1, "accept", {"name": "Ann"})]
    assert outcomes(decided) == {"2": "answered"}
    assert (prompted(decided), desk.session().queue) == ([], [])


def test_another_peers_message_is_none() -> None:
    desk = Desk().prompting()
    elicit(desk)
    assert answers(desk.say("Bob", BOB)) == []


def test_choices_are_buttons() -> None:
    desk = Desk().prompting()
    [asked] = only(elicit(desk, SURE), AskPermission)
    [(yes, _), *_] = asked.options
    decided = desk.step(events.PermissionAnswered("web", asked.request_id, yes))
    assert answers(decided) == [(1, "accept", {"sure": True})]


def test_a_button_is_pressed_by_its_own_peer() -> None:
    desk = Desk().prompting()
    [asked] = only(elicit(desk, SURE), AskPermission)
    [(yes, _), *_] = asked.options
    assert answers(desk.step(events.PermissionAnswered("web", asked.request_id, yes, BOB))) == []


def test_a_channel_without_buttons_is_told_in_words() -> None:
    desk = Desk().prompting()
    [asked] = only(elicit(desk, SURE), AskPermission)
    decided = desk.step(events.PermissionUndeliverable("web", asked.request_id))
    assert shown(decided) != []
    assert answers(desk.say("yes")) == [(1, "accept", {"sure": True})]


# --- what ends them -------------------------------------------------------------------------------


def take_back(desk: Desk) -> list[commands.Command]:
    return desk.step(events.PermissionCancelled(AGENT, 1))


ENDS: dict[str, tuple[Callable[[Desk], list[commands.Command]], list[Answer]]] = {
    "its-time": (lambda desk: desk.elapse(TimerKind.PERMISSION), [(1, "cancel", None)]),
    "its-turn": (lambda desk: desk.answer(), [(1, "cancel", None)]),
    "cancelling": (lambda desk: desk.step(events.TurnsCutOff()), [(1, "cancel", None)]),
    "another-conversation": (
        lambda desk: desk.step(events.SessionCommanded(KEY, "new")),
        [(1, "cancel", None)],
    ),
    "its-agent": (lambda desk: desk.step(events.AgentLost(AGENT)), [(1, "cancel", None)]),
    "its-channel": (lambda desk: desk.step(events.ChannelFailed("web")), [(1, "cancel", None)]),
    "its-chat": (lambda desk: desk.step(events.SessionDeleted(KEY)), [(1, "cancel", None)]),
    "the-agent-takes-it-back": (take_back, []),
}


@pytest.mark.parametrize(("end", "told"), ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("make", [drawing, lambda: Desk().prompting()], ids=["drawn", "asked"])
def test_what_ends_it(
    make: Callable[[], Desk], end: Callable[[Desk], list[commands.Command]], told: list[Answer]
) -> None:
    desk = make()
    elicit(desk)
    assert answers(end(desk)) == told
    assert TimerKind.PERMISSION not in {timer.kind for timer in desk.timers}
    assert not desk.router.questions.are_open(KEY)


def test_a_second_one_in_a_session_is_cancelled_at_once() -> None:
    desk = Desk().prompting()
    elicit(desk)
    assert answers(elicit(desk, handle=2)) == [(2, "cancel", None)]


def test_one_of_a_session_that_nobody_knows_is_cancelled() -> None:
    assert answers(elicit(Desk().prompting(), session_id="unknown")) == [(1, "cancel", None)]


def test_the_silence_of_the_agent_is_not_counted_meanwhile() -> None:
    desk = drawing()
    elicit(desk)
    desk.elapse(TimerKind.SILENCE)
    assert desk.session().phase is Phase.PROMPTING


# --- questions outside of a turn ------------------------------------------------------------------

OTHER = routes(route=replace(ROUTE, unit=UnitName("other.agent"), name="other"))
LEAVING: dict[str, events.Event] = {
    "new": events.SessionCommanded(KEY, "new"),
    "close": events.SessionCommanded(KEY, "close"),
    "another-agent": events.RoutesReplaced(OTHER),
}


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
def test_questions_end_when_their_acp_session_is_left(leave: events.Event) -> None:
    """Whoever is asked next is not asked in its place, nor given its answer."""
    desk = Desk().rested()
    elicit(desk, SURE)
    options = (PermissionOption("yes", "Yes", rejects=False),)
    request = PermissionRequest("s1", "r", "May I?", options, "edit", "the same")
    desk.step(events.PermissionAsked(AGENT, 2, request, "fallback"))
    decided = desk.step(leave)
    assert answers(decided) == [(1, "cancel", None)]
    assert only(decided, AnswerPermission) == [AnswerPermission(AGENT, 2, None)]
    assert not desk.router.questions.are_open(KEY)

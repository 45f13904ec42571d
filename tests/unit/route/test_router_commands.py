"""Commands of the platform in a chat: options, menus, and when they are done."""

from collections.abc import Callable

import pytest

from anyclawd.model.value import Json
from anyclawd.route import commands, events, texts
from anyclawd.route.commands import MessageId, Outcome, SessionKey
from anyclawd.route.session import Phase
from anyclawd.wire.acp import Choice
from tests.fakes.desk import AGENT, BOB, KEY, Desk, only, outcomes, prompted, routes, shown

MODEL = Choice("model", "Model", "model", "small", (("small", "Small"), ("big", "Big")))
BIG = MODEL._replace(current="big")
OURS = ["new", "cancel", "status", "sessions", "resume"]


def choosing(*choices: Choice, **can: Json) -> Desk:
    """A session that rests and whose agent lets its user choose."""
    desk = Desk()
    desk.open_intake()
    desk.channel_ready()
    desk.ready(**can)
    desk.say("hello")
    desk.opened("s1", choices=choices or (MODEL,))
    desk.answer()
    return desk


def option_set(
    desk: Desk, message: str, choices: tuple[Choice, ...] | None = None, error: str = ""
) -> list[commands.Command]:
    return desk.step(events.OptionSet(KEY, "s1", MessageId(message), choices, error))


def menus(decided: list[commands.Command]) -> list[list[str]]:
    return [
        [one["name"] for one in command.content["update"]["availableCommands"]]
        for command in only(decided, commands.Deliver)
        if command.content["update"]["sessionUpdate"] == "available_commands_update"
    ]


def offer(desk: Desk, *names: str) -> list[commands.Command]:
    listed: list[Json] = [{"name": name, "description": ""} for name in names]
    return desk.update("available_commands_update", availableCommands=listed)


# --- options --------------------------------------------------------------------------------------


def test_a_name_sets_the_option_and_its_user_is_told_when_it_is() -> None:
    desk = choosing()
    [wanted] = only(desk.say("/model BIG"), commands.SetOption)
    assert (wanted.session_id, wanted.option, wanted.value) == ("s1", "model", "big")
    decided = option_set(desk, "2", (BIG,))
    assert shown(decided) == ["The model is big now."]
    assert outcomes(decided) == {"2": Outcome.ANSWERED}
    assert desk.store.left().conversations[0].choices == {"model": "big"}


SAID: dict[str, tuple[str, str]] = {
    "what-can-be-chosen": ("/model", "* small: Small"),
    "no-such-value": ("/model huge", "There is no model 'huge'"),
    "nothing-to-choose": ("/mode", "This agent has no mode to choose."),
    "status": ("/status", "Agent a: idle\nConversation 1, 0 messages waiting\nModel: small"),
}


@pytest.mark.parametrize(("text", "told"), SAID.values(), ids=SAID)
def test_what_is_told(text: str, told: str) -> None:
    decided = choosing().say(text)
    assert told in shown(decided)[0]
    assert outcomes(decided) == {"2": Outcome.ANSWERED}
    assert only(decided, commands.SetOption | commands.Prompt) == []  # type: ignore[arg-type]


def test_an_option_that_the_agent_does_not_set_is_told_so() -> None:
    desk = choosing()
    desk.say("/model big")
    decided = option_set(desk, "2", None, "no credit")
    assert shown(decided) == [texts.not_set("model", "no credit")]
    assert desk.session().chosen == {}


ENDS: dict[str, Callable[[Desk], list[commands.Command]]] = {
    "the-agent-goes": lambda desk: desk.step(events.AgentLost(AGENT)),
    "the-chat-is-erased": lambda desk: desk.step(events.SessionDeleted(KEY)),
    "the-channel-goes": lambda desk: (
        desk.step(events.RoutesReplaced(routes("other"))) + desk.step(events.ChannelRemoved("web"))
    ),
    "the-answer-tells-of-no-option": lambda desk: option_set(desk, "2", ()),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("text", ["/model big", "/sessions"])
def test_whoever_waits_for_a_command_is_told_how_it_ends(
    text: str, end: Callable[[Desk], list[commands.Command]]
) -> None:
    desk = choosing()
    desk.say(text)
    settled = outcomes(end(desk))
    if text == "/sessions" and not settled:
        settled = outcomes(desk.step(events.ConversationsListed(KEY, MessageId("2"), ())))
    assert set(settled) == {"2"}
    assert not desk.router.wishes.chats()


def test_an_option_of_a_session_that_was_left_is_not_said_to_be_set() -> None:
    desk = choosing()
    desk.say("/model big")
    desk.say("/new")
    decided = desk.opened("s2", choices=(MODEL,)) + option_set(desk, "2", (BIG,))
    assert outcomes(decided)["2"] is Outcome.ANSWERED
    assert texts.not_set("model", texts.CONVERSATION_ENDED) in shown(desk.decided)
    assert (desk.session().chosen, desk.session().options) == ({}, (MODEL,))


def test_without_an_acp_session_the_choice_is_made_for_the_next_one() -> None:
    desk = choosing(load=True)
    desk.step(events.AgentLost(AGENT))
    assert shown(desk.say("/model big")) == ["The model is big now."]
    desk.ready(load=True)
    desk.say("on")
    [again] = only(desk.opened("s1", choices=(MODEL,)), commands.SetOption)
    assert (again.value, again.message) == ("big", "")


def test_what_is_set_so_already_is_not_set_again() -> None:
    desk = choosing(load=True)
    desk.say("/model big")
    option_set(desk, "2", (BIG,))
    desk.step(events.AgentLost(AGENT))
    desk.ready(load=True)
    desk.say("on")
    assert only(desk.opened("s1", choices=(BIG,)), commands.SetOption) == []


def test_a_new_conversation_begins_with_the_agents_own_choices() -> None:
    desk = choosing()
    desk.say("/model big")
    option_set(desk, "2", (BIG,))
    desk.say("/new")
    assert only(desk.opened("s2", choices=(MODEL,)), commands.SetOption) == []


def test_updates_of_the_agent_change_what_can_be_chosen() -> None:
    desk = choosing(MODEL)
    desk.update(
        "config_option_update",
        configOptions=[
            {
                "id": "model",
                "name": "Model",
                "category": "model",
                "type": "select",
                "currentValue": "big",
                "options": [{"value": "small", "name": "Small"}, {"value": "big", "name": "Big"}],
            }
        ],
    )
    assert "Model: big" in shown(desk.say("/status"))[-1]


# --- menus ----------------------------------------------------------------------------------------


def test_a_menu_is_the_agents_and_behind_it_ours() -> None:
    desk = choosing()
    assert menus(offer(desk, "help", "status")) == [
        ["help", "new", "cancel", "status", "sessions", "resume", "model"]
    ]


def test_it_is_sent_again_when_what_can_be_chosen_changes() -> None:
    desk = choosing()
    offer(desk, "help")
    assert menus(option_set(desk, "", ())) == [["help", *OURS]]
    assert menus(option_set(desk, "", ())) == []


def test_a_new_session_is_offered_what_the_agent_has_offered() -> None:
    desk = choosing()
    offer(desk, "help")
    desk.say("hello", BOB)
    assert menus(desk.opened("s2", SessionKey("web:direct:bob"))) == [["help", *OURS]]


def test_a_command_of_the_same_name_is_reached_by_a_second_slash() -> None:
    desk = choosing()
    offer(desk, "status")
    assert prompted(desk.say("/status")) == []
    assert prompted(desk.say("//status")) == ["/status"]


# --- when they are done ---------------------------------------------------------------------------


def test_a_command_waits_for_no_turn() -> None:
    desk = Desk().prompting()
    decided = desk.say("/status")
    assert "prompting" in shown(decided)[0]
    assert desk.session().phase is Phase.PROMPTING


def test_new_waits_for_its_session_and_says_so_then() -> None:
    desk = Desk().rested()
    assert outcomes(desk.say("/new")) == {}
    decided = desk.opened("s2")
    assert (shown(decided), outcomes(decided)) == (
        [texts.NEW_STARTED],
        {"2": Outcome.ANSWERED},
    )


def test_messages_that_waited_run_in_the_new_conversation() -> None:
    desk = Desk().prompting()
    desk.say("later")
    desk.say("/new")
    [prompt] = only(desk.opened("s2"), commands.Prompt)
    assert prompt.session_id == "s2"


def test_a_cancel_while_messages_wait_drops_them() -> None:
    desk = Desk()
    desk.open_intake()
    desk.say("one")
    desk.say("two")
    decided = desk.say("/cancel")
    assert outcomes(decided) == {
        "1": Outcome.INTERRUPTED,
        "2": Outcome.INTERRUPTED,
        "3": Outcome.ANSWERED,
    }
    assert shown(decided) == [texts.CANCELLED]


def test_updates_that_overtake_a_session_are_bounded_by_what_waits() -> None:
    """What was taken does not count against what comes while others are being opened."""
    desk = Desk()
    desk.open_intake()
    desk.ready()
    desk.say("hello")
    desk.say("hello", BOB)
    early = desk.router.routes.limits.early_bytes
    for session_id, key in (("s1", KEY), ("s2", SessionKey("web:direct:bob"))):
        params = {"update": {"sessionUpdate": "plan"}}
        desk.step(events.UpdateReceived(AGENT, session_id, params, early))
        assert params in [
            one.content for one in only(desk.opened(session_id, key), commands.Deliver)
        ]

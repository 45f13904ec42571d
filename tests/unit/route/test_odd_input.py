"""What agents and channels send that makes no sense: it is shown or left out, never raised."""

import pytest

from anyclawd.model.value import Json
from anyclawd.route import commands, events
from anyclawd.route.commands import Outcome
from tests.fakes.desk import AGENT, Desk, only, outcomes

UPDATES: list[Json] = [
    None,
    [],
    "x",
    {},
    {"sessionUpdate": 5},
    {"sessionUpdate": "agent_message_chunk"},
    {"sessionUpdate": "agent_message_chunk", "content": None},
    {"sessionUpdate": "agent_message_chunk", "content": [1]},
    {"sessionUpdate": "available_commands_update"},
    {"sessionUpdate": "available_commands_update", "availableCommands": "x"},
    {"sessionUpdate": "available_commands_update", "availableCommands": [1, {"name": 3}, None]},
    {"sessionUpdate": "config_option_update"},
    {"sessionUpdate": "config_option_update", "configOptions": {}},
    {"sessionUpdate": "current_mode_update", "currentModeId": 4},
    {"sessionUpdate": "result", "content": 7},
    {"sessionUpdate": "result", "content": {"a": 1}},
    {"sessionUpdate": "session_info_update", "title": None},
    {"sessionUpdate": "tool_call", "toolCallId": 5},
    {"sessionUpdate": "tool_call_update", "toolCallId": [], "status": {}},
]


@pytest.mark.parametrize("update", UPDATES, ids=repr)
@pytest.mark.parametrize("is_in_turn", [True, False], ids=["in-a-turn", "outside"])
def test_an_odd_update_ends_no_turn(update: Json, is_in_turn: bool) -> None:
    desk = Desk().prompting()
    if not is_in_turn:
        desk.answer()
    desk.step(events.UpdateReceived(AGENT, "s1", {"update": update}, 10))
    if not is_in_turn:
        desk.say("hello")
    assert list(outcomes(desk.answer()).values()) == [Outcome.ANSWERED]


CONTENTS: list[list[Json]] = [
    [],
    [{}],
    [{"type": "text"}],
    [{"type": "text", "text": None}],
    [{"type": "image"}],
    [{"text": "x"}],
    [{"type": "resource", "resource": {}}],
]


@pytest.mark.parametrize("content", CONTENTS, ids=repr)
def test_an_odd_message_is_prompted_and_kept(content: list[Json]) -> None:
    desk = Desk().rested()
    assert only(desk.say("", content=content), commands.Prompt)
    assert outcomes(desk.answer()) == {"2": Outcome.ANSWERED}


@pytest.mark.parametrize(
    "metadata",
    [{"threadId": {}}, {"replyToText": 5}, {"replyToSender": None, "replyToText": "x"}],
    ids=repr,
)
def test_odd_metadata_is_told_as_it_is(metadata: dict[str, Json]) -> None:
    desk = Desk().rested()
    assert only(desk.say("hello", metadata=metadata), commands.Prompt)


FORMS: list[dict[str, Json]] = [
    {},
    {"mode": 5},
    {"mode": "form", "requestedSchema": 5},
    {"mode": "form", "requestedSchema": {"properties": []}},
    {"mode": "form", "requestedSchema": {"properties": {"a": {"type": ["string"]}}}},
    {"message": 5},
]


@pytest.mark.parametrize("params", FORMS, ids=repr)
def test_an_odd_form_has_one_answer(params: dict[str, Json]) -> None:
    desk = Desk().prompting()
    decided = desk.step(events.ElicitationAsked(AGENT, 1, "s1", params)) + desk.answer()
    assert [one.ask for one in only(decided, commands.AnswerElicitation)] == [1]

"""Modes and config options: what a user sets, and what an agent sets by itself."""

from pathlib import Path

from anyclawd.model.value import Json
from tests.fakes.puppet import Stage
from tests.fakes.talk import Talk, misbehaving, talking

MODES: Json = {
    "currentModeId": "plain",
    "availableModes": [{"id": "plain", "name": "Plain"}, {"id": "careful", "name": "Careful"}],
}


def select(option: str, category: str, *values: str) -> Json:
    return {
        "type": "select",
        "id": option,
        "name": option.title(),
        "category": category,
        "currentValue": values[0],
        "options": [{"value": value, "name": value.title()} for value in values],
    }


def test_a_mode_is_set_where_there_are_modes_only(tmp_path: Path, theatre: Stage) -> None:
    with talking(tmp_path, theatre, misbehaving(tmp_path, {"session": {"modes": MODES}})) as talk:
        talk.chat().ask("hello")
        talk.chat().say("/mode careful")
        assert talk.wait_sent("session/set_mode") == [{"sessionId": "s1", "modeId": "careful"}]
        assert "careful" in talk.chat().shown()[1].lower()


def test_config_options_win_over_modes(tmp_path: Path, theatre: Stage) -> None:
    options = [select("style", "mode", "plain", "careful"), select("model", "model", "a", "b")]
    traits = {"session": {"modes": MODES, "configOptions": options}}
    with talking(tmp_path, theatre, misbehaving(tmp_path, traits)) as talk:
        talk.chat().ask("hello")
        talk.chat().say("/mode careful")
        talk.wait_sent("session/set_config_option", 1)
        talk.chat().say("/model b")
        assert talk.wait_sent("session/set_config_option", 2) == [
            {"sessionId": "s1", "configId": "style", "value": "careful"},
            {"sessionId": "s1", "configId": "model", "value": "b"},
        ]
        assert "session/set_mode" not in talk.methods()


def test_what_the_agent_sets_by_itself_is_known(tmp_path: Path, theatre: Stage) -> None:
    traits = {"session": {"configOptions": [select("model", "model", "a", "b")]}}
    with talking(tmp_path, theatre, misbehaving(tmp_path, traits)) as talk:
        chat = talk.chat()
        chat.say("do choose model b")
        update = chat.delivery()["content"]["update"]
        assert update["sessionUpdate"] == "config_option_update"
        assert chat.turn()[-1] == ("result", "end_turn")
        chat.say("/model")
        assert "* b: B" in chat.shown()[1].splitlines()


def test_options_of_unknown_types_are_borne(tmp_path: Path, theatre: Stage) -> None:
    odd = [
        {"type": "slider", "id": "heat", "name": "Heat", "currentValue": 0.5},
        {"type": "select", "id": "broken", "name": None, "options": "none"},
        7,
        select("model", "_own", "a", "b"),
    ]
    traits = {"session": {"configOptions": odd, "modes": "none"}}
    with talking(tmp_path, theatre, misbehaving(tmp_path, traits)) as talk:
        assert talk.chat().ask("hello") == ["heard: hello"]


def test_the_official_sdk_is_set(sdk: Talk) -> None:
    sdk.chat().ask("hello")
    sdk.chat().say("/model fast")
    assert "fast" in sdk.chat().shown()[1]
    assert sdk.notes()[-1] == {
        "method": "session/set_config_option",
        "option": "speed",
        "value": "fast",
    }

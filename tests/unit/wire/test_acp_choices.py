"""What a session lets its user set, as agents tell of it."""

import pytest

from anyclawd.model.value import Json
from anyclawd.wire.acp import Choice, Choices
from anyclawd.wire.acp_choices import changed_choices, read_choices, set_request, with_mode

MODES = {
    "currentModeId": "ask",
    "availableModes": [{"id": "ask", "name": "Ask first"}, {"id": "code", "name": "Just do it"}],
}
MODE = Choice("", "Mode", "mode", "ask", (("ask", "Ask first"), ("code", "Just do it")))
MODEL: Json = {
    "id": "model",
    "name": "Model",
    "category": "model",
    "type": "select",
    "currentValue": "small",
    "options": [{"value": "small", "name": "Small"}, {"value": "large", "name": "Large"}],
}
MODEL_READ = Choice("model", "Model", "model", "small", (("small", "Small"), ("large", "Large")))

READ: dict[str, tuple[Json, Choices | None]] = {  # behaviour: (members, choices)
    "nothing": ({}, None),
    "no-map": (None, None),
    "modes": ({"modes": MODES}, (MODE,)),
    "null": ({"modes": None, "configOptions": None}, None),
    "options": ({"configOptions": [MODEL]}, (MODEL_READ,)),
    "options-win": ({"configOptions": [MODEL], "modes": MODES}, (MODEL_READ,)),
    "no-option-that-can-be-read": ({"configOptions": [7], "modes": MODES}, (MODE,)),
    "there-is-nothing-to-set-now": ({"configOptions": []}, ()),
    "boolean": (
        {"configOptions": [{"id": "web", "name": "Web", "type": "boolean", "currentValue": False}]},
        (Choice("web", "Web", "", False),),
    ),
    "groups": (
        {
            "configOptions": [
                MODEL
                | {
                    "options": [
                        {"group": "a", "name": "A", "options": [{"value": "small", "name": "S"}]},
                        {"group": "b", "name": "B", "options": [7, {"value": "large"}]},
                        {"group": "c", "name": "C", "options": None},
                    ]
                }
            ]
        },
        (Choice("model", "Model", "model", "small", (("small", "S"), ("large", "large"))),),
    ),
    "a-type-that-is-not-known": (
        {"configOptions": [{"id": "x", "currentValue": 7}, MODEL]},
        (MODEL_READ,),
    ),
    "wrong-types": (
        {
            "configOptions": [
                MODEL | {"category": 7, "name": None, "options": [7, *MODEL["options"]]}
            ]
        },
        (MODEL_READ._replace(category="", name="model"),),
    ),
    "modes-without-names": (
        {"modes": {"currentModeId": 7, "availableModes": [{"id": "a"}, 7, {"name": "no id"}]}},
        (Choice("", "Mode", "mode", "", (("a", "a"),)),),
    ),
    "modes-of-another-type": ({"modes": {"currentModeId": "a", "availableModes": {}}}, None),
}


@pytest.mark.parametrize(("members", "choices"), READ.values(), ids=READ)
def test_read_choices(members: Json, choices: Choices | None) -> None:
    assert read_choices(members) == choices


CHANGED: dict[str, tuple[Choices, Json, Choices | None]] = {  # behaviour: (before, update, after)
    "mode": (
        (MODE,),
        {"sessionUpdate": "current_mode_update", "currentModeId": "code"},
        (MODE._replace(current="code"),),
    ),
    "a-mode-that-was-not-offered": (
        (MODE,),
        {"sessionUpdate": "current_mode_update", "currentModeId": "x"},
        (MODE,),
    ),
    "a-mode-of-another-type": (
        (MODE,),
        {"sessionUpdate": "current_mode_update", "currentModeId": 7},
        None,
    ),
    "options": (
        (MODE,),
        {"sessionUpdate": "config_option_update", "configOptions": [MODEL]},
        (MODEL_READ,),
    ),
    "another-kind": ((MODE,), {"sessionUpdate": "plan"}, None),
}


@pytest.mark.parametrize(("before", "update", "after"), CHANGED.values(), ids=CHANGED)
def test_changed_choices(before: Choices, update: Json, after: Choices | None) -> None:
    assert changed_choices(before, update) == after


def test_a_mode_changes_the_option_that_is_about_modes_and_no_other() -> None:
    level = Choice("level", "Level", "thought_level", "ask", MODE.values)
    assert with_mode((MODE, level), "code") == (MODE._replace(current="code"), level)


SET = {  # behaviour: (option, value, request)
    "mode": ("", "code", ("session/set_mode", {"sessionId": "s", "modeId": "code"})),
    "select": (
        "model",
        "large",
        (
            "session/set_config_option",
            {"sessionId": "s", "configId": "model", "value": "large"},
        ),
    ),
    "boolean": (
        "web",
        True,
        (
            "session/set_config_option",
            {"sessionId": "s", "configId": "web", "type": "boolean", "value": True},
        ),
    ),
}


@pytest.mark.parametrize(("option", "value", "request_"), SET.values(), ids=SET)
def test_set_request(option: str, value: Json, request_: Json) -> None:
    assert set_request("s", option, value) == request_

"""Commands of the platform: what is one, what menus show, what they answer."""

import pytest

from anyclawd.model.value import Json
from anyclawd.route import platform
from anyclawd.route.platform import Wish, Word
from anyclawd.wire.acp import Choice

COMMANDS: dict[str, tuple[list[Json], Wish | None]] = {  # behaviour: (content, command)
    "new": ([{"type": "text", "text": "/new"}], Wish(Word.NEW)),
    "cancel-with-a-bot": ([{"type": "text", "text": " /cancel@some_bot "}], Wish(Word.CANCEL)),
    "resume": ([{"type": "text", "text": "/resume 3"}], Wish(Word.RESUME, "3")),
    "resume-with-a-bot": ([{"type": "text", "text": "/resume@bot 3"}], Wish(Word.RESUME, "3")),
    "another-command": ([{"type": "text", "text": "/help"}], None),
    "more-than-the-command": ([{"type": "text", "text": "/new please"}], None),
    "in-a-sentence": ([{"type": "text", "text": "do /new"}], None),
    "two-parts": ([{"type": "text", "text": "/new"}, {"type": "text", "text": "x"}], None),
    "not-text": ([{"type": "image", "text": "/new"}], None),
    "text-of-another-type": ([{"type": "text", "text": 1}], None),
    "nothing": ([], None),
}


@pytest.mark.parametrize(("content", "wish"), COMMANDS.values(), ids=COMMANDS)
def test_what_is_a_command(content: list[Json], wish: Wish | None) -> None:
    assert platform.read(content) == wish


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("//status", "/status"),
        (" //model big", "/model big"),
        ("//help", "//help"),
        ("/help", "/help"),
        ("// a comment", "// a comment"),
    ],
)
def test_a_second_slash_reaches_the_agents_own_command(said: str, told: str) -> None:
    content = [{"type": "text", "text": said}]
    assert platform.read(content) is None
    assert platform.for_agent(content) == ({"type": "text", "text": told},)


MODEL = Choice("model", "Model", "model", "small", (("small", "Small"), ("big", "The big one")))


def test_the_menu_has_what_means_something() -> None:
    commands = [{"name": "help"}, {"name": "status"}]
    names = [command["name"] for command in platform.menu(commands, (MODEL,))]
    assert names == ["help", "new", "cancel", "status", "sessions", "resume", "model"]


@pytest.mark.parametrize(
    ("wanted", "value"), [("big", "big"), ("the BIG one", "big"), ("huge", None)]
)
def test_values_are_found_by_id_and_by_name(wanted: str, value: str | None) -> None:
    assert platform.value_named(MODEL, wanted) == value


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "just now"), (90, "1 min ago"), (7200, "2 h ago"), (90000, "1 d ago")]
)
def test_ages_are_told_in_the_largest_unit(seconds: float, text: str) -> None:
    assert platform.age_text(seconds) == text

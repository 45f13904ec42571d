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


def test_the_agents_own_command_wins_but_for_new_and_cancel() -> None:
    offered = {"status", "new"}
    assert platform.read([{"type": "text", "text": "/status"}], offered) is None
    assert platform.read([{"type": "text", "text": "/new"}], offered) == Wish(Word.NEW)


MODEL = Choice("model", "Model", "model", "small", (("small", "Small"), ("big", "The big one")))


def test_the_menu_has_what_means_something() -> None:
    commands = [{"name": "help"}, {"name": "status"}]
    names = [command["name"] for command in platform.menu(commands, (MODEL,))]
    assert names == ["help", "status", "new", "cancel", "sessions", "resume", "model"]


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

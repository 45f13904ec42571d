"""Texts for terminals."""

import io

import pytest

from anyclawd.cli.cmd_cat import writable
from anyclawd.cli.cmd_list_dependencies import pulled_in, tree_lines
from anyclawd.cli.cmd_show import flattened
from anyclawd.cli.demo_channel import server_sent
from anyclawd.cli.main import verb_position
from anyclawd.cli.render import Paint, branches, clean, duration, size, table


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.35, "350ms"),
        (4.21, "4.2s"),
        (59.94, "59.9s"),
        (125, "2min 5s"),
        (11_400, "3h 10min"),
        (200_000, "2d 7h"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0B"),
        (999, "999B"),
        (1000, "1.0K"),
        (12_582_912, "12M"),
        (1_610_612_736, "1.5G"),
        (5 * 2**40, "5.0T"),
        (5000 * 2**40, "5000.0T"),
    ],
)
def test_sizes_have_three_digits_and_a_unit(count: int, text: str) -> None:
    assert size(count) == text


def test_control_characters_cannot_steer_a_terminal() -> None:
    assert clean("a\x1b[31m\tb\nc\x00\x9b\u202e") == "a\\x1b[31m\tb\nc\\x00\\x9b\\u202e"


def test_tables_are_as_wide_as_their_cells() -> None:
    assert table([("a", "bb", "c"), ("aaa", "b", "")], ("X", "Y", "Z")) == [
        "X    Y   Z",
        "a    bb  c",
        "aaa  b",
    ]
    assert table([]) == []


def test_siblings_are_drawn_as_branches() -> None:
    assert [branches(count) for count in (0, 1, 3)] == [[], ["└─"], ["├─", "├─", "└─"]]


def test_what_is_no_terminal_is_not_painted() -> None:
    assert Paint(io.StringIO())("text", "red", "bold") == "text"


@pytest.mark.parametrize(
    ("words", "position"),
    [
        (["status"], 0),
        (["-s", "status", "start"], 2),
        (["--socket=x", "--json", "start", "-c", "x"], 2),
        (["-cx", "start"], 1),
        (["--version"], None),
        (["-c"], None),
        (["-", "x"], 0),
    ],
)
def test_the_verb_is_the_first_word_that_is_no_option(
    words: list[str], position: int | None
) -> None:
    assert verb_position(words) == position


def test_toml_has_no_null_and_nothing_empty() -> None:
    value = {"a": None, "b": [], "c": {"d": None}, "e": [1, None, {"f": ""}], "g": False, "h": 0}
    assert writable(value) == {"e": [1, {}], "g": False, "h": 0}


def test_properties_have_dotted_names() -> None:
    refs = [{"unit": "a.agent", "until": "ready"}]
    value = {"a": {"b": 1.5, "c": None}, "d": [True, "x"], "e": {}, "after": refs}
    assert list(flattened(value)) == [
        ("a.b", "1.5"),
        ("a.c", ""),
        ("d", "true x"),
        ("e", ""),
        ("after", "a.agent"),
    ]


def test_dependencies_can_be_read_in_both_directions() -> None:
    def settings(*wants: str) -> dict[str, list[dict[str, str]]]:
        return {"requires": [], "binds_to": [], "wants": [{"unit": name} for name in wants]}

    plan = {"units": {"a": settings("b", "c"), "b": settings("c"), "c": settings()}}
    assert pulled_in(plan, reverse=False) == {"a": ["b", "c"], "b": ["c"], "c": []}
    assert pulled_in(plan, reverse=True) == {"a": [], "b": ["a"], "c": ["a", "b"]}


def test_a_tree_draws_each_branch_once() -> None:
    """Each of thirty units pulls in the next two: followed everywhere, that is a million lines."""
    below = {f"u{n}": [f"u{m}" for m in (n + 1, n + 2) if m < 30] for n in range(30)}
    lines = list(tree_lines("u0", below))
    assert len(lines) == sum(map(len, below.values()))
    assert lines[:2] == [("├─", "u1", ""), ("│ ├─", "u2", "")]
    assert lines[-1] == ("└─", "u2", " (see above)")


def test_a_tree_may_be_as_deep_as_there_are_units() -> None:
    below = {f"u{n}": [f"u{n + 1}"] for n in range(3000)} | {"u3000": []}
    assert sum(1 for _ in tree_lines("u0", below)) == 3000


def test_server_sent_events_are_put_together_line_by_line() -> None:
    lines = [b": keep-alive", b"", b"event: thought", b"data: a", b"data:b\r", b"", b"data: c", b""]
    assert list(server_sent(iter(lines))) == [("thought", "a\nb"), ("", "c")]

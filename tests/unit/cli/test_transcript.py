"""What was said, as text for a terminal and as Markdown."""

import sys

import pytest

from anyclawd.cli import transcript
from anyclawd.cli.render import Paint, local
from anyclawd.model.value import Json

AT = "2026-01-02T03:04:05.678Z"


def turn(number: int, prompt: str, answer: str, stop_reason: str = "end_turn") -> Json:
    return {
        "conversation": number,
        "prompt": prompt,
        "answer": answer,
        "stopReason": stop_reason,
        "endedAt": AT,
    }


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Paint:
    monkeypatch.setenv("NO_COLOR", "1")
    return Paint(sys.stdout)


def test_conversations_have_headings_and_prompts_a_mark(plain: Paint) -> None:
    turns = [turn(1, "one\ntwo\n", "yes\n"), turn(2, "three", "no", "max_tokens")]
    assert list(transcript.text(turns, plain)) == [
        "conversation 1",
        "",
        local(AT),
        "> one",
        "> two",
        "yes",
        "",
        "conversation 2",
        "",
        local(AT),
        "> three",
        "no",
        "the turn ended: max_tokens",
    ]


def test_what_was_said_cannot_steer_a_terminal(plain: Paint) -> None:
    lines = list(transcript.text([turn(1, "\x1b[2J", "a\rb", "\x07")], plain))
    assert lines[-3:] == [r"> \x1b[2J", r"a\rb", r"the turn ended: \x07"]


def test_nothing_said_is_nothing_told(plain: Paint) -> None:
    assert list(transcript.text([], plain)) == []


def test_a_document_quotes_prompts_and_leaves_answers_as_they_are() -> None:
    export = {
        "session": "web:direct:ann",
        "conversations": [{"number": 1, "title": "two\nlines"}, {"number": 2, "title": ""}],
        "turns": [turn(1, "why?\n\nsay", "# Because\n\n- so", "cancelled"), turn(2, "and?", "")],
    }
    assert "\n".join(transcript.markdown(export)) == (
        "# web:direct:ann\n"
        "\n## Conversation 1: two lines\n"
        f"\n*{AT}*\n"
        "\n> why?\n>\n> say\n"
        "\n# Because\n\n- so\n"
        "\n*The turn ended: cancelled*\n"
        "\n## Conversation 2\n"
        f"\n*{AT}*\n"
        "\n> and?\n"
        "\n"
    )

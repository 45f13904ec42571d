"""Drop-ins as text: what is put in and taken out, and that it is read as it was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyclawd.compile.diagnose import Report
from anyclawd.compile.dropin import as_text, has_settings, with_settings
from anyclawd.compile.sources import Sources
from anyclawd.compile.tree import Node, parse
from anyclawd.model.value import Json
from tests.fakes.paper_world import PaperWorld


def changed(content: str, *assignments: str) -> str:
    report = Report()
    pairs = [(key, value) for key, _, value in (one.partition("=") for one in assignments)]
    text = with_settings(content.encode(), "drop-in.yaml", pairs, report)
    assert report.findings() == ()
    return text


def refused(content: str, *assignments: str) -> list[str]:
    report = Report()
    pairs = [(key, value) for key, _, value in (one.partition("=") for one in assignments)]
    with_settings(content.encode(), "drop-in.yaml", pairs, report)
    return [str(finding) for finding in report.findings()]


CHANGES = {
    "into-nothing": ("", ["restart=never"], "restart: never\n"),
    "dotted": ("", ["backoff.max=1min"], "backoff:\n  max: 1min\n"),
    "beside": (
        "backoff: {initial: 1s}\nrestart: never\n",
        ["backoff.max=5"],
        "backoff:\n  initial: 1s\n  max: 5\nrestart: never\n",
    ),
    "over": ("restart: never\n", ["restart=always"], "restart: always\n"),
    "out": ("restart: never\nuser: me\n", ["restart="], "user: me\n"),
    "out-of-a-map": ("a: {b: 5, c: 1}\n", ["a.b="], "a:\n  c: 1\n"),
    "out-with-its-map": ("a: {b: {c: 1}}\nd: 2\n", ["a.b.c="], "d: 2\n"),
    "the-last": ("restart: never\n", ["restart="], ""),
    "out-where-it-is-not": ("restart: never\n", ["backoff.max=", "restart.x="], "restart: never\n"),
    "a-list": ("", ["exec=[sh, -c, 'exit 3']"], 'exec: [sh, "-c", "exit 3"]\n'),
    "a-map": ("", ["environment={A: b, C: 'no'}"], 'environment:\n  A: b\n  C: "no"\n'),
    "an-empty-text": ("", ['user=""'], 'user: ""\n'),
    "an-empty-map": ("", ["options={}"], "options: {}\n"),
    "a-variable": ("", ["environment.KEY=!env TOKEN"], 'environment:\n  KEY: !env "TOKEN"\n'),
    "a-variable-that-is-there": (
        'a: !env "X:1:2"\n', ["b=1"], 'a: !env "X:1:2"\nb: 1\n',
    ),
    "a-credential": (
        'a: !credential "x.y:"\n',
        ["options.key=!credential key"],
        'a: !credential "x.y:"\noptions:\n  key: !credential "key"\n',
    ),
    "numbers": ("", ["a=1", "b=1.5", "c=010", "d='1'"], 'a: 1\nb: 1.5\nc: 10\nd: "1"\n'),
    "several": ("", ["a.b=1", "a.c=2", "a.b="], "a:\n  c: 2\n"),
    "only-comments": ("# nothing\n\n", ["a=1"], "a: 1\n"),
    "odd-keys": ("", ["options.a b={'c: d': x}"], 'options:\n  "a b":\n    "c: d": x\n'),
}  # fmt: skip


@pytest.mark.parametrize(("before", "assignments", "after"), CHANGES.values(), ids=CHANGES)
def test_settings_are_put_in_and_taken_out(before: str, assignments: list[str], after: str) -> None:
    assert changed(before, *assignments) == after


REFUSED = {
    "no-map": ("backoff: 1\n", "backoff.max=5", "it is set already, and is no map"),
    "broken-value": ("", "exec=[a", "not YAML"),
    "broken-drop-in": ("a: [\n", "b=1", "drop-in.yaml:2:1: error: not YAML"),
    "a-list-of-settings": ("- a\n", "b=1", "drop-in.yaml:1:1: error: expected a map of settings"),
    "null": ("", "restart=null", "null is no value; write restart= to take the setting out"),
    "no-key": ("", "=x", "expected a key such as restart or backoff.max"),
    "empty-part": ("", "backoff..max=1", "expected a key such as restart or backoff.max"),
}


@pytest.mark.parametrize(("before", "assignment", "text"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_told(before: str, assignment: str, text: str) -> None:
    [finding] = refused(before, assignment)
    assert text in finding


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"", False), (b"# a\n\n  # b\n", False), (b"a: 1", True), (b"# a\nb: 2\n", True)],
)
def test_comments_are_no_settings(content: bytes, *, expected: bool) -> None:
    assert has_settings(content) is expected


SCALARS = st.text() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def plain(node: Node) -> Json:
    if isinstance(node.value, dict):
        return {key: plain(inner) for key, inner in node.value.items()}
    if isinstance(node.value, list):
        return [plain(inner) for inner in node.value]
    return node.value


@given(st.dictionaries(st.text(min_size=1), VALUES, min_size=1))
def test_what_is_written_is_read(settings: dict[str, Json]) -> None:
    report = Report()
    sources = Sources(PaperWorld(), report, {})
    tree = parse(as_text(settings).encode(), "f", report, sources.look_up)
    assert report.findings() == ()
    assert tree is not None
    assert plain(tree) == settings

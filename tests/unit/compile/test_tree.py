"""The dialect: what YAML text becomes, and what is said where it is not YAML."""

import math
from collections.abc import Mapping

import pytest

from anyclawd.compile.diagnose import Report
from anyclawd.compile.origin import Origin, Source
from anyclawd.compile.read import bare
from anyclawd.compile.sources import Sources
from anyclawd.compile.tree import LARGEST_FILE_BYTES, Node, parse, resolve
from tests.fakes.paper_world import PaperWorld

SCALARS = {
    "no": "no",
    "yes": "yes",
    "on": "on",
    "010": 10,
    "+7": 7,
    "-3": -3,
    "0o17": 15,
    "0xff": 255,
    "1.5": 1.5,
    "1e3": 1000.0,
    ".5": 0.5,
    "1_000": "1_000",
    "1:30": "1:30",
    "true": True,
    "FALSE": False,
    "~": None,
    "Null": None,
    "2026-01-01": "2026-01-01",
    "-": "-",
    "+": "+",
    ".": ".",
    "0x": "0x",
    "18446744073709551615": 2**64 - 1,
    "18446744073709551616": 1.8446744073709552e19,
}


@pytest.mark.parametrize(("text", "value"), SCALARS.items(), ids=SCALARS)
def test_a_plain_scalar_is_resolved_by_the_core_schema(text: str, value: object) -> None:
    resolved = resolve(text)
    assert (resolved, type(resolved)) == (value, type(value))


def test_special_numbers() -> None:
    assert resolve("-.inf") == -math.inf
    assert math.isnan(resolve(".nan"))


def tree(
    text: str | bytes, environ: Mapping[str, str] | None = None
) -> tuple[Node | None, list[str]]:
    report = Report()
    content = text if isinstance(text, bytes) else text.encode()
    sources = Sources(PaperWorld(), report, environ or {})
    node = parse(content, "f.yaml", report, sources.look_up)
    return node, [str(finding) for finding in report.findings()]


def plain(text: str, environ: Mapping[str, str] | None = None) -> object:
    node, found = tree(text, environ)
    assert found == []
    assert node is not None
    return bare(node)


def test_every_value_and_key_knows_its_place() -> None:
    node, _ = tree("a:\n  - b: 'c'\n")
    assert node is not None
    (item,) = node.value["a"].value
    leaf = item.value["b"]
    assert (leaf.line, leaf.column, leaf.key_line, leaf.key_column) == (2, 8, 2, 5)


def test_quoted_text_is_never_resolved() -> None:
    assert plain("a: '1'\nb: \"true\"\nc: !!str 5\nd: |\n  7\n") == {
        "a": "1",
        "b": "true",
        "c": "5",
        "d": "7\n",
    }


def test_keys_are_text_as_it_was_written() -> None:
    assert plain("1: a\ntrue: b\n-100: c\n") == {"1": "a", "true": "b", "-100": "c"}


def test_an_alias_is_the_value_of_its_anchor() -> None:
    assert plain("a: &x {k: 1}\nb: *x\nc: &y z\nd: *y\n") == {
        "a": {"k": 1},
        "b": {"k": 1},
        "c": "z",
        "d": "z",
    }


def test_a_variable_gives_value_and_type() -> None:
    environ = {"PORT": "8080", "ON": "true", "RATE": "0.5", "NAME": "x", "EMPTY": ""}
    text = "[!env PORT, !env ON, !env RATE, !env NAME, !env EMPTY]"
    assert plain(f"a: {text}", environ) == {"a": [8080, True, 0.5, "x", ""]}


def test_a_default_begins_at_the_first_colon() -> None:
    assert plain('a: !env "URL:http://x:1"\nb: !env "E:"\n') == {"a": "http://x:1", "b": ""}
    assert plain('a: !env "URL:no"\n', {"URL": "yes"}) == {"a": "yes"}


def test_a_value_from_a_variable_knows_its_origin() -> None:
    node, _ = tree('a: !env "V:7"', {})
    assert node is not None
    assert node.value["a"].origin == Origin(Source.VARIABLE, "V", "7", "7")


NOT_CLOSED = (
    "f.yaml:2:1: error: not YAML: did not find expected node content, while parsing a flow node"
)
EMPTY = "f.yaml:1:1: error: the file is empty, expected at least one section such as agents_manager"
UNSET = 'f.yaml:2:6: error: a.b: the variable NOPE is not set; set it, or write !env "NOPE:default"'
BAD = {
    "not-yaml": (
        "a: [\n",
        NOT_CLOSED,
    ),
    "colon": (
        "a: b: c\n",
        "f.yaml:1:5: error: not YAML: mapping values are not allowed in this context",
    ),
    "tab": ("a:\n\tb: 1\n", "f.yaml:2:1: error: a tab cannot indent YAML; use spaces"),
    "tab-after-spaces": (
        "a:\n  b:\n  \tc: 1\n",
        "f.yaml:3:3: error: a tab cannot indent YAML; use spaces",
    ),
    "latin-1": (
        b"a: 1\nb: caf\xe9\n",
        "f.yaml:2:7: error: byte 0xe9 is not UTF-8, expected UTF-8 text",
    ),
    "utf-16": (
        "a: 1".encode("utf-16"),
        "f.yaml:1:1: error: the file is encoded in UTF-16, expected UTF-8",
    ),
    "control-character": (
        "a: 1\nb: \x01\n",
        "f.yaml:2:4: error: a control character, which YAML does not allow; remove it",
    ),
    "duplicate-key": (
        "a:\n  b: 1\n  c: 2\n  b: 3\n",
        "f.yaml:4:3: error: a.b: duplicate key 'b', first at line 2",
    ),
    "empty": (
        "",
        EMPTY,
    ),
    "only-comments": (
        "# nothing\n",
        EMPTY,
    ),
    "two-documents": (
        "a: 1\n---\nb: 2\n",
        "f.yaml:2:1: error: a second document begins here, expected one in a file",
    ),
    "unknown-tag": (
        "a: !python x",
        "f.yaml:1:4: error: a: the tag '!python' is unknown, expected none or !env or !credential",
    ),
    "unknown-tag-of-a-map": (
        "a: !x {}",
        "f.yaml:1:4: error: a: the tag '!x' is unknown, expected none or !env or !credential",
    ),
    "merge-key": (
        "a: &x {k: 1}\nb:\n  <<: *x\n",
        "f.yaml:3:3: error: b: '<<' is no merge key in YAML 1.2; write the settings out",
    ),
    "map-as-key": (
        "{a: 1}: b",
        "f.yaml:1:1: error: a map or a list cannot be a key, expected text",
    ),
    "alias-as-key": (
        "a: &x y\n*x : 1\n",
        "f.yaml:2:1: error: an alias cannot be a key, expected text",
    ),
    "alias-to-nothing": (
        "a: *x\n",
        "f.yaml:1:4: error: a: the alias *x refers to no anchor before it",
    ),
    "alias-to-itself": (
        "a: &x [*x]\n",
        "f.yaml:1:8: error: a: the alias *x stands inside of what it refers to",
    ),
    "too-deep": (
        "a: " + "[" * 5000,
        "f.yaml:1:67: error: a: nested deeper than 64 levels, the most that is read",
    ),
    "unset-variable": (
        "a:\n  b: !env NOPE\n",
        UNSET,
    ),
    "variable-without-a-name": (
        "a: !env ''",
        "f.yaml:1:4: error: a: !env needs the name of a variable, found ''",
    ),
    "variable-as-a-map": (
        "a: !env {b: 1}",
        "f.yaml:1:4: error: a: !env needs the name of a variable, found a map or a list",
    ),
    "variable-as-a-key": ("!env X: 1", "f.yaml:1:1: error: a key cannot have the tag '!env'"),
}


@pytest.mark.parametrize(("text", "finding"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_said_where_it_is(text: str | bytes, finding: str) -> None:
    assert tree(text)[1] == [finding]


def test_an_anchor_bomb_is_bounded() -> None:
    text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for name, below in zip("bcdefghij", "abcdefghi", strict=True):
        text += f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]\n"
    node, found = tree(text)
    assert node is None
    assert len(found) == 1
    assert found[0].endswith("the aliases of this file stand for more than 100000 values")


def test_aliases_cannot_nest_deeper_than_text_can() -> None:
    text = "".join(
        f"k{n}: &k{n} " + "[" * 60 + (f"*k{n - 1}" if n else "") + "]" * 60 + "\n"
        for n in range(30)
    )
    node, found = tree(text)
    assert node is None
    assert found == ["f.yaml:2:69: error: k1: nested deeper than 64 levels, the most that is read"]


def test_a_flood_of_empty_lists_is_bounded() -> None:
    node, found = tree("a: [" + "[]," * 1_000_001 + "]")
    assert (node, len(found)) == (None, 1)


def test_a_file_of_10_mb_is_read() -> None:
    node, found = tree("a: " + "x" * 10_000_000)
    assert found == []
    assert node is not None
    assert len(node.value["a"].value) == 10_000_000


def test_a_file_of_too_many_values_is_left_half_read() -> None:
    node, found = tree("a: [" + "x," * 1_000_001 + "]")
    assert node is None
    assert found == ["f.yaml:1:2000005: error: a: more than 1000000 values, the most that are read"]


def test_a_file_beyond_the_limit_is_refused_unread() -> None:
    node, found = tree(b"\xff" * (LARGEST_FILE_BYTES + 1))
    assert (node, found) == (
        None,
        ["f.yaml: error: the file is larger than 16 MiB, the most that is read"],
    )


def test_all_duplicates_and_unset_variables_are_told_in_one_run() -> None:
    _, found = tree("a: 1\na: 2\nb: !env X\nb: !env Y\n")
    assert [line.partition(": error: ")[0] for line in found] == [
        "f.yaml:2:1",
        "f.yaml:3:4",
        "f.yaml:4:1",
        "f.yaml:4:4",
    ]

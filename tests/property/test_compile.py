"""Properties of the compiler: algebra of merging, round trips, agreement with jsonschema."""

import json
import marshal
import re
from dataclasses import replace

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from anyclawd.compile.compiler import compile_config
from anyclawd.compile.diagnose import Report
from anyclawd.compile.kinds import (
    Choice,
    Duration,
    Flag,
    FreeMap,
    ListOf,
    MapOf,
    Mode,
    OneOrMore,
    Program,
    ProgramList,
    Real,
    References,
    SchemaMap,
    Size,
    Switched,
    Table,
    Tagged,
    Text,
    TextMap,
    UnitMap,
    ValueKind,
    Whole,
)
from anyclawd.compile.merge import Anew, merge
from anyclawd.compile.origin import Shown
from anyclawd.compile.quantity import duration_s, format_duration, format_size, size_bytes
from anyclawd.compile.read import Reader
from anyclawd.compile.schema import anyclaw_schema
from anyclawd.compile.settings import ANYCLAW, UNIT_TABLES
from anyclawd.compile.sources import Sources
from anyclawd.compile.tree import Node, parse, resolve
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import from_plain, to_plain
from anyclawd.model.span import BUILT_IN
from anyclawd.model.unit import Kind
from anyclawd.model.value import Json
from tests.fakes.paper_world import PaperWorld

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


def node(value: Json, line: int = 1) -> Node:
    """A value as a tree whose nodes all stand in one line; a map with a `type` begins anew."""
    if isinstance(value, dict):
        kind = Anew if "type" in value else dict
        value = kind((key, node(child, line)) for key, child in value.items())
    elif isinstance(value, list):
        value = [node(child, line) for child in value]
    return Node(value, "f", line, 1)


#: Layers as the table makes them: what is a map in one is a map in all (here: `m`).
LAYER = st.recursive(
    st.dictionaries(st.sampled_from("ab"), st.integers(0, 9) | st.lists(st.integers(0, 9))),
    lambda inner: st.fixed_dictionaries(
        {}, optional={"m": inner, "a": st.integers(0, 9), "n": inner, "type": st.just("t")}
    ),
    max_leaves=6,
)


def leaves(tree: Node, path: str = "") -> dict[str, Node]:
    """What a tree holds that is no map, by its path, place and all."""
    if not isinstance(tree.value, dict):
        return {path: tree}
    found: dict[str, Node] = {}
    for key, child in tree.value.items():
        found |= leaves(child, f"{path}.{key}")
    return found


@given(LAYER, LAYER, LAYER)
def test_merging_is_associative(a: Json, b: Json, c: Json) -> None:
    low, middle, high = node(a, 1), node(b, 2), node(c, 3)
    left, right = merge(merge(low, middle), high), merge(low, merge(middle, high))
    assert leaves(left) == leaves(right)


@given(st.dictionaries(st.text(max_size=2), JSON))
def test_an_empty_map_changes_nothing(value: Json) -> None:
    tree, nothing = node(value), node({})
    assert merge(tree, nothing).value == merge(nothing, tree).value == tree.value


@given(st.dictionaries(st.text(max_size=2), JSON))
def test_merging_a_layer_twice_is_merging_it_once(value: Json) -> None:
    tree = node(value)
    assert merge(tree, tree).value == tree.value


@given(st.integers(0, 10**15))
def test_a_written_duration_reads_back(micros: int) -> None:
    seconds = duration_s(format_duration(micros / 1e6))
    assert seconds is not None
    assert round(seconds * 1e6) == round(micros / 1e6 * 1e6)


@given(st.integers(0, 2**50))
def test_a_written_size_reads_back(size: int) -> None:
    assert size_bytes(format_size(size)) == size


@given(st.text(max_size=20))
def test_any_scalar_resolves(text: str) -> None:
    resolve(text)


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(content: bytes) -> None:
    report = Report()
    tree = parse(content, "f", report, Sources(PaperWorld(), report, {}).look_up)
    assert tree is not None or report.has_errors


YAML_BITS = st.lists(
    st.sampled_from(
        [
            "units:\n", "  ", "a.service: ", "{", "}", "[", "]", ": ", "- ", "\n", "&a ", "*a",
            "!env X", "!env X:1", "!credential X", "!credential X:1", "exec", "agents_manager",
            "agents", "'", '"', "\t", "#", ",", "null",
            "1", "true", "after", "<<", "|", "\n---\n", "!", "é", "\x00",
        ]
    ),
    max_size=30,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(YAML_BITS)
def test_no_text_crashes_the_compiler(bits: list[str]) -> None:
    path = "/etc/claw/anyclaw.yaml"
    world = PaperWorld(files={path: "".join(bits).encode()})
    outcome = compile_config(path, world.environ, world)
    assert (outcome.plan is None) is any(found.severity == "error" for found in outcome.findings)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([*ANYCLAW.settings, "other"]), JSON, max_size=4))
def test_no_document_crashes_the_compiler(document: Json) -> None:
    path = "/etc/claw/anyclaw.yaml"
    world = PaperWorld(files={path: json.dumps(document).encode()})
    outcome = compile_config(path, world.environ, world)
    assert outcome.plan is not None or outcome.findings


EXAMPLE = """\
agents_manager:
  agents:
    default:
      workspace: {type: local, binary: [sh, -c, x], env: {A: !env T}}
      backoff: {base_delay_ms: 250}
      tools: [!env "T:x"]
    pool: {exec: sh, max_workers: 2, fs: true, hooks: [{name: h, events: [prompt]}]}
channels_manager:
  channels:
    http:
      binary: "@built-in/channels/debug-http"
      agent: default
      options: {host: 127.0.0.1, port: 8080, ack: {typing: true}}
      queue: {mode: steer, cap: 3}
access: {rules: [{channel: http, peer: !env T, agent: pool}, {peer: 3, allow: false}]}
services_manager: {services: {h: {binary: sh, protocol: hook}}}
units:
  pool.agent: {requires: [h.service], min_workers: 0, history_replay: false}
  a.service:
    exec: "@ext/agents/mock"
    protocol: none
    requires: [b.service, {unit: b.service, order: false}]
    after: [{unit: b.service, until: started}]
    options: {a: [1, {b: c}], token: !env T}
  b.service: {exec: sh, protocol: none, readiness: {type: tcp, port: 8}}
  c@.service:
    exec: [sh, "%i", !env T]
    exec_start_pre: [[-sh, "%n"], ["@python", x]]
    condition: {path_exists: ["!/%i"], environment: A=%p, command: sh}
    health: {type: http, url: "http://h:%i/", interval: 3s}
    readiness: {type: tcp, port: "8%i"}
    options: {token: "%%", a: ["%i"]}
    requires: [d@%i.service]
    instances: [1, x]
  d@.service: {exec: sh, protocol: none, on_failure: [c@2.service]}
  c@3.service: {description: "%i"}
"""
PIECES = st.sampled_from(
    ["null", "[]", "{}", "''", "3", "-1", "true", ".nan", "x", "a.service", "!env T", "!env Q",
     "!credential C", "!credential D", '!credential "D:1"', "!credential E", "!credential ..",
     "&a ", "*a", "\n", "  ", "- ", ": ", "[", "}", "@ext/agents/mock", "@python", "1e400",
     "%", "%i", "@", "c@4.service", "pool@1.agent", "pool.agent"]
)  # fmt: skip
CHANGES = st.lists(
    st.tuples(st.integers(0, len(EXAMPLE)), st.integers(0, 8), PIECES), min_size=1, max_size=3
)


@settings(max_examples=300, deadline=None)
@given(CHANGES, st.booleans())
def test_no_mistake_in_a_good_text_crashes_the_compiler_or_shows_a_secret(
    changes: list[tuple[int, int, str]], has_credentials: bool
) -> None:
    text, path = EXAMPLE, "/etc/claw/anyclaw.yaml"
    for start, length, piece in changes:
        text = text[:start] + piece + text[start + length :]
    environ = {"PATH": "/bin", "T": "hunter2"}
    if has_credentials:
        environ["CREDENTIALS_DIRECTORY"] = "/run/c"
    files = {path: text.encode(), "/run/c/C": b"hunter2\n", "/run/c/E": b"hunter2\xff"}
    world = PaperWorld(files=files, environ=environ)
    outcome = compile_config(path, world.environ, world, has_credentials=has_credentials)
    assert (outcome.plan is None) is any(found.severity == "error" for found in outcome.findings)
    assert "hunter2" not in "".join(map(str, outcome.findings))


TEXTS = st.sampled_from(
    ["", "x", "a b", "1min", "500ms", "10", "-1", "512m", "1.5", "/x", "a:b", "a:/b:ro", "true",
     "0660", "unix:///x", "http://x", "always", "json", "::1", "10.0.0.1", "a.service", "é\n"]
)  # fmt: skip
NUMBERS = st.integers(-2, 70000) | st.floats(-2, 70000) | st.sampled_from([2**61, -(2**61), 1.0])
ANYTHING = TEXTS | NUMBERS | st.none() | st.booleans() | st.just([]) | st.just({})


def valid(kind: ValueKind) -> st.SearchStrategy[Json]:
    """Values that fit a kind most of the time; what does not fit, jsonschema refuses too."""
    match kind:
        case Flag():
            return st.sampled_from([True, False, "true"])
        case Whole(least=least, most=most, or_specifier=or_specifier):
            number = st.integers(least, min(most, least + 1000)) | st.just(float(least))
            return number | st.sampled_from(["%i", "80%i", "%x"]) if or_specifier else number
        case Real(least=least, most=most):
            return st.floats(least, most)
        case Choice(of=words):
            return st.sampled_from(words)
        case Duration():
            return st.sampled_from([0, 1.5, "1min 30s", "500ms", "90"])
        case Size():
            return st.sampled_from([0, 512, 1024.0, "512m", "16 MiB"])
        case Mode():
            return st.sampled_from(["0660", "600"])
        case Text(pattern=pattern):
            return st.from_regex(pattern) if "^(?" not in pattern and pattern else st.just("x")
        case Program():
            return st.sampled_from(["/bin/true", ["/bin/true", "", "x"]])
        case ProgramList():
            program = st.sampled_from(["/bin/true", "-false", "--", ""])
            return (
                program
                | st.lists(program, max_size=2)
                | st.lists(st.lists(program, max_size=2), max_size=2)
                | st.lists(program | st.lists(program, max_size=1), max_size=2)
            )
        case OneOrMore(item=item):
            return valid(item) | st.lists(valid(item), max_size=2)
        case ListOf(item=item):
            return st.lists(valid(item), max_size=2)
        case References(until=until, order=order):
            full: Json = {"unit": "a.service"}
            full |= {"until": "started"} if until else {}
            full |= {"order": False} if order else {}
            return st.lists(
                st.sampled_from(["a.service", "b@1.agent", "b@%i.agent", full]), max_size=2
            )
        case FreeMap() | SchemaMap():
            return st.dictionaries(st.sampled_from("ab"), JSON, max_size=2)
        case TextMap():
            return st.dictionaries(st.sampled_from(["A", "B", "C=D"]), ANYTHING, max_size=2)
        case Table():
            return documents(kind)
        case Switched(table=table):
            return documents(table) | st.booleans()
        case Tagged(variants=variants, is_layered=is_layered, added=added):
            tables = [*variants.values(), *([added] if is_layered else [])]
            return st.one_of([documents(table) for table in tables])
        case MapOf(entry=entry):
            return st.dictionaries(st.sampled_from(["a", "b"]), documents(entry), max_size=1)
        case UnitMap():
            return st.sampled_from(Kind).flatmap(
                lambda unit_kind: st.dictionaries(
                    st.sampled_from([f"{name}.{unit_kind}" for name in ("a", "b@", "b@1")]),
                    documents(UNIT_TABLES[unit_kind]) | st.none(),
                    max_size=2,
                )
            )


def documents(table: Table) -> st.SearchStrategy[Json]:
    """Maps with some keys of a table; now and then a wrong value or an unknown key."""

    @st.composite
    def build(draw: st.DrawFn) -> Json:
        rows = list(table.settings.values())
        needed = [row for row in rows if row.required]
        chosen = draw(st.lists(st.sampled_from(rows), max_size=3, unique_by=lambda row: row.name))
        document = {}
        for row in [*needed, *chosen]:
            wrong = draw(st.integers(0, 19)) == 0
            document[row.name] = draw(
                ANYTHING if wrong else st.deferred(lambda k=row.kind: valid(k))
            )
        if draw(st.integers(0, 19)) == 0:
            document["unknown"] = 1
        return document

    return build()


def scalars(text: str) -> list[tuple[int, int]]:
    """Where the scalars of a document begin and end, keys left out."""
    found = []
    keys = set()
    for event in yaml.parse(text):
        if isinstance(event, yaml.ScalarEvent):
            found.append((event.start_mark.index, event.end_mark.index))
            if text[event.end_mark.index :].startswith(":"):
                keys.add(found[-1])
    return [place for place in found if place not in keys and place[0] < place[1]]


def errors_of(text: str) -> set[tuple[str, str]]:
    path = "/etc/claw/anyclaw.yaml"
    world = PaperWorld(files={path: text.encode()})
    outcome = compile_config(path, world.environ, world, has_credentials=False)
    errors = {(it.key, it.text) for it in outcome.findings if it.severity == "error"}
    assert (outcome.plan is None) is bool(errors)
    return errors


UNTAGGED = EXAMPLE.replace("!env ", "")
#: But for the one whose meaning another unit depends on.
SCALARS = [(start, end) for start, end in scalars(UNTAGGED) if UNTAGGED[start:end] != "hook"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(SCALARS), min_size=1, max_size=4, unique=True))
def test_a_credential_may_stand_for_any_value_where_nobody_has_it(
    places: list[tuple[int, int]],
) -> None:
    """Whatever is not known: it compiles, and all that is said of that is that it is not known."""
    text = UNTAGGED
    for start, end in sorted(places, reverse=True):
        text = f"{text[:start]}!credential C{text[end:]}"
    assert errors_of(text) <= errors_of(UNTAGGED)


ARGUMENTS = st.text("abcXYZ0189:_.-\\", min_size=1, max_size=12)
PIECE = st.sampled_from(["%i", "%n", "%p", "%%", "a", "/", " ", "é", "%%i", "{", "'", '"', "\n"])
MEANT = st.lists(PIECE, max_size=6).map("".join)


def written_out(value: Json, name: str) -> Json:
    """What a text, or whatever holds texts, says for one instance."""
    if isinstance(value, dict):
        return {key: written_out(item, name) for key, item in value.items()}
    if isinstance(value, list):
        return [written_out(item, name) for item in value]
    prefix, _, rest = name.partition("@")
    meant = {"%i": rest.rpartition(".")[0], "%n": name, "%p": prefix, "%%": "%"}
    return "".join(meant.get(piece, piece) for piece in re.findall("%.|[^%]", value, re.DOTALL))


@settings(max_examples=100, deadline=None)
@given(ARGUMENTS, st.lists(MEANT, max_size=3), st.dictionaries(st.sampled_from("abc"), MEANT))
def test_an_instance_is_its_template_written_out(
    argument: str, words: list[str], texts: dict[str, str]
) -> None:
    path, name = "/etc/claw/anyclaw.yaml", f"t@{argument}.service"
    template: Json = {
        "exec": ["/bin/true", *words],
        "exec_start_pre": [["/bin/true", *words], ["-/bin/sh"]],
        "exec_stop_post": ["/bin/sh", *words],
        "condition": {"command": ["/bin/sh", *words], "environment": ["A=%i"]},
        "health": {"type": "command", "exec": ["/bin/sh", *words]},
        "description": "".join(words),
        "environment": texts,
        "options": {"texts": texts, "words": words},
    }
    instance = written_out(template, name)
    plans = []
    for units in (
        {"t@.service": {**template, "protocol": "none"}, name: None},
        {name: {**escaped(instance), "protocol": "none"}},
    ):
        world = PaperWorld(files={path: json.dumps({"units": units}).encode()})
        outcome = compile_config(path, world.environ, world)
        assert outcome.plan is not None, [str(found) for found in outcome.findings]
        plans.append(outcome.plan)
    one, other = (replace(plan.units[UnitName(name)], span=BUILT_IN) for plan in plans)
    assert one == other


def escaped(value: Json) -> Json:
    """Texts as an instance has to write them to mean every percent sign as one."""
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [escaped(item) for item in value]
    return value.replace("%", "%%")


STRICT = Draft202012Validator(anyclaw_schema(env=False))


@settings(max_examples=400, deadline=None)
@given(documents(ANYCLAW))
def test_jsonschema_says_of_a_document_what_the_typed_reader_says(document: Json) -> None:
    report = Report()
    Reader(report, Shown()).read(node(document), ANYCLAW, "")
    errors = list(STRICT.iter_errors(document))
    found = [str(finding) for finding in report.findings()]
    assert report.has_errors is bool(errors), (found, [error.message for error in errors])


@settings(max_examples=200, deadline=None)
@given(documents(ANYCLAW))
def test_a_document_compiles_or_says_why_not(document: Json) -> None:
    path = "/etc/claw/anyclaw.yaml"
    world = PaperWorld(files={path: json.dumps(document).encode()})
    outcome = compile_config(path, world.environ, world)
    errors = [found for found in outcome.findings if found.severity == "error"]
    assert (outcome.plan is None) is bool(errors)
    if outcome.plan is not None:
        place = {name: index for index, name in enumerate(outcome.plan.order)}
        assert sorted(place) == sorted(outcome.plan.units)
        for name, unit in outcome.plan.units.items():
            assert all(place[ref.unit] < place[name] for ref in unit.deps.after)
            assert all(place[name] < place[ref.unit] for ref in unit.deps.before)
        assert from_plain(marshal.loads(marshal.dumps(to_plain(outcome.plan)))) == outcome.plan

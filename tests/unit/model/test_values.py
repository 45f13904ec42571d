"""The values of the model: what they refuse, and what they promise each other."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from anyclawd.model import world
from anyclawd.model.deps import Ref, UnitName
from anyclawd.model.errors import Finding, Severity, UnknownUnit
from anyclawd.model.fingerprint import fingerprint
from anyclawd.model.policy import Backoff, Probe, ProbeType, ReadinessType
from anyclawd.model.span import BUILT_IN, Span
from anyclawd.model.state import ACTIVE_OF, ALIVE, COMING_UP, GOING_DOWN, UP, Active, Sub
from anyclawd.model.tool import ToolRole
from anyclawd.model.unit import AgentRole, ChannelRole, Kind, kind_of, template_of
from tests.fakes.world import SPAN, make_unit

# -- states ------------------------------------------------------------------------------------


def test_every_sub_state_has_an_active_state() -> None:
    assert ACTIVE_OF.keys() == set(Sub)
    assert set(ACTIVE_OF.values()) == set(Active)


def test_what_is_up_is_active_or_reloading_and_the_reverse() -> None:
    assert {sub for sub in Sub if ACTIVE_OF[sub] in (Active.ACTIVE, Active.RELOADING)} == UP


def test_what_is_coming_up_or_going_down_may_have_a_process() -> None:
    assert COMING_UP | GOING_DOWN < ALIVE
    assert {ACTIVE_OF[sub] for sub in COMING_UP} == {Active.ACTIVATING}
    assert {ACTIVE_OF[sub] for sub in GOING_DOWN} == {Active.DEACTIVATING}


def test_what_is_going_down_has_a_process() -> None:
    assert {sub for sub in Sub if ACTIVE_OF[sub] is Active.DEACTIVATING} < ALIVE


def test_what_is_inactive_or_failed_has_no_process() -> None:
    at_rest = {sub for sub in Sub if ACTIVE_OF[sub] in (Active.INACTIVE, Active.FAILED)}
    assert not at_rest & ALIVE


# -- units -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("default.agent", Kind.AGENT),
        ("a.b.tool", Kind.TOOL),
        ("worker@1.agent", Kind.AGENT),
        ("default.target", Kind.TARGET),
        ("admin.core", Kind.CORE),
        ("default", None),
        ("default.AGENT", None),
        ("default.gadget", None),
        ("", None),
    ],
)
def test_a_name_ends_in_its_kind(name: str, kind: Kind | None) -> None:
    assert kind_of(name) is kind


#: Probes by the readiness that needs one.
PROBES = {
    ReadinessType.HTTP: Probe(type=ProbeType.HTTP, url="http://localhost/"),
    ReadinessType.TCP: Probe(type=ProbeType.TCP, host="localhost", port=1),
    ReadinessType.COMMAND: Probe(type=ProbeType.COMMAND, argv=("/bin/true",)),
}

REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "name-of-another-kind": (
        lambda: replace(make_unit("a.service"), kind=Kind.TOOL),
        "a.service: the name must end in .tool",
    ),
    "process-without-argv": (
        lambda: make_unit("a.service", argv=()),
        "a.service: a process needs an argv",
    ),
    "channel-without-role": (
        lambda: make_unit("a.channel", channel=None),
        "a.channel: a channel, and only a channel, has a channel role",
    ),
    "channel-role-elsewhere": (
        lambda: make_unit("a.service", channel=ChannelRole(agent=UnitName("a.agent"))),
        "a.service: a channel, and only a channel, has a channel role",
    ),
    "agent-without-role": (
        lambda: make_unit("a.agent", agent=None),
        "a.agent: an agent, and only an agent, has an agent role",
    ),
    "agent-role-elsewhere": (
        lambda: make_unit("a.tool", agent=AgentRole(cwd="/")),
        "a.tool: an agent, and only an agent, has an agent role",
    ),
    "tool-without-role": (
        lambda: make_unit("a.tool", tool=None),
        "a.tool: a tool, and only a tool, has a tool role",
    ),
    "tool-role-elsewhere": (
        lambda: make_unit("a.service", tool=ToolRole()),
        "a.service: a tool, and only a tool, has a tool role",
    ),
}


@pytest.mark.parametrize(("build", "text"), REFUSED.values(), ids=REFUSED)
def test_a_unit_that_contradicts_itself_is_refused(build: Callable[[], object], text: str) -> None:
    with pytest.raises(ValueError, match=r"^a\.[a-z]+: ") as refusal:
        build()
    assert str(refusal.value) == text


def test_what_cannot_be_started_needs_no_argv() -> None:
    assert make_unit("a.service", argv=(), problem="not supported").argv == ()


@pytest.mark.parametrize("name", ["a.core", "a.target"])
def test_core_units_and_targets_are_no_processes(name: str) -> None:
    assert not make_unit(name).is_process


@pytest.mark.parametrize("type_", ReadinessType)
def test_what_the_process_brings_about_itself_has_to_be_waited_for(type_: ReadinessType) -> None:
    has_probe = type_ in PROBES
    unit = make_unit("a.service", readiness=type_, readiness_probe=PROBES.get(type_))
    answering = (ReadinessType.INITIALIZE, ReadinessType.NOTIFY, ReadinessType.LOG)
    assert unit.has_to_answer is (has_probe or type_ in answering)


@pytest.mark.parametrize("type_", ReadinessType)
def test_a_probe_belongs_to_what_is_looked_for_from_outside(type_: ReadinessType) -> None:
    wrong = None if type_ in PROBES else Probe(type=ProbeType.TCP, port=1)
    with pytest.raises(ValueError, match=f"a.service: readiness {type_} and its probe disagree"):
        make_unit("a.service", readiness=type_, readiness_probe=wrong)


@pytest.mark.parametrize(
    ("settings", "notifies"),
    [({}, False), ({"readiness": ReadinessType.NOTIFY}, True), ({"watchdog_s": 1.0}, True)],
    ids=["neither", "readiness", "watchdog"],
)
def test_who_has_to_notify_gets_a_socket(settings: dict[str, object], notifies: bool) -> None:
    assert make_unit("a.service", **settings).notifies is notifies


@pytest.mark.parametrize(
    ("name", "template"),
    [
        ("a@1.service", "a@.service"),
        ("a@b.c.service", "a@.service"),
        ("a.service", None),
        ("a@.service", None),
    ],
)
def test_an_instance_knows_its_template(name: str, template: str | None) -> None:
    assert template_of(name) == template


@pytest.mark.parametrize(
    "settings",
    [
        {"initial_s": -1},
        {"max_s": -0.1},
        {"factor": 0.9},
        {"jitter": -0.1},
        {"jitter": 1.1},
    ],
)
def test_a_backoff_that_makes_no_sense_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="backoff: delays cannot be negative"):
        Backoff(**settings)


# -- places, findings, texts -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (Span("anyclaw.yaml", 7, 5), "anyclaw.yaml:7:5"),
        (Span("anyclaw.yaml"), "anyclaw.yaml"),
        (BUILT_IN, "<built-in>"),
    ],
)
def test_a_place_is_written_as_editors_read_it(span: Span, text: str) -> None:
    assert str(span) == text


def test_places_sort_by_file_line_and_column() -> None:
    spans = [Span("b", 1, 1), Span("a", 10, 1), Span("a", 9, 12), Span("a", 9, 2), Span("a")]
    assert sorted(spans) == [
        Span("a"),
        Span("a", 9, 2),
        Span("a", 9, 12),
        Span("a", 10, 1),
        spans[0],
    ]


def finding(**settings: object) -> Finding:
    values = {"span": SPAN, "severity": Severity.ERROR, "key": "a.b", "text": "no unit 'x'"}
    return Finding(**(values | settings))  # type: ignore[arg-type]  # the fields of Finding


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (finding(), "anyclaw.yaml:1:1: error: a.b: no unit 'x'"),
        (finding(hint="y"), "anyclaw.yaml:1:1: error: a.b: no unit 'x' (did you mean 'y'?)"),
        (finding(key=""), "anyclaw.yaml:1:1: error: no unit 'x'"),
        (finding(severity=Severity.WARNING), "anyclaw.yaml:1:1: warning: a.b: no unit 'x'"),
    ],
)
def test_a_finding_is_one_line(one: Finding, text: str) -> None:
    assert str(one) == text


def test_an_unknown_unit_is_answered_with_the_nearest() -> None:
    assert str(UnknownUnit("x")) == "no unit 'x'"
    error = UnknownUnit("defualt.agent", "default.agent")
    assert str(error) == "no unit 'defualt.agent' (did you mean 'default.agent'?)"
    assert (error.name, error.hint) == ("defualt.agent", "default.agent")


def test_what_the_machine_lacks_is_told_with_the_next_move() -> None:
    assert world.no_program("npx") == ("no program 'npx' in PATH; install it or correct the path")
    assert world.no_program("/opt/x") == "no program '/opt/x'; install it or correct the path"
    assert "correct the path or its mode" in world.not_executable("/opt/x")
    assert "correct working_dir" in world.no_working_dir("/gone")
    for said in (world.no_program("a; b"), world.no_user("x"), world.CANNOT_ISOLATE):
        missing, remedy = world.halves(said)
        assert f"{missing}; {remedy}" == said
        assert ";" not in remedy
    assert world.halves(world.no_loader("/opt/x"))[1] == "install one that was built for this one"


# -- values ------------------------------------------------------------------------------------


def test_a_reference_is_equal_by_value_and_may_be_kept_in_sets() -> None:
    assert len({Ref(unit=UnitName("a.service")), Ref(unit=UnitName("a.service"))}) == 1


def test_fingerprints_differ_by_content_and_length() -> None:
    contents = [b"", b"\0", b"\0\0", b"a", b"b", b"ab", b"ba", b"a" * 100_000]
    assert len({fingerprint(content) for content in contents}) == len(contents)
    assert fingerprint(b"ab") == fingerprint(b"ab")

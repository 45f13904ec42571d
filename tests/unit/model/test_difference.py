"""What two plans differ in, by key and effect; what never counts, and what is never shown."""

import dataclasses
from dataclasses import replace
from types import MappingProxyType

import pytest

from anyclawd.model.deps import UnitName
from anyclawd.model.difference import (
    SETTINGS_ROWS,
    UNIT_ROWS,
    Difference,
    Effect,
    KeyChange,
    difference,
)
from anyclawd.model.plan import LogFormat, Plan, SessionStore, Settings
from anyclawd.model.policy import (
    Backoff,
    Condition,
    HealthCheck,
    HookCommand,
    Hooks,
    Probe,
    ProbeType,
    ReadinessType,
    Resources,
    Restart,
    Timeouts,
)
from anyclawd.model.secret import MARK
from anyclawd.model.span import Span
from anyclawd.model.unit import ChannelRole, Unit
from anyclawd.model.value import Json
from tests.fakes.world import link, make_plan, make_unit

NAME = UnitName("a.service")
UNIT = make_unit(NAME)
TCP = Probe(type=ProbeType.TCP, host="127.0.0.1", port=80)
SECRET = "hunter2-hunter2"


def of_unit(old: Unit, new: Unit, *, has_controllers: bool = False) -> list[KeyChange]:
    """What differs about one unit that is alone in its plan."""
    found = difference(make_plan(old), make_plan(new), has_controllers=has_controllers)
    assert (found.added, found.removed, found.settings) == ((), (), ())
    return [key for change in found.changed.values() for key in change.keys]


#: What is changed about a unit: the key that is told, before, now, effect.
CHANGES: dict[str, tuple[dict[str, Json], tuple[str, str, str, Effect]]] = {
    "argv": (
        {"argv": ("/bin/b", "x y")},
        ("exec", '["/bin/a"]', '["/bin/b", "x y"]', Effect.RESTART),
    ),
    "variable-added": (
        {"environment": {"A": "1"}},
        ("environment.A", "", "1", Effect.RESTART),
    ),
    "policy": (
        {"restart": Restart.ON_FAILURE},
        ("restart", "never", "on-failure", Effect.LIVE),
    ),
    "duration": (
        {"backoff": Backoff(jitter=0, max_s=5)},
        ("backoff.max", "30s", "5s", Effect.LIVE),
    ),
    "zero-duration": (
        {"timeouts": Timeouts(start_s=0)},
        ("timeouts.start", "30s", "0s", Effect.LIVE),
    ),
    "limit": (
        {"resources": Resources(memory_max_bytes=2**20)},
        ("resources.memory_max", "", "1048576", Effect.RESTART),
    ),
    "health-check-added": (
        {"health": HealthCheck(probe=TCP)},
        (
            "health",
            "",
            (
                '{"probe": {"type": "tcp", "host": "127.0.0.1", "port": 80, "interval_s": 30.0, '
                '"timeout_s": 5.0}, "failures": 3}'
            ),
            Effect.RELOAD,
        ),
    ),
    "hook-added": (
        {"hooks": Hooks(reload=(HookCommand(argv=("/bin/kill",)),))},
        ("exec_reload", "", '[{"argv": ["/bin/kill"], "may_fail": false}]', Effect.LIVE),
    ),
    "condition-added": (
        {"condition": Condition(paths=("/x",))},
        ("condition", "{}", '{"paths": ["/x"]}', Effect.LIVE),
    ),
    "nested-option": (
        {"options": {"a": {"b": 1}}},
        ("options.a", "", '{"b": 1}', Effect.RESTART),
    ),
    "watchdog": ({"watchdog_s": 3.0}, ("watchdog", "0s", "3s", Effect.RESTART)),
}


@pytest.mark.parametrize(("fields", "expected"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_told_by_its_key(
    fields: dict[str, Json], expected: tuple[str, str, str, Effect]
) -> None:
    base = replace(UNIT, argv=("/bin/a",), restart=Restart.NEVER)
    [found] = of_unit(base, replace(base, **fields))
    assert (found.key, found.old, found.new, found.effect) == expected


def test_a_probe_is_looked_into() -> None:
    probed = replace(UNIT, readiness=ReadinessType.TCP, readiness_probe=TCP)
    checked = replace(probed, health=HealthCheck(probe=TCP))
    other = replace(TCP, port=81, interval_s=1.0)
    changed = replace(checked, readiness_probe=other, health=HealthCheck(probe=other, failures=5))
    assert [(found.key, found.effect) for found in of_unit(checked, changed)] == [
        ("readiness.port", Effect.LIVE),
        ("readiness.interval", Effect.LIVE),
        ("health.port", Effect.RELOAD),
        ("health.interval", Effect.RELOAD),
        ("health.failures", Effect.RELOAD),
    ]


def test_another_type_of_readiness_is_one_change() -> None:
    probed = replace(UNIT, readiness=ReadinessType.TCP, readiness_probe=TCP)
    http = Probe(type=ProbeType.HTTP, url="http://127.0.0.1/")
    other = replace(UNIT, readiness=ReadinessType.HTTP, readiness_probe=http)
    keys = [found.key for found in of_unit(probed, other)]
    assert keys == ["readiness.type", "readiness.url", "readiness.host", "readiness.port"]


def test_where_something_is_written_never_counts() -> None:
    unit, other = make_unit("a.service"), make_unit("b.service")
    linked = link(unit, requires=["b.service"])
    elsewhere = Span("other.yaml", 99, 9)
    refs = tuple(replace(ref, span=elsewhere) for ref in linked.deps.requires)
    after = tuple(replace(ref, span=elsewhere) for ref in linked.deps.after)
    moved = replace(linked, span=elsewhere, deps=replace(linked.deps, requires=refs, after=after))
    assert moved != linked
    found = difference(make_plan(linked, other), make_plan(moved, other))
    assert found.is_empty
    assert found.unchanged == len(make_plan(linked, other).units)


def test_a_relation_is_told_with_its_condition() -> None:
    units = make_unit("b.service"), make_unit("c.service")
    old = make_plan(link(UNIT, wants=["b.service"]), *units)
    new = make_plan(link(UNIT, wants=["b.service", "c.service"]), *units)
    [change] = difference(old, new).changed[NAME].keys
    assert (change.key, change.effect) == ("wants", Effect.LIVE)
    assert (change.old, change.new) == ('["b.service"]', '["b.service", "c.service"]')


def test_units_come_in_start_order_and_go_in_stop_order() -> None:
    first, last = make_unit("a.service"), link(make_unit("b.service"), requires=["a.service"])
    kept = make_unit("k.service")
    full, less = make_plan(first, last, kept), make_plan(kept)
    assert difference(less, full).added == ("a.service", "b.service")
    assert difference(full, less).removed == ("b.service", "a.service")


def test_a_target_that_wants_what_is_new_has_not_changed() -> None:
    target = make_unit("all.target")
    old = make_plan(target)
    new = make_plan(link(target, wants=["a.service"]), UNIT)
    found = difference(old, new)
    assert (found.added, dict(found.changed)) == ((NAME,), {})


def test_the_strongest_effect_is_the_units() -> None:
    new = replace(UNIT, description="x", environment={"A": "1"})
    found = difference(make_plan(UNIT), make_plan(new))
    assert found.changed[NAME].effect is Effect.RESTART
    assert found.restarted == {NAME}
    assert difference(make_plan(UNIT), make_plan(replace(UNIT, description="x"))).restarted == set()


@pytest.mark.parametrize(
    ("fields", "effect"),
    [
        ({"memory_max_bytes": 1}, Effect.LIVE),
        ({"tasks_max": 1}, Effect.LIVE),
        ({"cpu_weight": 1}, Effect.LIVE),
        ({"nofile": 1}, Effect.RESTART),
    ],
)
def test_a_control_group_takes_limits_live(fields: dict[str, int], effect: Effect) -> None:
    new = replace(UNIT, resources=Resources(**fields))
    [found] = of_unit(UNIT, new, has_controllers=True)
    assert found.effect is effect


def test_a_secret_that_changes_is_told_and_not_shown() -> None:
    old = replace(
        UNIT,
        environment={"KEY": {MARK: {"value": SECRET}}},
        argv=("/bin/a", f"--key={SECRET}"),
    )
    new = replace(
        UNIT,
        environment={"KEY": {MARK: {"value": SECRET + "-new"}}},
        argv=("/bin/a", f"--key={SECRET}-new"),
    )
    found = of_unit(old, new)
    assert [change.key for change in found] == ["exec", "environment.KEY"]
    assert SECRET not in str(found)
    assert (found[1].old, found[1].new) == ("<secret>", "<secret>")


def test_a_secret_in_a_probe_or_a_hook_that_comes_is_not_shown() -> None:
    """What comes or goes as a whole is told as a whole."""
    url = f"http://127.0.0.1/?key={SECRET}"
    new = replace(
        UNIT,
        health=HealthCheck(probe=Probe(type=ProbeType.HTTP, url=url)),
        hooks=Hooks(start_pre=(HookCommand(argv=("/bin/echo", SECRET)),)),
        hidden=({MARK: {"value": SECRET}},),
    )
    found = of_unit(UNIT, new)
    assert sorted(change.key for change in found) == ["exec_start_pre", "health"]
    assert SECRET not in str(found)
    assert all("<secret>" in change.new for change in found)


@pytest.mark.parametrize(("old", "new"), [(1, True), ([1], [True]), (1, 1.0)])
def test_what_python_finds_equal_may_differ(old: Json, new: Json) -> None:
    before, after = (replace(UNIT, options={"a": {"b": value}}) for value in (old, new))
    assert [found.key for found in of_unit(before, after)] == ["options.a.b"]


def test_the_order_of_keys_never_counts() -> None:
    before = replace(
        UNIT, options={"a": [{"x": 1, "y": 2}], "b": 0}, environment={"A": "", "B": ""}
    )
    after = replace(UNIT, options={"b": 0, "a": [{"y": 2, "x": 1}]}, environment={"B": "", "A": ""})
    assert of_unit(before, after) == []


def test_a_long_value_is_cut_off() -> None:
    [found] = of_unit(UNIT, replace(UNIT, description="x" * 10_000))
    assert len(found.new) == 200


def test_a_channel_that_is_answered_by_another_agent_runs_on() -> None:
    agents = make_unit("a.agent"), make_unit("b.agent")
    old, new = (
        make_unit("w.channel", channel=ChannelRole(agent=UnitName(agent)))
        for agent in ("a.agent", "b.agent")
    )
    found = difference(make_plan(old, *agents), make_plan(new, *agents))
    [change] = found.changed[UnitName("w.channel")].keys
    assert (change.key, change.effect) == ("agent", Effect.LIVE)


def test_settings_of_the_daemon_are_told_apart() -> None:
    plan = make_plan(UNIT)
    other = Settings(log_format=LogFormat.JSON, admin_port=0, tools_server_host="::1")
    found = difference(plan, replace(plan, settings=other))
    assert [(change.key, change.effect) for change in found.settings] == [
        ("log_format", Effect.LIVE),
        ("supervisor.admin_port", Effect.RELOAD),
        ("tools_manager.tools_server_host", Effect.RESTART),
    ]
    assert not found.is_empty


def test_how_long_is_kept_holds_at_once_and_where_does_not() -> None:
    plan = make_plan(UNIT)
    store = SessionStore(path="/x", ttl_days=1, keep_messages_s=60.0, keep_history_s=60.0)
    found = difference(plan, replace(plan, settings=Settings(session_store=store)))
    assert [(change.key, change.effect) for change in found.settings] == [
        ("session_store.path", Effect.RESTART),
        ("session_store.ttl_days", Effect.LIVE),
        ("session_store.keep_messages", Effect.LIVE),
        ("session_store.keep_history", Effect.LIVE),
    ]


def test_every_field_has_a_row() -> None:
    about_itself = {"name", "kind", "span", "hidden", "deps"}
    units = {field.name for field in dataclasses.fields(Unit)} - about_itself
    assert units <= UNIT_ROWS.keys()
    settings = {name.partition(".")[0] for name in SETTINGS_ROWS}
    assert {field.name for field in dataclasses.fields(Settings)} == settings


def test_many_units_that_are_alike_differ_in_nothing() -> None:
    units = [
        replace(make_unit(f"u{number}.service"), options=MappingProxyType({"n": number}))
        for number in range(500)
    ]
    assert difference(make_plan(*units), make_plan(*units)) == Difference(
        unchanged=len(make_plan(*units).units)
    )


def test_a_plan_has_no_difference_to_itself() -> None:
    plan = Plan(units={}, order=())
    assert difference(plan, plan).is_empty

"""An agent with a pool: its workers are units that are alike, and all else goes on to name it."""

from collections.abc import Mapping

import pytest

from anyclawd.compile.compiler import Outcome, world_findings
from anyclawd.engine.lint import lint
from anyclawd.model.conversation import Pool
from anyclawd.model.deps import UnitName
from anyclawd.model.difference import Effect, difference
from anyclawd.model.unit import Unit
from tests.fakes.paper_world import PaperWorld
from tests.unit.compile.conftest import Compile, lines

POOL = """\
agents_manager:
  agents:
    coder:
      workspace: {type: local, binary: [sh, "%i"], env: {URL: "postgres://u:p%40ss@h"}}
      min_workers: 2
      max_workers: 4
      worker_idle: 1min
channels_manager:
  channels:
    http: {binary: "@built-in/channels/debug-http", agent: coder}
"""
WORKERS = tuple(UnitName(f"coder@{number}.agent") for number in range(1, 5))


def units(outcome: Outcome) -> Mapping[UnitName, Unit]:
    assert outcome.plan is not None, lines(outcome)
    return outcome.plan.units


def names(unit: Unit, relation: str) -> list[str]:
    return [ref.unit for ref in getattr(unit.deps, relation)]


def test_workers_stand_in_the_place_of_the_agent(compile_text: Compile) -> None:
    outcome = compile_text(POOL)
    found = units(outcome)
    assert [name for name in found if name.endswith(".agent")] == list(WORKERS)
    for name in WORKERS:
        role = found[name].agent
        assert role is not None
        assert role.pool == Pool(
            agent=UnitName("coder.agent"), min_workers=2, max_workers=4, idle_s=60
        )
    channel = found[UnitName("http.channel")].channel
    assert channel is not None
    assert channel.agent == "coder.agent"
    assert lines(outcome) == []


def test_what_a_pool_says_is_no_template(compile_text: Compile) -> None:
    unit = units(compile_text(POOL))[WORKERS[2]]
    assert unit.argv == ("/bin/sh", "%i")
    assert unit.environment == {"URL": "postgres://u:p%40ss@h"}
    assert unit.template is None


def test_only_the_fewest_are_wanted_and_all_are_ordered(compile_text: Compile) -> None:
    outcome = compile_text(POOL)
    target = units(outcome)[UnitName("agents.target")]
    assert names(target, "wants") == ["coder@1.agent", "coder@2.agent"]
    assert set(WORKERS) <= set(names(target, "after"))
    for name in WORKERS:
        assert names(units(outcome)[name], "after") == ["tools.target", "channels.target"]
    assert outcome.plan is not None
    assert [one.finding.text for one in lint(outcome.plan)] == []


def test_an_agent_of_one_process_is_no_pool(compile_text: Compile) -> None:
    found = units(compile_text("agents_manager: {agents: {a: {exec: sh, max_workers: 1}}}\n"))
    role = found[UnitName("a.agent")].agent
    assert role is not None
    assert role.pool is None


def test_a_pool_may_rest_as_a_whole(compile_text: Compile) -> None:
    found = units(compile_text(POOL.replace("min_workers: 2", "min_workers: 0")))
    assert names(found[UnitName("agents.target")], "wants") == []


def test_a_pool_that_is_switched_off_is_one_agent_that_is(compile_text: Compile) -> None:
    outcome = compile_text(POOL.replace("min_workers: 2", "enabled: false"))
    assert outcome.plan is not None
    assert outcome.plan.disabled == ("coder.agent",)
    (warning,) = lines(outcome)
    assert "the agent coder.agent is disabled" in warning


def test_every_source_of_settings_reaches_every_worker(compile_text: Compile) -> None:
    outcome = compile_text(
        POOL + "units: {coder.agent: {restart: on-failure}}\n",
        files={
            "/etc/claw/units.d/a.yaml": "coder.agent: {description: codes}\n",
            "/etc/claw/coder.agent.d/b.yaml": "max_workers: 3\n",
        },
    )
    found = units(outcome)
    assert [name for name in found if name.endswith(".agent")] == list(WORKERS[:3])
    assert {(found[name].restart, found[name].description) for name in WORKERS[:3]} == {
        ("on-failure", "codes")
    }


def test_a_boot_fails_without_the_required_workers_that_it_starts(compile_text: Compile) -> None:
    found = units(compile_text(POOL + "units: {coder.agent: {required: true}}\n"))
    assert names(found[UnitName("default.target")], "requires") == [
        "coder@1.agent",
        "coder@2.agent",
    ]
    assert [found[name].required for name in WORKERS] == [True, True, False, False]


#: What a service says of the pool, and which workers it means by that.
MEANT = {
    "wants": ("wants: [coder.agent]", "wants", WORKERS[:2]),
    "requires": ("requires: [coder.agent]", "requires", WORKERS[:2]),
    "requires-in-order": ("requires: [coder.agent]", "after", WORKERS[:2]),
    "binds-to": ("binds_to: [coder.agent]", "binds_to", WORKERS[:2]),
    "after": ("after: [coder.agent]", "after", WORKERS),
    "before": ("before: [coder.agent]", "before", WORKERS),
    "part-of": ("part_of: [coder.agent]", "part_of", WORKERS),
    "conflicts": ("conflicts: [coder.agent]", "conflicts", WORKERS),
    "one-worker": ("wants: [coder@3.agent]", "wants", WORKERS[2:3]),
}


@pytest.mark.parametrize(("keys", "relation", "meant"), MEANT.values(), ids=MEANT)
def test_a_relation_to_a_pool_means_its_workers(
    compile_text: Compile, keys: str, relation: str, meant: tuple[UnitName, ...]
) -> None:
    outcome = compile_text(f"{POOL}units: {{s.target: {{{keys}}}}}\n")
    assert names(units(outcome)[UnitName("s.target")], relation) == list(meant)


def test_a_worker_takes_no_part_in_what_it_says_of_its_own_pool(compile_text: Compile) -> None:
    found = units(compile_text(POOL + "units: {coder.agent: {part_of: [coder.agent]}}\n"))
    assert names(found[WORKERS[0]], "part_of") == list(WORKERS[1:])


ALIKE = "the workers of the pool coder.agent are alike; say it of coder.agent, which means them all"
BAD = {
    "fewer-than-the-fewest": (
        POOL.replace("max_workers: 4", "max_workers: 1"),
        (
            "5:20: error: agents_manager.agents.coder.min_workers: min_workers 2 is more than"
            " max_workers"
        ),
    ),
    "settings-of-one-worker": (
        POOL + "units: {coder@1.agent: {restart: never}}\n",
        f"11:9: error: units.coder@1.agent: {ALIKE}",
    ),
    "a-template-of-the-name": (
        POOL + "units: {coder@.agent: {exec: sh}}\n",
        f"11:9: error: units.coder@.agent: {ALIKE}",
    ),
    "an-instance-as-a-pool": (
        "units:\n  a@.agent: {exec: sh}\n  a@b.agent: {max_workers: 2}\n",
        (
            "3:28: error: units.a@b.agent.max_workers: an agent with an @ in its name cannot be a"
            " pool, whose workers have one too"
        ),
    ),
    "a-template-of-pools": (
        "units:\n  a@.agent: {exec: sh, max_workers: 2, instances: [x]}\n",
        (
            "2:37: error: units.a@.agent.max_workers: an agent with an @ in its name cannot be a"
            " pool, whose workers have one too"
        ),
    ),
    "a-channel-to-one-worker": (
        POOL.replace("agent: coder", 'agent: "coder@2"'),
        (
            "10:60: error: channels_manager.channels.http.agent: coder@2.agent is one worker of"
            " coder.agent; name the pool"
        ),
    ),
    "a-need-of-nobody": (
        POOL.replace("min_workers: 2", "min_workers: 0")
        + "units: {s.service: {exec: sh, protocol: none, requires: [coder.agent]}}\n",
        (
            "11:58: error: units.s.service.requires[0]: coder.agent has min_workers 0, so nothing"
            " starts what this unit cannot do without"
        ),
    ),
    "a-mistake-in-the-entry": (
        POOL + "units: {coder.agent: {after: [x.service]}}\n",
        "11:31: error: units.coder.agent.after[0]: no unit 'x.service'",
    ),
}


@pytest.mark.parametrize(("text", "finding"), BAD.values(), ids=BAD)
def test_a_mistake_is_told_once_and_where_it_stands(
    compile_text: Compile, text: str, finding: str
) -> None:
    assert lines(compile_text(text)) == [f"anyclaw.yaml:{finding}"]


def test_a_drop_in_of_one_worker_is_an_error(compile_text: Compile) -> None:
    outcome = compile_text(POOL, files={"/etc/claw/coder@3.agent.d/a.yaml": "restart: never\n"})
    assert lines(outcome) == [f"coder@3.agent.d/a.yaml:1:1: error: coder@3.agent: {ALIKE}"]


def test_what_the_machine_lacks_for_a_pool_is_told_once(compile_text: Compile) -> None:
    outcome = compile_text(POOL.replace("[sh,", "[nonesuch,"))
    assert outcome.plan is not None
    found = world_findings(outcome.plan, PaperWorld(), outcome.places)
    keys = [finding.key for finding in found if "agents_manager" in finding.key]
    assert keys == ["agents_manager.agents.coder.workspace.binary"]


def test_a_reload_adds_and_removes_workers_and_restarts_none(compile_text: Compile) -> None:
    before = compile_text(POOL).plan
    after = compile_text(POOL.replace("max_workers: 4", "max_workers: 3")).plan
    assert before is not None
    assert after is not None
    less, more = difference(before, after), difference(after, before)
    assert (less.added, less.removed) == ((), ("coder@4.agent",))
    assert (more.added, more.removed) == (("coder@4.agent",), ())
    for change in (less, more):
        assert change.restarted == set()
        assert set(change.changed) == set(WORKERS[:3])
        keys = [key for one in change.changed.values() for key in one.keys]
        assert {(key.key, key.effect) for key in keys} == {("max_workers", Effect.LIVE)}


def test_an_agent_that_becomes_a_pool_is_another(compile_text: Compile) -> None:
    before = compile_text(POOL.replace("min_workers: 2\n      max_workers: 4", "")).plan
    after = compile_text(POOL).plan
    assert before is not None
    assert after is not None
    change = difference(before, after)
    assert (change.added, change.removed) == (WORKERS, ("coder.agent",))

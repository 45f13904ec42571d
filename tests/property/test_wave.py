"""The first wave of a cached plan is what the engine decides for the boot of the same plan."""

from dataclasses import replace

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from anyclawd.daemon.first_wave import first_wave
from anyclawd.engine.commands import Spawn
from anyclawd.engine.events import BootRequested, Invocation
from anyclawd.engine.manager import Manager
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan
from anyclawd.model.policy import CgroupUse, ReadinessType
from tests.fakes.world import answering, link, make_plan, make_unit
from tests.property.test_engine import NAMES, plans


def _contested() -> Plan:
    """One of two that conflict starts at a boot, and a third waits for the other."""
    rival = link(make_unit("u3.service"), conflicts=["u0.service"])
    return make_plan(
        make_unit("u0.service"), rival, link(make_unit("u4.service"), after=["u3.service"])
    )


@example(_contested(), frozenset({"u0.service"}))
@given(plans(), st.frozensets(st.sampled_from(NAMES), max_size=2))
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_wave_and_engine_agree(plan: Plan, stopped: frozenset[str]) -> None:
    """Whatever was stopped by hand: all that the wave starts, the engine starts at once too."""
    _, wave = first_wave(plan, "instance")
    names = [order[0] for order, needs in wave if not needs & stopped]
    manager = Manager(plan, lambda: 0.0, lambda _: Invocation("run"))
    commands = manager.handle(BootRequested(frozenset(map(UnitName, stopped))), now=0.0)
    spawned = [command.unit for command in commands if isinstance(command, Spawn)]
    assert set(names) <= set(spawned)
    if not stopped:
        assert names == [name for name in spawned if not plan.units[name].notifies]


def test_a_unit_that_notifies_is_left_to_the_driver() -> None:
    """Its socket is bound before it starts, and stage 0 binds none."""
    plan = make_plan(
        make_unit("plain.service"),
        make_unit("notify.service", readiness=ReadinessType.NOTIFY),
        make_unit("watched.service", watchdog_s=10.0),
    )
    _, wave = first_wave(plan, "instance")
    assert [order[0] for order, _ in wave] == ["plain.service"]


def test_a_unit_that_uses_a_service_is_left_to_the_driver() -> None:
    """What it is given is known once the service has answered."""
    service = answering("s.service")
    user = link(make_unit("a.tool", services=(service.name,)), requires=["s.service"])
    _, wave = first_wave(make_plan(service, user), "instance")
    assert [order[0] for order, _ in wave] == ["s.service"]


def test_the_wave_says_whether_cgroups_are_wanted() -> None:
    plan = make_plan(make_unit("plain.service"))
    never = replace(plan, settings=replace(plan.settings, cgroup=CgroupUse.NEVER))
    assert [first_wave(each, "instance")[0] for each in (plan, never)] == ["auto", "never"]

"""The critical chain of any boot accounts for all of it, and for nothing else. Behaviour 77."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyclawd.draw.phases import phases
from anyclawd.draw.plot import plot
from anyclawd.draw.timeline import boot_of, critical_chain_values
from anyclawd.engine.simulate import Past, simulate
from anyclawd.model.deps import UnitName, Until
from anyclawd.model.plan import Plan
from anyclawd.model.policy import ReadinessType, Restart, Timeouts
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from tests.fakes.world import answering, link, make_plan, make_unit

QUICK = st.sampled_from((0.0, 0.001, 0.25, 1.5))
SECONDS = QUICK | st.just(40.0)


@st.composite
def boots(draw: st.DrawFn) -> Json:
    """The record of a boot of a few units; what takes longest is not ready in time."""
    count = draw(st.integers(1, 8))
    units = [draw(units_after(number)) for number in range(count)]
    plan: Plan = make_plan(*units, start_concurrency=draw(st.integers(1, 4)))
    pasts = {unit.name: Past(prepared_s=draw(QUICK), took_s=draw(SECONDS)) for unit in units}
    own_s = draw(QUICK)
    return simulate(plan, pasts, assumed_s=0.1, own_s=own_s, started_at="").record


@st.composite
def units_after(draw: st.DrawFn, number: int) -> Unit:
    name, others = f"u{number}.service", [f"u{other}.service" for other in range(number)]
    make = draw(st.sampled_from((answering, make_unit)))
    settings = {"timeouts": Timeouts(start_s=30.0), "restart": Restart.NEVER}
    unit = make(name, **settings)
    if make is make_unit and draw(st.booleans()):
        unit = make_unit(name, readiness=ReadinessType.EXITED, **settings)
    if not others:
        return unit
    some = st.lists(st.sampled_from(others), unique=True, max_size=3)
    until = draw(st.sampled_from((Until.READY, Until.STARTED)))
    return link(unit, after=draw(some), requires=draw(some), until=until)


@given(boots())
def test_the_chain_adds_up_to_the_boot(record: Json) -> None:
    chain = critical_chain_values(boot_of(record))
    assert chain[0]["unit"] == "default.target"
    assert sum(row["share_s"] for row in chain) == pytest.approx(record["settled_s"], abs=0.001)
    assert all(row["share_s"] >= 0 and row["took_s"] >= 0 for row in chain)
    assert len({row["unit"] for row in chain}) == len(chain)
    known = {UnitName(unit["name"]) for unit in record["units"]}
    assert {row["unit"] for row in chain} <= known


@given(boots())
def test_a_unit_is_in_one_phase_at_each_instant(record: Json) -> None:
    boot = boot_of(record)
    for unit in boot.units:
        bars = phases(unit, record["settled_s"])
        for bar, following in pairwise(bars):
            assert bar.begin_s < bar.end_s == following.begin_s
        assert not bars or bars[-1].end_s == record["settled_s"]
    assert plot(boot, "boot") == plot(boot, "boot")

"""A boot as bars: which phases a unit has, and where the ticks are."""

from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from anyclawd.draw.axis import tick_step, tick_text, ticks
from anyclawd.draw.phases import Phase, phases
from anyclawd.draw.plot import plot
from anyclawd.draw.timeline import Boot, BootUnit

SVG = "{http://www.w3.org/2000/svg}"
UNIT = BootUnit(
    name="a.agent",
    kind="agent",
    queued_s=0.1,
    unblocked_s=0.3,
    spawned_s=0.4,
    ready_s=0.9,
    settled_s=0.9,
    result="done",
)

#: what it is: (the unit, its phases with their begins; the boot ends at 2)
ROWS: dict[str, tuple[BootUnit, list[tuple[str, float]]]] = {
    "ready": (UNIT, [("waiting", 0.1), ("preparing", 0.3), ("starting", 0.4), ("ready", 0.9)]),
    "failed": (
        replace(UNIT, result="timeout"),
        [("waiting", 0.1), ("preparing", 0.3), ("starting", 0.4), ("failed", 0.9)],
    ),
    "never spawned": (
        replace(UNIT, spawned_s=None, result="dependency"),
        [("waiting", 0.1), ("preparing", 0.3), ("failed", 0.9)],
    ),
    "skipped by its condition": (
        replace(UNIT, spawned_s=None, result="skipped"),
        [("waiting", 0.1), ("preparing", 0.3), ("skipped", 0.9)],
    ),
    "a target": (
        replace(UNIT, name="a.target", kind="target", spawned_s=None, unblocked_s=0.9),
        [("waiting", 0.1), ("ready", 0.9)],
    ),
    "a core": (
        replace(UNIT, name="a.core", kind="core", spawned_s=0.9),
        [("waiting", 0.1), ("starting", 0.3), ("ready", 0.9)],
    ),
    "spawned before the engine was there": (
        replace(UNIT, spawned_s=0.02),
        [("starting", 0.02), ("ready", 0.9)],
    ),
    "still waiting": (
        replace(UNIT, unblocked_s=None, spawned_s=None, settled_s=None, result=""),
        [("waiting", 0.1)],
    ),
    "still starting": (
        replace(UNIT, settled_s=None, result=""),
        [("waiting", 0.1), ("preparing", 0.3), ("starting", 0.4)],
    ),
    "settled after the boot": (
        replace(UNIT, settled_s=5.0),
        [("waiting", 0.1), ("preparing", 0.3), ("starting", 0.4)],
    ),
    "not before the boot's end": (
        replace(UNIT, queued_s=0.1, unblocked_s=3.0, spawned_s=3.1, settled_s=5.0),
        [("waiting", 0.1)],
    ),
}


@pytest.mark.parametrize(("unit", "expected"), ROWS.values(), ids=ROWS)
def test_phases(unit: BootUnit, expected: list[tuple[str, float]]) -> None:
    bars = phases(unit, 2.0)
    assert [(str(bar.phase), bar.begin_s) for bar in bars] == expected
    for bar, following in pairwise(bars):
        assert bar.end_s == following.begin_s
    assert bars[-1].end_s == 2.0


@pytest.mark.parametrize("end_s", [0.0007, 0.012, 0.3, 0.999, 1.0, 7.0, 61.0, 3600.0])
def test_ticks_have_room_and_are_told_apart(end_s: float) -> None:
    step = tick_step(end_s, 860.0)
    found = ticks(end_s, step)
    assert step * 860 / end_s >= 84
    assert 1 < len(found) <= 11
    assert found[-1] <= end_s * (1 + 1e-9) < found[-1] + step
    texts = [tick_text(at, step) for at in found]
    assert len(set(texts)) == len(texts)


def test_a_row_tells_what_its_bars_show() -> None:
    failed = replace(UNIT, result="timeout", reason="not ready within 0.5s")
    boot = Boot(settled_s=2.0, units=(failed,))
    root = ET.fromstring(plot(boot, "boot"))
    (row,) = [group for group in root.iter(f"{SVG}g") if group.get("class") == "unit"]
    assert row.findtext(f"{SVG}title") == "a.agent"
    assert row.findtext(f"{SVG}desc") == (
        "waiting from 100.0ms to 300.0ms; preparing from 300.0ms to 400.0ms; starting from 400.0ms "
        "to 900.0ms; failed from 900.0ms to 2000.0ms; timeout: not ready within 0.5s; "
        "on the critical chain"
    )
    assert "600.0ms, timeout: not ready within 0.5s" in "".join(root.itertext())


def test_a_unit_started_after_the_boot_is_not_drawn() -> None:
    later = replace(UNIT, name="late.agent", unblocked_s=3.0, spawned_s=3.0, settled_s=4.0)
    text = plot(Boot(settled_s=2.0, units=(UNIT, later)), "boot")
    assert "late.agent" not in "".join(ET.fromstring(text).itertext())


def test_a_boot_that_goes_on_is_drawn_as_far_as_it_has_come() -> None:
    waiting = replace(UNIT, name="b.agent", unblocked_s=None, spawned_s=None, settled_s=None)
    text = plot(Boot(settled_s=None, units=(UNIT, waiting)), "boot")
    assert "has not settled" in text
    assert "the boot goes on; 1 have settled" in text


def test_a_boot_of_nothing_is_drawn_too() -> None:
    ET.fromstring(plot(Boot(settled_s=0.2, units=()), "boot"))
    ET.fromstring(plot(Boot(settled_s=None, units=()), "boot"))


def test_only_phases_that_occur_are_explained() -> None:
    text = plot(Boot(settled_s=2.0, units=(UNIT,)), "boot")
    assert "did not come up" not in text
    assert "runs, and is not ready yet" in text
    assert len(Phase) == 7

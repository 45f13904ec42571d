"""What is counted of units, and what of it outlives them."""

from anyclawd.daemon.tally import Tally
from anyclawd.model.deps import UnitName
from anyclawd.model.state import Sub

A, B = UnitName("a.service"), UnitName("b.agent")


def restarted(tally: Tally, name: UnitName, times: int) -> None:
    for _ in range(times):
        tally.note(name, Sub.RUNNING, Sub.AUTO_RESTART, 1.0)


def test_restarts_are_counted_by_unit_and_by_manager() -> None:
    tally = Tally()
    restarted(tally, A, 2)
    restarted(tally, B, 1)
    assert (tally.restarts(A), tally.restarts(B), tally.restarts(UnitName("c.tool"))) == (2, 1, 0)
    assert tally.restarts_by_manager() == {"agents": 1, "channels": 0, "tools": 0, "services": 2}


def test_a_start_lasts_from_the_spawn_until_it_is_ready() -> None:
    tally = Tally()
    tally.note(A, Sub.START_PRE, Sub.START, 5.0)
    assert tally.start_s(A) is None
    tally.note(A, Sub.START, Sub.START_POST, 6.0)
    tally.note(A, Sub.START_POST, Sub.RUNNING, 7.5)
    assert tally.start_s(A) == 2.5


def test_a_reload_or_a_return_is_no_start() -> None:
    tally = Tally()
    tally.note(A, Sub.DEAD, Sub.START, 5.0)
    tally.note(A, Sub.START, Sub.RUNNING, 6.0)
    tally.note(A, Sub.RUNNING, Sub.RELOAD, 7.0)
    tally.note(A, Sub.RELOAD, Sub.RUNNING, 9.0)
    tally.note(A, Sub.RUNNING, Sub.DEGRADED, 10.0)
    tally.note(A, Sub.DEGRADED, Sub.RUNNING, 19.0)
    assert tally.start_s(A) == 1.0


def test_totals_outlive_the_units_they_come_from() -> None:
    tally = Tally()
    restarted(tally, B, 3)
    tally.note(B, Sub.DEAD, Sub.START, 5.0)
    tally.note(B, Sub.START, Sub.RUNNING, 6.0)
    tally.forget(B)
    assert (tally.restarts(B), tally.start_s(B)) == (0, None)
    assert tally.restarts_by_manager()["agents"] == 3

"""When a unit is at rest, and what a caller who waited for that is told."""

import asyncio

import pytest

from anyclawd.daemon.waiting import UnitsRest, Watch
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import ExitCodes, OnLimit, ReadinessType, Restart, StartLimit
from anyclawd.model.unit import Unit
from tests.fakes.world import World, answering, link, make_plan, make_unit

A, B = UnitName("a.service"), UnitName("b.service")


def once(name: str = A, **settings: object) -> Unit:
    return make_unit(name, restart=Restart.NEVER, **settings)


def world_of(*units: Unit) -> World:
    world = World(make_plan(*units))
    world.boot()
    return world


def rest_of(world: World, *names: UnitName) -> UnitsRest:
    return UnitsRest(world.manager, names, Watch())


ENDS = {
    "its own exit code": ({"code": 7}, 7),
    "a code that means success": ({"code": 3}, 0),
    "success": ({"code": 0}, 0),
    "a signal": ({"signal": 9}, 137),
    "a signal that is no failure": ({"signal": 15}, 143),
}


@pytest.mark.parametrize(("end", "status"), ENDS.values(), ids=ENDS)
def test_the_status_is_the_runs_own(end: dict[str, int], status: int) -> None:
    world = world_of(once(exit_codes=ExitCodes(success=(0, 3))))
    rest = rest_of(world, A)
    [row] = rest.rows()
    assert (row["at_rest"], row["status"]) == (False, None)
    world.exit(A, **end)
    [row] = rest.rows()
    assert (row["at_rest"], row["status"]) == (True, status)


def test_a_unit_that_is_down_already_is_0() -> None:
    world = world_of(once())
    world.exit(A, signal=15)
    assert rest_of(world, A).rows()[0]["status"] == 0


def test_a_unit_that_has_failed_before_tells_how() -> None:
    world = world_of(once())
    world.exit(A, code=7)
    assert rest_of(world, A).rows()[0]["status"] == 7


def test_a_failure_without_an_end_is_1() -> None:
    world = World(make_plan(once()))
    world.unstartable[A] = world.no_program
    world.boot()
    [row] = rest_of(world, A).rows()
    assert (row["result"], row["exit"], row["status"]) == ("resources", None, 1)


def test_a_stop_that_ends_it_politely_is_0() -> None:
    world = world_of(once())
    rest = rest_of(world, A)
    world.stop(A)
    world.exit(A, code=0)
    assert rest.rows()[0]["status"] == 0


def test_one_shots_that_have_done_their_work_are_at_rest() -> None:
    world = world_of(once(readiness=ReadinessType.EXITED))
    rest = rest_of(world, A)
    world.exit(A, code=0)
    assert (rest.rows()[0]["at_rest"], rest.rows()[0]["sub"]) == (True, "exited")


def test_a_unit_that_is_restarted_by_its_policy_is_waited_for() -> None:
    limit = StartLimit(burst=2, on_limit=OnLimit.FAIL)
    world = world_of(make_unit(A, start_limit=limit))
    rest = rest_of(world, A)
    world.exit(A, code=1)
    assert not rest.rows()[0]["at_rest"]
    world.elapse()
    assert not rest.rows()[0]["at_rest"]
    world.exit(A, code=1)
    assert rest.rows()[0]["at_rest"]


def test_a_unit_that_is_about_to_start_is_waited_for() -> None:
    world = world_of(answering(B), link(once(), after=[B]))
    [row] = rest_of(world, A).rows()
    assert (row["sub"], row["at_rest"]) == ("dead", False)


def test_a_unit_that_a_reload_removes_is_told_apart() -> None:
    world = world_of(once(), once(B))
    rest = rest_of(world, A)
    world.replace_plan(make_plan(once(B)))
    world.exit(A, code=0)
    [row] = rest.rows()
    assert (row["at_rest"], row["active"], row["status"]) == (True, None, None)


def test_who_waits_goes_on_when_the_last_one_has_ended() -> None:
    world, watch = world_of(once(), once(B)), Watch()
    rest = UnitsRest(world.manager, [A, B], watch)

    async def wait() -> list[int]:
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(rest.wait([A, B]))
            await asyncio.sleep(0)
            world.exit(A, code=1)
            watch.look()
            world.start(A)  # who has ended once is waited for no more
            watch.look()
            await asyncio.sleep(0)
            assert not waiting.done()
            world.exit(B, code=2)
            watch.look()
        return [row["status"] for row in rest.rows()]

    assert asyncio.run(wait()) == [1, 2]


def test_who_gives_up_waiting_is_forgotten() -> None:
    world, watch = world_of(once()), Watch()
    rest = UnitsRest(world.manager, [A], watch)

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await rest.wait([A])

    asyncio.run(give_up())
    world.exit(A, code=1)
    watch.look()
    assert rest.rows()[0]["status"] == 1


def test_a_start_that_is_canceled_lets_the_waiting_end() -> None:
    world = world_of(answering(B), link(once(), after=[B]))
    rest = rest_of(world, A)
    world.cancel(A)
    [row] = rest.rows()
    assert (row["at_rest"], row["sub"], row["status"]) == (True, "dead", 0)

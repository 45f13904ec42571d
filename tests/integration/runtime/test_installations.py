"""Processes are given what services offer, and are restarted where that has changed."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from anyclawd.daemon.installations import Installations, Renewal
from anyclawd.engine.explain import sentences
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import Hooks
from anyclawd.model.state import JobType, Sub
from anyclawd.model.unit import Unit
from anyclawd.wire.service import Installation
from tests.integration.runtime.supervisor import Supervisor, after, commands, shell, supervised

pytestmark = pytest.mark.usefixtures("subreaper", "loop")

S = UnitName("s.service")
STAY = "exec sleep 1000"
#: A unit that uses the service, one that declares what it would be given, and one that does not.
NOTING = ("a", "own", "none")


def offering(key: str, **more: str) -> Installation:
    return Installation(environment=(("KEY", key), *more.items()))


def user(name: str, directory: Path, **settings: object) -> Unit:
    """A unit that uses the service, and notes each start with what it was given."""
    script = f'echo "$KEY" >>{directory}/{name}; {STAY}'
    return shell(name, script, deps=after("s"), services=(S,), **settings)


def given(directory: Path, name: str) -> list[str]:
    path = directory / name
    return path.read_text().split() if path.exists() else []


async def renew(house: Supervisor, installations: Installations, offered: Installation) -> None:
    """The service has another installation, and all that follows has been dealt with."""
    installations.take(S, offered)
    await house.wait_until(lambda: not house.driver.manager.jobs)


async def test_who_uses_a_service_is_restarted_when_it_offers_something_else(
    tmp_path: Path,
) -> None:
    installations = Installations()
    installations.take(S, offering("one"))
    units = (
        shell("s", STAY),
        user("a", tmp_path, hooks=Hooks(start_pre=commands(f'echo "$KEY" >{tmp_path}/pre'))),
        user("own", tmp_path, environment={"KEY": "mine"}),
        shell("none", f'echo "none:$KEY" >>{tmp_path}/none; {STAY}'),
    )
    async with supervised(tmp_path, *units, installed=installations.of) as house:
        Renewal(house.driver, installations)
        began = {"a": ["one"], "own": ["mine"], "none": ["none:"]}
        await house.wait_until(lambda: {name: given(tmp_path, name) for name in NOTING} == began)
        before = {name: house.state(name).pid for name in ("s", *NOTING)}
        await renew(house, installations, offering("one"))
        assert {name: house.state(name).pid for name in before} == before

        await renew(house, installations, offering("two"))
        after_it = {name: house.state(name).pid for name in before}
        assert {name for name in before if before[name] != after_it[name]} == {"a"}
        await house.wait_until(lambda: given(tmp_path, "a") == ["one", "two"])
        assert given(tmp_path, "pre") == ["two"]
        assert given(tmp_path, "own") == ["mine"]
        assert given(tmp_path, "none") == ["none:"]
        said = sentences(house.driver.manager, UnitName("a.service"), time.monotonic())
        assert "It was restarted because s.service has another installation." in said

        await renew(house, installations, replace(offering("two"), volumes=("/a:/b",)))
        assert house.state("a").pid == after_it["a"]


async def test_who_does_not_run_is_left_alone_and_finds_it_later(tmp_path: Path) -> None:
    installations = Installations()
    async with supervised(
        tmp_path, shell("s", STAY), user("a", tmp_path), installed=installations.of
    ) as house:
        Renewal(house.driver, installations)
        assert await house.job(JobType.STOP, "a") == ["done"]
        await renew(house, installations, offering("late"))
        assert house.state("a").sub is Sub.DEAD
        assert await house.job(JobType.START, "a") == ["done"]
        await house.wait_until(lambda: given(tmp_path, "a")[-1:] == ["late"])

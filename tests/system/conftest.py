"""Asked for by ANYCLAWD_TEST_SYSTEM=1 alone; a test that fails shows what its machine wrote."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from pluggy import Result

from tests.system.deployment import CONFIG, PRISTINE, install, restore
from tests.system.machine import Machine, booted
from tests.system.package import Built, built
from tests.system.tree import Release, Tree, Unavailable, base

HERE = Path(__file__).parent
_FAILED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skipped = pytest.mark.skip(
        reason="takes whole machines: set ANYCLAWD_TEST_SYSTEM=1, as root (tests/system/README.md)"
    )
    if os.environ.get("ANYCLAWD_TEST_SYSTEM") != "1":
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(skipped)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, Result[pytest.TestReport], None]:
    report = (yield).get_result()
    if report.failed:
        item.stash[_FAILED] = True
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, Machine) and value.process.poll() is None:
                report.sections.append((f"journal of {name}", value.journal_text()))


@pytest.fixture(scope="session", params=list(Release))
def release(request: pytest.FixtureRequest) -> Release:
    found: Release = request.param
    return found


@pytest.fixture(scope="session")
def tree(release: Release) -> Tree:
    """A Debian without the package; what it needs of Debian is at hand."""
    try:
        return base(release)
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def package(release: Release) -> Built:
    """The package of this checkout, built for the release."""
    try:
        return built(release)
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def house(tree: Tree, package: Built) -> Iterator[Machine]:
    """A machine with the package as apt installs it."""
    with booted(tree) as found:
        found.write("/root/apt.log", install(found, package.deb))
        found.run("cp", "--archive", CONFIG, PRISTINE)
        yield found


@pytest.fixture
def machine(house: Machine, request: pytest.FixtureRequest) -> Iterator[Machine]:
    """That machine, which tests share: each finds the packaged service running and leaves it so."""
    yield house
    if request.node.stash.get(_FAILED, False):
        restore(house)

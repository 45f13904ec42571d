"""Asked for by ANYCLAWD_TEST_SYSTEM=1 alone; a test that fails shows what its machine wrote."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from pluggy import Result

from tests.system.machine import Machine
from tests.system.tree import Release, Tree, Unavailable, base

HERE = Path(__file__).parent


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

"""What e2e tests share: a stage for puppets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.puppet import Stage, stage


@pytest.fixture
def theatre(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as found:
        yield found

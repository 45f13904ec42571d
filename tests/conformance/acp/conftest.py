"""What the tests of ACP share: a stage, and a verdict on all that was sent to an agent."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.judge import judge
from tests.fakes.puppet import Stage, stage
from tests.fakes.talk import read_transcript, transcript_of


@pytest.fixture
def theatre(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as found:
        yield found


@pytest.fixture(autouse=True)
def _every_frame_is_valid(tmp_path: Path) -> Iterator[None]:
    """Whatever a test is about, the official models accept all that its agent was sent."""
    yield
    if transcript_of(tmp_path).exists():
        judge(read_transcript(tmp_path))

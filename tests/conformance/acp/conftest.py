"""What the tests of ACP share: daemons, and a verdict on all that was sent to an agent.

Most tests need nothing but a chat with an agent that can do anything it is told to: they share one
daemon a module, and each has a chat of its own. Whoever stops, kills or configures has a daemon.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.judge import judge
from tests.fakes.puppet import stage
from tests.fakes.puppet import theatre as theatre
from tests.fakes.talk import Talk, misbehaving, official, read_transcript, talking, transcript_of


@pytest.fixture(autouse=True)
def _every_frame_is_valid(tmp_path: Path) -> Iterator[None]:
    """Whatever a test is about, the official models accept all that its agent was sent."""
    yield
    if transcript_of(tmp_path).exists():
        judge(read_transcript(tmp_path))


@pytest.fixture(scope="module")
def _plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    directory = tmp_path_factory.mktemp("plain")
    with (
        stage(directory) as theatre,
        talking(directory, theatre, misbehaving(directory, {})) as one,
    ):
        yield one
    judge(read_transcript(directory))


@pytest.fixture(scope="module")
def _official(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    directory = tmp_path_factory.mktemp("official")
    with stage(directory) as theatre, talking(directory, theatre, official(directory)) as one:
        yield one


@pytest.fixture
def plain(_plain: Talk) -> Talk:
    """A talk with the agent that misbehaves to order, otherwise a good one; shared."""
    return _plain.begin()


@pytest.fixture
def sdk(_official: Talk) -> Talk:
    """A talk with the agent on the official SDK; shared."""
    return _official.begin()

"""The first thing that a new user runs."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.daemon import WAIT_S, environment, http_get

CTL = str(Path(sys.executable).with_name("anyclawctl"))


def demo(directory: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [CTL, "demo", *words],
        cwd=directory,
        env=environment({"TMPDIR": str(directory)}),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )


def test_the_demo_boots_answers_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "Echo: hello" in lines
    assert lines.index("  thought: Formulating response...") < lines.index("Echo: hello")
    assert any("the boot settled in" in line for line in lines)
    assert list(tmp_path.iterdir()) == []


def test_the_demo_speaks_json(tmp_path: Path) -> None:
    said = json.loads(demo(tmp_path, "--json").stdout)
    assert said["answer"] == "Echo: hello"
    assert said["thoughts"] == ["Analyzing your message...", "Formulating response..."]
    assert {"time", "blame", "critical-chain"} <= set(said["boot"])


@pytest.fixture
def heeds_interrupts() -> Iterator[None]:
    """A shell in the background has SIGINT ignored, which every child would inherit."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_interrupts")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_stays_until_it_is_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [CTL, "demo", "--stay"],
        cwd=tmp_path,
        env=environment({"TMPDIR": str(tmp_path)}),
        stdout=subprocess.PIPE,
        text=True,
    ) as staying:
        assert staying.stdout is not None
        lines = iter(staying.stdout)
        url = next(found for line in lines if (found := re.search(r":(\d+)/health", line)))
        assert http_get(int(url[1]), "/health")[0] == 200
        staying.send_signal(number)
        assert staying.communicate(timeout=WAIT_S)[0].endswith("stopping\n")
    assert staying.returncode == 0
    assert list(tmp_path.iterdir()) == []

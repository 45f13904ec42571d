"""`anyclawctl demo`: a real daemon, a real agent, a real channel, and nothing left of them."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from anyclawd.cli.demo_daemon import booted
from anyclawd.client.client import Client
from anyclawd.client.exchange import ClientError
from tests.fakes.daemon import is_alive

COMMAND = [sys.executable, "-m", "anyclawd.cli.main", "demo"]


def environ_of(directory: Path) -> dict[str, str]:
    path = os.pathsep.join(filter(None, sys.path))
    return {"PATH": os.environ["PATH"], "PYTHONPATH": path, "TMPDIR": str(directory)}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "tmp"
    made.mkdir()
    return made


def test_demo_tells_the_whole_story_and_leaves_nothing(directory: Path) -> None:
    done = subprocess.run(
        COMMAND,
        env=environ_of(directory),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    answer = lines.index("Echo: hello")
    assert lines[answer - 2 : answer] == [
        "  thought: Analyzing your message...",
        "  thought: Formulating response...",
    ]
    assert any(line.startswith("the boot settled in ") for line in lines[answer:])
    assert "what the boot waited for:" in lines[answer:]
    assert list(directory.iterdir()) == []


def test_demo_as_json_is_one_value(directory: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--json"],
        env=environ_of(directory),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    told = json.loads(done.stdout)
    assert (told["answer"], len(told["thoughts"])) == ("Echo: hello", 2)
    assert set(told["boot"]) == {"time", "blame", "critical-chain"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_stays_until_it_is_interrupted(directory: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [*COMMAND, "--stay"], env=environ_of(directory), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        urls = []
        for line in process.stdout:
            urls += [word for word in line.split() if word.endswith("/health")]
            if "anyclawctl -s " in line:
                pid = Client(line.split()[2], timeout_s=60).get("/v1/status")["pid"]
                break
        with urllib.request.urlopen(urls[0], timeout=60) as answer:
            assert json.load(answer)["status"] == "healthy"
        process.send_signal(number)
        assert process.stdout.read() == "stopping\n"
    assert process.returncode == 0
    assert list(directory.iterdir()) == []
    assert not is_alive(pid)


def test_a_daemon_that_ends_at_once_says_why(tmp_path: Path) -> None:
    config = tmp_path / "bad.yaml"
    config.write_text("log_format: loud\n", encoding="utf-8")
    with booted(config) as daemon:
        with pytest.raises(ClientError, match="the daemon ended with status 78"):
            daemon.wait_ready(60)
        assert "error: log_format: " in daemon.log_tail()
    assert not daemon.directory.exists()

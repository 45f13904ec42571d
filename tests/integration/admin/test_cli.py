"""`anyclawctl` as a process of its own against a real admin socket."""

import os
import subprocess
import sys

from tests.integration.admin.conftest import Served


def anyclawctl(served: Served, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    environ = {"PATH": os.environ["PATH"], "ANYCLAWD_SOCKET": str(served.path)}
    command = [sys.executable, "-m", "anyclawd.cli.main", *words]
    return subprocess.run(
        command, env=environ, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


def test_status_shows_each_unit_under_its_kind(served: Served) -> None:
    done = anyclawctl(served, "status")
    assert done.returncode == 0, done.stderr
    assert "anyclawd is running" in done.stdout
    assert "└─● default.agent       active (running)  pid 4242" in done.stdout

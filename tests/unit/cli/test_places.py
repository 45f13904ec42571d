"""Where the command finds the daemon's program."""

import subprocess
import sys
from pathlib import Path

import pytest

from anyclawd.cli import places


def test_without_a_script_the_daemon_imports_nothing_from_where_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "anyclawd.py").write_text("raise SystemExit('imported from the directory')\n")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    argv = places.daemon_argv()
    assert argv[0] == sys.executable
    monkeypatch.undo()
    done = subprocess.run(
        [sys.executable, *argv[1:], "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")

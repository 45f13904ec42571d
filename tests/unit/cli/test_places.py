"""Where the command finds the daemon's program and its configuration."""

import subprocess
import sys
from argparse import Namespace
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


@pytest.mark.parametrize(
    ("config", "socket", "environ", "found"),
    [
        (None, "@shop", {}, "/etc/anyclawd@shop/anyclaw.yaml"),
        (None, None, {"ANYCLAWD_SOCKET": "@shop"}, "/etc/anyclawd@shop/anyclaw.yaml"),
        ("/a.yaml", "@shop", {"ANYCLAW_CONFIG": "/b.yaml"}, "/a.yaml"),
        (None, "@shop", {"ANYCLAW_CONFIG": "/b.yaml"}, "/b.yaml"),
    ],
)
def test_the_configuration_is_the_deployments_unless_it_is_named(
    config: str | None, socket: str | None, environ: dict[str, str], found: str
) -> None:
    assert places.find_config(Namespace(config=config, socket=socket), environ) == Path(found)

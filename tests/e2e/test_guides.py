"""What the guides show runs as they show it."""

import re
import shutil
from pathlib import Path

import pytest

from tests.fakes.daemon import reserved_port, running, system

GUIDE = Path(__file__).parents[2] / "docs/how-to/health-and-readiness.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(GUIDE.read_text()) if found == language]


def test_a_server_and_what_needs_it(tmp_path: Path) -> None:
    with (
        reserved_port() as port,
        running(tmp_path, blocks("yaml")[0].replace("8001", str(port))) as daemon,
    ):
        assert daemon.wait_log("indexer.service", "indexing") == "indexing"
        assert daemon.unit("model.service")["health"] == "healthy"


def test_a_program_that_says_it(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(blocks("python")[0])
    unit = {
        "exec": ["python3", str(tmp_path / "program.py")],
        "protocol": "none",
        "readiness": {"type": "notify"},
    }
    with running(tmp_path, system(units={"one.service": unit})) as daemon:
        assert daemon.unit("one.service")["sub"] == "running"
        assert daemon.unit("one.service")["status_text"] == ""


@pytest.mark.skipif(not shutil.which("systemd-notify"), reason="needs systemd-notify")
def test_a_shell_that_says_it(tmp_path: Path) -> None:
    assert "`systemd-notify --ready`" in GUIDE.read_text()
    unit = {
        "exec": ["sh", "-c", "systemd-notify --ready; exec sleep 1000"],
        "protocol": "none",
        "readiness": {"type": "notify"},
    }
    with running(tmp_path, system(units={"one.service": unit})) as daemon:
        assert daemon.unit("one.service")["sub"] == "running"


def test_programs_before_and_after(tmp_path: Path) -> None:
    shown = blocks("yaml")[1] + "supervisor: {admin_port: 0}\n"
    with reserved_port() as port, running(tmp_path, shown.replace("8002", str(port))) as daemon:
        pid = daemon.units()["web.service"]["pid"]
        daemon.wait_log("web.service", f"process {pid} is up")
        assert daemon.ctl("reload", "web.service").returncode == 0
        daemon.wait_log("web.service", f"told process {pid} to reload")
        daemon.job("stop", "web.service")
        daemon.wait_log("web.service", "it was success: killed TERM")

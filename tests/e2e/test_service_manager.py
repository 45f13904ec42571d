"""What the daemon tells systemd, on a socket of the test's own. Source: sd_notify(3)."""

import signal
from pathlib import Path

from tests.fakes.daemon import mock, running, started, system


def test_ready_carries_the_status_and_systemd_finds_who_catches_its_signal(tmp_path: Path) -> None:
    with started(tmp_path, system({"default": mock()})) as daemon:
        notice = daemon.wait_notice(b"READY=1")
        assert notice.splitlines() == [b"READY=1", b"STATUS=4 active"]
        status = Path(f"/proc/{daemon.pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        assert caught & 1 << signal.SIGCHLD - 1  # ReloadSignal= of the unit
        assert daemon.stop() == 0
        daemon.wait_notice(b"STOPPING=1")


def test_the_status_follows_the_units(tmp_path: Path) -> None:
    with running(tmp_path, system({"default": mock()})) as daemon:
        daemon.job("stop", "default.agent")
        daemon.wait_notice(b"STATUS=1 inactive, 3 active")


def test_the_watchdog_is_fed_by_the_loop(tmp_path: Path) -> None:
    with running(tmp_path, system(), environ={"WATCHDOG_USEC": "20000"}) as daemon:
        for _ in range(5):
            daemon.wait_notice(b"WATCHDOG=1")


def test_another_process_watchdog_is_not_ours(tmp_path: Path) -> None:
    environ = {"WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"}
    with running(tmp_path, system({"default": mock()}), environ=environ) as daemon:
        daemon.job("stop", "default.agent")
        daemon.wait_notice(b"STATUS=1 inactive, 3 active")
        assert not any(b"WATCHDOG=1" in notice for notice in daemon.notices)


def test_a_reader_that_never_reads_blocks_nothing(tmp_path: Path) -> None:
    """A datagram socket takes some ten notices; what comes after them must not be waited for."""
    with running(tmp_path, system({"default": mock()})) as daemon:
        for _ in range(20):
            daemon.job("restart", "default.agent")
        assert daemon.units()["default.agent"]["active"] == "active"


def test_a_service_manager_that_has_gone_is_no_reason_to_fail(tmp_path: Path) -> None:
    config = system({"default": mock()})
    with started(tmp_path, config, environ={"NOTIFY_SOCKET": "@gone"}) as daemon:
        daemon.wait_log_text("running: 4 active")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait_exit() == 0

"""What happens often must leave nothing behind in the daemon itself (invariant I5)."""

import os
from pathlib import Path

from tests.chaos.bystander import beside, unharmed
from tests.fakes.daemon import Daemon, mock


def descriptors(daemon: Daemon) -> int:
    return len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))


def test_restarts_and_requests_leak_no_descriptor(tmp_path: Path) -> None:
    backoff = {"initial": 0, "factor": 1, "max": 0, "jitter": 0}
    tough = {**mock(), "backoff": backoff, "start_limit": {"burst": 1000}}
    with unharmed(tmp_path, beside({"default": tough})) as daemon:

        def live() -> None:
            pid = daemon.units()["default.agent"]["pid"]
            for _ in range(10):
                os.kill(pid, 9)
                pid = daemon.wait_restarted("default.agent", pid)
                assert not daemon.answer("hello", agent="default")["isError"]
                daemon.tcp("/metrics")

        live()
        before = descriptors(daemon)
        live()
        live()
        daemon.wait_descriptors(before + 2)


def test_clients_that_vanish_leave_nothing(tmp_path: Path) -> None:
    """Followers, subscribers and callers who hang up in the middle."""
    with unharmed(tmp_path, beside({"default": mock(thinking=True)})) as daemon:
        before = descriptors(daemon)
        for number in range(20):
            events, lines = daemon.events(), daemon.log_lines()
            talk = daemon.talk("hello", agent="default", peer=f"p{number}")
            next(events), next(lines), next(talk)
            events.close(), lines.close(), talk.close()
        daemon.wait_descriptors(before + 2)
        assert daemon.client.get("/v1/jobs") == {"jobs": []}

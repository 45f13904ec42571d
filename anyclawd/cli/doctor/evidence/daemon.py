"""The daemon that answers, or what there is to see of one that does not."""

import socket
import stat
from pathlib import Path

import anyclawd
from anyclawd.cli.doctor.scene import Scene
from anyclawd.cli.doctor.verdict.daemon import DaemonFacts, Silence
from anyclawd.client.exchange import ClientError
from anyclawd.runtime import tree


def facts_of(scene: Scene) -> DaemonFacts | Silence:
    if scene.online is None:
        lock = f"{scene.state_dir}/lock"
        return Silence(
            reason=scene.silence,
            holder=scene.holder,
            stale_socket=scene.socket if is_stale(scene.socket) else "",
            lock=lock,
        )
    status = scene.online.status
    return DaemonFacts(
        pid=status["pid"],
        state=status["state"],
        own_version=anyclawd.__version__,
        version=status["version"],
        socket=scene.socket,
        warnings=tuple(status["warnings"]),
        lag_max_s=_lag_max_s(scene),
        watchdog_s=_watchdog_s(scene.online.pid),
    )


def _lag_max_s(scene: Scene) -> float | None:
    """None where the daemon does not tell; that it is of another version is then the news."""
    try:
        return scene.figures.value("anyclawd_loop_lag_max_seconds")
    except ClientError:
        return None


def is_stale(path: str) -> bool:
    """Whether it is a socket that nobody listens on."""
    try:
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            caller.settimeout(1.0)
            caller.connect(path)
    except ConnectionRefusedError:
        return True
    except OSError:  # it is not there, not ours to open, or too long a path to tell
        return False
    return False


def _watchdog_s(pid: int | None) -> float | None:
    """How often the service manager wants to hear from it; None where that is not ours to see."""
    environ = tree.read(f"/proc/{pid}/environ")
    if not environ:
        return None
    for item in environ.split(b"\0"):
        name, _, value = item.partition(b"=")
        if name == b"WATCHDOG_USEC" and value.isdigit():
            return int(value) / 1e6
    return 0.0

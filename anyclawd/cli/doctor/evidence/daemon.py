"""The daemon that answers, or what there is to see of one that does not."""

import socket
import stat
from pathlib import Path

import anyclawd
from anyclawd.cli.doctor.scene import Scene
from anyclawd.cli.doctor.verdict.daemon import DaemonFacts, Silence
from anyclawd.runtime import tree


def facts_of(scene: Scene) -> DaemonFacts | Silence:
    if scene.online is None:
        lock = f"{scene.state_dir}/lock"
        return Silence(
            reason=scene.silence,
            holder=_holder(lock),
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
        lag_max_s=scene.figures.value("anyclawd_loop_lag_max_seconds"),
        watchdog_s=_watchdog_s(status["pid"]),
    )


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


def _holder(lock: str) -> int | None:
    """The pid of the daemon that has the state directory.

    Read from the kernel's list, since to try the lock would keep a daemon out that starts just now.
    Source: proc_locks(5).
    """
    try:
        inode = Path(lock).stat().st_ino
    except OSError:
        return None
    noted = tree.read(lock).strip()
    for line in tree.read("/proc/locks").splitlines():
        fields = line.split()
        is_this = len(fields) > 5 and fields[5].rpartition(b":")[2] == b"%d" % inode
        if is_this and fields[1] == b"FLOCK" and fields[4] == noted:
            return int(noted)
    return None


def _watchdog_s(pid: int) -> float | None:
    """How often the service manager wants to hear from it; None where that is not ours to see."""
    environ = tree.read(f"/proc/{pid}/environ")
    if not environ:
        return None
    for item in environ.split(b"\0"):
        name, _, value = item.partition(b"=")
        if name == b"WATCHDOG_USEC" and value.isdigit():
            return int(value) / 1e6
    return 0.0

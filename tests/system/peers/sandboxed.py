"""What a process of a unit can do, and what it is refused; told in its state directory."""

import ctypes
import errno
import json
import mmap
import os
import resource
import socket
import sys
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER, IO_URING_SETUP = 0x10000000, 425
MINE = Path("/tmp/mine")  # of the sandbox, which has a /tmp of its own


def call(name: str, *arguments: object) -> None:
    if getattr(LIBC, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)


def refusal(action: Callable[[], object]) -> str:
    """Empty where it is allowed, else the name of the error."""
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return ""


ACTIONS: dict[str, Callable[[], object]] = {
    "write below /tmp": lambda: MINE.write_text("mine"),
    "write below the workspace": lambda: Path("mine").write_text("mine"),
    "write below /etc": lambda: Path("/etc/mine").write_text("mine"),
    "write below the configuration": lambda: Path("/etc/anyclawd/mine").write_text("mine"),
    "write below /srv": lambda: Path("/srv/mine").write_text("mine"),
    "write below /srv/project": lambda: Path("/srv/project/mine").write_text("mine"),
    "write below a home": lambda: Path("/home/alice/project/mine").write_text("mine"),
    "look into homes": lambda: list(Path("/home").iterdir()),
    "read the store": lambda: Path("/var/lib/anyclawd/sessions.db").read_bytes(),
    "open the kernel's log": lambda: Path("/dev/kmsg").stat(),
    "leave a setuid program": lambda: MINE.chmod(0o4755),
    "make a namespace": lambda: call("unshare", CLONE_NEWUSER),
    "mount": lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "go round the filter": lambda: call("syscall", IO_URING_SETUP, 1, None),
    "send raw packets": lambda: socket.socket(socket.AF_PACKET),
    "ask for addresses": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "compile at run time": lambda: mmap.mmap(-1, 4096, prot=7),
    "be nicer": lambda: os.nice(1),
}


def processes(of: Callable[[int], bool]) -> list[int]:
    found = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return [pid for pid in found if of(Path(f"/proc/{pid}").stat().st_uid)]


if __name__ == "__main__":
    told = {
        "refused": {name: word for name, act in ACTIONS.items() if (word := refusal(act))},
        "uid": os.getuid(),
        "homes": [path.name for path in Path("/home").glob("*")],
        "strangers": len(processes(lambda uid: uid != os.getuid())),
        "processes": len(processes(lambda uid: True)),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "shell": os.environ["SHELL"],
    }
    (Path(os.environ["STATE_DIRECTORY"]) / "told.json").write_text(json.dumps(told))
    sys.exit(0)

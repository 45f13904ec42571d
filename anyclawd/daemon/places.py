"""Which files and directories the daemon uses, and what it finds in its state directory.

Imports what the interpreter has loaded anyway: it runs before the first wave.

The state directory holds `lock` (the pid of the daemon that uses it), `instance` (the id that
marks its children), `running` (there while the daemon runs: found at a start, the last run did not
end cleanly; it tells the boot of the machine and the subtree of cgroups, a line each), `stopped`
(the units stopped by hand, one a line), `plan` (see `cache`) and `units` (see
`runtime.state_directory`).
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Where the configuration is looked for when neither flag nor variable names it.
CONFIG_PLACES = ("anyclaw.yaml", "/etc/anyclawd/anyclaw.yaml")


class StartError(Exception):
    """The daemon cannot start; the text says what to do, `code` is its exit code."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


def find_config(flag: str, environ: "Mapping[str, str]") -> str:
    """The absolute path of the configuration. Raises StartError, code 78, where there is none."""
    wanted = flag or environ.get("ANYCLAW_CONFIG", "")
    if wanted:
        if os.path.isfile(wanted):
            return os.path.abspath(wanted)
        text = f"no configuration at {wanted!r}; write one with 'anyclawctl init'"
        try:
            os.stat(wanted)
        except PermissionError:
            text = (
                f"cannot reach the configuration {wanted!r}: its directory is closed to uid "
                f"{os.geteuid()}; let that user in, by the group of the directory for instance"
            )
        except OSError:
            pass  # there is none
        raise StartError(text, 78)
    for place in CONFIG_PLACES:
        if os.path.isfile(place):
            return os.path.abspath(place)
    places = " or ".join(CONFIG_PLACES)
    raise StartError(f"no configuration: neither {places} exists; see 'anyclawctl init'", 78)


def find_dir(flag: str, environ: "Mapping[str, str]", systemd: str, system: str, user: str) -> str:
    """A directory of ours: by flag, else by systemd's variable, else root's, else the user's."""
    given = flag or environ.get(systemd, "").partition(":")[0]
    if given:
        return os.path.abspath(given)
    if os.geteuid() == 0:
        return system
    return os.path.expanduser(user)


def state_dir(flag: str, environ: "Mapping[str, str]") -> str:
    base = environ.get("XDG_STATE_HOME", "") or "~/.local/state"
    return find_dir(flag, environ, "STATE_DIRECTORY", "/var/lib/anyclawd", f"{base}/anyclawd")


def runtime_dir(flag: str, environ: "Mapping[str, str]") -> str:
    base = environ.get("XDG_RUNTIME_DIR", "")
    user = f"{base}/anyclawd" if base else f"/tmp/anyclawd-{os.geteuid()}"
    return find_dir(flag, environ, "RUNTIME_DIRECTORY", "/run/anyclawd", user)


def make_private(path: str) -> None:
    """Create a directory, its parents too, for nobody but us.

    Raises StartError, also for one that is there already and that others could put files into:
    the one below /tmp could be made, or linked to such a place, by anybody.
    """
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            found = os.stat(path)
            if found.st_uid not in (os.geteuid(), 0):
                raise StartError(f"{path!r} belongs to another user; name another one") from None
            if found.st_mode & 0o002:
                text = f"everybody may write into {path!r}; take that right away (chmod o-w)"
                raise StartError(f"{text}, or name another one") from None
    except OSError as error:
        raise StartError(f"cannot use the directory {path!r}: {error.strerror}") from error


def lock(directory: str) -> int:
    """Take the state directory for this process; the descriptor holds the lock.

    Raises StartError with the pid of the daemon that has it, and OSError.
    """
    import fcntl

    descriptor = os.open(f"{directory}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.read(descriptor, 32).decode().strip()
        os.close(descriptor)
        text = (
            f"another anyclawd, pid {pid}, uses {directory!r}; stop it or name another --state-dir"
        )
        raise StartError(text) from None
    # In this order, since a full disk has room for what replaces as much as it takes.
    os.ftruncate(descriptor, os.pwrite(descriptor, b"%d\n" % os.getpid(), 0))
    return descriptor


def instance(directory: str) -> str:
    """The id of this instance, made at its first start."""
    path = f"{directory}/instance"
    found = read(path).strip().decode("ascii", "replace")
    if not found:
        found = os.urandom(16).hex()
        write(path, found.encode())
    return found


def read_stopped(directory: str) -> "frozenset[str]":
    return frozenset(read(f"{directory}/stopped").decode("utf-8", "replace").split())


def write_stopped(directory: str, units: "Iterable[str]") -> None:
    write(f"{directory}/stopped", "".join(f"{name}\n" for name in sorted(units)).encode())


def read_running(directory: str) -> "tuple[str, str] | None":
    """What the last run has noted, if it did not end cleanly: its boot, and its subtree of cgroups.

    Either is empty where it did not come to note it, or had none.
    """
    path = f"{directory}/running"
    if not os.path.exists(path):
        return None
    boot, _, rest = read(path).decode("utf-8", "surrogateescape").partition("\n")
    return boot, rest.partition("\n")[0]


def note_running(directory: str, cgroups: str) -> None:
    """From now on, this run has not ended cleanly; to be called before the first spawn.

    What a killed run has noted in the same words stays, as there may be no room to note it again.
    """
    path, text = f"{directory}/running", f"{boot_id()}\n{cgroups}\n"
    content = text.encode("utf-8", "surrogateescape")
    if read(path) != content:
        write(path, content)


def boot_id() -> str:
    """Tells one boot of the machine from all others; empty where /proc does not say it."""
    return read("/proc/sys/kernel/random/boot_id").decode().strip()


def note_clean_end(directory: str) -> None:
    """Everything has stopped: the next start has nothing to sweep."""
    path = f"{directory}/running"
    if os.path.exists(path):  # else the directory was cleared beneath us
        os.unlink(path)


def read(path: str) -> bytes:
    """A file, whole; empty where there is none."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def write(path: str, content: bytes) -> None:
    """Replace a file by a whole new one that only we may read."""
    new = f"{path}.new"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)
    os.replace(new, path)

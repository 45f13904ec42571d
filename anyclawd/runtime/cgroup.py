"""Control groups: one for each unit, in a subtree of cgroup v2 that the daemon has to itself.

What has joined a cgroup cannot leave it by forking, by a session of its own or under a new name:
one write to `cgroup.kill` ends it all at once, and `populated 0` in `cgroup.events` proves that
nothing is left. That is a guarantee; without a usable hierarchy `tree` does what can be done.

The subtree lies below the daemon's own cgroup:

    <own cgroup>/anyclawd-<instance>/
        daemon/                 the daemon itself, where there are controllers
        <unit>/                 carries the limits of the unit
            main/               its main process, and all that this one starts
            <hook or check>/    one run of another program of the unit, and all that it starts

A cgroup is addressed by unit and *part*: ending what a main process has left must not end the hook
that runs beside it. The limits hold for all parts together.

*Usable* means: our own cgroup is ours (it is the root of what can be seen, or was delegated to us,
or belongs to our user), a cgroup can be made in it, and that one has `cgroup.kill`. On a hybrid
machine the hierarchies of v1 keep the controllers: there are no limits then, but all the rest.

A cgroup that holds processes cannot hand controllers on to its children. Therefore the daemon moves
into a leaf before it asks for them; a stranger in our own cgroup costs us the limits and nothing
else.

This module imports built-in modules only, as `daemon/stage0.py` starts the first wave with it.
Sources: Linux, "Control Group v2"; systemd, "Control Group APIs and Delegation".
"""

import errno
import posix

from anyclawd.model.fingerprint import fingerprint
from anyclawd.runtime import tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyclawd.runtime.spawn import Limits
    from anyclawd.runtime.tree import Swept, Usage

#: Where v2 is mounted: alone, or beside the hierarchies of v1.
_ROOT, _HYBRID_ROOT = "/sys/fs/cgroup", "/sys/fs/cgroup/unified"
#: The controllers of limits, in the order of `Limits`: name, file, and what lifts the limit.
_CONTROLLERS = (
    ("memory", "memory.max", "max"),
    ("pids", "pids.max", "max"),
    ("cpu", "cpu.weight", "100"),
)
_NO_LIMITS = (None, None, None, None)
#: By which a service manager marks a cgroup that it has handed over.
_DELEGATED = ("trusted.delegate", "user.delegate")
#: The part of a unit that its main process is in.
MAIN = "main"
#: The leaf of the daemon itself; every unit's name has a dot.
_DAEMON = "daemon"
#: The kernel's names end at 255 bytes; a unit's may be longer.
_NAME_MAX_BYTES = 200


class Unusable(Exception):
    """Units cannot have cgroups; the text says why."""


class Cgroups:
    """The subtree of one instance; `enter` comes before everything else, `leave` after it."""

    def __init__(self, own: str, instance: str, *, is_hybrid: bool = False) -> None:
        self.path = f"{own}/{_name_of_subtree(instance)}"
        self.is_hybrid = is_hybrid
        self.controllers: tuple[str, ...] = ()  #: what units can be limited in
        self.why_unlimited = "" if is_hybrid else "no controllers are delegated"
        self._own = own
        self._enabled: list[str] = []  #: directories whose children got controllers from us

    @property
    def has_controllers(self) -> bool:
        return bool(self.controllers)

    # -- the subtree ---------------------------------------------------------------------------

    def enter(self) -> None:
        """Make the subtree, with controllers where they can be had. Raises Unusable."""
        try:
            _make(self.path)
        except OSError as error:
            raise Unusable(f"cannot make {self.path!r}: {error.strerror}") from error
        if not _exists(f"{self.path}/cgroup.kill"):
            _remove_tree(self.path)
            raise Unusable("the kernel has no cgroup.kill; it takes Linux 5.14 or newer")
        if _is_populated(self.path):
            text = "holds processes that cannot be ended, or that another daemon with our id has"
            raise Unusable(f"{self.path!r} {text}")
        available = tree.read(f"{self._own}/cgroup.controllers").decode().split()
        wanted = tuple(name for name, _, _ in _CONTROLLERS if name in available)
        if wanted:
            self._take_controllers(wanted)

    def leave(self) -> bool:
        """Remove every cgroup and give back what `enter` took. Raises OSError.

        What could not be ended keeps its cgroup, and the subtree with it; the answer is False then.
        """
        for name in _children(self.path):
            if name != _DAEMON:
                _remove_tree(f"{self.path}/{name}")
        self._give_back(self.controllers)
        return _remove_tree(self.path)

    def _take_controllers(self, wanted: tuple[str, ...]) -> None:
        """Move into a leaf and have controllers handed down to the units: all of them or none."""
        is_top = not _exists(f"{self._own}/cgroup.events")  # which may hold processes all the same
        try:
            if not is_top:
                _make(f"{self.path}/{_DAEMON}")
                _write(f"{self.path}/{_DAEMON}/cgroup.procs", "0")
            for path in (self._own, self.path):
                _write(f"{path}/cgroup.subtree_control", " ".join(f"+{name}" for name in wanted))
                if not is_top:
                    self._enabled.append(path)
        except OSError as error:
            self.why_unlimited = f"{self._own!r} hands on no controllers: {error.strerror}"
            if error.errno == errno.EBUSY:
                self.why_unlimited = f"{self._own!r} holds processes beside the daemon"
            self._give_back(wanted)
        else:
            self.controllers, self.why_unlimited = wanted, ""

    def _give_back(self, controllers: tuple[str, ...]) -> None:
        """Undo `_take_controllers`, however far it has come."""
        for path in reversed(self._enabled):
            removed = " ".join(f"-{name}" for name in controllers)
            _write(f"{path}/cgroup.subtree_control", removed)
        self._enabled.clear()
        if _exists(f"{self.path}/{_DAEMON}"):
            _write(f"{self._own}/cgroup.procs", "0")
            _remove_tree(f"{self.path}/{_DAEMON}")

    # -- units ---------------------------------------------------------------------------------

    def open(self, unit: str, limits: "Limits" = _NO_LIMITS, part: str = MAIN) -> str:
        """Make the cgroup for a part of a unit; the directory, for `spawn` to join.

        `limits` are those of the unit. Raises OSError whose `strerror` is the text for the user.
        """
        path = self._path(unit)
        try:
            _make(self.path)  # somebody may have tidied up while no unit was running
            is_new = _make(path)
            _make(f"{path}/{part}")
            if self.controllers and (limits != _NO_LIMITS or not is_new):
                self.limit(unit, limits)
        except OSError as error:
            text = f"cannot make its control group {path!r}: {error.strerror}"
            raise OSError(error.errno, text) from error
        return f"{path}/{part}"

    def limit(self, unit: str, limits: "Limits") -> None:
        """Set the limits of a unit, from now on. Raises OSError, also where it has no cgroup."""
        for (controller, file, unlimited), limit in zip(_CONTROLLERS, limits[:3], strict=True):
            if controller in self.controllers:
                value = unlimited if limit is None else str(limit)
                _write(f"{self._path(unit)}/{file}", value)

    def kill(self, unit: str, part: str = "") -> None:
        """SIGKILL for everything in a part of a unit, or in all of it."""
        _kill(self._path(unit, part))

    def is_populated(self, unit: str, part: str = "") -> bool:
        """Whether a process lives in a part of a unit, or in any; a zombie does not."""
        return _is_populated(self._path(unit, part))

    def pids(self, unit: str, part: str = "") -> list[int]:
        """The processes in a part of a unit, or in all of it, nested cgroups included."""
        return [pid for pid, _ in _processes(self._path(unit, part))]

    def place_of(self, pid: int) -> str:
        """`<unit's directory>/<part>` that a process is in; empty where it is in none of ours."""
        inside = f"{_root()}{_cgroup_of(pid)}".removeprefix(f"{self.path}/")
        return "" if inside.startswith("/") else "/".join(inside.split("/", 2)[:2])

    def path_of(self, unit: str) -> str:
        """The directory of a unit, which all its parts lie in."""
        return f"{self.path}/{name_of(unit)}"

    def remove(self, unit: str, part: str = MAIN) -> None:
        """Remove the cgroup of a part, and the unit's own with its last part.

        One that is still in use stays; it is taken up again by `open` and removed by `leave`.
        """
        if _remove_tree(self._path(unit, part)):
            _remove(self._path(unit))

    def open_events(self, unit: str, part: str = MAIN) -> int:
        """A descriptor that is exceptional (EPOLLPRI) when the part may have become empty."""
        return _open(f"{self._path(unit, part)}/cgroup.events")

    def open_memory_events(self, unit: str) -> int:
        """A descriptor that is exceptional (EPOLLPRI) when the unit has hit its memory limit.

        -1 where the kernel does not count that.
        """
        return _open(f"{self._path(unit)}/memory.events") if "memory" in self.controllers else -1

    def oom_kills(self, unit: str) -> int:
        """How many processes of the unit the kernel has killed for want of memory."""
        return _number(f"{self._path(unit)}/memory.events", b"oom_kill") or 0

    def usage(self, unit: str) -> "Usage":
        """Memory in bytes, seconds of CPU and number of tasks; None where it cannot be known.

        The seconds of processes that are gone count as well.
        """
        path = self._path(unit)
        memory, tasks = _number(f"{path}/memory.current"), _number(f"{path}/pids.current")
        cpu_us = _number(f"{path}/cpu.stat", b"usage_usec")
        if memory is None or tasks is None:
            found_memory, _, found_tasks = tree.usage_of(self.pids(unit))
            memory = found_memory if memory is None else memory
            tasks = found_tasks if tasks is None else tasks
        return memory, None if cpu_us is None else cpu_us / 1e6, tasks

    def _path(self, unit: str, part: str = "") -> str:
        return f"{self.path_of(unit)}/{part}" if part else self.path_of(unit)


def find(instance: str, use: str) -> "tuple[Cgroups | None, str]":
    """The subtree that this instance may have, else None and why it can have none.

    `use` is `supervisor.cgroup`. Changes nothing: the subtree is made by `Cgroups.enter`.
    """
    if use == "never":
        return None, "supervisor.cgroup is never"
    root = _root()
    if not root:
        return None, f"no cgroup v2 is mounted at {_ROOT}"
    path = _cgroup_of(posix.getpid())
    if path.startswith("/..") or path.endswith(" (deleted)") or not path:
        return None, "the daemon's own control group is out of sight"
    own = root + path.rstrip("/")
    if path != "/" and not _is_delegated(own):
        return None, f"{own!r} is not delegated to the daemon; set Delegate=yes where it is started"
    return Cgroups(own, instance, is_hybrid=root == _HYBRID_ROOT), ""


def containment(cgroups: Cgroups | None, why: str) -> str:
    """How surely no process of a unit is left behind, in words; `why` there are no cgroups."""
    if cgroups is None:
        return f"best effort: sessions, subreaper and marks; {why}"
    text = "guaranteed: a cgroup for each unit"
    if cgroups.has_controllers:
        return f"{text} (v2, with limits)"
    if cgroups.is_hybrid:
        return f"{text} (hybrid hierarchy: limits by rlimits)"
    return f"{text} (v2, limits by rlimits: {cgroups.why_unlimited})"


def sweep(path: str, instance: str, *, is_same_boot: bool, timeout_s: float = 5.0) -> "Swept":
    """Kill what an earlier run of this instance has left in its subtree, and remove that.

    A path that was noted before the machine was started anew may be anybody's by now: nothing in
    it is killed, and it is removed only if nobody is in it. The same holds for one that is not
    named after this instance, or that we are in ourselves.
    """
    is_named = path.rpartition("/")[2] == _name_of_subtree(instance)
    if not is_named or not path.startswith(f"{_ROOT}/") or not _exists(f"{path}/cgroup.events"):
        return (), ()
    if not is_same_boot or _is_within(posix.getpid(), path):
        if not _is_populated(path):
            _remove_tree(path)
        return (), ()
    found = dict(_processes(path))
    _kill(path)
    _wait_empty(path, timeout_s)
    left = dict(_processes(path))
    if not left:
        _remove_tree(path)
    killed = tuple((pid, unit) for pid, unit in found.items() if pid not in left)
    return killed, tuple(left.items())


def name_of(unit: str) -> str:
    """The name of a unit's directory."""
    encoded = unit.encode("utf-8", "surrogateescape")
    if len(encoded) <= _NAME_MAX_BYTES:
        return unit
    return f"{encoded[:100].decode('utf-8', 'ignore')}~{fingerprint(encoded)[:8].hex()}"


def part_of(invocation: str) -> str:
    """The part of a unit that a run belongs to; a hook's has its own behind a slash."""
    return invocation.partition("/")[2] or MAIN


def _name_of_subtree(instance: str) -> str:
    return f"anyclawd-{instance}"


def _root() -> str:
    """Where v2 is mounted; empty where it is not."""
    for root in (_ROOT, _HYBRID_ROOT):
        if _exists(f"{root}/cgroup.controllers"):
            return root
    return ""


def _cgroup_of(pid: int) -> str:
    """The cgroup of a process, seen from the root; empty where it cannot be read."""
    for line in tree.read(f"/proc/{pid}/cgroup").split(b"\n"):
        if line.startswith(b"0::"):
            return line[3:].decode("utf-8", "surrogateescape")
    return ""


def _is_delegated(path: str) -> bool:
    if posix.geteuid() != 0 and _owner_of(path) == posix.geteuid():
        return True
    for name in _DELEGATED:
        try:
            if posix.getxattr(path, name) == b"1":
                return True
        except OSError:  # there is none, or it is not for us to read
            continue
    return False


def _owner_of(path: str) -> int:
    """The user that a directory belongs to, -1 where it is out of our sight."""
    try:
        return posix.stat(path).st_uid
    except OSError:
        return -1


def _is_within(pid: int, path: str) -> bool:
    return f"{_root()}{_cgroup_of(pid)}/".startswith(f"{path}/")


def _processes(path: str) -> "Iterator[tuple[int, str]]":
    """(pid, name of the directory right below `path`) of each process in a cgroup or below it."""
    yield from ((pid, "") for pid in _pids(path))
    for name in _children(path):
        yield from ((pid, name) for pid, _ in _processes(f"{path}/{name}"))


def _pids(path: str) -> list[int]:
    return [int(pid) for pid in tree.read(f"{path}/cgroup.procs").split()]


def _children(path: str) -> list[str]:
    try:
        with posix.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except FileNotFoundError:
        return []


def _is_populated(path: str) -> bool:
    return b"populated 1" in tree.read(f"{path}/cgroup.events")


def _wait_empty(path: str, timeout_s: float) -> None:
    """Wait until nothing lives in a cgroup, or the time is over."""
    import select
    import time

    deadline = time.monotonic() + timeout_s
    events = _open(f"{path}/cgroup.events")
    try:
        poll = select.poll()
        poll.register(events, select.POLLPRI)
        # The file is looked at after the descriptor stands, so that no change falls in between.
        while _is_populated(path) and (left_s := deadline - time.monotonic()) > 0:
            poll.poll(left_s * 1000)
    finally:
        posix.close(events)


def _kill(path: str) -> None:
    if not _is_populated(path):  # mostly so; a kill would wait for whoever joins any other cgroup
        return
    try:
        _write(f"{path}/cgroup.kill", "1")
    except FileNotFoundError:
        return  # it is gone, and was empty then


def _make(path: str) -> bool:
    """Whether the cgroup is a new one."""
    try:
        posix.mkdir(path, 0o755)
    except FileExistsError:
        return False
    return True


def _remove_tree(path: str) -> bool:
    """Remove a cgroup and all below it; False where somebody is still in one of them."""
    if _remove(path):
        return True
    for name in _children(path):
        _remove_tree(f"{path}/{name}")
    return _remove(path)


def _remove(path: str) -> bool:
    try:
        posix.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def _number(path: str, key: bytes = b"") -> int | None:
    """The number in a file, in the line of a key where there is one; None without such a file."""
    for line in tree.read(path).split(b"\n"):
        *name, value = line.split() or (b"",)
        if name == ([key] if key else []) and value.isdigit():
            return int(value)
    return None


def _write(path: str, value: str) -> None:
    descriptor = posix.open(path, posix.O_WRONLY | posix.O_CLOEXEC)
    try:
        posix.write(descriptor, value.encode())
    finally:
        posix.close(descriptor)


def _open(path: str) -> int:
    return posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)


def _exists(path: str) -> bool:
    return posix.access(path, posix.F_OK)

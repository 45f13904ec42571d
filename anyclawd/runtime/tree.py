"""Finds and ends processes that are ours: children, orphans, and what an earlier run has left.

The daemon is a child subreaper: when a process dies, its children become the daemon's, unless it
lives on in a PID namespace of its own. So what is left of a unit whose leader is dead hangs below
some *direct child* of the daemon that is no leader itself, an orphan, and one read of
`/proc/self/task/*/children` that shows none proves that nothing is left. The price does not
depend on how many processes the machine runs.

Only the sweep at start has to look at every process: what a killed daemon left behind belongs to
somebody else by then. It goes by the marks of `mark`.

A child of ours cannot lose its pid to a stranger before we reap it, so it is signalled by its
number. Any other process is signalled through a pidfd that was opened *before* its marks were
read: had it died and its pid been used again in between, the signal would reach nobody.

This module imports built-in modules only, as `daemon/stage0.py` sweeps with it.
"""

import _signal  # type: ignore[import-not-found] # typeshed knows `signal` only, which needs enum
import posix

from anyclawd.runtime import mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from typing import TypeAlias

    #: What one sweep did: (pid, unit) of each process killed, and of each that could not be.
    Swept: TypeAlias = tuple[tuple[tuple[int, str], ...], tuple[tuple[int, str], ...]]
    #: Memory in bytes, seconds of CPU time, number of tasks; None where it cannot be known.
    Usage: TypeAlias = tuple[int | None, float | None, int | None]

_PR_SET_CHILD_SUBREAPER = 36

#: More processes of one unit than this are not counted one by one.
_FAMILY_MAX = 256

#: Not every kernel keeps lists of children (CONFIG_PROC_CHILDREN); all distributions' do.
_LISTS_CHILDREN = posix.access("/proc/thread-self/children", posix.F_OK)


def become_subreaper() -> None:
    """Inherit the orphans of all descendants from now on; to be called before the first spawn."""
    import _ctypes  # a sixth of the time that ctypes takes, and it lies on the way to every boot

    libc = _ctypes.dlopen(None, 2)  # type: ignore[arg-type] # None is the program itself, 2 RTLD_NOW
    prctl = _ctypes.dlsym(libc, "prctl")
    if _ctypes.call_function(prctl, (_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) != 0:
        raise OSError("cannot become a child subreaper; Linux 3.4 or newer is needed")


def children() -> list[int]:
    """The pids of our own children, zombies included."""
    if not _LISTS_CHILDREN:
        us = posix.getpid()
        return [pid for pid in _all_pids() if _stat_of(pid)[1] == us]
    return _children_of(posix.getpid())


def marks_of(pid: int) -> tuple[int, str, str, str]:
    """The brand (0 for none), instance, unit and invocation that a process carries.

    What is gone or belongs to somebody else carries nothing.
    """
    return _brand_of(pid), *_variables_of(pid)


def leftovers(instance: str) -> "Iterator[tuple[int, int, str]]":
    """(pid, pidfd, unit) of every living process of an instance but ourselves and our ancestors.

    The pidfds are the caller's to close.
    """
    wanted = mark.instance_brand(instance)
    exempt = {posix.getpid(), *ancestors_of(posix.getpid())}
    for pid in _all_pids():
        if pid in exempt:
            continue
        try:
            pidfd = posix.pidfd_open(pid)
        except OSError:  # gone by now
            continue
        brand, carried, unit, _ = marks_of(pid)
        is_ours = carried == instance or (not carried and mark.instance_part(brand) == wanted)
        if is_ours and state_of(pid) not in "ZX":
            yield pid, pidfd, unit
        else:
            posix.close(pidfd)


def sweep(instance: str, timeout_s: float = 5.0) -> "Swept":
    """Kill what an earlier run of this instance has left, scan after scan until nothing is found.

    Waits until the killed ones are dead, `timeout_s` in all; what does not die, or may not be
    killed by us, is in the second part of the answer.
    """
    import time

    deadline = time.monotonic() + timeout_s
    killed: dict[int, str] = {}
    while True:
        found = list(leftovers(instance))
        survivors = {}
        for pid, pidfd, unit in found:
            if _kill(pidfd):
                killed[pid] = unit
            else:
                survivors[pid] = unit
        remaining_s = max(0.0, deadline - time.monotonic())
        alive = _wait_dead([pidfd for pid, pidfd, _ in found if pid in killed], remaining_s)
        survivors |= {pid: unit for pid, pidfd, unit in found if pidfd in alive}
        for _, pidfd, _ in found:
            posix.close(pidfd)
        if len(survivors) == len(found) or remaining_s == 0:
            settled = {pid: unit for pid, unit in killed.items() if pid not in survivors}
            return tuple(settled.items()), tuple(survivors.items())


def kill_children(spared: "Collection[int]", timeout_s: float = 5.0) -> None:
    """Kill and reap our children, and what becomes our child by that, all but `spared`."""
    import time

    deadline = time.monotonic() + timeout_s
    while orphans := [pid for pid in children() if pid not in spared]:
        pidfds = [posix.pidfd_open(pid) for pid in orphans]
        for pid in orphans:
            _kill_child(pid)
        _wait_dead(pidfds, max(0.0, deadline - time.monotonic()))
        for pidfd in pidfds:
            posix.close(pidfd)
        for pid in orphans:
            posix.waitpid(pid, posix.WNOHANG)
        if time.monotonic() >= deadline:
            return


def state_of(pid: int) -> str:
    """The letter of proc_pid_stat(5); X for a process that is gone."""
    return _stat_of(pid)[0] or "X"


def usage_of(pids: "Iterable[int]") -> "Usage":
    """What living processes use at the moment: resident memory, CPU time so far, and threads.

    Memory that several of them share is counted for each.
    """
    page_bytes, ticks = posix.sysconf("SC_PAGE_SIZE"), posix.sysconf("SC_CLK_TCK")
    memory_bytes, cpu_ticks, tasks = 0, 0, 0
    for pid in pids:
        fields = _fields_of(pid)
        if fields:
            memory_bytes += int(fields[21]) * page_bytes
            cpu_ticks += sum(map(int, fields[11:15]))  # of the children it has waited for, too
            tasks += int(fields[17])
    return memory_bytes, cpu_ticks / ticks, tasks


def ancestors_of(pid: int) -> "Iterator[int]":
    """The parent of a process, and so on, up to the first process that can be seen."""
    while (pid := _stat_of(pid)[1]) > 0:
        yield pid


def family_of(pid: int) -> "set[int]":
    """A process and what descends from it, `_FAMILY_MAX` of them at most."""
    found = {pid}
    agenda = [pid]
    while agenda and len(found) < _FAMILY_MAX:
        for child in _children_of(agenda.pop()):
            if child not in found:
                found.add(child)
                agenda.append(child)
    return found


def isolated_by(pid: int) -> list[int]:
    """What `unshare` has below it: our init, and the program that the init has started first."""
    inits = _children_of(pid)[:1]
    return inits + [program for init in inits for program in _children_of(init)[:1]]


def read(path: str) -> bytes:
    """A file of the kernel, whole; empty if what it is about is gone, or not ours to look into."""
    try:
        descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return b""
    try:
        content = piece = posix.read(descriptor, 65536)
        while piece:
            piece = posix.read(descriptor, 65536)
            content += piece
    except OSError:
        return b""
    else:
        return content
    finally:
        posix.close(descriptor)


def _children_of(pid: int) -> list[int]:
    found: list[int] = []
    try:
        threads = posix.listdir(f"/proc/{pid}/task")
    except OSError:  # it is gone
        return found
    for thread in threads:
        # A thread that is gone by now has handed its children to another one of the process.
        found += map(int, read(f"/proc/{pid}/task/{thread}/children").split())
    return found


def _all_pids() -> list[int]:
    return [int(name) for name in posix.listdir("/proc") if name.isdecimal()]


def _kill(pidfd: int) -> bool:
    """Whether the process is dead or will be."""
    try:
        _signal.pidfd_send_signal(pidfd, _signal.SIGKILL)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True


def _kill_child(pid: int) -> None:
    """Kill a child of ours, unless it runs as another user and we are not root."""
    try:
        posix.kill(pid, _signal.SIGKILL)
    except PermissionError:
        return


def _wait_dead(pidfds: "Collection[int]", timeout_s: float) -> set[int]:
    """The descriptors whose processes are still alive when the time is over."""
    import select
    import time

    alive = set(pidfds)
    poll = select.poll()
    for pidfd in alive:
        poll.register(pidfd, select.POLLIN)
    deadline = time.monotonic() + timeout_s
    while alive:
        ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
        if not ready:
            break
        for pidfd, _ in ready:
            poll.unregister(pidfd)
            alive.discard(pidfd)
    return alive


def _brand_of(pid: int) -> int:
    for line in read(f"/proc/{pid}/limits").split(b"\n"):
        if line.startswith(b"Max realtime timeout"):
            soft = line.split()[3]
            return int(soft) if soft.isdigit() and mark.is_brand(int(soft)) else 0
    return 0


def _variables_of(pid: int) -> tuple[str, str, str]:
    carried = {mark.INSTANCE: "", mark.UNIT: "", mark.INVOCATION: ""}
    for item in read(f"/proc/{pid}/environ").split(b"\0"):
        if item.startswith(b"ANYCLAWD_"):
            name, _, value = item.decode("utf-8", "surrogateescape").partition("=")
            if name in carried:
                carried[name] = value
    return carried[mark.INSTANCE], carried[mark.UNIT], carried[mark.INVOCATION]


def _stat_of(pid: int) -> tuple[str, int]:
    """State and parent of a process."""
    fields = _fields_of(pid)
    return (fields[0].decode(), int(fields[1])) if fields else ("", 0)


def _fields_of(pid: int) -> list[bytes]:
    """The third field of /proc/<pid>/stat and all after it; none if the process is gone.

    The second one is a name, which may hold anything, even parentheses.
    """
    return read(f"/proc/{pid}/stat").rpartition(b")")[2].split()

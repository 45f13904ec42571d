"""Starts a process right in its control group, where the C library knows how (glibc 2.39).

`posix.posix_spawn` has no argument for it, so the library is called through ctypes, which is only
imported where the function is there. The interpreter lock is held meanwhile, as it is by
`posix.posix_spawn`: what the daemon wears for its child is seen by no other thread.

Source: posix_spawn(3), posix_spawnattr_setcgroup_np in <spawn.h>; clone(2), CLONE_INTO_CGROUP.
"""

import errno
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from ctypes import PyDLL

#: Flags of <spawn.h>.
_SETSIGDEF, _SETSIGMASK, _SETSID, _SETCGROUP = 0x04, 0x08, 0x80, 0x100
#: Room for a posix_spawnattr_t, a posix_spawn_file_actions_t or a sigset_t, whichever it is.
_ROOM_BYTES = 1024

_libc: "PyDLL | None" = None
_is_possible: bool | None = None


def is_possible(cgroup: str) -> bool:
    """Whether the library, and the kernel in this sandbox, can start a process in a cgroup."""
    global _is_possible
    if _is_possible is None:
        _is_possible = _has_function() and _is_allowed(cgroup)
    return _is_possible


def posix_spawn(
    path: str,
    argv: "Sequence[str]",
    environ: "Mapping[str, str]",
    *,
    dup2: "Iterable[tuple[int, int]]",
    default_signals: "Iterable[int]",
    cgroup: str,
) -> int:
    """The pid of a process in a session of its own, with an empty signal mask, in `cgroup`.

    `dup2` are pairs of our descriptor and the child's. Raises OSError and ValueError like
    `posix.posix_spawn`.
    """
    import ctypes

    libc = _library()
    line = _array([_encoded(item) for item in argv])
    variables = _array([_encoded(f"{_checked(key)}={value}") for key, value in environ.items()])
    attributes, actions, signals = (ctypes.create_string_buffer(_ROOM_BYTES) for _ in range(3))
    pid = ctypes.c_int()
    directory = posix.open(cgroup, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
    libc.posix_spawnattr_init(attributes)
    libc.posix_spawn_file_actions_init(actions)
    try:
        libc.sigemptyset(signals)
        libc.posix_spawnattr_setsigmask(attributes, signals)
        for number in default_signals:
            libc.sigaddset(signals, number)
        libc.posix_spawnattr_setsigdefault(attributes, signals)
        flags = _SETSIGDEF | _SETSIGMASK | _SETSID | _SETCGROUP
        libc.posix_spawnattr_setflags(attributes, ctypes.c_short(flags))
        libc.posix_spawnattr_setcgroup_np(attributes, directory)
        for ours, childs in dup2:
            _check(libc.posix_spawn_file_actions_adddup2(actions, ours, childs), path)
        program = _encoded(path)
        _check(
            libc.posix_spawn(ctypes.byref(pid), program, actions, attributes, line, variables), path
        )
    finally:
        libc.posix_spawn_file_actions_destroy(actions)
        libc.posix_spawnattr_destroy(attributes)
        posix.close(directory)
    return pid.value


def _has_function() -> bool:
    import _ctypes  # a sixth of the time that ctypes takes

    library = _ctypes.dlopen(None, 2)  # type: ignore[arg-type] # None is the program itself
    try:
        _ctypes.dlsym(library, "posix_spawnattr_setcgroup_np")
    except OSError:
        return False
    return True


def _is_allowed(cgroup: str) -> bool:
    """A directory can be executed by nobody: that it is tried shows that the clone was allowed."""
    try:
        posix_spawn("/", ("/",), {}, dup2=(), default_signals=(), cgroup=cgroup)
    except OSError as error:
        return error.errno == errno.EACCES
    raise AssertionError("a directory was executed")


def _library() -> "PyDLL":
    global _libc
    if _libc is None:
        import ctypes

        _libc = ctypes.PyDLL(None)
    return _libc


def _array(items: list[bytes]) -> object:
    import ctypes

    return (ctypes.c_char_p * (len(items) + 1))(*items, None)


def _encoded(text: str) -> bytes:
    encoded = text.encode(sys.getfilesystemencoding(), "surrogateescape")
    if b"\0" in encoded:
        raise ValueError("embedded null byte")
    return encoded


def _checked(name: str) -> str:
    if not name or "=" in name:
        raise ValueError("illegal environment variable name")
    return name


def _check(error: int, path: str) -> None:
    if error:
        raise OSError(error, posix.strerror(error), path)

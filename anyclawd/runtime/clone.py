"""Starts a process right in its control group, where the C library knows how (glibc 2.39).

`posix.posix_spawn` has no argument for it, so the library itself is called. The interpreter lock is
held meanwhile, as it is by `posix.posix_spawn`: what the daemon wears for its child is seen by no
other thread. `ctypes` takes 4 ms to import, more than the shells of ten units would; so what is
needed is made of `_ctypes`, which `tree` has imported anyway.

Source: posix_spawn(3), posix_spawnattr_setcgroup_np in <spawn.h>; clone(2), CLONE_INTO_CGROUP.
"""

import errno
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _ctypes import Array
    from collections.abc import Callable, Iterable, Mapping, Sequence

#: Flags of <spawn.h>.
_SETSIGDEF, _SETSIGMASK, _SETSID, _SETCGROUP = 0x04, 0x08, 0x80, 0x100
#: Room for a posix_spawnattr_t, a posix_spawn_file_actions_t or a sigset_t, whichever it is.
_ROOM_BYTES = 1024

#: Those of os.fsencode.
_ENCODING, _ENCODING_ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()

_library: "_Library | None" = None
_is_possible: bool | None = None


def is_possible(cgroup: str) -> bool:
    """Whether the library, and the kernel in this sandbox, can start a process in a cgroup."""
    global _is_possible, _library
    if _is_possible is None:
        try:
            _library = _Library()
        except OSError:  # older than the function
            _is_possible = False
        else:
            _is_possible = _is_allowed(cgroup)
    return _is_possible


def open_directory(cgroup: str) -> int:
    """A descriptor of a cgroup for `posix_spawn`. Raises OSError with a text for the user."""
    try:
        return posix.open(cgroup, posix.O_PATH | posix.O_DIRECTORY | posix.O_CLOEXEC)
    except OSError as error:
        text = f"cannot open its control group {cgroup!r}: {error.strerror}"
        raise OSError(error.errno, text) from error


def posix_spawn(
    path: str,
    argv: "Sequence[str]",
    environ: "Mapping[str, str]",
    *,
    dup2: "Iterable[tuple[int, int]]",
    cgroup: int,
) -> int:
    """The pid of a process in a session of its own, with no signal blocked and each at its default.

    `dup2` are pairs of our descriptor and the child's; `cgroup` is the descriptor of the directory
    to start in. Raises OSError and ValueError like `posix.posix_spawn`. `is_possible` comes first.
    """
    assert _library is not None, "nobody has asked whether it is possible"
    line = [_encoded(item) for item in argv]
    for name in environ:
        if not name or "=" in name[1:]:
            raise ValueError("illegal environment variable name")
    variables = [_encoded(f"{name}={value}") for name, value in environ.items()]
    return _library.spawn(path, line, variables, dup2, cgroup)


class _Library:
    """The functions that it takes, and what is the same for every child.

    Raises OSError where one of them is missing.
    """

    def __init__(self) -> None:
        from _ctypes import (
            FUNCFLAG_CDECL,
            FUNCFLAG_PYTHONAPI,
            CFuncPtr,
            _SimpleCData,
            byref,
            dlopen,
            dlsym,
        )

        class Number(_SimpleCData):  # type: ignore[type-arg] # only typeshed's is generic
            _type_ = "i"

        class Byte(_SimpleCData):  # type: ignore[type-arg]
            _type_ = "c"

        class Text(_SimpleCData):  # type: ignore[type-arg]
            _type_ = "z"

        class Function(CFuncPtr):
            _flags_ = FUNCFLAG_CDECL | FUNCFLAG_PYTHONAPI  # which holds the lock
            _restype_ = Number

        library = dlopen(None, 2)  # type: ignore[arg-type] # None is the program itself

        def function(name: str) -> "Callable[..., int]":
            return Function(dlsym(library, name))

        self._byref, self._number, self._text = byref, Number, Text
        self._room = Byte * _ROOM_BYTES
        self._arrays: dict[int, type[Array[Text]]] = {}
        self._set_cgroup = function("posix_spawnattr_setcgroup_np")
        self._init_actions = function("posix_spawn_file_actions_init")
        self._add_dup2 = function("posix_spawn_file_actions_adddup2")
        self._destroy_actions = function("posix_spawn_file_actions_destroy")
        self._spawn = function("posix_spawn")
        self._attributes, signals = self._room(), self._room()
        function("posix_spawnattr_init")(self._attributes)
        function("sigemptyset")(signals)
        function("posix_spawnattr_setsigmask")(self._attributes, signals)
        function("sigfillset")(signals)
        function("posix_spawnattr_setsigdefault")(self._attributes, signals)
        flags = _SETSIGDEF | _SETSIGMASK | _SETSID | _SETCGROUP
        function("posix_spawnattr_setflags")(self._attributes, flags)

    def spawn(
        self,
        path: str,
        argv: list[bytes],
        variables: list[bytes],
        dup2: "Iterable[tuple[int, int]]",
        cgroup: int,
    ) -> int:
        program, line, environ = _encoded(path), self._array(argv), self._array(variables)
        actions, pid = self._room(), self._number()
        self._init_actions(actions)
        try:
            for ours, childs in dup2:
                _check(self._add_dup2(actions, ours, childs), path)
            self._set_cgroup(self._attributes, cgroup)
            started = self._byref(pid), program, actions, self._attributes, line, environ
            _check(self._spawn(*started), path)
        finally:
            self._destroy_actions(actions)
        return int(pid.value)

    def _array(self, items: list[bytes]) -> object:
        """A char *[] with a null pointer at its end, of few lengths: each one is a type."""
        length = 1 << len(items).bit_length()
        if length not in self._arrays:
            self._arrays[length] = self._text * length
        return self._arrays[length](*items)


def _is_allowed(cgroup: str) -> bool:
    """A directory can be executed by nobody: that it is tried shows that the clone was allowed."""
    directory = open_directory(cgroup)
    try:
        posix_spawn("/", ("/",), {}, dup2=(), cgroup=directory)
    except OSError as error:
        return error.errno == errno.EACCES
    finally:
        posix.close(directory)
    raise AssertionError("a directory was executed")


def _encoded(text: str) -> bytes:
    encoded = text.encode(_ENCODING, _ENCODING_ERRORS)
    if b"\0" in encoded:
        raise ValueError("embedded null byte")
    return encoded


def _check(error: int, path: str) -> None:
    if error:
        raise OSError(error, posix.strerror(error), path)

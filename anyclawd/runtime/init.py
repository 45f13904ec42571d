"""The first process of a PID namespace: runs one program, reaps what is orphaned, ends with it.

Run as a script in front of a unit's program where `isolate: pid` asks for a namespace. What the
program leaves behind becomes a child of this process; when this process ends, the kernel kills
everything in the namespace, whatever it has done to hide.

Signals for the process group of the unit reach the program by themselves and are ignored here: the
first process of a namespace gets none that it has no handler for. An exit code above 128 is how a
shell says that the program was killed by a signal, and `process` makes it a signal again.

Nothing but built-in modules is imported, as the interpreter is to be small and quick.
"""

import _signal  # type: ignore[import-not-found] # typeshed knows `signal` only, which needs enum
import posix
import sys

#: Source: the shell command language of POSIX, "Exit Status for Commands".
_NOT_FOUND, _NOT_EXECUTABLE, _SIGNALED = 127, 126, 128

_DEFAULT_SIGNALS = tuple(
    int(signal)
    for signal in _signal.valid_signals()
    if signal not in (_signal.SIGKILL, _signal.SIGSTOP)
)


def main(argv: list[str]) -> int:
    """Run `argv` to its end; its exit code, or 128 and the number of the signal that killed it."""
    with open("/proc/self/environ", "rb") as file:  # the interpreter may have added LC_CTYPE
        variables = dict(item.split(b"=", 1) for item in file.read().split(b"\0")[:-1])
    try:
        program = posix.posix_spawn(argv[0], argv, variables, setsigdef=_DEFAULT_SIGNALS)
    except OSError as error:
        posix.write(2, f"cannot run {argv[0]!r}: {error.strerror}\n".encode())
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE
    for descriptor in (0, 1):  # the program's alone: others must see when it closes them
        posix.close(descriptor)
    while True:
        pid, status = posix.wait()
        if pid == program:
            code = posix.waitstatus_to_exitcode(status)
            return _SIGNALED - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

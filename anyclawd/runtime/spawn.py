"""Starts one process from an order, without forking the interpreter.

An order is a plain tuple, so that the plan cache can hold it and `daemon/stage0.py` can perform it
before anything else is imported; for the same reason this module imports built-in modules only.
Nothing here decides: which program, which variables and which limits is settled in the order.

What posix_spawn(3) cannot set for a child is *worn* by the daemon around the call and taken off
right after it: the working directory, the soft descriptor limit and the brand (see `mark`). This
is exact, since the call returns when the child has executed its program, and no other thread runs
in between as long as the interpreter lock is held; a thread that opens files by relative paths
must not exist in the daemon.

A control group is joined by the clone itself where that is possible (see `clone`). What only the
child can do needs a chain of programs in front of the unit's own: a shell that joins the control
group elsewhere, `prlimit` for limits, `unshare` and our `init` for isolation, `setpriv` for
another user. The program is checked before such a chain is used, so that "cannot be executed"
stays apart from "failed fast".
"""

import _signal  # type: ignore[import-not-found] # typeshed knows `signal` only, which needs enum
import errno
import posix
import resource
import sys

from anyclawd.model import world
from anyclawd.runtime import clone, mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from anyclawd.model.value import Json

    #: memory_max in bytes, tasks_max, cpu_weight, nofile; None where there is no limit
    Limits: TypeAlias = tuple[int | None, int | None, int | None, int | None]

    #: What to run for one unit, field by field:
    #:
    #: 0. the unit's name
    #: 1. argv; a bare name as `argv[0]` is looked up in the daemon's PATH
    #: 2. declared variables as (name, value) pairs, later ones win; a value is its text, or a map
    #:    that holds secrets as `model.secret` marks them and is revealed at the spawn
    #: 3. names of further variables that are taken over from the daemon
    #: 4. the working directory; empty for the daemon's own
    #: 5. whether stdin is a pipe; /dev/null otherwise
    #: 6. its resources, see `Limits`
    #: 7. the user to become, by name or number; empty for the daemon's own
    #: 8. the id of this instance of anyclawd
    #: 9. whether it gets a PID namespace of its own
    #: 10. whether it gets a directory of its own that outlives it
    Order: TypeAlias = tuple[
        str,
        tuple[str, ...],
        tuple[tuple[str, Json], ...],
        tuple[str, ...],
        str,
        bool,
        Limits,
        str,
        str,
        bool,
        bool,
    ]

    #: The daemon's directory (-1: it has not changed), its limits of descriptors and of real time,
    #: and the three descriptors that the child's own are made from.
    Worn: TypeAlias = tuple[int, tuple[int, int], tuple[int, int], tuple[int, ...]]

    #: pid, pidfd, and our ends of stdin, stdout and stderr; stdin is -1 where it is no pipe.
    Spawned: TypeAlias = tuple[int, int, int, int, int]

#: What every child is given from the daemon's environment; all else has to be declared.
PASSED_ON = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR"),
    *("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ftp_proxy", "FTP_PROXY"),
    *("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO"),
)
PASSED_ON_PREFIXES = ("LC_", "XDG_")

#: Where programs are looked up when the daemon has no PATH. Source: execvp(3).
_DEFAULT_PATH = "/bin:/usr/bin"

_DEFAULT_SIGNALS = tuple(
    int(signal)
    for signal in _signal.valid_signals()
    if signal not in (_signal.SIGKILL, _signal.SIGSTOP)
)

#: What a shell does before anything else of a chain: it joins the control group whose
#: `cgroup.procs` is `$0`, and turns a deaf ear to signals, of which `_UNSHARE` tells.
_JOIN = 'echo 0 >"$0" && '
_DEAFEN = "trap '' {} && "
_GO_ON = 'unset PWD OLDPWD SHLVL && exec "$@"'
#: The same for an environment that no shell would pass on as it is; the interpreter takes 10 ms.
_PREPARE_EXACTLY = """
import _signal, posix, sys
_, procs, deaf, *line = sys.argv
if procs:
    with open(procs, "w") as file:
        file.write("0")
for number in deaf.split():
    _signal.signal(int(number), _signal.SIG_IGN)
with open("/proc/self/environ", "rb") as file:
    variables = dict(item.split(b"=", 1) for item in file.read().split(b"\\0")[:-1])
posix.execve(line[0], line, variables)
"""
#: Variables that a shell sets, or takes for its own.
_SHELL_VARIABLES = frozenset(
    {"PWD", "OLDPWD", "SHLVL", "_", "IFS", "LINENO", "OPTIND", "PPID", "PS1", "PS2", "PS4"}
)

#: Makes a PID namespace, of which our init is to be the first process. `unshare` itself stays
#: outside as its parent, in the group of the unit, and must not end by signals for that.
_UNSHARE = ("--pid", "--fork", "--kill-child", "--mount-proc", "--")
_INIT = f"{__file__.rpartition('/')[0]}/init.py"
_DEAF_TO = "1 2 3 6 10 12 13 14 15 24 25 26 27 29 30"  # all but faults, and those that stop

_UNLIMITED = (None, None, None, None)

#: The soft descriptor limit that children get; None while the daemon has not raised its own.
_children_nofile: int | None = None
#: Three descriptors below that limit, from which children get theirs when our ends are above it:
#: glibc takes no source of a dup2 from there. Between spawns they are copies of the fourth one.
_seats: tuple[int, ...] = ()
_vacant = -1


def raise_descriptor_limit() -> None:
    """Give the daemon all the descriptors it may have; children keep the limit it came with."""
    global _children_nofile, _seats, _vacant
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        if not _seats:
            *seats, _vacant = (_null([]) for _ in range(4))
            _seats = tuple(seats)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        _children_nofile = soft


def seal_descriptors() -> None:
    """Keep descriptors that the daemon inherited from its children, and 0 to 2 occupied."""
    _occupy_standard_descriptors()
    for name in posix.listdir("/proc/self/fd"):
        try:
            if int(name) > 2:
                posix.set_inheritable(int(name), False)
        except OSError as error:
            if error.errno != errno.EBADF:  # the descriptor of the listing itself is gone by now
                raise


def spawn(
    order: "Order",
    invocation: str,
    environ: "Mapping[str, str]",
    *,
    cgroup: str = "",
    extra: tuple[tuple[str, str], ...] = (),
    state_dir: str = "",
) -> "Spawned":
    """Start the process of an order in a session of its own. Never blocks on the child.

    `environ` is the daemon's environment; `cgroup` the directory of the control group that the
    child joins before its program runs, empty for none; `extra` are variables that win over all
    others; `state_dir` is the daemon's, in which the child may get a directory. Our ends of the
    pipes do not block and are closed on exec; they and the pidfd are the caller's. Raises OSError
    whose `strerror` is the text for the user: nothing runs then and nothing is left open.
    """
    name, argv, _, _, working_dir, has_stdin, limits, user, *_ = order
    instance, is_isolated, has_state_dir = order[8:]
    variables = environment_of(order, invocation, environ)
    variables.update(extra)
    is_cloned = bool(cgroup) and clone.is_possible(cgroup)
    chain = (
        *_preparing("" if is_cloned else cgroup, variables, is_isolated=is_isolated),
        *_limiting(limits, cgroup),
        *_isolating(is_isolated=is_isolated),
        *_becoming(user, variables),
        *((sys.executable, "-I", "-S", _INIT) if is_isolated else ()),
    )
    program = _find_program(argv[0], environ.get("PATH", _DEFAULT_PATH), is_chained=bool(chain))
    if has_state_dir:
        from anyclawd.runtime import state_directory  # only units that have one pay for it

        variables[state_directory.VARIABLE] = state_directory.make(state_dir, name, user)
    opened: list[int] = []
    try:
        child_in, our_in = _pipe(opened) if has_stdin else (_null(opened), -1)
        our_out, child_out = _pipe(opened)
        our_err, child_err = _pipe(opened)
        if is_cloned:  # now, for the child's limit of descriptors may be less than what is open
            opened.append(clone.open_directory(cgroup))
        line = (*chain, program, *argv[1:]) if chain else argv
        childs = (child_in, child_out, child_err)
        worn = _put_on(working_dir, mark.brand(instance, invocation), childs)
        try:
            dup2 = tuple(zip(worn[3], (0, 1, 2), strict=True))
            first = line[0] if chain else program
            if is_cloned:
                pid = clone.posix_spawn(first, line, variables, dup2=dup2, cgroup=opened[-1])
            else:
                pid = posix.posix_spawn(
                    first,
                    line,
                    variables,
                    file_actions=[(posix.POSIX_SPAWN_DUP2, *pair) for pair in dup2],
                    setsid=True,
                    setsigmask=(),
                    setsigdef=_DEFAULT_SIGNALS,
                )
        except ValueError as error:  # a zero byte, or text that no byte string stands for
            text = f"its command line or environment cannot be passed on: {error}"
            raise OSError(errno.EINVAL, text) from error
        except OSError as error:
            raise _explained(error, program) from error
        finally:
            _take_off(worn)
        pidfd = _pidfd_of(pid, name)
    except BaseException:
        for descriptor in opened:
            posix.close(descriptor)
        raise
    ours = (our_in, our_out, our_err)
    for descriptor in opened:
        if descriptor in ours:
            posix.set_blocking(descriptor, False)
        else:
            posix.close(descriptor)
    return pid, pidfd, our_in, our_out, our_err


def environment_of(
    order: "Order", invocation: str, environ: "Mapping[str, str]"
) -> "dict[str, str]":
    """The whole environment of a child: what is passed on, what is declared, and our marks.

    Raises OSError(EINVAL) naming a variable or a credential that is not there for a secret.
    """
    name, _, declared, passed, _, _, _, _, instance, _, _ = order
    variables = {key: environ[key] for key in PASSED_ON if key in environ}
    for key in environ:
        if key.startswith(PASSED_ON_PREFIXES):
            variables[key] = environ[key]
    for key in passed:
        if key in environ:
            variables[key] = environ[key]
    for key, value in declared:
        variables[key] = value if isinstance(value, str) else _revealed(value, environ)
    variables[mark.INSTANCE] = instance
    variables[mark.UNIT] = name
    variables[mark.INVOCATION] = invocation
    return variables


def _revealed(value: "Json", environ: "Mapping[str, str]") -> str:
    from anyclawd.model import secret  # only units with secrets pay for it
    from anyclawd.runtime import credential

    try:
        return secret.reveal_text(value, environ, credential.reader(environ))
    except secret.Unavailable as error:
        raise OSError(errno.EINVAL, str(error)) from error


def _preparing(
    cgroup: str, variables: "Mapping[str, str]", *, is_isolated: bool
) -> tuple[str, ...]:
    """The program that begins a chain: it joins the control group, and hears no signals."""
    if not cgroup and not is_isolated:
        return ()
    procs, deaf = f"{cgroup}/cgroup.procs" if cgroup else "", _DEAF_TO if is_isolated else ""
    is_plain = all(key.isidentifier() and key.isascii() for key in variables)
    if not is_plain or _SHELL_VARIABLES & variables.keys():
        return sys.executable, "-I", "-S", "-c", _PREPARE_EXACTLY, procs, deaf
    script = (_JOIN if procs else "") + (_DEAFEN.format(deaf) if deaf else "") + _GO_ON
    return "/bin/sh", "-c", script, procs


def _limiting(limits: "Limits", cgroup: str) -> tuple[str, ...]:
    """Limits as far as one process can have them, but for those that its unit's cgroup has.

    `memory_max` limits the writable private memory of each process (RLIMIT_DATA), and not its
    address space, of which runtimes with a heap of their own reserve far more than they use.
    `tasks_max` counts all processes and threads of the unit's user, and root is not bound by it.
    `cpu_weight` is relative to others, which no limit of one process expresses.
    """
    if limits == _UNLIMITED:
        return ()
    memory_max, tasks_max, _, nofile = limits
    if cgroup and memory_max is not None and _exists(f"{cgroup}/../memory.max"):
        memory_max = None
    if cgroup and tasks_max is not None and _exists(f"{cgroup}/../pids.max"):
        tasks_max = None
    wished = (("data", memory_max), ("nproc", tasks_max), ("nofile", nofile))
    options = tuple(f"--{name}={value}" for name, value in wished if value is not None)
    return (_tool("prlimit"), *options, "--") if options else ()


def _isolating(*, is_isolated: bool) -> tuple[str, ...]:
    """The program that makes a PID namespace."""
    if not is_isolated:
        return ()
    if posix.geteuid() != 0:
        raise OSError(errno.EPERM, world.CANNOT_ISOLATE)
    return _tool("unshare"), *_UNSHARE


def _becoming(user: str, variables: "dict[str, str]") -> tuple[str, ...]:
    """The program that becomes another user; the change is seen in `variables` as well."""
    if not user:
        return ()
    import pwd

    try:
        account = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        raise OSError(errno.EINVAL, world.no_user(user)) from None
    if account.pw_uid == posix.geteuid():
        return ()
    if posix.geteuid() != 0:
        raise OSError(errno.EPERM, world.not_root(user))
    variables["HOME"], variables["SHELL"] = account.pw_dir, account.pw_shell or "/bin/sh"
    variables["USER"] = variables["LOGNAME"] = account.pw_name
    ids = (f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups")
    return _tool("setpriv"), *ids, "--"


def _tool(name: str) -> str:
    """A program of a chain; the unit's own PATH is none of its business."""
    return _find_program(name, _DEFAULT_PATH, is_chained=True)


def _find_program(name: str, path: str, *, is_chained: bool) -> str:
    """The path to execute. The kernel itself judges a program that is executed without a chain."""
    if "/" in name:
        if is_chained:
            _check_program(name)
        return name
    for directory in path.split(":"):
        candidate = f"{directory or '.'}/{name}"
        if _is_executable(candidate):
            return candidate
    raise OSError(errno.ENOENT, world.no_program(name))


def _check_program(path: str) -> None:
    if not _exists(path):
        raise OSError(errno.ENOENT, world.no_program(path))
    if not _is_executable(path):
        raise OSError(errno.EACCES, world.not_executable(path))


def _exists(path: str) -> bool:
    return posix.access(path, posix.F_OK)


def _is_executable(path: str) -> bool:
    if not posix.access(path, posix.X_OK):
        return False
    return posix.stat(path).st_mode & 0o170000 == 0o100000  # access(2) is content with a folder


def _explained(error: OSError, program: str) -> OSError:
    """The same error with a text that names the next move."""
    match error.errno:
        case errno.ENOENT if _exists(program):
            interpreter, _ = world.interpreter_of(_head(program))
            text = world.no_loader(program)
            if interpreter:
                text = world.no_interpreter(program, interpreter)
        case errno.ENOENT | errno.ENOTDIR:
            text = world.no_program(program)
        case errno.EACCES:
            text = world.not_executable(program)
        case errno.ENOEXEC:
            text = f"{program!r} is neither a program for this machine nor a script with a #! line"
        case errno.EAGAIN:
            text = f"cannot make a process for {program!r}: tasks_max or a limit of the system"
            text += " allows no more; raise it, or stop what takes so many"
        case errno.E2BIG:
            text = "its command line and environment are larger than the system allows"
        case _:
            text = f"cannot run {program!r}: {error.strerror}"
    return OSError(error.errno, text)


def _head(program: str) -> bytes:
    """How a program begins; nothing where it may be executed and not read."""
    try:
        descriptor = posix.open(program, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return posix.read(descriptor, world.HEAD_BYTES)
    finally:
        posix.close(descriptor)


def _pipe(opened: list[int]) -> tuple[int, int]:
    """A pipe outside of the standard descriptors, so that dup2 cannot hit its own source."""
    try:
        reading, writing = posix.pipe2(posix.O_CLOEXEC)
    except OSError as error:
        text = f"cannot make its pipes: {error.strerror}; raise LimitNOFILE of the daemon"
        raise OSError(error.errno, text) from error
    if min(reading, writing) < 3:
        posix.close(reading)
        posix.close(writing)
        _occupy_standard_descriptors()
        return _pipe(opened)
    opened += (reading, writing)
    return reading, writing


def _null(opened: list[int]) -> int:
    descriptor = posix.open("/dev/null", posix.O_RDONLY | posix.O_CLOEXEC)
    if descriptor < 3:
        posix.close(descriptor)
        _occupy_standard_descriptors()
        return _null(opened)
    opened.append(descriptor)
    return descriptor


def _occupy_standard_descriptors() -> None:
    while (descriptor := posix.open("/dev/null", posix.O_RDWR | posix.O_CLOEXEC)) < 3:
        pass
    posix.close(descriptor)


def _put_on(working_dir: str, brand: int, childs: tuple[int, ...]) -> "Worn":
    """Wear what a child shall inherit; what is returned restores the daemon.

    `childs` are the ends of pipes that the child gets.
    """
    home = -1
    if working_dir:
        home = posix.open(".", posix.O_PATH | posix.O_CLOEXEC)
        try:
            posix.chdir(working_dir)
        except OSError as error:
            posix.close(home)
            raise OSError(error.errno, world.no_working_dir(working_dir)) from error
    nofile = resource.getrlimit(resource.RLIMIT_NOFILE)
    rttime = resource.getrlimit(resource.RLIMIT_RTTIME)
    if _children_nofile is not None:
        if max(childs) >= _children_nofile:
            childs = tuple(
                posix.dup2(end, seat, False) for end, seat in zip(childs, _seats, strict=True)
            )
        # Descriptors above the limit stay open and usable: it only stops new ones.
        resource.setrlimit(resource.RLIMIT_NOFILE, (_children_nofile, nofile[1]))
    if rttime[1] == resource.RLIM_INFINITY:  # elsewhere the variables have to do
        resource.setrlimit(resource.RLIMIT_RTTIME, (brand, rttime[1]))
    return home, nofile, rttime, childs


def _take_off(worn: "Worn") -> None:
    home, nofile, rttime, childs = worn
    resource.setrlimit(resource.RLIMIT_NOFILE, nofile)
    resource.setrlimit(resource.RLIMIT_RTTIME, rttime)
    if childs == _seats:
        for seat in _seats:
            posix.dup2(_vacant, seat, False)
    if home != -1:
        posix.fchdir(home)
        posix.close(home)


def _pidfd_of(pid: int, name: str) -> int:
    """A descriptor for a child just made; the child does not outlive a failure."""
    try:
        return posix.pidfd_open(pid)
    except OSError as error:
        posix.kill(pid, _signal.SIGKILL)
        posix.waitpid(pid, 0)
        raise OSError(error.errno, f"cannot watch {name}: {error.strerror}") from error

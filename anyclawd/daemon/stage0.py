"""The first milliseconds of the daemon: the first wave of a cached plan, before heavy imports.

Importing asyncio, uvloop and the model takes ten times as long as starting ten programs. So what
can be decided from a plan that is known to hold is performed first: take the lock, sweep what an
unclean end has left, make the subtree of cgroups, start the wave. Where no cached plan holds, the
compiler is started instead and runs beside the imports; only its plan tells whether cgroups are
wanted, and `first_wave` starts what it begins with. Then `main` takes over with what is in the
`Handover`.

Nothing is decided here: the wave was decided by the engine when the plan was cached, and it
decides again for the same boot when it has been loaded; the driver pairs the two. Signals that end
the daemon are blocked until its loop can take them.

Only modules that are built in, or that the interpreter has loaded anyway, are imported.
"""

import gc
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from anyclawd.daemon.cache import Input, Key, Orders
    from anyclawd.daemon.compilation import Fresh
    from anyclawd.model.plan import Plan
    from anyclawd.runtime.cgroup import Cgroups
    from anyclawd.runtime.driver import Early
    from anyclawd.runtime.spawn import Order, Spawned
    from anyclawd.runtime.tree import Swept


class Handover:
    """What `main` needs to know of the first milliseconds."""

    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments
        self.started_at = time.monotonic()
        self.config = ""
        self.state_dir = ""
        self.runtime_dir = ""
        self.log_level = ""
        self.instance = ""
        self.lock = -1  #: descriptor that holds the state directory
        self.dropins = ""  #: the directory of drop-ins that live no longer than the machine runs
        self.key: Key = ()  #: what the cached plan has to be for
        self.inputs: tuple[Input, ...] = ()  #: all that the plan depends on
        self.plan: bytes | None = None  #: a cached plan that holds, marshalled
        self.compiler: tuple[int, int] | None = None  #: pid, and its stdout, where none does
        self.fresh: tuple[Plan, Fresh] | None = None  #: what it has made
        self.early: dict[str, Early] = {}
        self.early_at: dict[str, float] = {}  #: when they were spawned
        self.stopped: frozenset[str] = frozenset()
        self.swept: Swept = ((), ())
        self.cgroups: Cgroups | None = None
        self.no_cgroups = ""  #: why there are none


#: Options that take a value, and where it goes.
_OPTIONS = {
    "-c": "config",
    "--config": "config",
    "--state-dir": "state_dir",
    "--runtime-dir": "runtime_dir",
    "--log-level": "log_level",
}


def main() -> int:
    """The entry point of `anyclawd`."""
    gc.disable()  # imports make much and drop little; main turns it on again
    handover = Handover(sys.argv[1:])
    if not _parse(handover):
        from anyclawd.daemon.usage import answer

        return answer(handover.arguments)
    from anyclawd.daemon.places import StartError

    try:
        _prepare(handover)
    except StartError as error:
        sys.stderr.write(f"anyclawd: {error}\n")
        return error.code
    if handover.compiler is not None:
        from anyclawd.daemon import first_wave

        if code := first_wave.start(handover):
            return code
    from anyclawd.daemon.main import run

    return run(handover)


def _parse(handover: Handover) -> bool:
    """Take the options; False for anything but plain ones, `--help` and mistakes included."""
    arguments = iter(handover.arguments)
    for argument in arguments:
        option, has_value, value = argument.partition("=")
        if option[:2] == "-c" and option != "-c":  # -cFILE
            option, has_value, value = "-c", "=", argument[2:]
        if not has_value:
            value = next(arguments, "")
        if option not in _OPTIONS or not value:
            return False
        setattr(handover, _OPTIONS[option], value)
    return True


def _prepare(handover: Handover) -> None:
    import _signal  # type: ignore[import-not-found] # typeshed knows `signal` only

    from anyclawd.daemon import cache, places
    from anyclawd.runtime import spawn, tree

    if not hasattr(os, "pidfd_open"):
        raise places.StartError("anyclawd needs Linux 5.15 or newer, and runs nowhere else")
    spawn.seal_descriptors()  # first of all: what is opened next must not become 0, 1 or 2
    environ = dict(os.environ)  # which decodes each variable at every look
    handover.config = places.find_config(handover.config, environ)
    handover.state_dir = places.state_dir(handover.state_dir, environ)
    handover.runtime_dir = places.runtime_dir(handover.runtime_dir, environ)
    places.make_private(handover.state_dir)
    places.make_private(handover.runtime_dir)
    try:
        handover.lock = places.lock(handover.state_dir)
        handover.instance = places.instance(handover.state_dir)
        handover.stopped = places.read_stopped(handover.state_dir)
        left_running = places.read_running(handover.state_dir)
    except OSError as error:
        text = f"cannot use the state directory {handover.state_dir!r}: {error.strerror}"
        raise places.StartError(text) from error
    _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP))
    spawn.raise_descriptor_limit()
    tree.become_subreaper()
    if left_running is not None:
        handover.swept = _sweep(handover.instance, *left_running)
    handover.dropins = f"{handover.runtime_dir}/dropins"
    handover.key = cache.key_of(handover.config, handover.dropins)
    cached = cache.load(handover.state_dir, handover.key, environ)
    if cached is None:
        handover.compiler = start_compiler(handover.config, handover.dropins)
        return
    handover.plan, (cgroup_use, wave), handover.inputs = cached
    enter_cgroups(handover, cgroup_use)
    perform(wave, handover, environ)


def perform(wave: "Orders", handover: Handover, environ: "Mapping[str, str]") -> None:
    """Start the units of a wave, but for what was stopped by hand and what needs that."""
    for order, needs in wave:
        if not needs & handover.stopped:
            invocation = os.urandom(16).hex()
            handover.early_at[order[0]] = time.monotonic()
            handover.early[order[0]] = invocation, _spawn(order, invocation, handover, environ)


def _spawn(
    order: "Order", invocation: str, handover: Handover, environ: "Mapping[str, str]"
) -> "Spawned | OSError":
    from anyclawd.runtime import spawn

    try:
        cgroup = handover.cgroups.open(order[0], order[6]) if handover.cgroups else ""
        return spawn.spawn(order, invocation, environ, cgroup=cgroup, state_dir=handover.state_dir)
    except OSError as error:
        return error


def enter_cgroups(handover: Handover, use: str) -> None:
    """Note that this daemon runs, and make the subtree for the cgroups of its units.

    `use` is `supervisor.cgroup`. Nothing may have been spawned before. Raises StartError.
    """
    from anyclawd.daemon import places
    from anyclawd.runtime import cgroup

    cgroups, why = cgroup.find(handover.instance, use)
    try:
        places.note_running(handover.state_dir, cgroups.path if cgroups else "")
    except OSError as error:
        text = f"cannot use the state directory {handover.state_dir!r}: {error.strerror}"
        raise places.StartError(text) from error
    if cgroups is not None:
        try:
            cgroups.enter()
        except cgroup.Unusable as error:
            cgroups, why = None, str(error)
    if cgroups is None and use == "required":
        places.note_clean_end(handover.state_dir)
        raise places.StartError(f"supervisor.cgroup is required, and there is none: {why}")
    handover.cgroups, handover.no_cgroups = cgroups, why


def _sweep(instance: str, boot: str, cgroups: str) -> "Swept":
    """End what the last run has left: by its cgroups first, then whoever carries its marks."""
    from anyclawd.daemon import places
    from anyclawd.runtime import cgroup, tree

    is_same_boot = boot != "" and boot == places.boot_id()
    killed, left = cgroup.sweep(cgroups, instance, is_same_boot=is_same_boot)
    marked_killed, marked_left = tree.sweep(instance)
    return killed + marked_killed, tuple({**dict(left), **dict(marked_left)}.items())


def start_compiler(config: str, dropins: str) -> tuple[int, int]:
    """Compile in a child of our own; its pid, and the pipe that brings the plan."""
    reading, writing = os.pipe()
    options = ("--config", config, "--dropins", dropins)
    argv = (sys.executable, "-P", "-m", "anyclawd.compile", *options)
    try:
        pid = os.posix_spawn(
            sys.executable,
            argv,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1)],
            setsigmask=(),
        )
    finally:
        os.close(writing)
    return pid, reading

"""The daemon after its first milliseconds: load the plan, run the loop, leave nothing behind."""

import asyncio
import gc
import logging
import marshal
import os
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import uvloop

from anyclawd.daemon import cache, logs, places
from anyclawd.daemon.assemble import Assembly
from anyclawd.daemon.first_wave import first_wave
from anyclawd.daemon.stage0 import Handover
from anyclawd.model.plan import Plan, from_plain

log = logging.getLogger("anyclawd.daemon")

if TYPE_CHECKING:
    from anyclawd.daemon.compilation import Fresh

#: Whose a process is that shows no environment: it was started without it, or is about to end.
_NOBODY = "an unknown unit"


def run(handover: Handover) -> NoReturn:
    """Everything from here to the end of the process."""
    code = _run(handover)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # nothing is left to tidy up, and the interpreter takes 15 ms for it


def _run(handover: Handover) -> int:
    plan, fresh = _load(handover)
    warnings = logs.set_up(plan.settings.log_level, plan.settings.log_format, os.environ)
    for text in (*map(str, plan.warnings), *warnings):
        log.warning("%s", text)
    _report_sweep(handover)
    gc.enable()
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    return runner.run(_supervise(plan, fresh, handover))  # and the loop ends with us


def _load(handover: Handover) -> "tuple[Plan, Fresh | None]":
    """The plan, and what is to be kept of it where it was compiled just now.

    The bytes of a cached plan are as large as itself and are let go.
    """
    if handover.fresh is not None:
        fresh, handover.fresh = handover.fresh, None
        return fresh
    plain, handover.plan = handover.plan, None
    assert plain is not None, "stage 0 starts the compiler where it finds no plan"
    plan: Plan = from_plain(marshal.loads(plain))
    if handover.log_level:
        plan = replace(plan, settings=replace(plan.settings, log_level=handover.log_level))
    return plan, None


async def _supervise(plan: Plan, fresh: "Fresh | None", handover: Handover) -> int:
    def keep(plan: Plan, fresh: "Fresh") -> None:
        _keep(plan, fresh, handover)

    assembly = Assembly(plan, handover, keep)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, assembly.take_signal, number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    settled = asyncio.Event()
    assembly.when_settled(settled.set)
    async with asyncio.TaskGroup() as tasks:
        keeper = tasks.create_task(_tidy(settled, plan, fresh, assembly), name="daemon:keep")
        code = await assembly.run()
        if not settled.is_set():
            keeper.cancel()
    if _leave_cgroups(handover):
        places.note_clean_end(handover.state_dir)
    return code


def _leave_cgroups(handover: Handover) -> bool:
    """Whether no cgroup is left; else there is something for the next start to sweep."""
    if handover.cgroups is None:
        return True
    try:
        is_empty = handover.cgroups.leave()
    except OSError as error:
        log.warning("cannot remove the control groups: %s; the next start tries again", error)
        return False
    if not is_empty:
        log.error("processes are left in %s; the next start ends them", handover.cgroups.path)
    return is_empty


async def _tidy(
    settled: asyncio.Event, plan: Plan, fresh: "Fresh | None", assembly: Assembly
) -> None:
    """Put in order what the boot has made, once it has settled, and keep a plan that is new."""
    await settled.wait()
    gc.collect()
    gc.freeze()  # it lives as long as the daemon
    if fresh is not None:
        await assembly.reloader.keep_first(plan, fresh)


def _keep(plan: Plan, fresh: "Fresh", handover: Handover) -> None:
    """Keep a plan, and the wave that the engine decides for a boot of it."""
    plain, inputs = fresh
    try:
        wave = first_wave(plan, handover.instance)
        cache.store(handover.state_dir, handover.key, inputs, wave, plain)
    except OSError as error:
        log.warning("cannot keep the compiled plan: %s; the next start compiles again", error)
    except Exception:
        log.exception("cannot keep the compiled plan; the next start compiles again")


def _report_sweep(handover: Handover) -> None:
    killed, left = handover.swept
    for pid, unit in killed:
        text, owner = "ended process %d of %s, left by the last run", unit or _NOBODY
        log.warning(text, pid, owner, extra={"unit": unit} if unit else None)
    for pid, unit in left:
        log.error("cannot end process %d of %s, left by the last run", pid, unit or _NOBODY)

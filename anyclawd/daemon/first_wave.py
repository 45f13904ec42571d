"""The first wave: what the engine starts at a boot before anything has answered.

It is worked out from a plan, as the orders of its spawns. With a cached plan it lies beside it, and
stage 0 performs it at once. Otherwise it is performed here, as soon as the compiler has ended:
it takes a third of what the daemon is made of, so the rest is imported while the compiler runs, and
then while the units of the wave start.
"""

import marshal
import os
import select
import sys
import time
from dataclasses import replace
from importlib import import_module

from anyclawd.daemon import cache, compilation, places
from anyclawd.daemon.stage0 import Handover, enter_cgroups, perform
from anyclawd.engine.commands import Spawn
from anyclawd.engine.events import BootRequested, Invocation
from anyclawd.engine.manager import Manager
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan, from_plain
from anyclawd.runtime.order import order_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from anyclawd.daemon.compilation import Fresh

#: The configuration cannot be used. Source: sysexits.h, EX_CONFIG.
EX_CONFIG = 78
#: What the daemon needs next, in pieces: the compiler is looked after between two of them.
_NEEDED = (
    *("uvloop", "anyclawd.runtime.driver", "anyclawd.route.events", "anyclawd.route.router"),
    *("anyclawd.gateway.agent", "anyclawd.gateway.toolhost", "anyclawd.gateway.gateway"),
    "anyclawd.daemon.assemble",
)


def start(handover: Handover) -> int:
    """Wait for the compiler and perform the wave of its plan; an exit code where there is none."""
    assert handover.compiler is not None, "there is no cached plan"
    pid, pipe = handover.compiler
    try:
        plan, fresh = _compiled(pid, pipe)
        handover.inputs = fresh[1]
        enter_cgroups(handover, plan.settings.cgroup)
    except places.StartError as error:
        sys.stderr.write(f"{error}\n")
        places.note_clean_end(handover.state_dir)
        return error.code
    if handover.log_level:
        plan = replace(plan, settings=replace(plan.settings, log_level=handover.log_level))
    handover.fresh = plan, fresh
    _, wave = first_wave(plan, handover.instance)
    perform(wave, handover, dict(os.environ))
    return 0


def _compiled(pid: int, pipe: int) -> "tuple[Plan, Fresh]":
    """What the compiler has made: the plan, and what of it is kept.

    Raises StartError with its findings where there is no plan.
    """
    _import_until_readable(pipe)
    with open(pipe, "rb") as file:
        content = file.read()
    _, status = os.waitpid(pid, 0)
    try:
        fresh = compilation.read(content, os.waitstatus_to_exitcode(status))
    except compilation.NotCompiled as error:
        code = EX_CONFIG if error.findings else 1
        raise places.StartError(str(error), code) from error
    plan: Plan = from_plain(marshal.loads(fresh[0]))
    return plan, fresh


def _import_until_readable(pipe: int) -> None:
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    for name in _NEEDED:
        if poll.poll(0):
            return
        import_module(name)


def first_wave(plan: Plan, instance: str) -> "cache.Wave":
    """The orders that the engine gives for a boot before anything has answered."""
    manager = Manager(plan, lambda: 0.0, lambda _: Invocation("wave"))
    commands = manager.handle(BootRequested(), time.monotonic())
    names = [command.unit for command in commands if isinstance(command, Spawn)]
    spawned = [name for name in names if not plan.units[name].notifies]  # theirs takes a socket
    # Who starts of two that conflict changes with either of them, and so may the whole order.
    contested = frozenset(manager.links.conflicts)
    orders = (
        (order_of(plan.units[name], plan.settings, instance), contested | _needs(manager, name))
        for name in spawned
    )
    return str(plan.settings.cgroup), tuple(orders)


def _needs(manager: Manager, name: UnitName) -> set[str]:
    """All that a unit requires, and what that requires, itself included."""
    found: set[str] = set()
    agenda = [name]
    while agenda:
        if (one := agenda.pop()) not in found:
            found.add(one)
            agenda += manager.links.requires.get(one, ())
    return found

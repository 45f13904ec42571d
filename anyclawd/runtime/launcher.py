"""Starts the processes of units: the main ones, and the programs beside them."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from anyclawd.engine.events import Exit
from anyclawd.model.plan import Plan
from anyclawd.model.unit import Unit
from anyclawd.runtime import spawn
from anyclawd.runtime.cgroup import Cgroups, part_of
from anyclawd.runtime.logpump import LogPump
from anyclawd.runtime.order import limits_of, order_of
from anyclawd.runtime.process import Process
from anyclawd.runtime.reaper import Reaper
from anyclawd.runtime.seam import Sink, Variables

if TYPE_CHECKING:
    from anyclawd.runtime.spawn import Spawned

log = logging.getLogger(__name__)


class Launcher:
    """What all processes of one daemon have in common. `plan` is the plan that holds."""

    def __init__(
        self,
        plan: Callable[[], Plan],
        *,
        instance: str,
        state_dir: str,
        environ: Mapping[str, str],
        reaper: Reaper,
        logs: LogPump,
        cgroups: Cgroups | None,
        installed: Callable[[Unit], Variables],
    ) -> None:
        """`installed` tells the variables that services give to a unit."""
        self._plan, self._instance, self._environ = plan, instance, environ
        self._state_dir, self._installed = state_dir, installed
        self._reaper, self._logs, self._cgroups = reaper, logs, cgroups

    def spawn(
        self,
        unit: Unit,
        invocation: str,
        variables: Variables,
        argv: tuple[str, ...] | None = None,
    ) -> "Spawned":
        """Start the program of a unit, or another one beside it, in its control group.

        Raises OSError whose `strerror` is the text for people; nothing is left then.
        """
        has_stdin = None if argv is None else False
        settings = self._plan().settings
        order = order_of(
            unit,
            settings,
            self._instance,
            argv=argv,
            has_stdin=has_stdin,
            installed=self._installed(unit),
        )
        start = partial(
            spawn.spawn,
            order,
            invocation,
            self._environ,
            extra=variables,
            state_dir=self._state_dir,
        )
        if self._cgroups is None:
            return start()
        part = part_of(invocation)
        cgroup = self._cgroups.open(unit.name, limits_of(unit.resources), part)
        try:
            return start(cgroup=cgroup)
        except OSError:
            self._cgroups.remove(unit.name, part)
            raise

    def process(
        self,
        unit: Unit,
        invocation: str,
        spawned: "Spawned",
        exited: Callable[[Process, Exit], None],
        *,
        starved: Callable[[Process], None] | None = None,
        ending: Callable[[Process], None] | None = None,
    ) -> Process:
        """The process of a spawn; it is watched from its `open` on."""
        return Process(
            unit,
            invocation,
            spawned,
            reaper=self._reaper,
            log=self._logs.of(unit.name, unit.stderr_rate),
            exited=exited,
            cgroups=self._cgroups,
            starved=starved,
            ending=ending,
        )

    def launch(
        self,
        unit: Unit,
        invocation: str,
        argv: tuple[str, ...],
        variables: Variables,
        exited: Callable[[Exit], None],
        sink: Sink | None = None,
    ) -> Process:
        """Start a program beside the main process of a unit; see `program.Launch`."""
        spawned = self.spawn(unit, invocation, variables, argv)
        process = self.process(unit, invocation, spawned, lambda _, end: exited(end))
        process.open(sink)
        return process

    def limit(self, unit: Unit) -> None:
        """Let the limits of a running unit hold that it need not be started again for."""
        self._logs.of(unit.name, unit.stderr_rate)
        if self._cgroups is not None and self._cgroups.has_controllers:
            try:
                self._cgroups.limit(unit.name, limits_of(unit.resources))
            except OSError as error:
                text = "%s: cannot change its limits: %s; restart it"
                log.warning(text, unit.name, error.strerror, extra={"unit": unit.name})

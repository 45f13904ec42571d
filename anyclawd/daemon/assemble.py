"""Builds the parts of the daemon and connects them: the only place that knows all of them."""

import asyncio
import gc
import logging
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from anyclawd.daemon import places
from anyclawd.daemon.admin import Admin
from anyclawd.daemon.control import DaemonControl
from anyclawd.daemon.installations import Installations, Renewal
from anyclawd.daemon.mcp import MCP, McpCore
from anyclawd.daemon.notify import ServiceManager
from anyclawd.daemon.reload import Reloader
from anyclawd.daemon.stage0 import Handover
from anyclawd.daemon.workers import Workers
from anyclawd.engine.commands import SettleBoot
from anyclawd.engine.events import BootRequested, ShutdownRequested
from anyclawd.engine.job import Origin
from anyclawd.gateway.gateway import STORE, Gateway
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan
from anyclawd.model.state import ACTIVE_OF, Active, JobType, Result, Sub, SystemState
from anyclawd.model.unit import Kind, kind_of
from anyclawd.runtime import cgroup
from anyclawd.runtime.driver import Driver
from anyclawd.store.store import Store

if TYPE_CHECKING:
    from anyclawd.daemon.compilation import Fresh

log = logging.getLogger("anyclawd.daemon")
unit_log = logging.getLogger("anyclawd.state")

#: Sub states beside failed ones that somebody should look into.
_WORRYING = frozenset({Sub.AUTO_RESTART, Sub.BLOCKED, Sub.DEGRADED})
#: Sub states in which a unit will not answer anybody until something else happens.
_OUT = frozenset({Sub.FAILED, Sub.COOLDOWN, Sub.BLOCKED, Sub.DEAD})


class Orchestrator:
    """`orchestrator.core`: the gateway, as a unit. Its tasks end with its stop."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def start(self) -> None:
        self._gateway.start()

    async def stop(self) -> None:
        """Nothing to do: the intake was closed before anything was stopped."""


class Assembly:
    """Everything that one run of the daemon consists of."""

    def __init__(
        self, plan: Plan, handover: Handover, keep: "Callable[[Plan, Fresh], None]"
    ) -> None:
        """`keep` puts a plan where the next start finds it; it is called in a thread."""
        self._handover = handover
        environ = dict(os.environ)
        self._systemd = ServiceManager(environ)
        self._has_status_due = False
        self._store = Store(plan.settings.session_store, report=self._report_store)
        self._mcp = McpCore(plan.settings)
        self._gateway = Gateway(plan, environ=environ, store=self._store, endpoint=self._mcp)
        self._mcp.tools = self._gateway.tools
        self._admin = Admin(plan.settings, Path(handover.runtime_dir) / "admin.sock")
        self._installations = Installations()
        self._gateway.installed = self._installations.take
        self._gateway.claims.urls = lambda: self._installations.urls("media")
        self._driver = Driver(
            plan,
            instance=handover.instance,
            state_dir=handover.state_dir,
            environ=environ,
            attach=self._gateway.attach,
            cores={
                UnitName("orchestrator.core"): Orchestrator(self._gateway),
                UnitName("admin.core"): self._admin,
                STORE: self._store,
                MCP: self._mcp,
            },
            intake=self._gateway,
            remember=self._remember,
            early=handover.early,
            notify_dir=Path(handover.runtime_dir) / "notify",
            cgroups=handover.cgroups,
            installed=self._installations.of,
        )
        Renewal(self._driver, self._installations)
        self._control = DaemonControl(
            self._driver,
            self._gateway,
            handover.started_at,
            handover.state_dir,
            cgroup.containment(handover.cgroups, handover.no_cgroups),
            handover.dropins,
            handover.early_at,
            self._installations,
        )
        self.reloader = Reloader(
            plan,
            handover,
            driver=self._driver,
            gateway=self._gateway,
            admin=self._admin,
            store=self._store,
            systemd=self._systemd,
            status=self._status,
            keep=keep,
        )
        self._control.reloader = self.reloader
        self._admin.control = self._control
        self._mcp.warnings = self._control.warnings
        self._control.tools_url = lambda: self._mcp.place
        workers = Workers(self._driver, self._tell_absence)
        self._gateway.start_worker, self._gateway.stop_worker = workers.start, workers.stop
        self._driver.announced.append(self._announce)
        self._driver.forgotten += [self._gateway.forget, self._installations.forget]
        self._driver.settled.append(self._settle)
        self._driver.adopted.append(self._excuse_the_absent)

    def when_settled(self, call: Callable[[], None]) -> None:
        """Call once, when the boot has settled and the loop is idle."""

        def call_soon(_: SettleBoot) -> None:
            asyncio.get_running_loop().call_soon(call)

        self._driver.settled.append(call_soon)

    async def run(self) -> int:
        """Boot and supervise; the exit code, once everything has stopped."""
        self._systemd.start_watchdog()
        stopped = frozenset(map(UnitName, self._handover.stopped))
        async with asyncio.TaskGroup() as tasks:
            cores = [
                tasks.create_task(self._gateway.run(), name="orchestrator.core:run"),
                tasks.create_task(self._admin.run(), name="admin.core:run"),
                tasks.create_task(self._store.run(), name="store.core:run"),
                tasks.create_task(self._mcp.run(), name="mcp.core:run"),
                tasks.create_task(self.reloader.run(), name="daemon:reload"),
            ]
            tasks.create_task(self._control.kept.run(), name="daemon:boots")
            code = await self._driver.run(BootRequested(stopped))
            self._control.kept.abandon()
            for core in cores:
                core.cancel()
        return code

    def take_signal(self, number: signal.Signals) -> None:
        """TERM and INT stop in order, and hurry when they come again; HUP reloads."""
        if number is signal.SIGHUP:
            self.reloader.request("SIGHUP")
            return
        if not self._driver.manager.is_stopping:
            self._systemd.stopping()
        gc.disable()  # what is left of this process is too short to be worth tidying up
        log.info("%s: stopping", signal.Signals(number).name)
        self._driver.feed(ShutdownRequested(signal.Signals(number).name))

    def _report_store(self, reason: str) -> None:
        """Messages that wait for the store to be read are refused where it cannot be, for now."""
        self._driver.report_core(STORE, reason)
        unit = self._driver.plan.units.get(STORE)  # a reload may have removed it just now
        if unit is not None and self._store.failure:
            self._gateway.unit_failed(unit, self._store.failure)

    def _remember(self, units: frozenset[UnitName]) -> None:
        try:
            places.write_stopped(self._handover.state_dir, units)
        except OSError as error:
            log.warning("cannot note what is stopped by hand: %s; a restart starts it", error)

    def _announce(self, name: UnitName, _before: Sub, after: Sub) -> None:
        """One line a change of state; the gateway hears of what will not answer any more."""
        state = self._driver.manager.states.get(name)
        if state is None:  # and this was the last of it
            unit_log.info("%s: %s, removed", name, after.value, extra={"unit": name})
            self._status_is_due()
            return
        text = f"{after.value} ({state.reason})" if state.reason else after.value
        level = logging.INFO
        if ACTIVE_OF[after] is Active.FAILED or after in _WORRYING:
            level = logging.WARNING
            if state.result is not Result.SUCCESS:
                text = f"{after.value}, {state.result.value}"
                text += f": {state.reason}" if state.reason else ""
        unit_log.log(level, "%s: %s", name, text, extra={"unit": name})
        self._driver.logs.say(name, text)
        self._tell_absence(name)
        self._status_is_due()

    def _tell_absence(self, name: UnitName) -> None:
        """Tell the gateway of a unit that will not answer before something else happens."""
        manager = self._driver.manager
        state = manager.states.get(name)
        if state is None or state.sub not in _OUT or name in manager.jobs:
            return
        if name == MCP:
            self._mcp.settle()
        unit, last = self._driver.plan.units[name], manager.moved_by.get(name)
        is_put_away = last is not None and (last.origin, last.type) == (Origin.POOL, JobType.STOP)
        is_ended = state.sub is Sub.DEAD and state.result is Result.SUCCESS
        if unit.is_worker and name not in manager.stopped_by_hand and (is_ended or is_put_away):
            self._gateway.worker_rests(name)
        else:
            self._gateway.unit_failed(unit, self._excuse(name))

    def _excuse(self, name: UnitName) -> str:
        """Why a unit is out, for people who wanted something of it."""
        manager = self._driver.manager
        state = manager.states[name]
        if name in manager.stopped_by_hand:
            return "it was stopped by hand"
        if state.reason:
            return state.reason
        if state.invocation is None:
            return "nothing has started it"
        return "it has ended" if state.result is Result.SUCCESS else state.result.value

    def _status_is_due(self) -> None:
        if self._systemd.is_listening and not self._has_status_due:
            self._has_status_due = True
            asyncio.get_running_loop().call_soon(self._send_status)

    def _send_status(self) -> None:
        """Once for all changes of one turn of the loop."""
        self._has_status_due = False
        if not self._driver.manager.is_stopping:
            self._systemd.status(self._status())

    def _settle(self, boot: SettleBoot) -> None:
        if boot.state is SystemState.STOPPING:
            log.error("the boot has failed: %s", boot.failure)
            return
        self._excuse_the_absent()
        log.info("%s: %s", boot.state.value, self._status())
        self._systemd.ready(self._status())

    def _excuse_the_absent(self) -> None:
        """Units that nothing has started have no change of state that would tell of them."""
        for name, state in self._driver.manager.states.items():
            if state.invocation is None:
                self._tell_absence(name)

    def _status(self) -> str:
        """How many units are in which state, the most telling first."""
        counts = Counter(
            ACTIVE_OF[state.sub]
            for name, state in self._driver.manager.states.items()
            if kind_of(name) is not Kind.TARGET
        )
        return ", ".join(f"{counts[active]} {active.value}" for active in Active if counts[active])

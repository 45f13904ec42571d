"""Reloads: another plan takes over while everything runs.

Theory. Reloads are performed one after the other by one task, whoever asks for them and however
often; each compares with what the one before has left, and nobody who hangs up cuts one short. The
steps of one:

    inputs    where nothing has changed of all that the running plan was made of, there is nothing
              to do, and nothing is compiled
    compile   in a child, as at a start; the loop goes on meanwhile
    compare   with the plan that runs
    adopt     sockets, log, routes, and then the engine, which makes jobs of the difference

Nothing is touched before `adopt`, so that a configuration that cannot be used changes nothing (I6).
With `adopt` the new plan holds and the reload is over; its jobs take what time they take. The
routes are there before the engine starts what they lead to, and are taken back if it refuses.

A setting that only a new daemon can take up keeps its value, and so does one that could not be had,
such as a port that is taken; each reload tells of it again.

Deliberately impossible: two reloads at a time; half of one; a reload while the daemon stops.
"""

import asyncio
import logging
import marshal
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from anyclawd.daemon import cache, compilation, logs
from anyclawd.daemon.admin import Admin
from anyclawd.daemon.notify import ServiceManager
from anyclawd.daemon.stage0 import Handover
from anyclawd.engine.commands import JobOutcome
from anyclawd.engine.job import Job
from anyclawd.gateway.gateway import Gateway
from anyclawd.model.deps import UnitName
from anyclawd.model.difference import SETTINGS_ROWS, Difference, KeyChange, difference
from anyclawd.model.errors import BadConfiguration, RequestError, Severity
from anyclawd.model.plan import Plan, Settings, from_plain
from anyclawd.runtime.driver import Driver
from anyclawd.store.store import Store

if TYPE_CHECKING:
    from anyclawd.daemon.compilation import Fresh

log = logging.getLogger("anyclawd.daemon")

_STOPPING = "cannot reload the configuration: the daemon is stopping"

_LEVELS = {Severity.ERROR: logging.ERROR, Severity.WARNING: logging.WARNING}

#: Settings whose change holds from the next start of the daemon on; of the store's it is not all.
_FIXED = tuple(name for name, row in SETTINGS_ROWS.items() if row.effect.needs_process)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """What one reload has come to, or, where it was a dry one, would come to."""

    difference: Difference
    findings: tuple[str, ...] = ()  #: what the compiler, and who took over, have to say
    outcomes: "asyncio.Future[tuple[JobOutcome, ...]] | None" = None  #: None where it has no jobs
    jobs: Mapping[UnitName, Job] = field(default_factory=dict)  #: that wait or run right after it


class _Request:
    def __init__(self, origin: str, *, is_dry: bool) -> None:
        self.origin, self.is_dry = origin, is_dry
        self.done: asyncio.Future[Reloaded] = asyncio.get_running_loop().create_future()
        self.done.add_done_callback(_look_at_exception)  # who asked may have gone meanwhile


class Reloader:
    """One a daemon; `run` is its task, everybody else calls `reload` or `request`.

    `keep` puts a plan where the next start finds it, and is called in a thread; `status` says in a
    few words how the units are.
    """

    def __init__(
        self,
        plan: Plan,
        handover: Handover,
        *,
        driver: Driver,
        gateway: Gateway,
        admin: Admin,
        store: Store,
        systemd: ServiceManager,
        status: Callable[[], str],
        keep: "Callable[[Plan, Fresh], None]",
    ) -> None:
        self._plan, self._handover = plan, handover  # what runs; without units that are leaving
        self._driver, self._gateway, self._admin = driver, gateway, admin
        self._store, self._systemd = store, systemd
        self._status, self._keep = status, keep
        self._reaping = compilation.Reaping(driver.spare, driver.unspare)
        self._inputs = handover.inputs
        self._is_refused = False  # a setting could not be had: the next reload tries again
        self._overdue: tuple[KeyChange, ...] = ()  # what waits for a new daemon
        self._unkept: tuple[Plan, Fresh] | None = None
        self._queue: deque[_Request] = deque()
        self._has_work = asyncio.Event()
        self._keeping = asyncio.Lock()

    # -- for everybody -------------------------------------------------------------------------

    async def reload(self, origin: str, *, is_dry: bool = False) -> Reloaded:
        """Reload, or only say what that would change; it goes on though nobody waits any more.

        Raises BadConfiguration, and RequestError where it cannot be done for another reason.
        """
        if self._driver.manager.is_stopping:
            raise RequestError(_STOPPING)
        request = _Request(origin, is_dry=is_dry)
        self._queue.append(request)
        self._has_work.set()
        return await asyncio.shield(request.done)

    def request(self, origin: str) -> None:
        """Reload in a while; the log tells what came of it. One that waits is enough for all."""
        if self._driver.manager.is_stopping:
            log.warning("not reloaded by %s: %s", origin, _STOPPING)
        elif not any(waiting.origin == origin for waiting in self._queue):
            self._queue.append(_Request(origin, is_dry=False))
            self._has_work.set()

    async def keep_first(self, plan: Plan, fresh: "Fresh") -> None:
        """Keep the plan of the boot, unless a reload has kept a newer one."""
        async with self._keeping:
            if self._plan is plan:
                await asyncio.to_thread(self._keep, plan, fresh)

    async def run(self) -> None:
        """Perform reloads as they are asked for; ends only by cancellation."""
        try:
            while True:
                await self._has_work.wait()
                self._has_work.clear()
                while self._queue:
                    await self._answer(self._queue.popleft())
                    await self._keep_latest()
        finally:
            for request in self._queue:
                request.done.set_exception(RequestError(_STOPPING))

    # -- one reload ----------------------------------------------------------------------------

    async def _answer(self, request: _Request) -> None:
        try:
            done = await (self._look() if request.is_dry else self._announced(request))
        except RequestError as error:
            request.done.set_exception(error)
        except asyncio.CancelledError:
            request.done.set_exception(RequestError(_STOPPING))
            raise
        except Exception:
            log.exception("not reloaded by %s: a fault in anyclawd", request.origin)
            text = "the daemon met a fault of its own while it reloaded; its log has it"
            request.done.set_exception(RequestError(text))
        else:
            request.done.set_result(done)

    async def _look(self) -> Reloaded:
        """Say what a reload would come to; nobody is told of it."""
        found = await self._compiled()
        if found is None:
            return Reloaded(difference=self._nothing())
        plan, _ = found
        return Reloaded(difference=await self._compared(plan), findings=_warnings(plan))

    async def _announced(self, request: _Request) -> Reloaded:
        """Reload, and tell the service manager when it begins and ends, as it expects."""
        is_ready = self._driver.manager.boot_settled_at is not None  # else READY=1 says too much
        if is_ready:
            self._systemd.reloading()
        text = ""
        try:
            done = await self._reload(request.origin)
        except RequestError as error:
            text = "the last reload has failed; "
            _tell(request.origin, error)
            raise
        finally:
            if is_ready and not self._driver.manager.is_stopping:
                self._systemd.ready(text + self._status())
        log.info("reloaded by %s: %s", request.origin, summary(done.difference))
        for warning in done.findings:
            log.warning("%s", warning)
        return done

    async def _reload(self, origin: str) -> Reloaded:
        found = await self._compiled()
        if found is None:
            return Reloaded(difference=self._nothing())
        plan, fresh = found
        change = await self._compared(plan)
        wanted = _as_far_as_can_be(self._plan.settings, plan.settings)
        refused = await self._admin.adopt(wanted)
        kept = {name: getattr(self._plan.settings, name) for name in refused}
        try:
            outcomes = self._adopt(replace(plan, settings=replace(wanted, **kept)), change, origin)
        except RequestError:
            await self._admin.adopt(self._plan.settings)
            raise
        self._inputs, self._unkept = fresh[1], (plan, fresh)
        self._is_refused = bool(refused)
        self._overdue = tuple(key for key in change.settings if key.effect.needs_process)
        findings = (*_warnings(plan), *dict.fromkeys(refused.values()))
        jobs = self._driver.manager.jobs.copy()
        return Reloaded(difference=change, findings=findings, outcomes=outcomes, jobs=jobs)

    async def _compiled(self) -> "tuple[Plan, Fresh] | None":
        """The plan that holds now, and what is to be kept of it; None where nothing has changed.

        Raises BadConfiguration, and RequestError where the compiler itself fails.
        """
        holds = await asyncio.to_thread(cache.holds, self._inputs, self._driver.environ)
        if holds and not self._is_refused:
            return None
        handover = self._handover
        if not _is_same_code(handover):
            text = "anyclawd itself has changed on disk since this daemon was started"
            raise RequestError(f"{text}; restart the daemon instead of reloading it")
        try:
            fresh = await compilation.wait_compiled(
                handover.config, handover.dropins, self._reaping
            )
        except compilation.NotCompiled as error:
            if error.findings:
                raise BadConfiguration(error.findings) from error
            raise RequestError(str(error)) from error
        except OSError as error:
            raise RequestError(f"cannot start the compiler: {error.strerror}") from error
        plan = await asyncio.to_thread(_plan_of, fresh[0])
        if handover.log_level:
            plan = replace(plan, settings=replace(plan.settings, log_level=handover.log_level))
        return plan, fresh

    async def _compared(self, plan: Plan) -> Difference:
        cgroups = self._handover.cgroups
        has_controllers = cgroups is not None and cgroups.has_controllers
        return await asyncio.to_thread(
            difference, self._plan, plan, has_controllers=has_controllers
        )

    def _adopt(
        self, plan: Plan, change: Difference, origin: str
    ) -> "asyncio.Future[tuple[JobOutcome, ...]]":
        """All at once, between two turns of the loop. Raises RequestError, with nothing changed."""
        former = self._plan
        if self._driver.manager.is_stopping:
            raise RequestError(_STOPPING)
        self._gateway.adopt(plan)
        try:
            outcomes = self._driver.adopt(plan, change.restarted, frozenset(change.changed), origin)
        except RequestError:
            self._gateway.adopt(former)
            raise
        self._plan = plan
        now, before = plan.settings, former.settings
        self._store.adopt(now.session_store)
        if (now.log_level, now.log_format) != (before.log_level, before.log_format):
            for text in logs.change(before.log_level, now.log_level, now.log_format):
                log.warning("%s", text)
        return outcomes

    async def _keep_latest(self) -> None:
        """Put the plan that holds now where the next start finds it."""
        unkept, self._unkept = self._unkept, None
        if unkept is not None:
            async with self._keeping:
                await asyncio.to_thread(self._keep, *unkept)

    def _nothing(self) -> Difference:
        return Difference(unchanged=len(self._plan.units), settings=self._overdue)


def _as_far_as_can_be(before: Settings, after: Settings) -> Settings:
    """The settings that a running daemon can have of those that it should have."""
    fixed = {name: getattr(before, name) for name in _FIXED}
    kept, wanted = before.session_store, after.session_store
    fixed["session_store"] = replace(wanted, type=kept.type, path=kept.path)
    return replace(after, **fixed)


def summary(change: Difference) -> str:
    """A difference in a few words."""
    if change.is_empty:
        return "nothing has changed"
    counts = {
        "added": len(change.added),
        "removed": len(change.removed),
        "restarted": len(change.restarted),
        "changed live": len(change.changed) - len(change.restarted),
        "unchanged": change.unchanged,
    }
    told = [f"{count} {what}" for what, count in counts.items() if count]
    told += [f"{key.key} needs a new daemon" for key in change.settings if key.effect.needs_process]
    return ", ".join(told) or "settings of the daemon"


def _tell(origin: str, refusal: RequestError) -> None:
    """Log why there was no reload."""
    if isinstance(refusal, BadConfiguration):
        for finding in refusal.findings:
            log.log(_LEVELS[finding.severity], "%s", finding)
    log.error("not reloaded by %s: %s", origin, refusal)


def _plan_of(plain: bytes) -> Plan:
    plan: Plan = from_plain(marshal.loads(plain))
    return plan


def _warnings(plan: Plan) -> tuple[str, ...]:
    return tuple(map(str, plan.warnings))


def _is_same_code(handover: Handover) -> bool:
    """Whether what would compile is what runs. Looks at the working directory: not in a thread."""
    try:
        return cache.key_of(handover.config, handover.dropins) == handover.key
    except OSError:
        return False


def _look_at_exception(done: "asyncio.Future[Reloaded]") -> None:
    """Nobody may be there to do so; the log has been told."""
    if not done.cancelled():
        done.exception()

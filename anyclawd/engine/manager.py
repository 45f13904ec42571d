"""All units of one plan: jobs, their order, and what one unit's fate means to others.

Theory. `handle` takes one event and returns commands. Inside, work spreads in two ways only:
`_apply` moves one unit by its table, and `_dirty` collects the units whose job may now be able to
run. `_settle` empties `_dirty`; only then are the commands handed out, so that nobody outside ever
sees half of a propagation.

A job runs when nothing it is ordered after stands in its way (see `obstacles`). A start job ends
with the first attempt: a unit that policy starts again later has settled, and who required it is
*blocked* until it is up by any route. Stops go before starts whatever the order says, and in
reverse order among themselves.

Another plan is taken over whole. Units that it has no more are *leaving*: they keep their places
and their old settings until the last of them rests, know the others and are not known by them, so
that two plans together contradict themselves no more than each of them does.

Deliberately impossible: two jobs of one unit; a start while the daemon stops; a start by policy
against a job that a person has asked for; any job but a stop of what is leaving.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from anyclawd.engine import transaction, unit_fsm
from anyclawd.engine.commands import (
    Announce,
    ArmTimer,
    CancelTimer,
    CloseIntake,
    Command,
    CutOff,
    FinishRequest,
    ForgetUnit,
    JobOutcome,
    Quit,
    RememberStop,
    ReportFault,
    SettleBoot,
)
from anyclawd.engine.events import (
    Asker,
    BootRequested,
    CancelRequested,
    ConditionsChecked,
    Event,
    Exited,
    HealthChecked,
    HookEnded,
    IntakeClosed,
    Invocation,
    JobsRequested,
    MainPidChanged,
    OutOfMemory,
    PlanReplaced,
    ProtocolBroken,
    ReadinessLost,
    ReadinessRegained,
    Ready,
    ReloadBegun,
    RequestId,
    ResetRequested,
    ShutdownRequested,
    Spawned,
    SpawnFailed,
    StopBegun,
    TimeoutExtended,
    Timer,
    TimerElapsed,
    UnitEvent,
    WatchdogFed,
    WatchdogTriggered,
)
from anyclawd.engine.job import ORIGIN_OF, OVER, Job, JobId, Origin, Over
from anyclawd.engine.links import Links
from anyclawd.engine.needs import Needs
from anyclawd.engine.obstacles import Obstacles
from anyclawd.engine.record import BootTimes, Scene, Story, tell
from anyclawd.engine.transaction import Wanted
from anyclawd.engine.unit_fsm import Block, Hurry, Reload, Reset, Start, Stop, UnitState
from anyclawd.model.deps import Relation, UnitName
from anyclawd.model.errors import IllegalTransition, RequestError, UnknownUnit
from anyclawd.model.plan import DEFAULT_TARGET, Plan
from anyclawd.model.policy import OnLimit
from anyclawd.model.state import (
    ALIVE,
    COMING_UP,
    GOING_DOWN,
    UP,
    JobMode,
    JobResult,
    JobType,
    Result,
    Sub,
    SystemState,
)
from anyclawd.model.unit import Kind, Unit

#: Seconds that SIGKILL is given at the end of a stop that took too long.
LAST_RESORT_S = 1.0

_TROUBLED = frozenset({Sub.FAILED, Sub.COOLDOWN, Sub.BLOCKED, Sub.AUTO_RESTART, Sub.DEGRADED})

#: What a changed configuration may mend: such a unit is started when its own has changed.
_HELD = frozenset({Sub.FAILED, Sub.COOLDOWN, Sub.AUTO_RESTART})

#: The state of a unit that the plan has not had before; most of them are one object.
_NEVER = UnitState()

#: What comes often and says little: told in a unit's story only where it moves the unit.
_QUIET = (WatchdogFed, HealthChecked)


@dataclass(slots=True)
class _Request:
    """A caller who waits for the jobs it asked for."""

    waiting_for: set[UnitName]
    outcomes: list[JobOutcome] = field(default_factory=list)


class Manager:
    """The engine's whole state; see the theory on top of this module.

    `draw` gives numbers in [0, 1) for jitter, `new_invocation` an id for each run of a unit.
    """

    def __init__(
        self,
        plan: Plan,
        draw: Callable[[], float],
        new_invocation: Callable[[UnitName], Invocation],
    ) -> None:
        self.plan = plan
        self.links = Links(plan.units)
        self.states: dict[UnitName, UnitState] = dict.fromkeys(plan.units, UnitState())
        self.jobs: dict[UnitName, Job] = {}
        self.moved_by: dict[UnitName, Job] = {}  # what started or stopped it, its policy apart
        self.stories: dict[UnitName, Story] = {}
        self.boot: dict[UnitName, BootTimes] = {}
        self.boot_settled_at: float | None = None
        self.stopped_by_hand: set[UnitName] = set()
        self.needs = Needs(self.links, self.states, self.jobs, self.stopped_by_hand)
        self._obstacles = Obstacles(plan.units, self.links, self.states, self.jobs, self.boot)
        self.troubled: set[UnitName] = set()
        self.is_stopping = False
        self._draw = draw
        self._new_invocation = new_invocation
        self._now = 0.0
        self._commands: list[Command] = []
        self._dirty: OrderedDict[UnitName, None] = OrderedDict()  # an ordered set
        self._block_after_stop: dict[UnitName, str] = {}
        self._alive = 0  # how many units may have a process
        self._starting: set[UnitName] = set()
        self._at_gate: dict[UnitName, None] = {}  # in the order of arrival
        self._called: UnitName | None = None  # from the gate: its turn has come
        self._requests: dict[RequestId, _Request] = {}
        self._leaving: dict[UnitName, None] = {}  # not in the configuration any more; still here
        self._going: set[UnitName] = set()  # those of them that have not stopped yet
        self._held_back: dict[UnitName, None] = {}  # whose start waits for all of them
        self._rescues: dict[UnitName, frozenset[UnitName]] = {}  # by whose failures it was started
        self._last_job = 0
        self._exit_code = 0
        self._is_hurrying = False
        self._has_quit = False
        self._intake_is_closed = False
        self._last_to_stop: tuple[UnitName, ...] = ()  # core units that wait for nobody

    # -- what others may ask -----------------------------------------------------------------

    @property
    def state(self) -> SystemState:
        if self.is_stopping:
            return SystemState.STOPPING
        if self.boot_settled_at is None:
            return SystemState.STARTING
        return SystemState.DEGRADED if self.troubled else SystemState.RUNNING

    @property
    def exit_code(self) -> int:
        return self._exit_code

    @property
    def starting(self) -> frozenset[UnitName]:
        """Who counts against `start_concurrency` now."""
        return frozenset(self._starting)

    def sub(self, name: UnitName) -> Sub:
        return self.states[name].sub

    def is_leaving(self, name: UnitName) -> bool:
        """Whether the unit is in the configuration no more and not yet at rest."""
        return name in self._leaving

    def outcomes(self, request: RequestId) -> tuple[JobOutcome, ...]:
        """How the jobs of a request have ended that have, while others of it go on."""
        pending = self._requests.get(request)
        return () if pending is None else tuple(pending.outcomes)

    def obstacles(self, name: UnitName) -> list[UnitName]:
        """What the unit's waiting job waits for, in the order it was written."""
        job = self.jobs.get(name)
        if job is None or job.is_running:
            return []
        standing = self._obstacles.of(job)
        if self._is_held_back(job):
            standing += [other for other in self._leaving if other in self._going]
        return standing

    # -- the one way in ----------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> list[Command]:
        """Decide what an event means to all units. `now` is a monotonic instant in seconds."""
        self._now, self._commands = now, []
        match event:
            case Spawned() | SpawnFailed() | Ready() | ProtocolBroken() | Exited():
                self._on_run_event(event)
            case ReadinessLost() | ReadinessRegained() | ReloadBegun() | StopBegun():
                self._on_run_event(event)
            case ConditionsChecked() | HookEnded() | HealthChecked() | OutOfMemory():
                self._on_run_event(event)
            case WatchdogFed() | WatchdogTriggered() | TimeoutExtended() | MainPidChanged():
                self._on_run_event(event)
            case TimerElapsed(unit=None):
                self._on_own_timer(event.timer)
            case TimerElapsed(unit=name) if name is not None:
                self._apply(name, event)
            case JobsRequested():
                self._on_request(event)
            case PlanReplaced():
                self._on_plan(event)
            case CancelRequested():
                self._on_cancel(event)
            case ResetRequested():
                self._on_reset(event)
            case BootRequested():
                self._on_boot(event)
            case ShutdownRequested():
                self._on_shutdown(event.exit_code)
            case IntakeClosed():
                self._on_intake_closed()
            case TimerElapsed():
                raise AssertionError(event)
            case _:
                assert_never(event)
        self._settle()
        if self._leaving and self._let_go():
            self._settle()
        return self._commands

    def _on_run_event(self, event: UnitEvent) -> None:
        state = self.states.get(event.unit)
        if state is None or event.invocation != state.invocation or not state.is_alive:
            return  # of an earlier run: whatever it says, it is over
        if isinstance(event, Spawned) and event.unit in self.boot:
            times = self.boot[event.unit]
            times.spawned_at = times.spawned_at or self._now
        self._apply(event.unit, event)

    def _on_request(self, event: JobsRequested) -> None:
        is_spared = event.asker is Asker.POOL and event.type is JobType.STOP
        mode = JobMode.IGNORE_DEPENDENCIES if is_spared else event.mode
        try:
            jobs = self._admit(event.type, event.units, mode)
            if event.asker is not Asker.PERSON:
                jobs = self._without_stopped(event, jobs)
        except RequestError as error:
            self._commands.append(FinishRequest(event.request, (), str(error)))
            return
        if event.asker is Asker.PERSON:
            self._note_wish(event, jobs)
        self._open(event.request, event.units, jobs)
        for name, wanted in jobs.items():
            is_anchor = name in event.units
            self._order(
                name,
                wanted,
                ORIGIN_OF[event.asker] if is_anchor else Origin.DEPENDENCY,
                event.origin,
                requests=frozenset({event.request}) if is_anchor else frozenset(),
                ignores_dependencies=mode is JobMode.IGNORE_DEPENDENCIES,
            )
            if wanted.type is JobType.STOP and wanted.relation is Relation.REQUIRES:
                reason = f"requires {wanted.cause}, which was stopped by {event.origin}"
                self._block_after_stop[name] = reason

    def _without_stopped(
        self, event: JobsRequested, jobs: transaction.Transaction
    ) -> transaction.Transaction:
        """The jobs that start nothing of what a person has stopped.

        Raises RequestError where that is what was asked for.
        """
        barred = {
            name
            for name, wanted in jobs.items()
            if wanted.type is not JobType.STOP and name in self.stopped_by_hand
        }
        for name in event.units:
            if name in barred:
                raise RequestError(f"cannot {event.type} {name}: it was stopped by hand")
        return {name: wanted for name, wanted in jobs.items() if name not in barred}

    def _note_wish(self, event: JobsRequested, jobs: Mapping[UnitName, Wanted]) -> None:
        """What a person asks for is remembered, and is nobody's rescue any more."""
        for name in event.units:
            if name in jobs:
                self._remember(name, is_stopped=event.type is JobType.STOP)
            self._rescues.pop(name, None)
        for name, wanted in jobs.items():
            if name not in event.units and wanted.type is not JobType.STOP:
                self._remember(name, is_stopped=False)

    def _open(
        self, request: RequestId, units: Iterable[UnitName], jobs: Mapping[UnitName, Wanted]
    ) -> None:
        """Note who waits for which jobs; a unit for which there is nothing to do is told at once.

        Of what people ask for, only a try-restart comes down to nothing.
        """
        skipped = [
            JobOutcome(
                unit=name,
                type=JobType.TRY_RESTART,
                result=JobResult.SKIPPED,
                reason="it is not running",
            )
            for name in dict.fromkeys(units)
            if name not in jobs
        ]
        asked = {name for name in units if name in jobs}
        if asked:
            self._requests[request] = _Request(asked, skipped)
        else:
            self._commands.append(FinishRequest(request, tuple(skipped)))

    def preview(
        self, type_: JobType, units: tuple[UnitName, ...], mode: JobMode
    ) -> transaction.Transaction:
        """The jobs that such a request would install. Raises RequestError as the request would."""
        return self._admit(type_, units, mode)

    def _admit(
        self, type_: JobType, units: tuple[UnitName, ...], mode: JobMode
    ) -> transaction.Transaction:
        for name in units:
            if name not in self.states:
                raise UnknownUnit(name)
            if name in self._leaving and type_ is not JobType.STOP:
                raise RequestError(f"cannot {type_} {name}: the configuration has it no more")
        if self.is_stopping and type_ is not JobType.STOP:
            raise RequestError(f"cannot {type_} anything: the daemon is stopping")
        jobs = transaction.build(
            units,
            type_,
            self.links,
            self.sub,
            busy=self.jobs,
            left_out=self.stopped_by_hand,
            stopping=self._stopping,
            alone=mode is JobMode.IGNORE_DEPENDENCIES,
        )
        for name, wanted in jobs.items():
            if wanted.type is JobType.RELOAD:
                self._admit_reload(name)
            if mode is JobMode.FAIL:
                old = self.jobs.get(name)
                if old is not None and OVER[old.type, wanted.type] is Over.CANCEL:
                    raise RequestError(
                        f"cannot {wanted.type} {name}: a {old.type} job is queued; "
                        "wait for it or use the job mode replace"
                    )
        return jobs

    def _admit_reload(self, name: UnitName) -> None:
        unit, sub = self.plan.units[name], self.sub(name)
        if not unit.hooks.reload:
            raise RequestError(
                f"cannot reload {name}: it has no exec_reload; give it one, or restart it"
            )
        if sub not in UP - {Sub.EXITED} and sub not in COMING_UP:
            raise RequestError(f"cannot reload {name}: it is not running; start it")

    def _on_cancel(self, event: CancelRequested) -> None:
        if self.is_stopping:
            return  # the jobs of the end are not to be had otherwise
        job = next((job for job in self.jobs.values() if job.id == event.job), None)
        if job is None:
            return
        if job.type is JobType.STOP and not job.is_running:
            self._remember(job.unit, is_stopped=False)  # it stays up after all
        self._finish(job, JobResult.CANCELED, f"canceled by {event.origin}")
        if self._is_due(job.unit):
            self._apply(job.unit, Stop())  # nobody else would ever start it

    def _is_due(self, name: UnitName) -> bool:
        """Whether a unit has waited for its start and waits for nothing any more."""
        state = self.states[name]
        if state.sub is Sub.BLOCKED:
            return self.needs.lacking(name) is None
        return state.sub in (Sub.AUTO_RESTART, Sub.COOLDOWN) and state.next_at is None

    def _on_reset(self, event: ResetRequested) -> None:
        for name in event.units:
            self._apply(name, Reset())

    @property
    def _stopping(self) -> frozenset[UnitName]:
        """The units that have a job to stop, begun or not."""
        return frozenset(name for name, job in self.jobs.items() if job.type is JobType.STOP)

    def _on_boot(self, event: BootRequested) -> None:
        if self.is_stopping:
            return
        known = event.stopped_by_hand & self.states.keys()
        self.stopped_by_hand.update(name for name in known if self.plan.units[name].is_process)
        try:
            jobs = transaction.build(
                (DEFAULT_TARGET,),
                JobType.START,
                self.links,
                self.sub,
                left_out=self.stopped_by_hand,
            )
        except RequestError as error:
            self._settle_boot(JobResult.FAILED, str(error))
            return
        for name, wanted in jobs.items():
            if name in self.stopped_by_hand:
                continue
            self.boot[name] = BootTimes(self._now)
            self._order(name, wanted, Origin.BOOT, "boot")

    # -- another configuration ---------------------------------------------------------------

    def _on_plan(self, event: PlanReplaced) -> None:
        """Take over a new plan; only a daemon that stops refuses one."""
        if self.is_stopping:
            refusal = "cannot reload the configuration: the daemon is stopping"
            self._commands.append(FinishRequest(event.request, (), refusal))
            return
        new, old = event.plan.units, self.plan.units
        leaving = dict.fromkeys(name for name in self.plan.order if name not in new)
        units = {**new, **{name: old[name] for name in leaving}}
        links = Links(units, leaving=leaving)
        wishes = self._wishes(event, links, leaving)
        jobs = transaction.build_mixed(
            wishes,
            links,
            lambda name: self.states[name].sub if name in self.states else Sub.DEAD,
            busy=self.jobs,
            left_out=self.stopped_by_hand,
            stopping=self._stopping,
            spares_requirers=True,
        )
        self._leaving = leaving
        self._adopt(replace(event.plan, units=units, order=(*event.plan.order, *leaving)), links)
        for name in leaving:
            self._remember(name, is_stopped=False)
        jobs = {
            name: wanted
            for name, wanted in jobs.items()
            if wanted.type is JobType.STOP or name not in self.stopped_by_hand
        }
        asked = {name for name in wishes if name in jobs}
        if asked:
            self._requests[event.request] = _Request(asked)
        else:
            self._commands.append(FinishRequest(event.request, ()))
        for name, wanted in jobs.items():
            is_anchor = name in wishes
            origin = Origin.RELOAD if is_anchor else Origin.DEPENDENCY
            requests = frozenset({event.request}) if is_anchor else frozenset[RequestId]()
            self._order(name, wanted, origin, event.origin, requests=requests)
        self._going = set(leaving)

    def _wishes(
        self, event: PlanReplaced, links: Links, leaving: Iterable[UnitName]
    ) -> dict[UnitName, Wanted]:
        """What the difference between two plans asks for: stops first, then restarts and starts.

        What a person has stopped stays so, what is about to stop for another reason is not held
        up, and what has failed is tried again only where its own configuration has changed. Only
        the stops matter: of two units that conflict the first is started, as at a boot.
        """
        wishes = {name: Wanted(JobType.STOP) for name in leaving}
        wanted_before = _reachable(DEFAULT_TARGET, self.links)
        wanted_now = _reachable(DEFAULT_TARGET, links)
        for name in event.plan.order:
            if name in self.stopped_by_hand:
                continue
            state = self.states.get(name, _NEVER)
            job = self.jobs.get(name)
            has_run = state.is_alive or state.sub is Sub.EXITED
            comes_back = name in self._leaving
            is_due = name in wanted_now and (
                name not in wanted_before
                or name not in self.states
                or comes_back
                or (name in event.changed and _is_held(state))
            )
            if has_run and comes_back:
                if name in wanted_now:
                    wishes[name] = Wanted(JobType.RESTART, matters=False)
            elif has_run and name in event.restart:
                if job is None or job.type is not JobType.STOP:
                    wishes[name] = Wanted(JobType.RESTART, matters=False)
            elif is_due and state.sub not in UP:
                wishes[name] = Wanted(JobType.START, matters=False)
        return wishes

    def _adopt(self, plan: Plan, links: Links) -> None:
        self.plan, self.links = plan, links
        for name, unit in plan.units.items():
            self.states[name] = unit_fsm.adapted(self.states.get(name, _NEVER), unit)
        self.needs = Needs(links, self.states, self.jobs, self.stopped_by_hand)
        self._obstacles = Obstacles(plan.units, links, self.states, self.jobs, self.boot)
        self._held_back.clear()
        self._dirty.update(dict.fromkeys(self.jobs))
        blocked = [name for name, state in self.states.items() if state.sub is Sub.BLOCKED]
        for name in blocked:
            self.needs.note_root(name)
        for name in blocked:
            lacking = self.needs.lacking(name)
            if lacking is None:
                self._start_by_itself(name, Origin.DEPENDENCY, "it needs nothing else any more")
            elif name not in self.jobs and lacking != self.states[name].reason:
                self._apply(name, Block(lacking))

    def _let_go(self) -> bool:
        """Forget who has left the configuration, once the last of them has come to rest."""
        if self._going or any(
            name in self.jobs or self.states[name].is_alive for name in self._leaving
        ):
            return False
        gone, self._leaving = self._leaving, {}
        plan = self.plan
        units = {name: unit for name, unit in plan.units.items() if name not in gone}
        order = tuple(name for name in plan.order if name not in gone)
        for name in gone:
            self._remember(name, is_stopped=False)
            for table in (self.states, self.stories, self.moved_by, self.boot, self._rescues):
                table.pop(name, None)
            self.troubled.discard(name)
            self._commands.append(ForgetUnit(name))
        self._adopt(replace(plan, units=units, order=order), Links(units))
        return True

    # -- the end of everything ---------------------------------------------------------------

    def _on_shutdown(self, exit_code: int) -> None:
        if self.is_stopping:
            self._hurry()
            return
        self.is_stopping = True
        self._exit_code = exit_code
        for job in list(self.jobs.values()):
            if job.type is not JobType.STOP:
                self._finish(job, JobResult.CANCELED, "the daemon is stopping")
        ceiling = self._now + self.plan.settings.shutdown_timeout_s
        self._commands.append(ArmTimer(None, Timer.CEILING, ceiling))
        self._commands.append(
            ArmTimer(None, Timer.DRAIN, min(ceiling, self._now + self._drain_s()))
        )
        self._commands.append(CloseIntake())

    def _drain_s(self) -> float:
        """How long running turns may go on: as long as the most patient agent may take to stop."""
        agents = (unit for unit in self.plan.units.values() if unit.kind is Kind.AGENT)
        return max((unit.timeouts.stop_s for unit in agents), default=0.0)

    def _on_intake_closed(self) -> None:
        if self.is_stopping and not self._intake_is_closed:
            self._commands.append(CancelTimer(None, Timer.DRAIN))
            self._stop_all()

    def _on_own_timer(self, timer: Timer) -> None:
        match timer:
            case Timer.DRAIN:
                self._commands.append(CutOff())
                self._stop_all()
            case Timer.CEILING:
                self._hurry()
            case Timer.LAST:
                self._quit()
            case _:
                raise IllegalTransition(f"the daemon has no timer {timer}")

    def _stop_all(self) -> None:
        self._intake_is_closed = True
        self._last_to_stop = tuple(
            name
            for name, unit in self.plan.units.items()
            if unit.kind is Kind.CORE and not self.links.after.get(name)
        )
        for name in reversed(self.plan.order):
            at_rest = self.sub(name) in (Sub.DEAD, Sub.FAILED, Sub.BLOCKED)
            if not at_rest and name not in self._last_to_stop:
                self._order(name, Wanted(JobType.STOP), Origin.SHUTDOWN, "shutdown")

    def _stop_the_last(self) -> None:
        """Stop what was spared, once all others have ended."""
        if not self._intake_is_closed or self.jobs or self._alive > len(self._last_to_stop):
            return
        last = [name for name in self._last_to_stop if self.sub(name) in ALIVE]
        if self._alive == len(last):
            for name in last:
                self._order(name, Wanted(JobType.STOP), Origin.SHUTDOWN, "shutdown")

    def _hurry(self) -> None:
        if not self._intake_is_closed:
            self._commands += [CancelTimer(None, Timer.DRAIN), CutOff()]
            self._stop_all()
        for name, state in list(self.states.items()):
            if state.is_alive or state.next_at is not None or state.side.has_begun:
                self._apply(name, Hurry())
        if not self._is_hurrying:
            self._is_hurrying = True
            self._commands.append(ArmTimer(None, Timer.LAST, self._now + LAST_RESORT_S))

    def _quit_if_done(self) -> None:
        if self._intake_is_closed and not self.jobs and not self._alive:
            self._quit()

    def _quit(self) -> None:
        if not self._has_quit:
            self._has_quit = True
            for job in list(self.jobs.values()):
                self._finish(job, JobResult.CANCELED, "the daemon has ended")
            self._commands.append(Quit(self._exit_code))

    # -- jobs --------------------------------------------------------------------------------

    def _start_by_itself(self, name: UnitName, origin: Origin, by: str) -> None:
        """Start one unit that nobody asked for now, unless a job of it is there already."""
        if self.is_stopping or name in self.jobs or name in self.stopped_by_hand:
            return
        if name not in self._leaving:
            self._order(name, Wanted(JobType.START), origin, by)

    def _order(
        self,
        name: UnitName,
        wanted: Wanted,
        origin: Origin,
        by: str,
        *,
        requests: frozenset[RequestId] = frozenset(),
        ignores_dependencies: bool = False,
    ) -> None:
        """Make and install a job. `by` says for people whose command or which cause it is.

        For a unit that is leaving, whatever is pulled in comes down to its stop.
        """
        self._last_job += 1
        type_ = JobType.STOP if name in self._leaving else wanted.type
        self._install(
            Job(
                id=JobId(self._last_job),
                unit=name,
                type=type_,
                asked=type_,
                origin=origin,
                by=by,
                cause=wanted.cause,
                relation=wanted.relation,
                requests=requests,
                ignores_dependencies=ignores_dependencies,
                since=self._now,
            )
        )

    def _install(self, new: Job) -> None:
        old = self.jobs.get(new.unit)
        if old is None:
            self.jobs[new.unit] = new
        else:
            match OVER[old.type, new.type]:
                case Over.JOIN:
                    is_start_of_reload = old.type is JobType.RELOAD and new.type is JobType.START
                    self.jobs[new.unit] = replace(
                        old,
                        requests=old.requests | new.requests,
                        ignores_dependencies=old.ignores_dependencies or new.ignores_dependencies,
                        has_to_start=old.has_to_start or is_start_of_reload,
                    )
                case Over.TAKE:
                    self.jobs[new.unit] = replace(new, requests=old.requests | new.requests)
                case Over.CANCEL:
                    self._finish(old, JobResult.CANCELED, f"replaced by {new.type} ({new.by})")
                    self.jobs[new.unit] = new
                case over:
                    assert_never(over)
        self._block_after_stop.pop(new.unit, None)
        self._dirty[new.unit] = None
        self._wake(new.unit)  # who waited for the old job may wait for this one in vain

    def _settle(self) -> None:
        self._run_what_can()
        self._stop_the_last()
        self._run_what_can()
        self._quit_if_done()

    def _run_what_can(self) -> None:
        while self._dirty or (self._at_gate and self._gate_is_open):
            if self._dirty:
                name, self._called = self._dirty.popitem(last=False)[0], None
            else:
                name = self._called = next(iter(self._at_gate))
                del self._at_gate[name]
            job = self.jobs.get(name)
            if job is not None and not job.is_running:
                self._try(job)

    def _try(self, job: Job) -> None:
        """Run a waiting job if nothing stands in its way."""
        state = self.states[job.unit]
        if job.type is JobType.RELOAD:
            self._try_reload(job, state)
            return
        if job.type is JobType.RESTART and not state.is_alive and state.sub is not Sub.EXITED:
            job = self.jobs[job.unit] = replace(job, type=JobType.START)
            self._wake(job.unit)
            self._unblock_dependents(job.unit)  # it is not about to stop any more
        if job.type is JobType.START:
            if state.sub in UP:
                self._finish(job, JobResult.DONE)
                self._unblock_dependents(job.unit)  # if it was about to stop, it is not any more
                return
            if state.sub in GOING_DOWN:
                return  # its own landing makes it dirty again
        if not job.ignores_dependencies and self._is_obstructed(job):
            return
        if job.type is JobType.START:
            self._run_start(job)
        else:
            self.jobs[job.unit] = replace(job, is_running=True)
            if state.sub not in (Sub.DEAD, Sub.FAILED):
                self.moved_by[job.unit] = job
            if not self._advance(job.unit):
                self._apply(job.unit, Stop())

    def _try_reload(self, job: Job, state: UnitState) -> None:
        """A reload keeps no order: it waits for its own unit alone."""
        if state.sub in (Sub.RUNNING, Sub.DEGRADED) and state.side.hook is None:
            self.jobs[job.unit] = replace(job, is_running=True)
            self._apply(job.unit, Reload())
        elif state.sub not in COMING_UP and state.sub not in UP - {Sub.EXITED}:
            self._lose_reload(job)

    def _lose_reload(self, job: Job) -> None:
        """The unit went down: a start that has joined the reload serves it, else it has failed."""
        if job.has_to_start:
            self.jobs[job.unit] = replace(job, type=JobType.START, is_running=False)
            self._dirty[job.unit] = None
        else:
            self._finish(job, JobResult.FAILED, f"it is {self.needs.plight(job.unit)}")

    def _run_start(self, job: Job) -> None:
        lacking = (
            None if job.ignores_dependencies else self.needs.lacking(job.unit, in_order_only=True)
        )
        state = self.states[job.unit]
        if lacking is not None:
            if not state.is_alive:
                self._apply(job.unit, Block(lacking))
            self._finish(job, JobResult.DEPENDENCY, lacking)
            return
        unit = self.plan.units[job.unit]
        if (times := self.boot.get(job.unit)) is not None and times.unblocked_at is None:
            times.unblocked_at = self._now
        if unit.has_to_answer and not state.is_alive and not self._pass_gate(job.unit):
            return
        self.jobs[job.unit] = replace(job, is_running=True)
        if state.sub in COMING_UP:
            return  # a start that was replaced and asked for again goes on
        is_by_policy = job.origin in (Origin.POLICY, Origin.TIMER)
        if not is_by_policy:
            self.moved_by[job.unit] = job
        is_by_itself = job.origin is Origin.DEPENDENCY and job.cause is None
        start = Start(self._new_invocation(job.unit), is_by_policy or is_by_itself)
        self._apply(job.unit, start)

    @property
    def _gate_is_open(self) -> bool:
        return len(self._starting) < max(1, self.plan.settings.start_concurrency)

    def _pass_gate(self, name: UnitName) -> bool:
        """First come, first served: who finds others waiting queues, be the gate open or not."""
        if self._gate_is_open and (name == self._called or not self._at_gate):
            self._starting.add(name)
            return True
        self._at_gate.setdefault(name)
        return False

    # -- order -------------------------------------------------------------------------------

    def _is_obstructed(self, job: Job) -> bool:
        """Whether something stands in the way; the job is tried again when that has moved."""
        if self._obstacles.hold_up(job):
            return True
        if self._is_held_back(job):
            self._held_back[job.unit] = None
            return True
        return False

    def _is_held_back(self, job: Job) -> bool:
        """What comes with another configuration may need the port of what goes with it."""
        return bool(self._going) and job.type is JobType.START and job.origin is Origin.RELOAD

    def _note_gone(self, name: UnitName) -> None:
        """A leaving unit has no stop before it any more; with the last one others may start."""
        self._going.discard(name)
        if not self._going:
            self._dirty.update(self._held_back)
            self._held_back.clear()

    def _wake(self, name: UnitName) -> None:
        self._dirty.update(dict.fromkeys(self._obstacles.take_watchers(name)))

    # -- one unit ----------------------------------------------------------------------------

    def _apply(self, name: UnitName, event: unit_fsm.Input) -> None:
        """Move one unit by its table, and tell everybody whom that concerns."""
        before = self.states[name]
        try:
            after, commands = unit_fsm.step(
                before, event, self.plan.units[name], self._now, self._draw
            )
        except IllegalTransition as error:  # a fault of ours costs this unit its run, and no more
            self._commands.append(ReportFault(name, str(error)))
            after, commands = unit_fsm.condemn(before, self.plan.units[name], str(error), self._now)
        self.states[name] = after
        if isinstance(event, Block):
            self.needs.note_root(name)
        self._commands += commands
        if after.sub is not before.sub or not isinstance(event, _QUIET):
            self._tell(name, event, before.sub, after.sub)
        elif after is before or after.vitals.health is before.vitals.health:
            return  # nobody else can tell the difference
        if after.sub not in COMING_UP:
            self._starting.discard(name)
        self._judge(name)
        if after.sub is not before.sub:
            self._on_change(name, before.sub, after)
        self._unblock_dependents(name)
        if (job := self.jobs.get(name)) is not None:
            if job.type is JobType.RELOAD and not job.is_running:
                self._dirty[name] = None
            self._advance(name)
        self._go_on(name)
        self._wake(name)

    def _judge(self, name: UnitName) -> None:
        """Note whether the unit keeps the system from being all right."""
        if self.sub(name) in _TROUBLED and name not in self.stopped_by_hand:
            self.troubled.add(name)
        else:
            self.troubled.discard(name)

    def _tell(self, name: UnitName, event: object, before: Sub, after: Sub) -> None:
        text = str(event.timer) if isinstance(event, TimerElapsed) else ""
        title = type(event).__name__ + (f"({text})" if text else "")
        tell(self.stories.setdefault(name, []), Scene(self._now, title, before, after))

    def _on_change(self, name: UnitName, before: Sub, state: UnitState) -> None:
        after = state.sub
        self._commands.append(Announce(name, before, after))
        self._alive += (after in ALIVE) - (before in ALIVE)
        if after in UP and before not in UP:
            self._on_up(name)
        elif before in UP and after not in UP:
            self._on_down(name)
        if after not in ALIVE:
            self._dirty[name] = None  # a start that waited for the landing
        if after in (Sub.FAILED, Sub.COOLDOWN) and name in self.links.on_failure:
            self._on_failed(name)

    def _on_up(self, name: UnitName) -> None:
        if (times := self.boot.get(name)) is not None and times.ready_at is None:
            times.ready_at = self._now

    def _unblock_dependents(self, name: UnitName) -> None:
        for other in self.links.needed_by.get(name, ()):
            if self.sub(other) is not Sub.BLOCKED:
                continue
            lacking = self.needs.lacking(other)
            if lacking is None:
                self._start_by_itself(other, Origin.DEPENDENCY, f"{name} is there")
            elif self.sub(name) in UP and lacking != self.states[other].reason:
                self._apply(other, Block(lacking))  # it still lacks something, but something else

    def _on_down(self, name: UnitName) -> None:
        """What is bound to it goes down with it, and comes back with it."""
        for other in self.links.bound_by.get(name, ()):
            theirs = self.jobs.get(other)
            if self.sub(other) not in ALIVE | UP or (theirs is not None and theirs.is_stop_phase):
                continue
            stop = Wanted(JobType.STOP, cause=name, relation=Relation.BINDS_TO)
            self._order(other, stop, Origin.DEPENDENCY, f"bound to {name}")
            self._block_after_stop[other] = (
                f"is bound to {name}, which is {self.needs.plight(name)}"
            )

    def _on_failed(self, name: UnitName) -> None:
        """Start what the unit names in `on_failure`, with all that takes.

        Units that are to rescue each other do so once: neither who has failed is started, nor
        those whose failures led to the start of the run that has failed now.
        """
        if unit_fsm.was_stable(self.states[name], self.plan.units[name], self._now):
            self._rescues.pop(name, None)
        spent = self._rescues.get(name, frozenset()) | {name}
        barred = spent | self.stopped_by_hand
        rescuers = {
            other: Wanted(JobType.START, matters=False)
            for other in self.links.on_failure[name]
            if other not in barred and self.sub(other) not in UP
        }
        if self.is_stopping or not rescuers:
            return
        jobs = transaction.build_mixed(
            rescuers, self.links, self.sub, busy=self.jobs, left_out=barred
        )
        for other, wanted in jobs.items():
            if other in self.jobs or (other in barred and wanted.type is not JobType.STOP):
                continue
            self._order(other, wanted, Origin.DEPENDENCY, f"{name} has failed")
            if wanted.type is JobType.START:
                self._rescues[other] = spent

    def _go_on(self, name: UnitName) -> None:
        """Do what the unit's state asks for by itself, once its job has been dealt with."""
        state, unit = self.states[name], self.plan.units[name]
        if state.sub is Sub.AUTO_RESTART and state.next_at is None:
            self._start_by_itself(name, Origin.POLICY, f"restart: {unit.restart}")
        elif state.sub is Sub.COOLDOWN and state.next_at is None:
            self._start_by_itself(name, Origin.TIMER, "one try after its cool-down")
        elif state.sub is Sub.BLOCKED and self.needs.lacking(name) is None:
            self._start_by_itself(name, Origin.DEPENDENCY, "what it needs is there again")
        elif _has_escalated(state, unit) and not self.is_stopping:
            self._on_shutdown(1)

    def _advance(self, name: UnitName) -> bool:
        """Whether the unit's running job has come to its end, or to its next phase."""
        job, state = self.jobs[name], self.states[name]
        if not job.is_running:
            return False
        if job.type is JobType.START:
            if state.sub in UP:
                self._finish(job, JobResult.DONE)
            elif state.is_alive:
                return False
            elif state.sub is Sub.DEAD and state.result is Result.EXEC_CONDITION:
                self._finish(job, JobResult.SKIPPED, state.reason)
            elif state.result is Result.TIMEOUT:
                self._finish(job, JobResult.TIMEOUT, state.reason)
            else:
                self._finish(job, JobResult.FAILED, state.reason or state.result)
            return True
        if job.type is JobType.RELOAD:
            return self._advance_reload(job, state)
        if state.sub not in (Sub.DEAD, Sub.FAILED):
            return False
        if job.type is JobType.RESTART:
            self.jobs[name] = replace(job, type=JobType.START, is_running=False)
            self._dirty[name] = None
            self._wake(name)
            return True
        reason = self._block_after_stop.get(name)
        self._finish(job, JobResult.DONE)
        if reason is not None:
            self._apply(name, Block(reason))
        return True

    def _advance_reload(self, job: Job, state: UnitState) -> bool:
        if state.sub is Sub.RELOAD:
            return False
        if state.sub not in UP:
            self._lose_reload(job)
        elif state.side.is_reload_late:
            self._finish(job, JobResult.TIMEOUT, state.side.reload_failure)
        elif state.side.reload_failure:
            self._finish(job, JobResult.FAILED, state.side.reload_failure)
        else:
            self._finish(job, JobResult.DONE)
        return True

    def _finish(self, job: Job, result: JobResult, reason: str = "") -> None:
        del self.jobs[job.unit]
        self._wake(job.unit)
        self._obstacles.forget(job.unit)
        self._block_after_stop.pop(job.unit, None)
        self._held_back.pop(job.unit, None)
        if job.unit in self._going:
            self._note_gone(job.unit)
        if (times := self.boot.get(job.unit)) is not None and times.settled_at is None:
            times.settled_at, times.result = self._now, result
            if job.unit == DEFAULT_TARGET:
                self._settle_boot(result, reason)
        outcome = JobOutcome(unit=job.unit, type=job.asked, result=result, reason=reason)
        for request in sorted(job.requests):
            self._report(request, outcome)

    def _report(self, request: RequestId, outcome: JobOutcome) -> None:
        pending = self._requests[request]
        pending.outcomes.append(outcome)
        pending.waiting_for.discard(outcome.unit)
        if not pending.waiting_for:
            del self._requests[request]
            self._commands.append(FinishRequest(request, tuple(pending.outcomes)))

    def _settle_boot(self, result: JobResult, reason: str) -> None:
        if self.is_stopping:
            return
        self.boot_settled_at = self._now
        if result in (JobResult.DONE, JobResult.CANCELED):  # canceled: by a person
            self._commands.append(SettleBoot(self.state))
            return
        self._commands.append(SettleBoot(SystemState.STOPPING, reason))
        self._on_shutdown(1)

    def _remember(self, name: UnitName, *, is_stopped: bool) -> None:
        """Note a stop by hand, or its end.

        Processes alone stay stopped: a target is no more than a name for others, and a daemon
        without its admin socket could not be told to start it again.
        """
        is_known = name in self.stopped_by_hand
        if is_stopped is is_known or not self.plan.units[name].is_process:
            return
        if is_stopped:
            self.stopped_by_hand.add(name)
        else:
            self.stopped_by_hand.discard(name)
        self._judge(name)
        self._commands.append(RememberStop(name, is_stopped))


def _reachable(root: UnitName, links: Links) -> set[UnitName]:
    """What a start of `root` pulls in, itself included."""
    found: set[UnitName] = set()
    agenda = [root]
    while agenda:
        if (one := agenda.pop()) not in found:
            found.add(one)
            agenda += (*links.requires.get(one, ()), *links.wants.get(one, ()))
    return found


def _is_held(state: UnitState) -> bool:
    """Whether a unit is down for a reason that a change of its configuration may have removed."""
    return state.sub in _HELD or (state.sub is Sub.DEAD and state.result is Result.EXEC_CONDITION)


def _has_escalated(state: UnitState, unit: Unit) -> bool:
    """Whether the unit's start limit asks for the end of the daemon."""
    has_hit = state.sub is Sub.FAILED and state.result is Result.START_LIMIT_HIT
    return has_hit and unit.start_limit.on_limit is OnLimit.EXIT

"""A world of pretended processes that performs the engine's commands, for tests of the engine."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import TypeVar

from anyclawd.engine import invariants
from anyclawd.engine.commands import (
    ArmTimer,
    CancelTimer,
    CheckConditions,
    CloseIntake,
    Command,
    CutOff,
    FinishRequest,
    ForgetUnit,
    KillHook,
    KillTree,
    Quit,
    RememberStop,
    ReportFault,
    RunHook,
    SettleBoot,
    Spawn,
    StartCore,
    StopCore,
)
from anyclawd.engine.events import (
    Asker,
    BootRequested,
    CancelRequested,
    ConditionsChecked,
    Event,
    Exit,
    Exited,
    HealthChecked,
    HookEnded,
    IntakeClosed,
    Invocation,
    JobsRequested,
    PlanReplaced,
    ProtocolBroken,
    ReadinessLost,
    ReadinessRegained,
    Ready,
    RequestId,
    ResetRequested,
    ShutdownRequested,
    Spawned,
    SpawnFailed,
    Timer,
    TimerElapsed,
)
from anyclawd.engine.manager import Manager
from anyclawd.engine.unit_fsm import timers
from anyclawd.model.deps import Dependencies, Ref, UnitName, Until
from anyclawd.model.plan import DEFAULT_TARGET, Plan, Settings
from anyclawd.model.policy import Backoff, ReadinessType, Restart
from anyclawd.model.span import Span
from anyclawd.model.state import GOING_DOWN, JobMode, JobResult, JobType, Sub
from anyclawd.model.tool import ToolRole
from anyclawd.model.unit import AgentRole, ChannelRole, Kind, Protocol, Unit, kind_of

C = TypeVar("C")
SPAN = Span("anyclaw.yaml", 1, 1)


def make_unit(name: str, **settings: object) -> Unit:
    """A unit that is ready once started, restarts without jitter, and is otherwise the default."""
    kind = kind_of(name)
    assert kind is not None
    is_process = kind not in (Kind.CORE, Kind.TARGET)
    unit = Unit(
        name=UnitName(name),
        kind=kind,
        span=SPAN,
        argv=("/bin/true",) if is_process else (),
        readiness=ReadinessType.STARTED if is_process else ReadinessType.NONE,
        restart=Restart.ALWAYS if is_process else Restart.NEVER,
        backoff=Backoff(jitter=0),
        agent=AgentRole(cwd="/") if kind is Kind.AGENT else None,
        channel=ChannelRole(agent=UnitName("a.agent")) if kind is Kind.CHANNEL else None,
        tool=ToolRole() if kind is Kind.TOOL else None,
    )
    return replace(unit, **settings)  # type: ignore[arg-type]  # keyword arguments of Unit


def answering(name: str, **settings: object) -> Unit:
    """A unit that has to answer a handshake before it is ready."""
    settings = {"readiness": ReadinessType.INITIALIZE, "protocol": Protocol.SERVICE} | settings
    return make_unit(name, **settings)


def link(unit: Unit, *, until: Until = Until.READY, **relations: Sequence[str]) -> Unit:
    """The unit with these relations; `requires` and `binds_to` imply an `after` that is ready.

    `until` is what the `after` that is written out waits for.
    """
    table = {
        key: tuple(
            Ref(unit=UnitName(name), until=until if key == "after" else Until.READY)
            for name in names
        )
        for key, names in relations.items()
    }
    implied = (*table.get("requires", ()), *table.get("binds_to", ()))
    table["after"] = (*table.get("after", ()), *implied)
    return replace(unit, deps=replace(unit.deps, **table))


def make_plan(*units: Unit, required: Sequence[str] = (), **settings: object) -> Plan:
    """A plan whose default target wants, and is ordered after, every unit."""
    everything = tuple(Ref(unit=unit.name) for unit in units)
    target = Unit(
        name=DEFAULT_TARGET,
        kind=Kind.TARGET,
        span=SPAN,
        deps=Dependencies(
            wants=everything,
            after=everything,
            requires=tuple(Ref(unit=UnitName(name)) for name in required),
        ),
    )
    table = {unit.name: unit for unit in (*units, target)}
    return Plan(units=table, order=tuple(table), settings=Settings(**settings))  # type: ignore[arg-type]  # keyword arguments of Settings


class World:
    """Runs a manager: spawns succeed at once, everything else happens when a test says so.

    The invariants are checked after every event, unless the world is too large for that.
    """

    def __init__(
        self, plan: Plan, *, is_checked: bool = True, engine: type[Manager] = Manager
    ) -> None:
        self.now = 100.0
        ids = count(1)
        self.manager = engine(plan, lambda: 0.0, lambda _: Invocation(f"run{next(ids)}"))
        self.alive: dict[UnitName, Invocation] = {}
        self.spawned: list[str] = []  #: unit names in the order of their spawns
        self.ended: list[str] = []
        self.commands: list[Command] = []  #: everything that was ever commanded
        self.timers: dict[tuple[UnitName | None, Timer], float] = {}
        self.finished: dict[int, FinishRequest] = {}
        self.settled: SettleBoot | None = None
        self.quit: int | None = None
        self.remembered: set[UnitName] = set()
        self.faults: list[ReportFault] = []
        self.closes_intake_at_once = True
        self.spawns_at_once = True  #: else a test calls `spawn`
        self.unstartable: dict[str, SpawnFailed] = {}  #: what becomes of a spawn of these units
        self.hooks: dict[UnitName, RunHook] = {}  #: that run; a test ends them
        self.hooked: list[str] = []  #: `<unit> <hook>` in the order of their beginnings
        self.unmet: dict[str, str] = {}  #: the conditions that do not hold, by unit
        self.checks_at_once = True  #: else a test calls `check_conditions`
        self.hooks_die_at_once = True  #: when killed; else a test ends them
        self.checking: dict[UnitName, Invocation] = {}
        self.forgotten: list[UnitName] = []
        self.tolerates_faults = False
        self._is_checked = is_checked
        self._inbox: deque[Event] = deque()
        self._pids = count(1000)
        self.asked = 0  #: requests so far; the number of the last one

    def tell(self, event: Event) -> None:
        """Hand an event to the engine and perform what it commands, all of it before the next."""
        self._inbox.append(event)
        if len(self._inbox) > 1:
            return  # told by a command: its turn comes
        while self._inbox:
            commands = self.manager.handle(self._inbox[0], self.now)
            if self._is_checked:
                invariants.check(self.manager)
            self.commands += commands
            for command in commands:
                self._perform(command)
            if self._is_checked:
                self._check_timers()
            self._inbox.popleft()

    def _check_timers(self) -> None:
        """What is armed here is what the states of the units say is armed, and nothing else is."""
        assert all(owner in {None, *self.manager.plan.units} for owner, _ in self.timers)
        for name in self.manager.plan.units:
            found = {timer: at for (owner, timer), at in self.timers.items() if owner == name}
            assert found == timers(self.manager.states[name]), f"{name}: {found}"

    def _perform(self, command: Command) -> None:
        match command:
            case Spawn(unit, invocation) | StartCore(unit, invocation):
                assert unit not in self.alive, f"{unit}: spawned twice"
                self.alive[unit] = invocation
                self.spawned.append(unit)
                if self.spawns_at_once:
                    self.spawn(unit)
            case StopCore(unit):
                self.exit(unit)
            case CheckConditions(unit, invocation):
                assert unit not in self.checking, f"{unit}: asked for its conditions twice"
                self.checking[unit] = invocation
                if self.checks_at_once:
                    self.check_conditions(unit)
            case RunHook(unit):
                assert unit not in self.hooks, f"{unit}: two hooks at a time"
                self.hooks[unit] = command
                self.hooked.append(f"{unit} {command.hook}")
            case KillHook(unit) | KillTree(unit) if self.hooks_die_at_once:
                if unit in self.hooks:
                    self.end_hook(unit, signal=9)
                if unit in self.checking:
                    self.check_conditions(unit)
            case ForgetUnit(unit):
                self.forgotten.append(unit)
            case ArmTimer(unit, timer, at):
                self.timers[unit, timer] = at
            case CancelTimer(unit, timer):
                self.timers.pop((unit, timer), None)
            case FinishRequest():
                self.finished[command.request] = command
            case RememberStop(unit, is_stopped):
                (self.remembered.add if is_stopped else self.remembered.discard)(unit)
            case SettleBoot():
                self.settled = command
            case CloseIntake() if self.closes_intake_at_once:
                self.tell(IntakeClosed())
            case Quit(code):
                self.quit = code
            case ReportFault(unit, text):
                self.faults.append(command)
                story = self.manager.stories.get(unit)
                assert self.tolerates_faults, f"{unit}: {text}\n{story}"
            case CutOff() | CloseIntake():
                pass
            case _:
                pass  # signals and goodbyes: the pretended processes wait for the test

    def boot(self, *stopped_by_hand: str) -> None:
        self.tell(BootRequested(frozenset(map(UnitName, stopped_by_hand))))

    def ask(
        self,
        type_: JobType,
        *names: str,
        mode: JobMode = JobMode.REPLACE,
        asker: Asker = Asker.PERSON,
    ) -> int:
        """Make a request, as a person would at first; its number is the key in `finished`."""
        self.asked += 1
        request = RequestId(self.asked)
        self.tell(
            JobsRequested(
                request=request,
                type=type_,
                units=tuple(map(UnitName, names)),
                mode=mode,
                origin="a test",
                asker=asker,
            )
        )
        return request

    @property
    def no_program(self) -> SpawnFailed:
        """For `unstartable`: trying again cannot help."""
        return SpawnFailed(UnitName(""), Invocation(""), "No such file or directory")

    @property
    def no_memory(self) -> SpawnFailed:
        """For `unstartable`: trying again may help."""
        return SpawnFailed(UnitName(""), Invocation(""), "Out of memory", is_permanent=False)

    def start(self, *names: str) -> int:
        return self.ask(JobType.START, *names)

    def stop(self, *names: str) -> int:
        return self.ask(JobType.STOP, *names)

    def restart(self, *names: str) -> int:
        return self.ask(JobType.RESTART, *names)

    def results(self, request: int) -> dict[str, JobResult]:
        """How the jobs of a request have ended; KeyError while one is pending."""
        return {outcome.unit: outcome.result for outcome in self.finished[request].outcomes}

    def reason(self, request: int, name: str) -> str:
        """Why the job of one unit ended as it did."""
        outcomes = self.finished[request].outcomes
        return next(outcome.reason for outcome in outcomes if outcome.unit == name)

    def spawn(self, name: str) -> None:
        """Let a spawn that was commanded happen, or fail where the unit is unstartable."""
        unit = UnitName(name)
        invocation = self.alive[unit]
        if (failure := self.unstartable.get(name)) is not None:
            del self.alive[unit]
            self.tell(replace(failure, unit=unit, invocation=invocation))
            return
        pid = None if unit.endswith(".core") else next(self._pids)
        self.tell(Spawned(unit, invocation, pid))

    def ready(self, name: str) -> None:
        self.tell(Ready(UnitName(name), self.alive[UnitName(name)]))

    def tell_ready(self, name: str, invocation: Invocation) -> None:
        """Readiness that may come too late."""
        self.tell(Ready(UnitName(name), invocation))

    def lose_readiness(self, name: str, reason: str) -> None:
        self.tell(ReadinessLost(UnitName(name), self.alive[UnitName(name)], reason))

    def regain_readiness(self, name: str) -> None:
        self.tell(ReadinessRegained(UnitName(name), self.alive[UnitName(name)]))

    def check_conditions(self, name: str) -> None:
        """Let the conditions of a unit answer."""
        unit = UnitName(name)
        unmet = self.unmet.get(name, "")
        self.tell(ConditionsChecked(unit, self.checking.pop(unit), unmet))

    def end_hook(self, name: str, code: int = 0, signal: int | None = None) -> None:
        """Let the hook of a unit end, in success where it exits with code 0."""
        running = self.hooks.pop(UnitName(name))
        end = Exit(code=code) if signal is None else Exit(signal=signal)
        failure = "" if end == Exit(code=0) else str(end)
        self.tell(
            HookEnded(
                unit=running.unit,
                invocation=running.invocation,
                run=running.run,
                failure=failure,
                exit=end if failure else None,
            )
        )

    def find_healthy(self, name: str) -> None:
        self.tell(HealthChecked(UnitName(name), self.alive[UnitName(name)]))

    def find_ill(self, name: str, failure: str = "no answer") -> None:
        self.tell(HealthChecked(UnitName(name), self.alive[UnitName(name)], failure))

    def replace_plan(
        self, plan: Plan, *, restart: Sequence[str] = (), changed: Sequence[str] = ()
    ) -> int:
        """Reload the configuration; the number of the request is the key in `finished`."""
        self.asked += 1
        self.tell(
            PlanReplaced(
                request=RequestId(self.asked),
                plan=plan,
                restart=frozenset(map(UnitName, restart)),
                changed=frozenset(map(UnitName, (*restart, *changed))),
                origin="a test",
            )
        )
        return self.asked

    def cancel(self, name: str) -> None:
        """Cancel the job of a unit."""
        self.tell(CancelRequested(self.manager.jobs[UnitName(name)].id, "a test"))

    def break_protocol(self, name: str, reason: str) -> None:
        self.tell(ProtocolBroken(UnitName(name), self.alive[UnitName(name)], reason))

    def exit(self, name: str, code: int | None = None, signal: int | None = None) -> None:
        unit = UnitName(name)
        is_core = unit.endswith(".core")
        end = (
            None
            if is_core
            else Exit(code=0 if signal is None and code is None else code, signal=signal)
        )
        self.ended.append(name)
        self.tell(Exited(unit, self.alive.pop(unit), end))

    def let_go(self) -> list[str]:
        """Every process that has been asked to go goes, and so do those asked thereupon.

        Returns the names of the units in waves: those of one wave were asked at the same time.
        """
        waves = []
        while wave := sorted(name for name in self.alive if self.sub(name) in GOING_DOWN):
            for name in wave:
                self.exit(name)
            waves.append(" ".join(wave))
        return waves

    def pass_time(self, seconds: float) -> None:
        """Let all timers elapse that are due within that time, in their order."""
        end = self.now + seconds
        while self.timers and min(self.timers.values()) <= end:
            self.elapse()
        self.now = end

    def elapse(self, seconds: float = float("inf")) -> None:
        """Let the earliest timer elapse, if it is due within that time; else just let it pass."""
        if self.timers:
            key = min(self.timers, key=lambda key: (self.timers[key], str(key)))
            if self.timers[key] <= self.now + seconds:
                self.now = max(self.now, self.timers.pop(key))
                self.tell(TimerElapsed(*key))
                return
        if seconds < float("inf"):
            self.now += seconds

    def shut_down(self) -> None:
        self.tell(ShutdownRequested("a test"))

    def reset(self, *names: str) -> None:
        self.tell(ResetRequested(tuple(map(UnitName, names)), "a test"))

    def told(self, kind: type[C], name: str | None = None) -> list[C]:
        """The commands of one kind so far, of one unit where it is named."""
        return [
            command
            for command in self.commands
            if isinstance(command, kind) and (name is None or getattr(command, "unit", "") == name)
        ]

    def subs(self) -> dict[str, str]:
        """Where every unit is, but for the default target."""
        states = self.manager.states
        return {name: str(states[name].sub) for name in states if name != DEFAULT_TARGET}

    def sub(self, name: str) -> Sub:
        return self.manager.sub(UnitName(name))

"""A world of pretended processes that performs the engine's commands, for tests of the engine."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from anyclawd.engine import invariants
from anyclawd.engine.commands import (
    ArmTimer,
    CancelTimer,
    CloseIntake,
    Command,
    CutOff,
    FinishRequest,
    Quit,
    RememberStop,
    ReportFault,
    SettleBoot,
    Spawn,
    StartCore,
    StopCore,
)
from anyclawd.engine.events import (
    BootRequested,
    Event,
    Exit,
    Exited,
    IntakeClosed,
    Invocation,
    JobsRequested,
    Ready,
    RequestId,
    ShutdownRequested,
    Spawned,
    Timer,
    TimerElapsed,
)
from anyclawd.engine.manager import Manager
from anyclawd.model.deps import Dependencies, Ref, UnitName
from anyclawd.model.plan import DEFAULT_TARGET, Plan, Settings
from anyclawd.model.policy import Backoff, ReadinessType, Restart
from anyclawd.model.span import Span
from anyclawd.model.state import JobMode, JobType, Sub
from anyclawd.model.unit import AgentRole, ChannelRole, Kind, Protocol, Unit, kind_of

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
    )
    return replace(unit, **settings)  # type: ignore[arg-type]  # keyword arguments of Unit


def answering(name: str, **settings: object) -> Unit:
    """A unit that has to answer a handshake before it is ready."""
    settings = {"readiness": ReadinessType.INITIALIZE, "protocol": Protocol.SERVICE} | settings
    return make_unit(name, **settings)


def link(unit: Unit, **relations: Sequence[str]) -> Unit:
    """The unit with these relations; `requires` and `binds_to` imply `after`."""
    table = {
        key: tuple(Ref(unit=UnitName(name)) for name in names) for key, names in relations.items()
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
    """Runs a manager: spawns succeed at once, everything else happens when a test says so."""

    def __init__(self, plan: Plan) -> None:
        self.now = 100.0
        ids = count(1)
        self.manager = Manager(plan, lambda: 0.0, lambda _: Invocation(f"run{next(ids)}"))
        self.alive: dict[UnitName, Invocation] = {}
        self.spawned: list[str] = []  #: unit names in the order of their spawns
        self.ended: list[str] = []
        self.commands: list[Command] = []  #: everything that was ever commanded
        self.timers: dict[tuple[UnitName | None, Timer], float] = {}
        self.finished: dict[int, FinishRequest] = {}
        self.settled: SettleBoot | None = None
        self.quit: int | None = None
        self.remembered: set[UnitName] = set()
        self.closes_intake_at_once = True
        self._inbox: deque[Event] = deque()
        self._pids = count(1000)
        self._requests = count(1)

    def tell(self, event: Event) -> None:
        """Hand an event to the engine and perform what it commands, all of it before the next."""
        self._inbox.append(event)
        if len(self._inbox) > 1:
            return  # told by a command: its turn comes
        while self._inbox:
            commands = self.manager.handle(self._inbox[0], self.now)
            invariants.check(self.manager)
            self.commands += commands
            for command in commands:
                self._perform(command)
            self._inbox.popleft()

    def _perform(self, command: Command) -> None:
        match command:
            case Spawn(unit, invocation) | StartCore(unit, invocation):
                assert unit not in self.alive, f"{unit}: spawned twice"
                self.alive[unit] = invocation
                self.spawned.append(unit)
                is_process = isinstance(command, Spawn)
                self.tell(Spawned(unit, invocation, next(self._pids) if is_process else None))
            case StopCore(unit):
                self.exit(unit)
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
                raise AssertionError(f"{unit}: {text}\n{self.manager.stories.get(unit)}")
            case CutOff() | CloseIntake():
                pass
            case _:
                pass  # signals and goodbyes: the pretended processes wait for the test

    def boot(self, *stopped_by_hand: str) -> None:
        self.tell(BootRequested(frozenset(map(UnitName, stopped_by_hand))))

    def ask(self, type_: JobType, *names: str, mode: JobMode = JobMode.REPLACE) -> int:
        """Make a request as a person would; its number is the key in `finished`."""
        request = RequestId(next(self._requests))
        units = tuple(map(UnitName, names))
        self.tell(
            JobsRequested(request=request, type=type_, units=units, mode=mode, origin="a test")
        )
        return request

    def ready(self, name: str) -> None:
        self.tell(Ready(UnitName(name), self.alive[UnitName(name)]))

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

    def sub(self, name: str) -> Sub:
        return self.manager.sub(UnitName(name))

"""What a boot of a plan would be like, without starting anything.

Theory. The engine itself decides: a real `Manager` is handed events and gives commands, and only
the world behind it is pretended. There, every program starts at once and is ready after as long as
it took in earlier boots (the median); hooks take what preparing the unit took; conditions hold;
the first health check finds a healthy unit. The clock jumps from one event to the next. So the
prediction knows everything that the engine knows (order, `start_concurrency`, conflicts, timeouts)
and can be wrong in the durations alone. A unit without a past takes the time that is assumed for
it, if it has to do anything before it counts as started.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import assert_never

from anyclawd.engine.boot import record_of, taken
from anyclawd.engine.commands import (
    Announce,
    ArmTimer,
    CancelTimer,
    CheckConditions,
    CloseIntake,
    CloseProtocol,
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
    SendSignal,
    SettleBoot,
    Spawn,
    StartCore,
    StopCore,
)
from anyclawd.engine.events import (
    BootRequested,
    ConditionsChecked,
    Event,
    Exit,
    Exited,
    HealthChecked,
    Hook,
    HookEnded,
    Invocation,
    Ready,
    Spawned,
    Timer,
    TimerElapsed,
)
from anyclawd.engine.manager import Manager
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan
from anyclawd.model.policy import ReadinessType
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json

#: A boot that has not settled by then never will: something waits for what does not come.
HORIZON_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What earlier boots tell of one unit; None where they tell nothing."""

    prepared_s: float | None = None  #: from being unblocked until its process was there
    took_s: float | None = None  #: from then on until its job had ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A boot that was never made."""

    record: Json  #: in the shape of `GET /v1/boot`
    assumed: tuple[UnitName, ...]  #: units whose duration no earlier boot tells


def pasts_of(records: Iterable[Json]) -> dict[UnitName, Past]:
    """Medians over those starts in `records` that ended in success."""
    prepared: defaultdict[UnitName, list[float]] = defaultdict(list)
    took: defaultdict[UnitName, list[float]] = defaultdict(list)
    for record in records:
        for unit in record["units"]:
            if unit["result"] != "done" or unit["settled_s"] is None:
                continue
            name = UnitName(unit["name"])
            queued, spawned = unit["queued_s"] or 0.0, unit["spawned_s"]
            begun = unit["unblocked_s"] if spawned is None else max(spawned, queued)
            if begun is not None:
                took[name].append(max(0.0, unit["settled_s"] - begun))
            if None not in (spawned, unit["unblocked_s"]):
                prepared[name].append(max(0.0, spawned - unit["unblocked_s"]))
    return {
        name: Past(prepared_s=_median(prepared[name]), took_s=_median(took[name]))
        for name in {*prepared, *took}
    }


def own_time_of(records: Iterable[Json]) -> float:
    """How long the daemon takes until its engine queues the boot: the median of `records`."""
    queued = [
        min(instants)
        for record in records
        if (instants := [u["queued_s"] for u in record["units"] if u["queued_s"] is not None])
    ]
    return _median(queued) or 0.0


def _median(values: Iterable[float]) -> float | None:
    ordered = sorted(values)
    if not ordered:
        return None
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def simulate(
    plan: Plan,
    pasts: Mapping[UnitName, Past],
    *,
    assumed_s: float,
    own_s: float = 0.0,
    started_at: str,
    stopped_by_hand: frozenset[UnitName] = frozenset(),
) -> Prediction:
    """Boot `plan` in a pretended world until the boot has settled, or nothing more can happen.

    `assumed_s` is for units without a past that have to answer, to run to their end, or to be
    prepared; `own_s` is what the daemon itself takes first; `started_at` is handed on.
    """
    world = _World(plan, pasts, assumed_s)
    world.tell(BootRequested(stopped_by_hand), own_s)
    failure = world.run()
    record = record_of(taken(world.manager), 0.0, started_at=started_at, failure=failure)
    assumed = tuple(name for name in plan.order if name in world.assumed)
    return Prediction(record=record, assumed=assumed)


class _World:
    """The pretended processes, and the clock: what is to happen, by instant."""

    def __init__(self, plan: Plan, pasts: Mapping[UnitName, Past], assumed_s: float) -> None:
        self.manager = Manager(plan, lambda: 0.0, self._new_invocation)
        self.assumed: set[UnitName] = set()
        self._plan, self._pasts, self._assumed_s = plan, pasts, assumed_s
        self._due: list[tuple[float, int, Event]] = []
        self._timers: dict[tuple[UnitName | None, Timer], float] = {}
        self._numbers = count(1)
        self._settled: SettleBoot | None = None

    def run(self) -> str:
        """Let time pass; why the boot is given up, empty where it is not."""
        while self._due and self._settled is None:
            at, _number, event = heappop(self._due)
            if at > HORIZON_S:
                break
            if isinstance(event, TimerElapsed):
                if self._timers.get((event.unit, event.timer)) != at:
                    continue  # cancelled, or armed anew
                del self._timers[event.unit, event.timer]
            self.tell(event, at)
        return "" if self._settled is None else self._settled.failure

    def tell(self, event: Event, at: float) -> None:
        for command in self.manager.handle(event, at):
            self._perform(command, at)

    def _new_invocation(self, name: UnitName) -> Invocation:
        return Invocation(f"{name}/{next(self._numbers)}")

    def _later(self, at: float, event: Event) -> None:
        heappush(self._due, (at, next(self._numbers), event))

    def _perform(self, command: Command, now: float) -> None:
        match command:
            case Spawn(name, invocation):
                self._spawn(self._plan.units[name], invocation, now)
            case StartCore(name, invocation):
                past = self._pasts.get(name, Past()).took_s
                self._later(now + (past or 0.0), Spawned(name, invocation, None))
            case CheckConditions(name, invocation):
                self._later(now, ConditionsChecked(name, invocation))
            case RunHook(name, invocation, hook, run):
                end = HookEnded(unit=name, invocation=invocation, run=run)
                self._later(now + self._hook_s(name, hook), end)
            case ArmTimer(name, timer, at):
                self._timers[name, timer] = at
                self._later(at, TimerElapsed(name, timer))
            case CancelTimer(name, timer):
                self._timers.pop((name, timer), None)
            case StopCore(name):
                self._exit(name, now)
            case SendSignal(name) | KillTree(name):
                self._exit(name, now)
            case SettleBoot():
                self._settled = command
            case Announce() | FinishRequest() | RememberStop() | ForgetUnit() | CloseProtocol():
                pass
            case KillHook() | CloseIntake() | CutOff() | Quit() | ReportFault():
                pass
            case _:
                assert_never(command)

    def _spawn(self, unit: Unit, invocation: Invocation, now: float) -> None:
        name = unit.name
        now += self._spawn_s(unit)
        self._later(now, Spawned(name, invocation, next(self._numbers)))
        if unit.readiness is ReadinessType.EXITED:
            end = Exited(name, invocation, Exit(code=min(unit.exit_codes.success, default=0)))
            self._later(now + self._took_s(name), end)
        elif unit.has_to_answer:
            ready_at = now + self._took_s(name)
            self._later(ready_at, Ready(name, invocation))
            if unit.health is not None:
                self._later(ready_at, HealthChecked(name, invocation))
        elif unit.health is not None:
            self._later(now, HealthChecked(name, invocation))

    def _exit(self, name: UnitName, now: float) -> None:
        """What is told to end does so at once."""
        state = self.manager.states[name]
        if state.invocation is not None:
            end = None if self._plan.units[name].kind == "core" else Exit(code=0)
            self._later(now, Exited(name, state.invocation, end))

    def _took_s(self, name: UnitName) -> float:
        return self._known(name, self._pasts.get(name, Past()).took_s)

    def _spawn_s(self, unit: Unit) -> float:
        """How long the daemon took to come to it; what waits at the gate, the gate holds up."""
        is_prepared = unit.hooks.start_pre or not unit.condition.is_empty
        if unit.has_to_answer or is_prepared:
            return 0.0
        return self._pasts.get(unit.name, Past()).prepared_s or 0.0

    def _hook_s(self, name: UnitName, hook: Hook) -> float:
        """Only what comes before the process is timed apart; the rest is part of becoming ready."""
        if hook is not Hook.START_PRE:
            return 0.0
        return self._known(name, self._pasts.get(name, Past()).prepared_s)

    def _known(self, name: UnitName, past_s: float | None) -> float:
        if past_s is None:
            self.assumed.add(name)
            return self._assumed_s
        return past_s

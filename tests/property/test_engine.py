"""The engine under random streams of events: the invariants hold after every single one.

Beside the engine's own invariants a small model is held against it: what the engine believes to run
is what runs, a unit starts after what it requires, what a person has stopped stays down, every
request is answered once, and when the world calms down no job is left.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anyclawd.engine import invariants
from anyclawd.engine.commands import Command, FinishRequest
from anyclawd.engine.events import (
    Asker,
    Event,
    Exit,
    Exited,
    HealthChecked,
    HookEnded,
    IntakeClosed,
    Invocation,
    MainPidChanged,
    OutOfMemory,
    ProtocolBroken,
    ReadinessLost,
    ReadinessRegained,
    Ready,
    ReloadBegun,
    ResetRequested,
    StopBegun,
    TimeoutExtended,
    WatchdogFed,
    WatchdogTriggered,
)
from anyclawd.engine.explain import sentences
from anyclawd.engine.manager import Manager
from anyclawd.model import policy
from anyclawd.model.deps import Dependencies, Ref, UnitName, Until
from anyclawd.model.difference import difference
from anyclawd.model.plan import DEFAULT_TARGET, Plan
from anyclawd.model.policy import (
    Backoff,
    Condition,
    HookCommand,
    Hooks,
    OnLimit,
    Probe,
    ProbeType,
    ReadinessType,
    Restart,
    StartLimit,
    Timeouts,
)
from anyclawd.model.state import (
    ALIVE,
    COMING_UP,
    GOING_DOWN,
    UP,
    Health,
    JobMode,
    JobResult,
    JobType,
    Result,
    Sub,
)
from anyclawd.model.unit import Kind, Protocol, Unit
from tests.fakes.world import World, link, make_plan, make_unit

NAMES = [UnitName(f"u{n}.service") for n in range(5)]
WISHES = {
    Asker.PERSON: [*JobType],
    Asker.POOL: [JobType.START, JobType.STOP],
    Asker.SERVICE: [JobType.TRY_RESTART],
}
READINESS = (
    ReadinessType.STARTED,
    ReadinessType.INITIALIZE,
    ReadinessType.NOTIFY,
    ReadinessType.NONE,
    ReadinessType.EXITED,
)
SENTENCE = re.compile(r"(u\d\.service|default\.target|[A-Z][a-z']*) [^\n]*[^.]\.")
PROBE = Probe(type=ProbeType.TCP, host="localhost", port=1)

programs = st.sampled_from([(), (), (HookCommand(argv=("/bin/true",)),)])
few_failures = st.integers(1, 2)


@st.composite
def units(draw: st.DrawFn, earlier: Mapping[UnitName, Unit]) -> Unit:
    """A unit that is ordered after earlier ones only, so that the order has no ring."""
    index = len(earlier)
    few = (
        st.lists(st.sampled_from(NAMES[:index]), max_size=2, unique=True) if index else st.just([])
    )
    later = NAMES[index + 1 :]
    health = st.builds(policy.HealthCheck, probe=st.just(PROBE), failures=few_failures)
    unit = make_unit(
        NAMES[index],
        readiness=draw(st.sampled_from(READINESS)),
        protocol=draw(st.sampled_from([Protocol.NONE, Protocol.SERVICE])),
        restart=draw(st.sampled_from(Restart)),
        backoff=Backoff(initial_s=draw(st.sampled_from([0.0, 0.1, 5.0])), jitter=0),
        timeouts=Timeouts(
            start_s=draw(st.sampled_from([0.0, 30.0])),
            stop_s=draw(st.sampled_from([0.0, 10.0])),
            eof_grace_s=draw(st.sampled_from([0.0, 2.0])),
        ),
        start_limit=StartLimit(
            burst=draw(st.integers(0, 3)),
            on_limit=draw(st.sampled_from([OnLimit.COOLDOWN, OnLimit.FAIL])),
        ),
        problem=draw(st.sampled_from(["", "", "", "", "", "", "not supported"])),
        hooks=Hooks(
            start_pre=draw(programs),
            start_post=draw(programs),
            reload=draw(programs),
            stop_post=draw(programs),
        ),
        condition=Condition(paths=draw(st.sampled_from([(), (), ("/x",)]))),
        health=draw(st.none() | health),
        watchdog_s=draw(st.sampled_from([0.0, 0.0, 20.0])),
    )
    until = draw(st.sampled_from(Until))
    after = draw(few)
    if until is Until.HEALTHY:
        after = [name for name in after if name in earlier and earlier[name].health is not None]
    unit = link(
        unit,
        until=until,
        requires=draw(few),
        wants=draw(few),
        after=after,
        before=draw(st.lists(st.sampled_from(later), max_size=1)) if later else [],
        binds_to=draw(few),
        part_of=draw(few),
        conflicts=draw(few)[:1],
        on_failure=draw(st.lists(st.sampled_from(NAMES[:index] + later), max_size=1)),
    )
    if draw(st.booleans()):
        return unit
    loose = tuple(Ref(unit=name) for name in draw(few))  # without an order
    return replace(unit, deps=replace(unit.deps, requires=loose, binds_to=loose[:1]))


def linked(members: list[Unit], required: list[UnitName], start_concurrency: int) -> Plan:
    """A plan of these units alone: what they name beside each other is not there."""
    known = {unit.name for unit in members}
    whole = [
        replace(
            unit,
            deps=Dependencies(
                **{
                    relation: tuple(
                        ref for ref in getattr(unit.deps, relation) if ref.unit in known
                    )
                    for relation in Dependencies.__slots__
                }
            ),
        )
        for unit in members
    ]
    return make_plan(
        *whole,
        required=[name for name in required if name in known],
        start_concurrency=start_concurrency,
    )


@st.composite
def plans(draw: st.DrawFn, former: Plan | None = None) -> Plan:
    """A plan; one that comes after another has much in common with it."""
    members: dict[UnitName, Unit] = {}
    dropped = set()
    for name in NAMES:
        kept = None if former is None else former.units.get(name)
        what = draw(st.sampled_from(["keep", "keep", "drop", "redraw", "live"])) if kept else ""
        if kept is not None and what == "keep":
            members[name] = kept
        elif kept is not None and what == "live":
            members[name] = replace(kept, backoff=Backoff(initial_s=1.0, jitter=0))
        else:
            members[name] = draw(units(dict(members)))
        if what == "drop" or (former is None and draw(st.integers(0, 9)) == 0):
            dropped.add(name)
    required = draw(st.sampled_from([[], [], [], [NAMES[0]], [NAMES[3]]]))
    return linked(
        [unit for name, unit in members.items() if name not in dropped],
        required,
        draw(st.integers(1 if former is None else former.settings.start_concurrency, 3)),
    )


class OpenManager(Manager):
    """Looks after every event at who has begun a run, and shows what it keeps for itself."""

    keeps_order = True  #: until somebody ignores the dependencies

    def handle(self, event: Event, now: float) -> list[Command]:
        before = {name: state.invocation for name, state in self.states.items()}
        commands = super().handle(event, now)
        if self.keeps_order:
            for name, state in self.states.items():
                if state.invocation is not None and state.invocation != before.get(name):
                    self._check_begun(self.plan.units[name])
        return commands

    def _check_begun(self, unit: Unit) -> None:
        """Who has begun a run has what it requires and is ordered after."""
        untils = {ref.unit: ref.until for ref in reversed(unit.deps.after)}
        for ref in (*unit.deps.requires, *unit.deps.binds_to):
            if untils.get(ref.unit) is not Until.READY or unit.kind is Kind.TARGET:
                continue
            theirs = self.states[ref.unit]
            is_skipped = theirs.sub is Sub.DEAD and theirs.result is Result.EXEC_CONDITION
            assert theirs.sub in UP or is_skipped, (
                f"{unit.name} began while {ref.unit} was {theirs.sub}"
            )

    def check_tables(self) -> None:
        """Nothing is kept of jobs that have ended, nor of units that have left."""
        assert not self._dirty
        assert self._obstacles._cursors.keys() <= self.jobs.keys()
        assert self._block_after_stop.keys() <= self.jobs.keys()
        assert self._held_back.keys() <= self.jobs.keys()
        assert self._going <= set(self._leaving)
        assert not self._held_back or self._going
        watchers = self._obstacles._watchers
        for table in (self.stories, self.boot, self.jobs, self._rescues, watchers):
            assert table.keys() <= self.states.keys()
        assert self.troubled <= self.states.keys()
        assert self.states.keys() == self.plan.units.keys()
        for request, pending in self._requests.items():
            assert pending.waiting_for
            for name in pending.waiting_for:
                assert request in self.jobs[name].requests, f"{request} waits for {name} in vain"
        for name, job in self.jobs.items():
            for request in job.requests:
                assert name in self._requests[request].waiting_for
        for name in self.stopped_by_hand:
            self._check_stopped(name)

    def _check_stopped(self, name: UnitName) -> None:
        if (job := self.jobs.get(name)) is not None:
            assert job.type is JobType.STOP, f"{name}: stopped by hand, with a {job.type} job"
        else:
            assert self.sub(name) not in UP | COMING_UP, f"{name}: stopped by hand and up"

    def check_calm(self) -> None:
        """Once nothing happens any more, nothing waits."""
        assert not self.jobs
        assert not self._leaving
        assert not self._at_gate


class Life:
    """One random life of a world, with the model that is held against the engine."""

    def __init__(self, plan: Plan, draw: st.DrawFn) -> None:
        self.world = World(plan, engine=OpenManager)
        self.plan = plan  # without those that are leaving
        self.draw = draw
        self._told = 0

    @property
    def manager(self) -> OpenManager:
        manager = self.world.manager
        assert isinstance(manager, OpenManager)
        return manager

    def names(self) -> list[UnitName]:
        return [*self.manager.plan.units]

    def happen(self) -> None:
        """Let one thing happen that may happen in this world now."""
        world, draw = self.world, self.draw
        choices: list[Callable[[], None]] = [self._ask, self._ask, self._reset, self._replace]
        if world.alive:
            choices += [self._exit, self._exit, self._get_ready, self._get_ready]
        if any(self.manager.sub(name) in ALIVE for name in self.names()):
            choices += [self._report, self._report]
        choices += [self._end_hook, self._end_hook] if world.hooks else []
        choices += [self._check] * 3 if world.checking else []
        choices += [world.elapse] if world.timers else []
        choices += [self._cancel] if self.manager.jobs else []
        choices += [world.shut_down] if draw(st.integers(0, 40)) == 0 else []
        choices += [lambda: world.tell(IntakeClosed())] if self.manager.is_stopping else []
        draw(st.sampled_from(choices))()
        self.check()

    def _ask(self) -> None:
        draw = self.draw
        names = draw(st.lists(st.sampled_from([*NAMES, DEFAULT_TARGET]), min_size=1))[:2]
        mode = draw(st.sampled_from([JobMode.REPLACE, JobMode.REPLACE, *JobMode]))
        self.manager.keeps_order &= mode is not JobMode.IGNORE_DEPENDENCIES
        asker = draw(st.sampled_from([*[Asker.PERSON] * 8, *Asker]))
        wish = draw(st.sampled_from(WISHES[asker]))
        if asker is Asker.POOL and wish is JobType.STOP:
            self.manager.keeps_order = False  # it ignores the dependencies
        self.world.ask(wish, *names, mode=mode, asker=asker)

    def _reset(self) -> None:
        names = self.names()
        self.world.tell(ResetRequested((self.draw(st.sampled_from(names)),), "a test"))

    def _replace(self) -> None:
        plan = self.draw(plans(former=self.plan))
        found = difference(self.plan, plan, has_controllers=False)
        changed = [name for name in found.changed if name not in found.restarted]
        self.world.replace_plan(plan, restart=sorted(found.restarted), changed=changed)
        if not self.manager.is_stopping:
            self.plan = plan

    def _cancel(self) -> None:
        self.world.cancel(self.draw(st.sampled_from(sorted(self.manager.jobs))))

    def _exit(self) -> None:
        name = self.draw(st.sampled_from(sorted(self.world.alive)))
        if self.draw(st.booleans()):
            self.world.exit(name, code=self.draw(st.sampled_from([0, 0, 1, 75, 78])))
        else:
            self.world.exit(name, signal=self.draw(st.sampled_from([9, 11, 15])))

    def _get_ready(self) -> None:
        self.world.ready(self.draw(st.sampled_from(sorted(self.world.alive))))

    def _end_hook(self) -> None:
        name = self.draw(st.sampled_from(sorted(self.world.hooks)))
        self.world.end_hook(name, code=self.draw(st.sampled_from([0, 0, 0, 1, 78])))

    def _check(self) -> None:
        name = self.draw(st.sampled_from(sorted(self.world.checking)))
        unmet = self.draw(st.sampled_from(["", "", "/x does not exist"]))
        self.world.unmet[name] = unmet
        self.world.check_conditions(name)

    def _report(self) -> None:
        draw = self.draw
        alive = [name for name in self.names() if self.manager.sub(name) in ALIVE]
        unit = draw(st.sampled_from(alive))
        run = self.manager.states[unit].invocation
        assert run is not None
        reports: list[Event] = [
            Ready(unit, run),
            HealthChecked(unit, run),
            HealthChecked(unit, run, "no answer"),
            WatchdogFed(unit, run),
            WatchdogFed(unit, run, draw(st.sampled_from([0.0, 5.0]))),
            TimeoutExtended(unit, run, 60.0),
            ReloadBegun(unit, run),
            StopBegun(unit, run),
            OutOfMemory(unit, run),
            WatchdogTriggered(unit, run),
            Exited(unit, Invocation("of another run"), Exit(code=1)),
            HookEnded(unit=unit, invocation=run, run=0, failure="of another run"),
        ]
        if self.manager.states[unit].has_main or self.manager.sub(unit) in GOING_DOWN:
            reports += [
                ReadinessLost(unit, run, "closed its stdout"),
                ReadinessRegained(unit, run),
                ProtocolBroken(unit, run, "noise"),
                MainPidChanged(unit, run, 7),
            ]
        if self.manager.plan.units[unit].kind is not Kind.TARGET:
            self.world.tell(draw(st.sampled_from(reports)))

    # -- the model -------------------------------------------------------------------------------

    def check(self) -> None:
        self.manager.check_tables()
        self._check_what_runs()
        self._check_answers()
        for name in self.names():
            for sentence in sentences(self.manager, name, self.world.now):
                assert SENTENCE.fullmatch(sentence), sentence

    def _check_what_runs(self) -> None:
        """What the engine believes to run is what runs, and who is at rest has nothing."""
        world = self.world
        for name, unit in self.manager.plan.units.items():
            if unit.kind is Kind.TARGET:
                continue
            state = self.manager.states[name]
            assert state.has_main is (name in world.alive), name
            assert (state.side.hook is not None) is (name in world.hooks), name
            assert state.side.is_checking is (name in world.checking), name
        known = self.manager.plan.units.keys()
        assert world.alive.keys() | world.hooks.keys() | world.checking.keys() <= known

    def _check_answers(self) -> None:
        """A start that is done has its unit up, and a stop that is done has it down."""
        commands, self._told = self.world.commands[self._told :], len(self.world.commands)
        for command in commands:
            if isinstance(command, FinishRequest):
                for outcome in command.outcomes:
                    if outcome.result is JobResult.SKIPPED:
                        assert outcome.reason, outcome

    # -- ends ------------------------------------------------------------------------------------

    def calm_down(self) -> None:
        """Let everything that is going on come to a good end: then nothing waits any more."""
        for _ in range(300):
            if not self._go_on():
                break
            self.check()
        else:
            return  # somebody waits for the end of what is always restarted
        if not self.manager.is_stopping:
            self.manager.check_calm()

    def _go_on(self) -> bool:
        world, manager = self.world, self.manager
        for name in world.hooks:
            world.end_hook(name)
            return True
        for name in world.checking:
            world.check_conditions(name)
            return True
        for name in world.alive:
            if manager.sub(name) in GOING_DOWN:
                world.exit(name)
                return True
            if manager.sub(name) in COMING_UP:
                is_one_shot = manager.plan.units[name].readiness is ReadinessType.EXITED
                world.exit(name) if is_one_shot else world.ready(name)
                return True
            if manager.sub(name) is Sub.RELOAD:
                world.ready(name)
                return True
        for name, job in manager.jobs.items():
            for other in manager.obstacles(name):
                if other in world.alive and other not in manager.jobs:
                    self._satisfy(name, other)
                    return True
            assert manager.obstacles(name), f"{name}: a {job.type} job is stuck"
        return False

    def _satisfy(self, name: UnitName, other: UnitName) -> None:
        """Give a waiting unit what it waits for: that another one is found healthy, or ends."""
        if self.manager.states[other].vitals.health is Health.STARTING:
            self.world.find_healthy(other)
        else:
            self.world.exit(other)

    def finish(self) -> None:
        """However it stands, a stop ends: every process that is asked to go goes, and it quits.

        Whoever asked for something has been told once what became of it.
        """
        world = self.world
        world.shut_down()
        is_staying = bool(world.alive or world.hooks or world.checking)
        is_last_resort = world.quit is not None and is_staying
        for _ in range(200):
            if world.quit is not None:
                break
            if world.hooks:
                world.end_hook(min(world.hooks), signal=9)
            elif world.checking:
                world.check_conditions(min(world.checking))
            elif world.alive:
                world.exit(min(world.alive), signal=9)
            else:
                world.elapse()
        assert is_last_resort or not (world.alive or world.hooks or world.checking)
        assert not world.manager.jobs
        assert world.quit == world.manager.exit_code
        invariants.check(world.manager)
        answered = [command.request for command in world.told(FinishRequest)]
        assert sorted(answered) == list(range(1, len(answered) + 1))
        assert len(answered) == world.asked


@given(plans(), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_stream_of_events_breaks_an_invariant(plan: Plan, data: st.DataObject) -> None:
    life = Life(plan, data.draw)
    world = life.world
    world.closes_intake_at_once = data.draw(st.booleans())
    world.checks_at_once = data.draw(st.booleans())
    world.hooks_die_at_once = data.draw(st.booleans())
    for name in data.draw(st.lists(st.sampled_from(NAMES), max_size=1)):
        world.unstartable[name] = data.draw(st.sampled_from([world.no_program, world.no_memory]))
    world.boot(*data.draw(st.lists(st.sampled_from(NAMES), max_size=1)))
    life.check()
    for _ in range(data.draw(st.integers(5, 60))):
        if world.quit is not None:
            break
        life.happen()
    if world.quit is None and data.draw(st.booleans()):
        life.calm_down()
    life.finish()

"""One state of a unit for each sub state, one input for each kind of input, and what they make.

The product of the two is what `test_unit_fsm.py` decides pair by pair, and what the tables of
`docs/explanation/engine.md` are written from: `python -m tests.unit.engine.tables` writes them.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from anyclawd.engine.commands import Command
from anyclawd.engine.events import (
    ConditionsChecked,
    Exit,
    Exited,
    HealthChecked,
    Hook,
    HookEnded,
    Invocation,
    MainPidChanged,
    OutOfMemory,
    ProtocolBroken,
    ReadinessLost,
    ReadinessRegained,
    Ready,
    ReloadBegun,
    Spawned,
    SpawnFailed,
    StopBegun,
    TimeoutExtended,
    Timer,
    TimerElapsed,
    WatchdogFed,
    WatchdogTriggered,
)
from anyclawd.engine.job import INSTALLED, MERGED, OVER
from anyclawd.engine.restart import RESTARTS
from anyclawd.engine.unit_fsm import (
    Block,
    Hurry,
    Input,
    Reload,
    Reset,
    Side,
    Start,
    Step,
    Stop,
    UnitState,
    Vitals,
    step,
)
from anyclawd.model.errors import IllegalTransition
from anyclawd.model.policy import (
    Condition,
    HealthCheck,
    HookCommand,
    Hooks,
    Probe,
    ProbeType,
    Restart,
)
from anyclawd.model.state import Health, JobType, Result, Sub
from tests.fakes.world import answering

PAGE = Path(__file__).parents[3] / "docs/explanation/engine.md"
NOW = 100.0
_PROGRAM = (HookCommand(argv=("/bin/true",)),)

#: A unit that has something to do at every step.
UNIT = answering(
    "a.service",
    condition=Condition(paths=("/etc/a",)),
    hooks=Hooks(start_pre=_PROGRAM, start_post=_PROGRAM, reload=_PROGRAM, stop_post=_PROGRAM),
    watchdog_s=20.0,
    health=HealthCheck(probe=Probe(type=ProbeType.TCP, host="localhost", port=80), failures=2),
)
NAME = UNIT.name
RUN, NEXT = Invocation("run1"), Invocation("run2")

_KNOWN = UnitState(
    since=50.0,
    invocation=RUN,
    restarts=1,
    streak=2,
    ends=(70.0,),
    side=Side(run=3),
    vitals=Vitals(watchdog_s=20.0),
)
_CRASH = Exit(code=1)
_CRASHED = replace(
    _KNOWN, result=Result.EXIT_CODE, reason="exited with code 1", exit=_CRASH, ready_at=60.0
)
_COMING = replace(
    _KNOWN,
    since=90.0,
    deadline_at=120.0,
    vitals=Vitals(watchdog_s=20.0, health=Health.STARTING),
)
#: It was fed ten seconds ago, and has failed the last check.
_UP = replace(
    _KNOWN,
    has_main=True,
    pid=7,
    ready_at=60.0,
    side=Side(run=2, has_begun=True),
    vitals=Vitals(
        watchdog_s=20.0,
        watchdog_at=110.0,
        health=Health.HEALTHY,
        failed_checks=1,
        failure="no answer",
    ),
)
_LEAVING = replace(_UP, since=95.0, stop_asked=True, vitals=replace(_UP.vitals, watchdog_at=None))

#: What a unit in each sub state looks like in the middle of an eventful life.
SAMPLES = MappingProxyType(
    {
        Sub.DEAD: replace(_KNOWN, exit=Exit(code=0)),
        Sub.FAILED: replace(_CRASHED, sub=Sub.FAILED),
        Sub.BLOCKED: replace(
            _KNOWN, sub=Sub.BLOCKED, result=Result.DEPENDENCY, reason="requires b.service"
        ),
        Sub.EXITED: replace(
            _KNOWN,
            sub=Sub.EXITED,
            exit=Exit(code=0),
            ready_at=60.0,
            side=Side(run=2, has_begun=True),
        ),
        Sub.AUTO_RESTART: replace(_CRASHED, sub=Sub.AUTO_RESTART, next_at=101.0),
        Sub.COOLDOWN: replace(
            _CRASHED, sub=Sub.COOLDOWN, result=Result.START_LIMIT_HIT, ends=(), next_at=300.0
        ),
        Sub.CONDITION: replace(_COMING, sub=Sub.CONDITION, side=Side(is_checking=True)),
        Sub.START_PRE: replace(
            _COMING,
            sub=Sub.START_PRE,
            side=Side(hook=Hook.START_PRE, run=1, has_begun=True),
        ),
        Sub.START: replace(
            _COMING, sub=Sub.START, has_main=True, pid=7, side=Side(run=1, has_begun=True)
        ),
        Sub.START_POST: replace(
            _COMING,
            sub=Sub.START_POST,
            has_main=True,
            pid=7,
            ready_at=90.0,
            side=Side(hook=Hook.START_POST, run=2, has_begun=True),
            vitals=replace(_COMING.vitals, watchdog_at=110.0),
        ),
        Sub.RUNNING: replace(_UP, sub=Sub.RUNNING),
        Sub.DEGRADED: replace(_UP, sub=Sub.DEGRADED, reason="did not answer"),
        Sub.RELOAD: replace(
            _UP,
            sub=Sub.RELOAD,
            since=90.0,
            deadline_at=120.0,
            side=Side(hook=Hook.RELOAD, run=3, has_begun=True),
        ),
        Sub.STOP: replace(_LEAVING, sub=Sub.STOP, since=99.0, deadline_at=101.0),
        Sub.STOP_WATCHDOG: replace(
            _LEAVING,
            sub=Sub.STOP_WATCHDOG,
            deadline_at=105.0,
            stop_asked=False,
            doom=Result.WATCHDOG,
            reason="did not send WATCHDOG=1 within 20 s",
        ),
        Sub.STOP_SIGTERM: replace(_LEAVING, sub=Sub.STOP_SIGTERM, deadline_at=105.0),
        Sub.STOP_SIGKILL: replace(_LEAVING, sub=Sub.STOP_SIGKILL),
        Sub.STOP_POST: replace(
            _CRASHED,
            sub=Sub.STOP_POST,
            since=95.0,
            deadline_at=105.0,
            side=Side(hook=Hook.STOP_POST, run=3),
            vitals=_LEAVING.vitals,
        ),
    }
)

_HOOK_ENDED = HookEnded(unit=NAME, invocation=RUN, run=0)
_HOOK_FAILED = replace(_HOOK_ENDED, failure="/bin/true exited with code 1", exit=_CRASH)

#: Everything that may happen to a unit, named as the page names it.
INPUTS: MappingProxyType[str, Input] = MappingProxyType(
    {
        "start by hand": Start(NEXT),
        "start by policy": Start(NEXT, is_automatic=True),
        "stop": Stop(),
        "reload": Reload(),
        "hurry": Hurry(),
        "block": Block("requires c.service"),
        "reset": Reset(),
        "conditions hold": ConditionsChecked(NAME, RUN),
        "a condition does not hold": ConditionsChecked(NAME, RUN, "/etc/a does not exist"),
        "spawned": Spawned(NAME, RUN, 8),
        "spawn failed": SpawnFailed(NAME, RUN, "No such file"),
        "spawn failed for now": SpawnFailed(NAME, RUN, "Out of memory", is_permanent=False),
        "ready": Ready(NAME, RUN),
        "readiness lost": ReadinessLost(NAME, RUN, "closed its stdout"),
        "readiness regained": ReadinessRegained(NAME, RUN),
        "says that it reloads": ReloadBegun(NAME, RUN),
        "says that it stops": StopBegun(NAME, RUN),
        "has another main process": MainPidChanged(NAME, RUN, 9),
        "needs more time": TimeoutExtended(NAME, RUN, 60.0),
        "watchdog fed": WatchdogFed(NAME, RUN),
        "watchdog set": WatchdogFed(NAME, RUN, 40.0),
        "watchdog triggered": WatchdogTriggered(NAME, RUN),
        "found healthy": HealthChecked(NAME, RUN),
        "found ill": HealthChecked(NAME, RUN, "connection refused"),
        "protocol broken": ProtocolBroken(NAME, RUN, "noise"),
        "out of memory": OutOfMemory(NAME, RUN),
        "hook ended well": _HOOK_ENDED,
        "hook ended badly": _HOOK_FAILED,
        "another hook ended": _HOOK_FAILED,
        "exited well": Exited(NAME, RUN, Exit(code=0)),
        "exited badly": Exited(NAME, RUN, _CRASH),
        "timer start": TimerElapsed(NAME, Timer.START),
        "timer watchdog": TimerElapsed(NAME, Timer.WATCHDOG),
        "timer eof": TimerElapsed(NAME, Timer.EOF),
        "timer kill": TimerElapsed(NAME, Timer.KILL),
        "timer restart": TimerElapsed(NAME, Timer.RESTART),
        "timer cooldown": TimerElapsed(NAME, Timer.COOLDOWN),
    }
)


def decide(sub: Sub, name: str) -> Step:
    """One pair of the product. Raises IllegalTransition where the table refuses it.

    The hook that ends is the one that runs, unless the name of the input says otherwise.
    """
    event = INPUTS[name]
    if isinstance(event, HookEnded) and name != "another hook ended":
        event = replace(event, run=SAMPLES[sub].side.run)
    return step(SAMPLES[sub], event, UNIT, NOW, lambda: 0.0)


# -- the page ----------------------------------------------------------------------------------


def _table(corner: str, columns: Iterable[str], rows: Iterable[tuple[str, Iterable[str]]]) -> str:
    head = (corner, *columns)
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |"]
    lines += [f"| {' | '.join((name, *cells))} |" for name, cells in rows]
    return "\n".join(lines)


def _did(commands: Iterable[Command]) -> str:
    names = (re.sub(r"(?<!^)([A-Z])", r" \1", type(c).__name__).lower() for c in commands)
    return ", ".join(names)


def _cell(sub: Sub, name: str) -> str:
    try:
        after, commands = decide(sub, name)
    except IllegalTransition:
        return ""
    to = f"`{after.sub}`" if after.sub is not sub else "stays" if after != SAMPLES[sub] else "-"
    return f"{to}: {_did(commands)}" if commands else to


def state_table(*subs: Sub) -> str:
    """What each input does in these states; inputs that all of them refuse are left out."""
    rows = [(name, [_cell(sub, name) for sub in subs]) for name in INPUTS]
    return _table("", (f"`{sub}`" for sub in subs), ((n, c) for n, c in rows if any(c)))


def job_table(table: Mapping[tuple[JobType, JobType], object], types: Iterable[JobType]) -> str:
    columns = list(types)
    rows = (
        (f"**{one}**", [str(table[one, other] or "refused") for other in columns])
        for one in columns
    )
    return _table("", (f"**{other}**" for other in columns), rows)


def restart_table() -> str:
    results = [result for result in Result if any(result in some for some in RESTARTS.values())]
    rows = (
        (f"`{result}`", ["restart" if result in RESTARTS[policy] else "" for policy in Restart])
        for result in results
    )
    return _table("result of the run", (f"`{policy}`" for policy in Restart), rows)


def tables() -> dict[str, str]:
    """The generated parts of the page by the names of their markers."""
    return {
        "at rest": state_table(
            Sub.DEAD, Sub.FAILED, Sub.BLOCKED, Sub.EXITED, Sub.AUTO_RESTART, Sub.COOLDOWN
        ),
        "coming up": state_table(Sub.CONDITION, Sub.START_PRE, Sub.START, Sub.START_POST),
        "up": state_table(Sub.RUNNING, Sub.DEGRADED, Sub.RELOAD),
        "going down": state_table(
            Sub.STOP, Sub.STOP_WATCHDOG, Sub.STOP_SIGTERM, Sub.STOP_SIGKILL, Sub.STOP_POST
        ),
        "merged": job_table(MERGED, JobType),
        "over": job_table(OVER, INSTALLED),
        "restarts": restart_table(),
    }


def rendered(page: str) -> str:
    """The page with its generated parts as they have to be."""
    for name, table in tables().items():
        part = re.compile(f"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        page, count = part.subn(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", page)
        assert count == 1, f"the page has {count} places for {name}"
    return page


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text()))

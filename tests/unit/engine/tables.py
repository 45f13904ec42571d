"""One state of a unit for each sub state, one input for each kind of input, and what they make.

The product of the two is what `test_unit_fsm.py` decides pair by pair, and what the tables of
`docs/explanation/engine.md` are written from: `python -m tests.unit.engine.tables` writes them.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from anyclawd.engine.commands import Command
from anyclawd.engine.events import (
    Exit,
    Exited,
    Invocation,
    ProtocolBroken,
    ReadinessLost,
    ReadinessRegained,
    Ready,
    Spawned,
    SpawnFailed,
    Timer,
    TimerElapsed,
)
from anyclawd.engine.job import MERGED, OVER
from anyclawd.engine.restart import RESTARTS
from anyclawd.engine.unit_fsm import (
    Block,
    Hurry,
    Input,
    Reset,
    Start,
    Step,
    Stop,
    UnitState,
    step,
)
from anyclawd.model.errors import IllegalTransition
from anyclawd.model.policy import Restart
from anyclawd.model.state import JobType, Result, Sub
from tests.fakes.world import answering

PAGE = Path(__file__).parents[3] / "docs/explanation/engine.md"
NOW = 100.0
UNIT = answering("a.service")
NAME = UNIT.name
RUN, NEXT = Invocation("run1"), Invocation("run2")

_KNOWN = UnitState(since=50.0, invocation=RUN, restarts=1, streak=2, ends=(70.0,))
_UP = replace(_KNOWN, pid=7, ready_at=60.0)
_CRASH = Exit(code=1)
_CRASHED = replace(
    _KNOWN, result=Result.EXIT_CODE, reason="exited with code 1", exit=_CRASH, ready_at=60.0
)

#: What a unit in each sub state looks like in the middle of an eventful life.
SAMPLES = MappingProxyType(
    {
        Sub.DEAD: replace(_KNOWN, exit=Exit(code=0)),
        Sub.FAILED: replace(_CRASHED, sub=Sub.FAILED),
        Sub.BLOCKED: replace(
            _KNOWN, sub=Sub.BLOCKED, result=Result.DEPENDENCY, reason="requires b.service"
        ),
        Sub.EXITED: replace(_KNOWN, sub=Sub.EXITED, exit=Exit(code=0)),
        Sub.AUTO_RESTART: replace(_CRASHED, sub=Sub.AUTO_RESTART, next_at=101.0),
        Sub.COOLDOWN: replace(
            _CRASHED, sub=Sub.COOLDOWN, result=Result.START_LIMIT_HIT, ends=(), next_at=300.0
        ),
        Sub.START: replace(_KNOWN, sub=Sub.START, pid=7),
        Sub.RUNNING: replace(_UP, sub=Sub.RUNNING),
        Sub.DEGRADED: replace(_UP, sub=Sub.DEGRADED, reason="did not answer"),
        Sub.STOP: replace(_UP, sub=Sub.STOP, stop_asked=True),
        Sub.STOP_SIGTERM: replace(_UP, sub=Sub.STOP_SIGTERM, stop_asked=True),
        Sub.STOP_SIGKILL: replace(_UP, sub=Sub.STOP_SIGKILL, stop_asked=True),
    }
)

#: Everything that may happen to a unit, named as the page names it.
INPUTS: MappingProxyType[str, Input] = MappingProxyType(
    {
        "start by hand": Start(NEXT),
        "start by policy": Start(NEXT, is_automatic=True),
        "stop": Stop(),
        "hurry": Hurry(),
        "block": Block("requires c.service"),
        "reset": Reset(),
        "spawned": Spawned(NAME, RUN, 8),
        "spawn failed": SpawnFailed(NAME, RUN, "No such file"),
        "spawn failed for now": SpawnFailed(NAME, RUN, "Out of memory", is_permanent=False),
        "ready": Ready(NAME, RUN),
        "readiness lost": ReadinessLost(NAME, RUN, "closed its stdout"),
        "readiness regained": ReadinessRegained(NAME, RUN),
        "protocol broken": ProtocolBroken(NAME, RUN, "noise"),
        "exited well": Exited(NAME, RUN, Exit(code=0)),
        "exited badly": Exited(NAME, RUN, _CRASH),
        "timer start": TimerElapsed(NAME, Timer.START),
        "timer eof": TimerElapsed(NAME, Timer.EOF),
        "timer kill": TimerElapsed(NAME, Timer.KILL),
        "timer restart": TimerElapsed(NAME, Timer.RESTART),
        "timer cooldown": TimerElapsed(NAME, Timer.COOLDOWN),
    }
)


def decide(sub: Sub, name: str) -> Step:
    """One pair of the product. Raises IllegalTransition where the table refuses it."""
    return step(SAMPLES[sub], INPUTS[name], UNIT, NOW, lambda: 0.0)


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


def job_table(table: MappingProxyType[tuple[JobType, JobType], object]) -> str:
    rows = (
        (f"**{one}**", [str(table[one, other] or "refused") for other in JobType])
        for one in JobType
    )
    return _table("", (f"**{other}**" for other in JobType), rows)


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
        "up": state_table(Sub.START, Sub.RUNNING, Sub.DEGRADED),
        "going down": state_table(Sub.STOP, Sub.STOP_SIGTERM, Sub.STOP_SIGKILL),
        "merged": job_table(MERGED),
        "over": job_table(OVER),
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

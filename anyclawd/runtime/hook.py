"""The hooks of units: which programs they are, and what these are told.

A hook is done when its last program is; the first that fails, and is not written with a `-`, ends
it. The environment is that of the unit, and what systemd.exec(5) tells such programs: MAINPID
while the main process runs, and to `exec_stop_post` how it has ended.
"""

import signal
from typing import assert_never

from anyclawd.engine.events import Exit, Hook
from anyclawd.model.policy import HookCommand, Hooks
from anyclawd.model.state import Result
from anyclawd.model.unit import Unit
from anyclawd.runtime.program import Ended, Programs, Sequence
from anyclawd.runtime.seam import Variables


def commands_of(hooks: Hooks, hook: Hook) -> tuple[HookCommand, ...]:
    match hook:
        case Hook.START_PRE:
            return hooks.start_pre
        case Hook.START_POST:
            return hooks.start_post
        case Hook.RELOAD:
            return hooks.reload
        case Hook.STOP_POST:
            return hooks.stop_post
        case _:
            assert_never(hook)


def run(
    unit: Unit,
    invocation: str,
    hook: Hook,
    number: int,
    variables: Variables,
    programs: Programs,
    ended: Ended,
) -> Sequence:
    """Run the programs of a hook; `ended` is called once, maybe at once, with what has failed."""
    label = f"{invocation}/{hook.removeprefix('exec_')}.{number}"
    sequence = Sequence(programs, unit, label, commands_of(unit.hooks, hook), variables, ended)
    sequence.run()
    return sequence


def about_main(pid: int | None) -> Variables:
    """What programs are told of a main process that runs. Source: systemd.exec(5), $MAINPID."""
    return () if pid is None else (("MAINPID", str(pid)),)


def about_end(result: Result, end: Exit | None) -> Variables:
    """What `exec_stop_post` is told; of an end only where there was a main process.

    Source: systemd.exec(5), $SERVICE_RESULT, $EXIT_CODE and $EXIT_STATUS.
    """
    told = (("SERVICE_RESULT", str(result)),)
    if end is None:
        return told
    if end.signal is None:
        return (*told, ("EXIT_CODE", "exited"), ("EXIT_STATUS", str(end.code)))
    how = "dumped" if end.has_core else "killed"
    return (*told, ("EXIT_CODE", how), ("EXIT_STATUS", _signal_name(end.signal)))


def _signal_name(number: int) -> str:
    """Without SIG in front, as systemd spells it; a real-time signal is its number."""
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)

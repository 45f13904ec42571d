"""Programs that the protocol of a unit has started: an agent's terminals.

Each is a program beside the main process (see `program`), in a directory and with variables of its
own, and what it prints goes to whoever has started it. None outlives the unit: the end of a main
process is told when they are gone as well.
"""

from collections.abc import Callable
from dataclasses import replace

from anyclawd.engine.events import Exit
from anyclawd.model.deps import UnitName
from anyclawd.model.unit import Unit
from anyclawd.runtime import mark
from anyclawd.runtime.program import Programs, Running
from anyclawd.runtime.seam import Variables

#: What tells whose a process is; nobody else sets these.
_MARKS = frozenset({mark.INSTANCE, mark.UNIT, mark.INVOCATION})


class Companions:
    """Those of all units. One object a daemon."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._running: dict[UnitName, set[Running]] = {}
        self._waiting: dict[UnitName, Callable[[], None]] = {}
        self._last = 0

    def start(
        self,
        unit: Unit,
        invocation: str,
        argv: tuple[str, ...],
        *,
        working_dir: str,
        variables: Variables,
        output: Callable[[bytes], None],
        ended: Callable[[Exit], None],
    ) -> Running:
        """See `seam.Report.launch`; `invocation` is that of the main process."""

        def end(status: Exit) -> None:
            self._note_end(unit.name, program)
            ended(status)

        self._last += 1
        program = self._programs.start(
            replace(unit, working_dir=working_dir),
            f"{invocation}/companion.{self._last}",
            argv,
            tuple(pair for pair in variables if pair[0] not in _MARKS),
            end,
            Outlet(output),
        )
        self._running.setdefault(unit.name, set()).add(program)
        return program

    def give_up(self, name: UnitName, gone: Callable[[], None]) -> None:
        """Kill those of a unit; `gone` is called once nothing of them is left, maybe now."""
        running = self._running.get(name)
        if not running:
            gone()
            return
        self._waiting[name] = gone
        for program in tuple(running):
            program.kill_tree()

    def _note_end(self, name: UnitName, program: Running) -> None:
        running = self._running[name]
        running.discard(program)
        if not running:
            del self._running[name]
            if (gone := self._waiting.pop(name, None)) is not None:
                gone()


class Outlet:
    """The sink of a program that is listened to and not spoken with."""

    def __init__(self, output: Callable[[bytes], None]) -> None:
        self._output = output

    def data_received(self, data: bytes) -> None:
        self._output(data)

    def eof_received(self) -> None:
        """Its end follows, or is waited for by whoever has started it."""

    def pause_writing(self) -> None:
        """Never called: nothing is written to it."""

    def resume_writing(self) -> None:
        """Never called either."""

    def probe(self, answered: Callable[[str], None]) -> Callable[[], None]:
        raise NotImplementedError("a program that speaks no protocol cannot be asked")

    def close(self) -> None:
        """It has no goodbye."""

    def connection_lost(self) -> None:
        """Its end is told of by itself."""

"""Programs of a unit beside its main process: hooks, conditions, checks, and its companions.

Each is a process of its unit: its user, its environment, its limits, its log. It has a session and
marks of its own, so that its end takes everything with it that it has started, and leaves the main
process alone.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Protocol, TypeAlias

from anyclawd.engine.events import Exit
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import HookCommand
from anyclawd.model.unit import Unit
from anyclawd.runtime.seam import Sink, Variables

#: What a program has come to: what went wrong, and how it ended if it ran at all.
Ended: TypeAlias = Callable[[str, Exit | None], None]


class Running(Protocol):
    """What is needed of a process that was started."""

    @property
    def pid(self) -> int: ...

    @property
    def invocation(self) -> str: ...

    def signal_group(self, number: int) -> None: ...

    def kill_tree(self) -> None: ...


class Launch(Protocol):
    def __call__(
        self,
        unit: Unit,
        invocation: str,
        argv: tuple[str, ...],
        variables: Variables,
        exited: Callable[[Exit], None],
        sink: Sink | None = None,
    ) -> Running:
        """Start a program; `exited` is called once, when nothing of it is left.

        What it prints goes to the sink, or to the log of its unit where there is none.
        Raises OSError whose `strerror` is the text for people.
        """


class Programs:
    """All that runs beside main processes. One object a daemon."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._running: dict[UnitName, list[Running]] = {}

    def start(
        self,
        unit: Unit,
        invocation: str,
        argv: tuple[str, ...],
        variables: Variables,
        exited: Callable[[Exit], None],
        sink: Sink | None = None,
    ) -> Running:
        """Start a program under an invocation of its own. Raises OSError as `Launch` does."""

        def end(status: Exit) -> None:
            running = self._running[unit.name]
            running.remove(program)
            if not running:
                del self._running[unit.name]
            exited(status)

        program = self._launch(unit, invocation, argv, variables, end, sink)
        self._running.setdefault(unit.name, []).append(program)
        return program

    def of(self, name: UnitName) -> Iterator[Running]:
        yield from tuple(self._running.get(name, ()))

    def signal(self, name: UnitName, number: int) -> None:
        for program in self.of(name):
            program.signal_group(number)

    def kill(self, name: UnitName) -> None:
        for program in self.of(name):
            program.kill_tree()

    def kill_all(self) -> None:
        for name in tuple(self._running):
            self.kill(name)


class Sequence:
    """Runs programs one after the other, until one of them fails that may not."""

    def __init__(
        self,
        programs: Programs,
        unit: Unit,
        invocation: str,
        commands: Iterable[HookCommand],
        variables: Variables,
        ended: Ended,
    ) -> None:
        """`invocation` is that of the first program; the others' are numbered on."""
        self._programs, self._unit, self._variables = programs, unit, variables
        self._invocation, self._ended = invocation, ended
        self._left = list(commands)
        self._count = 0
        self._current: Running | None = None
        self._is_over = False  # no other program is begun

    def run(self) -> None:
        """Begin; `ended` is called exactly once, maybe before this returns."""
        while self._left and not self._is_over:
            command = self._left.pop(0)
            self._count += 1
            try:
                self._current = self._programs.start(
                    self._unit,
                    self._invocation if self._count == 1 else f"{self._invocation}.{self._count}",
                    command.argv,
                    self._variables,
                    partial(self._note_end, command),
                )
            except OSError as error:
                if not command.may_fail:
                    self._ended(error.strerror or str(error), None)
                    return
            else:
                return
        self._ended("", None)

    def cut_short(self) -> None:
        """Let the program that runs be the last; it has failed by that, even if it ends well."""
        self._is_over = True

    def kill(self) -> None:
        """End it with all that it has started; it still tells of its end."""
        self.cut_short()
        if self._current is not None:
            self._current.kill_tree()

    def _note_end(self, command: HookCommand, end: Exit) -> None:
        self._current = None
        if self._is_over:
            self._ended(f"{command.argv[0]!r} was ended before its time", end)
        elif end.code == 0 or command.may_fail:
            self.run()
        else:
            self._ended(f"{command.argv[0]!r} {end}", end)

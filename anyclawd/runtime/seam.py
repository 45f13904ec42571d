"""Where the runtime meets what is built upon it: a few small promises, no code.

A *sink* takes what a protocol unit writes to its stdout, and can ask it how it is; a *wire* carries
what is written to its stdin, and a *report* tells the engine what the sink has learnt, and has it
start a *companion* beside the process. The gateway makes sinks, the driver owns the rest.
"""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from anyclawd.engine.events import Exit
from anyclawd.model.unit import Unit

#: Environment variables, as pairs of name and value.
Variables: TypeAlias = tuple[tuple[str, str], ...]


class Sink(Protocol):
    """Consumes the stdout of one process; it lives as long as the process."""

    def data_received(self, data: bytes) -> None: ...

    def eof_received(self) -> None: ...

    def pause_writing(self) -> None:
        """The buffer towards its stdin is above the high-water mark."""

    def resume_writing(self) -> None: ...

    def probe(self, answered: Callable[[str], None]) -> Callable[[], None]:
        """Ask the process how it is; `answered` is called with what is wrong, or with nothing.

        It is called once, or never where the process does not answer. What is returned stops
        waiting, and does nothing once it has answered.
        """

    def close(self) -> None:
        """A stop has begun: write the protocol's goodbye; stdin is closed right after."""

    def connection_lost(self) -> None:
        """The process is gone: fail what is pending. Called exactly once."""


class Wire(Protocol):
    """The way to one process's stdin, and the valve of its stdout."""

    @property
    def unit(self) -> Unit: ...

    @property
    def invocation(self) -> str: ...

    @property
    def has_ended(self) -> bool:
        """Whether the process is dead, also where that has not been told so far."""

    def write(self, data: bytes) -> None:
        """Queue bytes; never blocks and never raises, and drops them once the pipe is broken."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Companion(Protocol):
    """A program that was started beside the process of a sink."""

    def kill_tree(self) -> None:
        """End it with all that it has started; it still tells of its end."""


class Report(Protocol):
    """What a sink tells the engine about its unit; late reports of an ended process are ignored."""

    def launch(
        self,
        argv: tuple[str, ...],
        *,
        working_dir: str,
        variables: Variables,
        output: Callable[[bytes], None],
        ended: Callable[[Exit], None],
    ) -> Companion:
        """Start a program of the unit beside its process, which it does not outlive.

        `output` is given what it prints on its stdout; `ended` is called once, after all of that,
        when nothing of it is left. Variables win over those of the unit. Raises OSError whose
        `strerror` is the text for people.
        """

    def ready(self) -> None: ...

    def failed(self, reason: str) -> None:
        """The protocol was broken: the unit is stopped with result `protocol`."""

    def degraded(self, reason: str) -> None:
        """It is up, but nothing shall be routed to it."""

    def recovered(self) -> None: ...


Attach = Callable[[Unit, Wire, Report], Sink]

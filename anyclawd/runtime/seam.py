"""Where the runtime meets what is built upon it: three small promises, no code.

A *sink* takes what a protocol unit writes to its stdout, and can ask it how it is; a *wire* carries
what is written to its stdin, and a *report* tells the engine what the sink has learnt. The gateway
makes sinks, the driver owns wires and reports.
"""

from collections.abc import Callable
from typing import Protocol

from anyclawd.model.unit import Unit


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

    def write(self, data: bytes) -> None:
        """Queue bytes; never blocks and never raises, and drops them once the pipe is broken."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Report(Protocol):
    """What a sink tells the engine about its unit; late reports of an ended process are ignored."""

    def ready(self) -> None: ...

    def failed(self, reason: str) -> None:
        """The protocol was broken: the unit is stopped with result `protocol`."""

    def degraded(self, reason: str) -> None:
        """It is up, but nothing shall be routed to it."""

    def recovered(self) -> None: ...


Attach = Callable[[Unit, Wire, Report], Sink]

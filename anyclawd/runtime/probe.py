"""One look at a unit from outside: what is wrong with it, or nothing.

A look ends within its timeout, whatever the other side does; one that is cancelled leaves nothing
behind. Each type is spelled out with what the loop itself has.
"""

import asyncio
import os
import re
import ssl
from collections.abc import Callable
from functools import cache
from typing import assert_never
from urllib.parse import urlsplit

from anyclawd.engine.events import Exit
from anyclawd.model import secret
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import Probe, ProbeType
from anyclawd.model.unit import Unit
from anyclawd.runtime.program import Programs, Running
from anyclawd.runtime.seam import Sink

#: The longest line of an HTTP answer that is looked at.
_LINE_MAX_BYTES = 8192
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |\r?\n)")


class Prober:
    """Looks at units. One object a daemon; `sink_of` is who speaks a unit's protocol."""

    def __init__(self, programs: Programs, sink_of: Callable[[UnitName], Sink | None]) -> None:
        self._programs, self._sink_of = programs, sink_of
        self._commands: dict[UnitName, set[Running]] = {}
        self._killed: set[Running] = set()
        self._waiting: dict[UnitName, Callable[[], None]] = {}
        self._last = 0

    async def look(self, unit: Unit, invocation: str, probe: Probe) -> str:
        """What is wrong with the unit, for people; empty where nothing is."""
        failure = await self._look(unit, invocation, probe)
        return _without_secrets(failure, unit, probe) if failure and unit.hidden else failure

    async def _look(self, unit: Unit, invocation: str, probe: Probe) -> str:
        try:
            async with asyncio.timeout(probe.timeout_s):
                match probe.type:
                    case ProbeType.HTTP:
                        return await look_by_http(probe.url)
                    case ProbeType.TCP:
                        return await look_by_tcp(probe.host, probe.port)
                    case ProbeType.COMMAND:
                        return await self._look_by_command(unit, invocation, probe.argv)
                    case ProbeType.RPC:
                        return await self._look_by_rpc(unit)
                    case _:
                        assert_never(probe.type)
        except TimeoutError:
            return f"{_subject(probe)}: no answer within {probe.timeout_s:g} s"

    def give_up(self, name: UnitName, gone: Callable[[], None]) -> None:
        """Kill the commands of a unit; `gone` is called once nothing of them is left, maybe now."""
        commands = self._commands.get(name)
        if not commands:
            gone()
            return
        self._waiting[name] = gone
        for program in commands:
            self._kill(program)

    async def _look_by_command(self, unit: Unit, invocation: str, argv: tuple[str, ...]) -> str:
        if not self._killed.isdisjoint(self._commands.get(unit.name, ())):
            return f"{argv[0]!r} of the last look does not end, although it was killed"
        ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

        def end(status: Exit) -> None:
            self._note_end(unit.name, program)
            if not ended.done():
                ended.set_result(status)

        self._last += 1
        label = f"{invocation}/check.{self._last}"
        try:
            program = self._programs.start(unit, label, argv, variables=(), exited=end)
        except OSError as error:
            return error.strerror or str(error)
        self._commands.setdefault(unit.name, set()).add(program)
        try:
            status = await ended
        finally:
            if program in self._commands.get(unit.name, ()):
                self._kill(program)
        return "" if status.code == 0 else f"{argv[0]!r} {status}"

    def _kill(self, program: Running) -> None:
        self._killed.add(program)
        program.kill_tree()

    def _note_end(self, name: UnitName, program: Running) -> None:
        commands = self._commands[name]
        commands.discard(program)
        self._killed.discard(program)
        if not commands:
            del self._commands[name]
            if (gone := self._waiting.pop(name, None)) is not None:
                gone()

    async def _look_by_rpc(self, unit: Unit) -> str:
        sink = self._sink_of(unit.name)
        if sink is None:
            return "it has no connection"
        answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def answer(failure: str) -> None:
            if not answered.done():
                answered.set_result(failure)

        forget = sink.probe(answer)
        try:
            return await answered
        finally:
            forget()


async def look_by_tcp(host: str, port: int) -> str:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return f"{host}:{port}: {_reason(error)}"
    writer.transport.abort()
    return ""


async def look_by_http(url: str) -> str:
    """Any 2xx answer is good; its headers and its body are not looked at."""
    parts = urlsplit(url)
    is_secure = parts.scheme == "https"
    context = await asyncio.to_thread(_context) if is_secure else None
    writer: asyncio.StreamWriter | None = None
    try:
        reader, writer = await asyncio.open_connection(
            parts.hostname,
            parts.port or (443 if is_secure else 80),
            ssl=context,
            limit=_LINE_MAX_BYTES,
        )
        writer.write(_request(parts.netloc, parts.path, parts.query))
        line = await reader.readline()
    except OSError as error:
        return f"{_shown(url)}: {_reason(error)}"
    except ValueError:
        return f"{_shown(url)}: the first line of the answer is longer than {_LINE_MAX_BYTES} bytes"
    finally:
        if writer is not None:
            writer.transport.abort()
    status = _STATUS_LINE.match(line)
    if status is None:
        return f"{_shown(url)}: " + ("no HTTP answer" if line else "it hung up without an answer")
    return "" if status[1].startswith(b"2") else f"{_shown(url)}: answered {status[1].decode()}"


def _request(place: str, path: str, query: str) -> bytes:
    target = (path or "/") + (f"?{query}" if query else "")
    host = place.rpartition("@")[2]
    lines = (
        f"GET {target} HTTP/1.1",
        f"Host: {host}",
        "User-Agent: anyclawd",
        "Accept: */*",
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("utf-8", "surrogateescape")


@cache
def _context() -> ssl.SSLContext:
    """The machine's certificates; they take longer to load than the loop may stand still."""
    return ssl.create_default_context()


def _shown(url: str) -> str:
    """A URL without what may be secret: a user's name and password, and what is asked for."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _without_secrets(failure: str, unit: Unit, probe: Probe) -> str:
    """A failure without what has come into the settings of the unit from where secrets are."""
    texts = secret.written_texts(unit.hidden)
    if probe.url in texts:  # of which a part is told
        parts = urlsplit(probe.url)
        host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        failure = failure.replace(_shown(probe.url), f"{host}/{secret.SHOWN_AS}")
    shown: str = secret.scrub(failure, texts)
    return shown


def _subject(probe: Probe) -> str:
    match probe.type:
        case ProbeType.HTTP:
            return _shown(probe.url)
        case ProbeType.TCP:
            return f"{probe.host}:{probe.port}"
        case ProbeType.COMMAND:
            return repr(probe.argv[0])
        case ProbeType.RPC:
            return "rpc"
        case _:
            assert_never(probe.type)


def _reason(error: OSError) -> str:
    """In the system's own words, where the loop has wrapped them into a sentence of its own."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate cannot be verified: {error.verify_message}"
    if isinstance(error, ssl.SSLError):  # whose numbers are not the system's
        return error.reason.lower().replace("_", " ")
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error)).lower()

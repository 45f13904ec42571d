"""Where log records go and what they look like: `pretty`, `json`, or the journal's own protocol.

Keys of a JSON record: `timestamp` (UTC, ISO 8601), `level`, `target` (the logger), `message`, and
what the record carries of `FIELDS` and of `AUDITED`. The journal gets the same
as fields named `ANYCLAWD_UNIT` and so on. The original's filter syntax sets levels:
`info,anyclawd::unit=warn`.
"""

import json
import logging
import os
import socket
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from anyclawd.daemon.outlet import Backlog, Outlet, dropped_text
from anyclawd.model.plan import LogFormat
from anyclawd.runtime.logpump import harmless_text

#: Keys that a record may carry beyond its text, in the order in which they are shown.
FIELDS = ("unit", "session", "stream")
#: Those that the text of a record leaves to its keys; `pretty` writes them behind the text.
AUDITED = ("agent", "tool_name", "success", "duration_ms")
#: Targets that read as in the original, whose logs are searched for them.
TARGETS = MappingProxyType({"anyclaw.audit": "anyclaw::audit"})

_LEVELS = MappingProxyType(
    {
        "trace": logging.DEBUG,
        "debug": logging.DEBUG,
        "info": logging.INFO,
        "warn": logging.WARNING,
        "warning": logging.WARNING,
        "error": logging.ERROR,
        "off": logging.CRITICAL + 1,
    }
)

#: Targets of the original's default filter that nothing here logs under.
_ABSENT = frozenset({"hyper", "hyper_util", "reqwest", "h2", "tower"})
_OURS = ("anyclawd", "anyclaw", "asyncio", "aiohttp")

#: syslog(3) priorities. Source: systemd.journal-fields(7).
_PRIORITIES = MappingProxyType(
    {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}
)
_JOURNAL_SOCKET = "/run/systemd/journal/socket"


def levels_of(log_filter: str) -> tuple[dict[str, int], list[str]]:
    """The level of each logger ("" is the root), and what in the filter means nothing here."""
    levels, warnings = {"": logging.INFO}, []
    for directive in filter(None, (part.strip() for part in log_filter.split(","))):
        target, has_level, level = directive.rpartition("=")
        if not has_level and level.lower() not in _LEVELS:
            target, level = level, "trace"  # a bare target means everything of it
        if "[" in target or level.lower() not in _LEVELS:
            warnings.append(f"log_level: {directive!r} means nothing here and is left out")
            continue
        logger = target.replace("::", ".")
        if logger and logger.partition(".")[0] not in _OURS and logger not in _ABSENT:
            warnings.append(f"log_level: nothing here logs under {target!r}; it is left out")
            continue
        levels[logger] = _LEVELS[level.lower()]
    return levels, warnings


def set_up(log_filter: str, wanted: LogFormat, environ: Mapping[str, str]) -> list[str]:
    """Install the one handler and the levels; returns what the filter says in vain.

    No format shows where a record was made, nor by which thread or process: finding that out is
    left undone, as the "Optimization" part of Python's logging how-to has it.
    """
    logging._srcfile = None  # noqa: SLF001 - documented there
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.getLogger().handlers[:] = [_handler(wanted, environ)]
    return _set_levels(log_filter)


def change(former_filter: str, log_filter: str, wanted: LogFormat) -> list[str]:
    """Let other levels and another format hold for what `set_up` has installed.

    Returns what the filter says in vain. The journal has a format of its own, which stays.
    """
    for name in levels_of(former_filter)[0]:
        logging.getLogger(name).setLevel(logging.NOTSET)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, OutletHandler):
            handler.setFormatter(_formatter(wanted))
    return _set_levels(log_filter)


def _set_levels(log_filter: str) -> list[str]:
    levels, warnings = levels_of(log_filter)
    for name, level in {"aiohttp.access": logging.WARNING, **levels}.items():
        logging.getLogger(name).setLevel(level)
    return warnings


def _handler(wanted: LogFormat, environ: Mapping[str, str]) -> logging.Handler:
    if is_journal(environ):
        try:
            return JournalHandler(_JOURNAL_SOCKET)
        except OSError as error:  # the journal reads our stderr all the same
            sys.stderr.write(f"anyclawd: cannot reach the journal's socket: {error}\n")
    handler = OutletHandler(Outlet(2))
    handler.setFormatter(_formatter(wanted))
    return handler


def _formatter(wanted: LogFormat) -> logging.Formatter:
    return JsonFormatter() if wanted is LogFormat.JSON else PrettyFormatter()


class OutletHandler(logging.StreamHandler[Outlet]):
    """Writes lines without waiting for who reads them; see `daemon.outlet`."""

    def close(self) -> None:
        self.stream.close()
        super().close()


def is_journal(environ: Mapping[str, str]) -> bool:
    """Whether our stderr is the journal's. Source: systemd.exec(5) "$JOURNAL_STREAM"."""
    stream = environ.get("JOURNAL_STREAM")
    if not stream:
        return False
    found = os.fstat(2)
    return stream == f"{found.st_dev}:{found.st_ino}"


def _fields_of(
    record: logging.LogRecord, keys: tuple[str, ...] = (*FIELDS, *AUDITED)
) -> dict[str, object]:
    return {key: getattr(record, key) for key in keys if hasattr(record, key)}


def _target_of(record: logging.LogRecord) -> str:
    return TARGETS.get(record.name, record.name)


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class PrettyFormatter(logging.Formatter):
    """One line a record, and a traceback's: time, level, unit or logger, text.

    Texts quote what units and callers say, so that what could forge a line is spelled out.
    """

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        source = getattr(record, "unit", "") or record.name
        text = harmless_text(record.getMessage())
        if text.startswith(f"{source}: "):
            text = text[len(source) + 2 :]
        keys = ("session", *AUDITED) if _fields_of(record, AUDITED) else ()
        for key, value in _fields_of(record, keys).items():
            text += f" {key}={harmless_text(_spelled(value))}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return f"{at.replace('+00:00', 'Z')} {record.levelname:<7} {source}: {text}"


class JsonFormatter(logging.Formatter):
    """One JSON object a record; see the keys on top of the module."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        content = {
            "timestamp": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "target": _target_of(record),
            "message": record.getMessage(),
            **_fields_of(record),
        }
        if record.exc_info:
            content["exception"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=False, default=str)


class JournalHandler(logging.Handler):
    """Sends records with their fields, and waits for no reader; see `daemon.outlet`.

    Source: systemd "Native Journal Protocol".
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.connect(path)
        self._socket.setblocking(False)
        self._backlog = Backlog(self._socket.fileno(), self._socket.send, self._dropped_datagram)

    def emit(self, record: logging.LogRecord) -> None:
        self._backlog.put(self.datagram(record))

    def datagram(self, record: logging.LogRecord) -> bytes:
        """A record as the journal takes it."""
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        fields = {
            "MESSAGE": text,
            "PRIORITY": str(_PRIORITIES.get(record.levelno, 2)),
            "SYSLOG_IDENTIFIER": "anyclawd",
            "LOGGER": _target_of(record),
        }
        for key, value in _fields_of(record).items():
            fields[f"ANYCLAWD_{key.upper()}"] = _spelled(value)
        return b"".join(_journal_field(key, value) for key, value in fields.items())

    def close(self) -> None:
        self._backlog.close()
        self._socket.close()
        super().close()

    def _dropped_datagram(self, count: int) -> bytes:
        told = {"name": __name__, "levelno": logging.WARNING, "msg": dropped_text(count)}
        return self.datagram(logging.makeLogRecord(told))


def _journal_field(name: str, value: str) -> bytes:
    raw = value.encode("utf-8", "replace")
    if b"\n" not in raw:
        return name.encode() + b"=" + raw + b"\n"
    return name.encode() + b"\n" + len(raw).to_bytes(8, "little") + raw + b"\n"

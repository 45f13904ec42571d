"""What agents ask of terminals, and what they are answered. Source: ACP "Terminals"."""

from typing import NamedTuple

from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.value import Json
from anyclawd.wire.lenient import as_count, as_map, as_text


class CreateTerminal(NamedTuple):
    session_id: str
    command: str
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str  #: empty for the session's own
    limit_bytes: int | None  #: None for as much as we keep


def create_request(params: Json) -> CreateTerminal:
    """Of `terminal/create`. Raises RemoteProtocolError."""
    found = as_map(params)
    command, limit = as_text(found.get("command")), found.get("outputByteLimit")
    if not command:
        raise _unlike("command, a string that is not empty")
    if limit is not None and as_count(limit) is None:
        raise _unlike("outputByteLimit, a whole number from 0 up")
    args = found.get("args") or []
    if not isinstance(args, list) or not all(isinstance(item, str) for item in args):
        raise _unlike("args, a list of strings")
    cwd = found.get("cwd")
    if cwd is not None and not isinstance(cwd, str):
        raise _unlike("cwd, a string")
    return CreateTerminal(
        as_text(found.get("sessionId")),
        command,
        tuple(args),
        _read_env(found.get("env") or []),
        cwd or "",
        as_count(limit),
    )


def terminal_id_of(params: Json) -> str:
    """The terminal that any other request is about; empty where it names none."""
    return as_text(as_map(params).get("terminalId"))


def exit_status(code: int | None, signal: str | None) -> dict[str, Json]:
    """How a command ended: by itself, or by a signal."""
    return {"exitCode": code, "signal": signal}


def _read_env(listed: Json) -> tuple[tuple[str, str], ...]:
    if not isinstance(listed, list):
        raise _unlike("env, a list")
    items = [as_map(item) for item in listed]
    for item in items:
        if not as_text(item.get("name")) or not isinstance(item.get("value"), str):
            raise _unlike("each item of env to have a name and a value")
    return tuple((item["name"], item["value"]) for item in items)


def _unlike(expected: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"terminal/create: expected {expected}")

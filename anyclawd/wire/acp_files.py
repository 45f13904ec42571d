"""What agents ask of files. Source: ACP "File System"."""

from typing import NamedTuple

from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.value import Json
from anyclawd.wire.lenient import as_count, as_map, as_text


class ReadFile(NamedTuple):
    path: str
    line: int  #: the first one, from 1
    limit: int | None  #: so many lines; None for all


class WriteFile(NamedTuple):
    path: str
    content: str


def read_file_request(params: Json) -> ReadFile:
    """Of `fs/read_text_file`. Raises RemoteProtocolError; so does the other one."""
    found = as_map(params)
    path = _path(found, "fs/read_text_file")
    line, limit = (_count(found, name, "fs/read_text_file") for name in ("line", "limit"))
    return ReadFile(path, max(line or 1, 1), limit)


def write_file_request(params: Json) -> WriteFile:
    found = as_map(params)
    content = found.get("content")
    if not isinstance(content, str):
        raise RemoteProtocolError("fs/write_text_file: expected content, a string")
    return WriteFile(_path(found, "fs/write_text_file"), content)


def _path(found: dict[str, Json], method: str) -> str:
    if not (path := as_text(found.get("path"))):
        raise RemoteProtocolError(f"{method}: expected path, a string that is not empty")
    return path


def _count(found: dict[str, Json], name: str, method: str) -> int | None:
    value = found.get(name)
    count = as_count(value)
    if value is not None and count is None:
        raise RemoteProtocolError(f"{method}: expected {name}, a whole number from 0 up")
    return count

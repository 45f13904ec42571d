"""The service protocol: what a service is told and what it answers. Source: the original's SDK.

Its request `shutdown` has neither parameters nor a result; `health` has no parameters. The keys of
an installation are ours, since the original's are not known.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.value import Json
from anyclawd.wire import jsonrpc
from anyclawd.wire.jsonrpc import RpcError
from anyclawd.wire.lenient import as_map, as_text

#: The longest text of a service about its health that is passed on.
_TEXT_MAX = 500
#: The longest name of a service's own that is passed on.
_NAME_MAX = 100

#: What one variable may take, and all of an installation: more, and nobody who lists the service
#: could be started. Source: execve(2), MAX_ARG_STRLEN and ARG_MAX, of which others need a part.
VARIABLE_MAX_BYTES = 128 * 1024
VARIABLES_MAX_BYTES = 512 * 1024

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OUTSIDE = re.compile(r"[^A-Z0-9]")
#: What an installation may consist of.
_MEMBERS = frozenset({"environment", "urls", "volumes"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What a service offers to those who use it. Every value of it counts as a secret."""

    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    urls: tuple[tuple[str, str], ...] = field(default=(), repr=False)  #: (name, URL) pairs
    volumes: tuple[Json, ...] = field(default=(), repr=False)  #: applied to nothing yet
    #: the names of further members, which mean nothing
    ignored: tuple[str, ...] = field(default=(), compare=False)

    @property
    def variables(self) -> tuple[tuple[str, str], ...]:
        """As (name, value) pairs, what the process of a unit that uses the service finds."""
        return self.environment + tuple((url_variable(name), url) for name, url in self.urls)


#: Of a service that offers nothing.
NO_INSTALLATION = Installation()


class Health(NamedTuple):
    """What a service has answered to `health`."""

    failure: str = ""  #: why it has to be restarted; empty where it has not
    is_degraded: bool = False  #: it lives, and cannot do all that it should
    text: str = ""  #: its own words about that


def initialize_params(namespace: str, options: dict[str, Json]) -> dict[str, Json]:
    """Spelled in snake_case, other than everything else on the wire."""
    params: dict[str, Json] = {"namespace": namespace, "options": options}
    port = options.get("port")
    if isinstance(port, int) and not isinstance(port, bool) and 0 <= port < 65536:
        params["port"] = port
    return params


def url_variable(name: str) -> str:
    """The variable that a URL is found in: `media` is `ANYCLAW_MEDIA_URL`."""
    return f"ANYCLAW_{_OUTSIDE.sub('_', name.upper())}_URL"


def read_installation(result: Json) -> Installation:
    """What a service offers, by its answer to `initialize`.

    Raises RemoteProtocolError, which holds no value, where a member is of another type.
    """
    offered = as_map(result).get("installation")
    members = {} if offered is None else _map(offered, "it")
    urls = tuple(_texts(members, "urls"))
    taken: dict[str, str] = {}
    for name, _ in urls:
        other = taken.setdefault(url_variable(name), name)
        if other != name:
            raise _unusable(f"urls {other!r} and {name!r} are both {url_variable(name)}")
    environment = tuple(_texts(members, "environment"))
    for name, _ in environment:
        if not _VARIABLE.fullmatch(name):
            raise _unusable(f"environment: {name!r:.{_NAME_MAX}} is no name of a variable")
    volumes = members.get("volumes")
    if volumes is not None and not isinstance(volumes, list):
        raise _unusable(f"volumes is {_kind(volumes)}, expected a list")
    found = Installation(
        environment=environment,
        urls=urls,
        volumes=tuple(volumes or ()),
        ignored=tuple(sorted(members.keys() - _MEMBERS)),
    )
    total = sum(_size(name, text) for name, text in found.variables)
    if total > VARIABLES_MAX_BYTES:
        raise _unusable(f"it takes {total} bytes of variables, at most {VARIABLES_MAX_BYTES} fit")
    return found


def _size(name: str, text: str) -> int:
    """What a variable takes in the environment of a process. Raises RemoteProtocolError."""
    place = f"the variable {name:.{_NAME_MAX}}"
    if "\0" in text:
        raise _unusable(f"{place} holds a zero byte")
    try:
        size = len(f"{name}={text}".encode()) + 1
    except UnicodeEncodeError:
        raise _unusable(f"{place} holds half of a character") from None
    if size > VARIABLE_MAX_BYTES:
        raise _unusable(f"{place} takes {size} bytes, at most {VARIABLE_MAX_BYTES} fit")
    return size


def _map(value: Json, name: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise _unusable(f"{name} is {_kind(value)}, expected an object")
    return value


def _texts(members: dict[str, Json], of: str) -> Iterator[tuple[str, str]]:
    held = members.get(of)
    for name, value in ({} if held is None else _map(held, of)).items():
        place = f"{of}.{name:.{_NAME_MAX}}"
        if not name:
            raise _unusable(f"{of}: a name is empty")
        if not isinstance(value, str):
            raise _unusable(f"{place} is {_kind(value)}, expected text")
        yield name, value


def _unusable(text: str) -> RemoteProtocolError:
    return RemoteProtocolError(
        f"answered initialize with an installation that cannot be used: {text}"
    )


def _kind(value: Json) -> str:
    """The type of a value, for people who must not see the value."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"


def read_health(result: Json, error: RpcError | None) -> Health:
    """A service without the request lives, since it has answered; so does one that says nothing."""
    if error is not None:
        if error.code == jsonrpc.METHOD_NOT_FOUND:
            return Health()
        return Health(failure=f"answered health with an error: {error!s:.{_TEXT_MAX}}")
    members = as_map(result)
    text = as_text(members.get("message"))[:_TEXT_MAX]
    match as_text(members.get("status")).lower():
        case "unhealthy":
            return Health(failure=f"says it is unhealthy{text and f': {text}'}")
        case "degraded":
            return Health(is_degraded=True, text=f"says it is degraded{text and f': {text}'}")
        case _:
            return Health()

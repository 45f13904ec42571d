"""What is read from a request: its body, and each member or parameter in its type.

What a caller has got wrong is a BadRequest that says what was found and what was expected.
"""

import json
import signal
from collections.abc import Iterable
from datetime import datetime

from aiohttp import web

from anyclawd.admin.control import BadRequest
from anyclawd.model.value import Json

#: The most lines of history one request for logs can ask for.
LOG_LINES_MAX = 100_000

#: What `wait` says to wait until units have come to rest.
UNTIL_REST = "rest"


async def body_of(request: web.Request) -> dict[str, Json]:
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest(f"the body is {shown(body)}, expected an object")
    return body


def text_of(body: dict[str, Json], key: str, default: str | None = None) -> str:
    """A member that is a text; null and absence mean the default, where there is one."""
    value = body.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or (not value and default is None):
        raise BadRequest(f"{key}: found {shown(value)}, expected a text")
    return value


def choice_of(
    body: dict[str, Json], key: str, choices: Iterable[str], default: str | None = None
) -> str:
    value = text_of(body, key, default)
    names = [str(choice) for choice in choices]
    if value not in names:
        raise BadRequest(f"{key}: found {shown(value)}, expected one of {', '.join(names)}")
    return value


def patterns_of(body: dict[str, Json]) -> list[str]:
    units = body.get("units")
    if not isinstance(units, list) or not units or not all(isinstance(u, str) for u in units):
        raise BadRequest(f"units: found {shown(units)}, expected a list of unit names")
    return units


def flag_of(body: dict[str, Json], key: str, *, default: bool = False) -> bool:
    value = body.get(key)
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    raise BadRequest(f"{key}: found {shown(value)}, expected true or false")


def wait_of(body: dict[str, Json]) -> Json:
    """Whether to wait for the results of jobs, or even until the units have come to rest."""
    wait = body.get("wait", True)
    if isinstance(wait, bool) or wait == UNTIL_REST:
        return wait
    raise BadRequest(f"wait: found {shown(wait)}, expected true, false or {UNTIL_REST!r}")


def timeout_of(value: Json) -> float | None:
    """A number of seconds, given in a body or as the text of a query; None waits for ever."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if isinstance(value, bool) or not 0 <= seconds < float("inf"):
        raise BadRequest(f"timeout_s: found {shown(value)}, expected a number of seconds")
    return seconds


def instant_of(text: str) -> datetime | None:
    """An instant of a query; empty means none."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise BadRequest(f"since: found {text!r}, expected an instant like 2026-01-02T03:04:05Z")
    return at


def signal_of(name: str) -> int:
    """The number of a signal given as `SIGTERM`, `TERM` or `15`."""
    if name.isdecimal() and int(name) in set(signal.valid_signals()):
        return int(name)
    full = name.upper() if name.upper().startswith("SIG") else f"SIG{name.upper()}"
    if full in signal.Signals.__members__:
        return signal.Signals[full].value
    raise BadRequest(f"signal: found {name!r}, expected a name like SIGTERM or its number")


def count_of(text: str, name: str = "n", most: int = LOG_LINES_MAX) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or int(text) > most:
        raise BadRequest(f"{name}: found {text!r}, expected a number up to {most}")
    return int(text)


def offset_of(text: str) -> int:
    """Which boot: `0`, `-1` and so on."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 4 or int(text) > 0:
        raise BadRequest(f"boot: found {text!r}, expected 0, -1, -2 and so on")
    return int(text)


def shown(value: Json) -> str:
    """What was found in a body, as JSON; nothing where it is missing or null."""
    if value is None:
        return "nothing"
    return repr(value) if isinstance(value, str) else f"{json.dumps(value):.80}"

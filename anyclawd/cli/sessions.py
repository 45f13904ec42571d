"""Sessions as they are named on a command line, and as people read of them."""

from __future__ import annotations

from argparse import ArgumentParser

from anyclawd.cli import render
from anyclawd.cli.render import clean
from anyclawd.client.client import Client, query, quote
from anyclawd.client.exchange import USAGE_ERROR, ClientError

TYPE_CHECKING = False  # typing itself costs 2 ms of import
if TYPE_CHECKING:
    from anyclawd.model.value import Json

_HEADINGS = ("SESSION", "AGENT", "STATE", "QUEUED", "IDLE", "TITLE")

#: How many of the sessions that a pattern means are named where one was to be meant.
_NAMED_MAX = 3


def add_session(parser: ArgumentParser) -> None:
    parser.add_argument(
        "session", metavar="SESSION", help="a key, or a pattern that means one, such as 'tg:*:42'"
    )


def add_sessions(parser: ArgumentParser, *, nargs: str = "+") -> None:
    parser.add_argument(
        "sessions", nargs=nargs, metavar="SESSION", help="keys, or patterns such as 'telegram:*'"
    )


def rows_of(client: Client, patterns: list[str]) -> list[Json]:
    """The sessions that keys and patterns mean; all where there are none."""
    asked = query(("session", pattern) for pattern in patterns)
    rows: list[Json] = client.get(f"/v1/sessions?{asked}" if asked else "/v1/sessions")["sessions"]
    return rows


def keys_of(client: Client, patterns: list[str]) -> list[str]:
    """Keys; the daemon is asked only where there is what could be a pattern among them."""
    if not any(char in pattern for pattern in patterns for char in "*?["):
        return list(dict.fromkeys(patterns))
    return [row["session"] for row in rows_of(client, patterns)]


def key_of(client: Client, pattern: str) -> str:
    """The one session that is meant. Raises ClientError where a pattern means several."""
    keys = keys_of(client, [pattern])
    if len(keys) > 1:
        named = ", ".join(keys[:_NAMED_MAX]) + (", ..." if len(keys) > _NAMED_MAX else "")
        text = f"{pattern!r} means {len(keys)} sessions, and one is wanted: {named}"
        raise ClientError(text, USAGE_ERROR, "ambiguous")
    return keys[0]


def target_of(key: str, rest: str = "") -> str:
    return f"/v1/sessions/{quote(key)}{rest}"


def table(rows: list[Json]) -> list[str]:
    """A heading and a line for each session."""
    return render.table(
        (
            (
                clean(row["session"]),
                row["worker"].removesuffix(".agent"),
                row["state"],
                str(row["queued"]),
                "-" if row["idle_s"] is None else render.duration(row["idle_s"]),
                clean(row["title"]),
            )
            for row in rows
        ),
        _HEADINGS,
    )

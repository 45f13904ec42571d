"""Units as they are named on a command line."""

from __future__ import annotations

from argparse import ArgumentParser

from anyclawd.client.client import Client, query


def add_units(parser: ArgumentParser, *, nargs: str = "+") -> None:
    parser.add_argument(
        "units", nargs=nargs, metavar="UNIT", help="names, or patterns such as 'web-*.service'"
    )


def names_of(client: Client, patterns: list[str]) -> list[str]:
    """Full names; the daemon is asked only where there is a pattern among them."""
    if not any(char in pattern for pattern in patterns for char in "*?["):
        return patterns
    found = client.get(f"/v1/units?{query(('unit', pattern) for pattern in patterns)}")
    return [unit["name"] for unit in found["units"]]

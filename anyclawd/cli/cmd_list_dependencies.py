"""`list-dependencies [--reverse] [UNIT]`: the tree of what pulls in what, with states."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.cli.render import Paint
from anyclawd.client.client import quote
from anyclawd.model.value import Json

#: The relations that pull a unit in; ordering alone does not.
_PULLS_IN = ("requires", "binds_to", "wants")


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("unit", nargs="?", default="default.target", metavar="UNIT")
    parser.add_argument("--reverse", action="store_true", help="show what pulls the unit in")


def run(options: Namespace) -> int:
    client = connect(options)
    client.get(f"/v1/units/{quote(options.unit)}")
    below = pulled_in(client.get("/v1/plan"), reverse=options.reverse)
    if options.json:
        render.print_json(_nested(options.unit, below, ()))
        return 0
    rows = {row["name"]: row for row in client.get("/v1/status")["units"]}
    paint = Paint(sys.stdout)
    print(options.unit)
    for prefix, name in _lines(options.unit, below, "", (options.unit,)):
        mark = paint.mark(rows[name]) if name in rows else " "
        print(f"{prefix}{mark} {name}")
    return 0


def pulled_in(plan: Json, *, reverse: bool) -> dict[str, list[str]]:
    """Unit to what it pulls in, or to what pulls it in; sorted, each name once."""
    pairs = {
        (name, ref["unit"])
        for name, settings in plan["units"].items()
        for relation in _PULLS_IN
        for ref in settings[relation]
    }
    below: dict[str, list[str]] = {name: [] for name in plan["units"]}
    for name, other in sorted((other, name) if reverse else (name, other) for name, other in pairs):
        below.setdefault(name, []).append(other)
    return below


def _lines(
    name: str, below: Mapping[str, list[str]], indent: str, path: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    """(what to draw before it, unit) pairs; a unit above itself is not followed again."""
    names = [other for other in below.get(name, []) if other not in path]
    for branch, other in zip(render.branches(len(names)), names, strict=True):
        yield f"{indent}{branch}", other
        deeper = indent + ("│ " if branch == "├─" else "  ")
        yield from _lines(other, below, deeper, (*path, other))


def _nested(name: str, below: Mapping[str, list[str]], path: tuple[str, ...]) -> Json:
    inner = (*path, name)
    others = [other for other in below.get(name, []) if other not in inner]
    return {"unit": name, "dependencies": [_nested(other, below, inner) for other in others]}

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
        render.print_json({"unit": options.unit, "dependencies": _reached(options.unit, below)})
        return 0
    rows = {row["name"]: row for row in client.get("/v1/status")["units"]}
    paint = Paint(sys.stdout)
    print(options.unit)
    for prefix, name, suffix in tree_lines(options.unit, below):
        mark = paint.mark(rows[name]) if name in rows else " "
        print(f"{prefix}{mark} {name}{paint(suffix, 'dim')}")
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


def tree_lines(root: str, below: Mapping[str, list[str]]) -> Iterator[tuple[str, str, str]]:
    """(what to draw before it, unit, what to say after it) triples, depth first.

    What a unit pulls in is drawn once, where the unit is met first: a graph of n units would
    otherwise be a tree of up to 2 ** n lines.
    """
    followed = {root}
    agenda = _below(root, below, "")
    while agenda:
        indent, branch, name = agenda.pop()
        if name in followed:
            yield f"{indent}{branch}", name, " (see above)" if below[name] else ""
            continue
        yield f"{indent}{branch}", name, ""
        followed.add(name)
        agenda += _below(name, below, indent + ("│ " if branch == "├─" else "  "))


def _below(name: str, below: Mapping[str, list[str]], indent: str) -> list[tuple[str, str, str]]:
    """(indent, branch, unit) of what a unit pulls in, the first one last."""
    others = below[name]
    return [(indent, *pair) for pair in zip(render.branches(len(others)), others, strict=True)][
        ::-1
    ]


def _reached(name: str, below: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Every unit that is reached from `name`, itself included, with what it pulls in."""
    reached: dict[str, list[str]] = {}
    waiting = [name]
    while waiting:
        unit = waiting.pop(0)
        if unit not in reached:
            reached[unit] = below[unit]
            waiting += below[unit]
    return reached

"""`list-units [--kind KIND] [--state STATE]`: one line a unit."""

import sys
from argparse import ArgumentParser, Namespace

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.cli.render import Paint, clean


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("--kind", choices=tuple(render.KINDS), help="units of one kind only")
    parser.add_argument("--state", help="units in one active or sub state only, such as failed")


def run(options: Namespace) -> int:
    units = [
        unit
        for unit in connect(options).get("/v1/status")["units"]
        if options.kind in (None, unit["kind"])
        and options.state in (None, unit["active"], unit["sub"])
    ]
    if options.json:
        render.print_json({"units": units})
        return 0
    paint = Paint(sys.stdout)
    rows = [
        (unit["name"], unit["active"], unit["sub"], unit["result"], clean(unit["description"]))
        for unit in units
    ]
    heading, *lines = render.table(rows, ("UNIT", "ACTIVE", "SUB", "RESULT", "DESCRIPTION"))
    print(f"  {paint(heading, 'bold')}")
    for unit, line in zip(units, lines, strict=True):
        print(f"{paint.mark(unit)} {line}")
    print(f"\n{len(units)} unit{'' if len(units) == 1 else 's'}")
    return 0

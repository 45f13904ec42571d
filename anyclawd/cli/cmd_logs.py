"""`logs [-f] [-n LINES] [UNIT]`: what units wrote to stderr, and what became of them."""

import sys
from argparse import ArgumentParser, Namespace

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.cli.render import Paint
from anyclawd.client.client import quote


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="UNIT", help="all units where none is named")
    parser.add_argument("--unit", metavar="UNIT", help="the same as naming it")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with new lines")
    parser.add_argument("-n", "--lines", type=int, default=50, help="how many; default 50")


def run(options: Namespace) -> int:
    """Ends with status 0 when the lines are printed; following ends with the daemon, or Ctrl-C."""
    unit = options.unit or options.name
    target = f"/v1/logs?n={options.lines}&follow={int(options.follow)}"
    target += f"&unit={quote(unit)}" if unit else ""
    paint = Paint(sys.stdout)
    for line in connect(options).stream("GET", target):
        if options.json:
            render.print_json_line(line)
        else:
            print(render.log_line(line, paint), flush=options.follow)
    return 0

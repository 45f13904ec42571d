"""`logs [-f] [-n LINES] [--since WHEN] [UNIT...]`: what units wrote, and what became of them."""

import sys
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.cli.render import Paint
from anyclawd.cli.span import past
from anyclawd.client.client import query

_LINES = 50

#: What `--since` shows where `-n` does not say: as much as one request can ask for.
_LINES_SINCE = 100_000


def configure(parser: ArgumentParser) -> None:
    parser.add_argument(
        "units", nargs="*", metavar="UNIT", help="names or patterns; all units where none is named"
    )
    parser.add_argument(
        "--unit",
        action="append",
        default=[],
        dest="more_units",
        metavar="UNIT",
        help="the same as naming it; may be given more than once",
    )
    parser.add_argument(
        "--since",
        type=_since,
        metavar="WHEN",
        help="no older lines, such as '10min ago', -1h, today, 12:30, '2026-01-31 12:30'",
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on with new lines")
    parser.add_argument(
        "-n",
        "--lines",
        type=int,
        help=f"how many old lines; default {_LINES}, with --since all of them",
    )


def _since(text: str) -> datetime:
    return past(text, datetime.now(UTC))


def run(options: Namespace) -> int:
    """Ends with status 0 when the lines are printed; following ends with the daemon, or Ctrl-C."""
    target = f"/v1/logs?{query(_asked(options))}"
    paint = Paint(sys.stdout)
    for line in connect(options).stream("GET", target):
        if options.json:
            render.print_json_line(line)
        else:
            print(render.log_line(line, paint), flush=options.follow)
    return 0


def _asked(options: Namespace) -> list[tuple[str, str]]:
    lines = options.lines
    if lines is None:
        lines = _LINES if options.since is None else _LINES_SINCE
    asked = [("n", str(lines)), ("follow", str(int(options.follow)))]
    if options.since is not None:
        asked.append(("since", options.since.astimezone(UTC).isoformat()))
    return asked + [("unit", name) for name in (*options.units, *options.more_units)]

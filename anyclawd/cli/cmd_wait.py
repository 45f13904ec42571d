"""`wait UNIT...`: until units have come to rest; the status is theirs."""

from argparse import ArgumentParser, Namespace

from anyclawd.cli import render, rest
from anyclawd.cli.daemon import connect
from anyclawd.cli.span import duration
from anyclawd.cli.units import add_units
from anyclawd.client.client import query


def configure(parser: ArgumentParser) -> None:
    add_units(parser)
    parser.add_argument(
        "--timeout", type=duration, metavar="DURATION", help="wait no longer than this"
    )


def run(options: Namespace) -> int:
    """The worst status of the units; see `rest.status`."""
    pairs = [("unit", name) for name in options.units]
    if options.timeout is not None:
        pairs.append(("timeout_s", str(options.timeout)))
    answer = connect(options, timeout_s=None).get(f"/v1/wait?{query(pairs)}")
    if options.json:
        render.print_json(answer)
    else:
        for row in answer["units"]:
            rest.report(row)
    return max(map(rest.status, answer["units"]))

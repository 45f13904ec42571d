"""`kill [--signal SIGNAL] UNIT...`: a signal to the processes of units; policies then apply."""

from argparse import ArgumentParser, Namespace

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.cli.units import add_units


def configure(parser: ArgumentParser) -> None:
    add_units(parser)
    parser.add_argument(
        "--signal", default="SIGTERM", metavar="SIGNAL", help="SIGTERM, TERM or 15; the default"
    )
    parser.add_argument(
        "--whom",
        choices=("main", "all"),
        default="all",
        help="the main process alone, or all processes of the unit (the default)",
    )


def run(options: Namespace) -> int:
    """Status 1 if a unit has no process."""
    body = {"units": options.units, "signal": options.signal, "whom": options.whom}
    answer = connect(options).post("/v1/kill", body)
    if options.json:
        render.print_json(answer)
    else:
        for unit in answer["units"]:
            reached = f"pid {unit['pid']}" if unit["pid"] is not None else "it has no process"
            print(f"{unit['name']}: {reached}")
    return 0 if all(unit["pid"] is not None for unit in answer["units"]) else 1

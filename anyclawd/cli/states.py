"""What `is-active` and `is-failed` have in common."""

from argparse import ArgumentParser, Namespace

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.cli.units import add_units
from anyclawd.client.client import query


def configure(parser: ArgumentParser) -> None:
    add_units(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="the exit status only")


def run(options: Namespace, wanted: tuple[str, ...], otherwise: int) -> int:
    """Print each unit's active state; 0 if one of them is a wanted one. Source: systemctl(1)."""
    target = f"/v1/units?{query(('unit', name) for name in options.units)}"
    units = connect(options).get(target)["units"]
    states = {unit["name"]: unit["active"] for unit in units}
    if options.json:
        render.print_json({"units": states})
    elif not options.quiet:
        print("\n".join(states.values()))
    return 0 if any(state in wanted for state in states.values()) else otherwise

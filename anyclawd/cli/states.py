"""What `is-active` and `is-failed` have in common."""

from argparse import ArgumentParser, Namespace

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.client.client import quote


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("units", nargs="+", metavar="UNIT")
    parser.add_argument("-q", "--quiet", action="store_true", help="the exit status only")


def run(options: Namespace, wanted: str, otherwise: int) -> int:
    """Print each unit's active state; 0 if one of them is the wanted one. Source: systemctl(1)."""
    client = connect(options)
    units = [client.get(f"/v1/units/{quote(name)}") for name in options.units]
    states = {unit["name"]: unit["active"] for unit in units}
    if options.json:
        render.print_json({"units": states})
    elif not options.quiet:
        print("\n".join(states.values()))
    return 0 if wanted in states.values() else otherwise

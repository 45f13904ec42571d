"""`explain UNIT...`: why a unit is in the state it is in, and what happens next."""

from argparse import ArgumentParser, Namespace

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.cli.render import clean
from anyclawd.client.client import quote


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("units", nargs="+", metavar="UNIT")


def run(options: Namespace) -> int:
    client = connect(options)
    told = [client.get(f"/v1/units/{quote(name)}/explain") for name in options.units]
    if options.json:
        render.print_json({"units": told})
    else:
        print("\n\n".join("\n".join(map(clean, unit["sentences"])) for unit in told))
    return 0

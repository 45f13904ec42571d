"""`cat UNIT...`: compiled settings as TOML, secrets left out."""

import sys
from argparse import ArgumentParser, Namespace

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.cli.units import add_units, names_of
from anyclawd.client.client import quote
from anyclawd.model.value import Json


def configure(parser: ArgumentParser) -> None:
    add_units(parser)


def run(options: Namespace) -> int:
    client = connect(options)
    units: Json = {}
    for name in names_of(client, options.units):
        units |= client.get(f"/v1/units/{quote(name)}/settings")["units"]
    if options.json:
        render.print_json({"units": units})
    else:
        import tomli_w

        sys.stdout.write(tomli_w.dumps(writable(units)))
    return 0


def writable(value: Json) -> Json:
    """The value without nulls and empty members, for which TOML has no spelling or no need."""
    if isinstance(value, dict):
        kept = {key: writable(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, "", [], {})}
    if isinstance(value, list):
        return [writable(item) for item in value if item is not None]
    return value

"""`show [UNIT...]`: everything known of units, or of the daemon, as `name=value` lines."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.cli.render import clean
from anyclawd.cli.units import add_units, names_of
from anyclawd.client.client import Client, quote
from anyclawd.model.value import Json

#: Lists of their own verbs: `logs`, `explain`, `list-units`.
_LEFT_OUT = ("log", "story", "units")


def configure(parser: ArgumentParser) -> None:
    add_units(parser, nargs="*")
    parser.add_argument(
        "-p", "--property", action="append", metavar="NAME", help="print this one only"
    )


def run(options: Namespace) -> int:
    client = connect(options)
    if options.units:
        shown = [everything(client, name) for name in names_of(client, options.units)]
    else:
        shown = [client.get("/v1/status")]
    if options.json:
        render.print_json({"units": shown} if options.units else shown[0])
    else:
        print("\n\n".join("\n".join(_lines(known, options.property)) for known in shown))
    return 0


def everything(client: Client, name: str) -> Json:
    """What runs and what was configured; where both have a name, what runs is meant."""
    settings = client.get(f"/v1/units/{quote(name)}/settings")["units"][name]
    running = client.get(f"/v1/units/{quote(name)}")
    if settings["health"] is not None:
        running["health_check"] = {**settings["health"], **running["health_check"]}
    return {**settings, **running}


def _lines(known: Json, properties: list[str] | None) -> Iterator[str]:
    for name, value in properties_of(known):
        if properties is None or name in properties or name.partition(".")[0] in properties:
            yield f"{name}={clean(value)}"


def properties_of(known: Json) -> Iterator[tuple[str, str]]:
    """(dotted name, value as text) pairs of what this verb shows."""
    for name, value in flattened(known):
        if name.partition(".")[0] not in _LEFT_OUT:
            yield name, value


def flattened(value: Json, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(dotted name, value as text) pairs; null and empty lists have an empty text."""
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, dict) and item:
            yield from flattened(item, f"{name}.")
        elif isinstance(item, list):
            yield name, " ".join(_as_text(part) for part in item)
        else:
            yield name, _as_text(item)


def _as_text(value: Json) -> str:
    if value is None or value == {}:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return _as_text(value["unit"]) if "unit" in value else str(value)
    return str(value)

"""`set-property [--runtime] UNIT KEY=VALUE...`: settings of a unit, put into a drop-in."""

import sys
from argparse import ArgumentParser, Namespace

from anyclawd.cli import dropin
from anyclawd.client.exchange import USAGE_ERROR, ClientError

#: Where the settings go; what is written by hand has names that come later, and wins.
_FILE = "50-set-property.yaml"
_HEADER = "# Written by 'anyclawctl set-property'.\n"


def configure(parser: ArgumentParser) -> None:
    dropin.configure(parser)
    parser.add_argument(
        "settings",
        nargs="+",
        metavar="KEY=VALUE",
        help="a setting such as backoff.max=1min; the value is YAML, and an empty one takes the "
        "setting out of the drop-in",
    )


def run(options: Namespace) -> int:
    """Status 1, and nothing changed, if the configuration could not be used then."""
    from anyclawd.compile.diagnose import Report
    from anyclawd.compile.dropin import with_settings

    wrong = [setting for setting in options.settings if "=" not in setting]
    if wrong:
        text = f"anyclawctl set-property: expected KEY=VALUE, found {wrong[0]!r}"
        print(text, file=sys.stderr)
        return USAGE_ERROR
    place = dropin.place_of(options)
    path = place.file(options.unit, _FILE)
    parted = (setting.partition("=") for setting in options.settings)
    pairs = [(key, value) for key, _, value in parted]

    def change(content: bytes) -> str:
        found = Report()
        text = with_settings(content, str(path), pairs, found)
        if found.has_errors:
            raise ClientError("nothing has changed", findings=tuple(map(str, found.findings())))
        return _HEADER + text if text else ""

    answer = dropin.put(place, path, change)
    return dropin.report(path, answer, options)

"""`analyze WHAT`: where the time of a boot went."""

import json
from argparse import ArgumentParser, Namespace

from anyclawd.cli import boots, output
from anyclawd.draw import timeline
from anyclawd.model.value import Json

_TEXTS = {
    "time": timeline.time_text,
    "blame": timeline.blame_text,
    "critical-chain": timeline.critical_chain_text,
}
_VALUES = {
    "time": timeline.time_values,
    "blame": timeline.blame_values,
    "critical-chain": timeline.critical_chain_values,
}
_WHATS = ("time", "blame", "critical-chain", "plot", "dump")


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", choices=_WHATS, default="time")
    boots.configure(parser)
    output.configure(parser)


def run(options: Namespace) -> int:
    output.write(options, _drawn(options, boots.record_of(options)))
    return 0


def _drawn(options: Namespace, record: Json) -> str:
    """The text, the JSON or the picture that is asked for."""
    boot = timeline.boot_of(record)
    match options.what:
        case "plot" if not options.json:
            from anyclawd.draw.plot import plot

            return plot(boot, f"boot of {boot.started_at}")
        case "plot" | "dump":
            return _json(timeline.dump_values(record))
        case what if options.json:
            return _json({what: _VALUES[what](boot)})
        case what:
            return _TEXTS[what](boot) + "\n"


def _json(value: Json) -> str:
    return json.dumps(value, indent=2) + "\n"

"""`analyze time|blame|critical-chain`: where the time of the boot went."""

from argparse import ArgumentParser, Namespace

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.draw import timeline

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


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", choices=tuple(_TEXTS), default="time")


def run(options: Namespace) -> int:
    boot = timeline.boot_of(connect(options).get("/v1/boot"))
    if options.json:
        render.print_json({options.what: _VALUES[options.what](boot)})
    else:
        print(_TEXTS[options.what](boot))
    return 0

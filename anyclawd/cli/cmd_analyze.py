"""`analyze WHAT`: where the time of a boot went, what is odd in a plan, what a boot would take."""

import json
from argparse import ArgumentParser, Namespace

from anyclawd.cli import boots, output, render
from anyclawd.client.exchange import USAGE_ERROR, ClientError
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
_BOOT = (*_TEXTS, "plot", "dump")
_WHATS = (*_BOOT, "boots", "verify", "simulate")

#: Options that mean something to some of these only.
_ONLY_FOR = {
    "boot": _BOOT,
    "state_dir": (*_BOOT, "boots", "simulate"),
    "form": ("simulate",),
    "assume": ("simulate",),
}
_SPELLED = {"boot": "boot", "state_dir": "state-dir", "form": "as", "assume": "assume"}


def configure(parser: ArgumentParser) -> None:
    parser.add_argument(
        "what", nargs="?", choices=_WHATS, default="time", help="what to tell; the default is time"
    )
    boots.configure(parser)
    output.configure(parser)
    parser.add_argument(
        "--as", choices=_BOOT, dest="form", help="for simulate: what to show of the predicted boot"
    )
    parser.add_argument(
        "--assume",
        type=float,
        metavar="SECONDS",
        help="for simulate: what a unit takes that no earlier boot tells of (0.1)",
    )


def run(options: Namespace) -> int:
    for name, whats in _ONLY_FOR.items():
        if getattr(options, name) is not None and options.what not in whats:
            text = f"--{_SPELLED[name]} says nothing to {options.what}; leave it out"
            raise ClientError(text, USAGE_ERROR)
    match options.what:
        case "verify":
            from anyclawd.cli import verify

            return verify.run(options)
        case "simulate":
            from anyclawd.cli import simulate

            predicted = simulate.predicted(options)
            if options.form is None:
                text = predicted.json() if options.json else render.clean(predicted.text())
            else:
                text = drawn(options.form, predicted.record, as_json=options.json)
        case "boots":
            rows = boots.rows_of(options)
            text = json.dumps({"boots": rows}, indent=2) + "\n"
            text = text if options.json else boots.rows_text(rows)
        case what:
            text = drawn(what, boots.record_of(options), as_json=options.json)
    output.write(options, text)
    return 0


def drawn(what: str, record: Json, *, as_json: bool) -> str:
    """The text, the JSON or the picture of a boot."""
    boot = timeline.boot_of(record)
    if what == "dump" or (what == "plot" and as_json):
        return json.dumps(timeline.dump_values(record), indent=2) + "\n"
    if what == "plot":
        from anyclawd.draw.plot import plot

        return plot(boot, f"boot of {timeline.moment(boot.started_at)}")
    if as_json:
        return json.dumps({what: _VALUES[what](boot)}, indent=2) + "\n"
    return render.clean(_TEXTS[what](boot)) + "\n"

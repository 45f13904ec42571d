"""`explain [--restart] UNIT...`: why a unit is in the state it is in, and what happens next."""

from argparse import ArgumentParser, Namespace

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.cli.render import clean, duration
from anyclawd.cli.units import add_units, names_of
from anyclawd.client.client import quote
from anyclawd.model.value import Json

_AT_LIMIT = {
    "cooldown": "it cools down for {}, then it is tried once",
    "fail": "it stays down until somebody starts it",
    "exit": "the daemon stops, with exit code 1",
}


def configure(parser: ArgumentParser) -> None:
    add_units(parser)
    parser.add_argument(
        "--restart",
        action="store_true",
        help="print when it would be restarted if it went on ending at once",
    )


def run(options: Namespace) -> int:
    client = connect(options)
    what = "schedule" if options.restart else "explain"
    told = [
        client.get(f"/v1/units/{quote(name)}/{what}") for name in names_of(client, options.units)
    ]
    if options.json:
        render.print_json({"units": told})
    else:
        lines = _schedule if options.restart else _sentences
        print("\n\n".join("\n".join(lines(unit)) for unit in told))
    return 0


def _sentences(unit: Json) -> list[str]:
    return [clean(sentence) for sentence in unit["sentences"]]


def _schedule(unit: Json) -> list[str]:
    """A line a restart, then what comes after the last one."""
    if unit["policy"] == "never":
        return [f"{unit['unit']}: it is not restarted by itself (restart: never)"]
    rows = [
        (str(number), duration(step["delay_s"]), duration(step["total_s"]), _next(step))
        for number, step in enumerate(unit["delays"], 1)
    ]
    more = f", up to {unit['jitter']:.0%} more at random" if unit["jitter"] else ""
    stable = duration(unit["stable_after_s"])
    return [
        f"{unit['unit']}: restart: {unit['policy']}{more}; anew after {stable} of running",
        *render.table(rows, ("RESTART", "DELAY", "TOTAL", "")),
        _end(unit),
    ]


def _next(step: Json) -> str:
    return "comes next" if step["is_next"] else ""


def _end(unit: Json) -> str:
    limit, left = unit["start_limit"], (unit["restarts"] or 0) - len(unit["delays"])
    if unit["restarts"] is None:
        every = duration(unit["delays"][-1]["delay_s"])
        return f"and so on, every {every}: its start limit is not reached"
    what = _AT_LIMIT[limit["on_limit"]].format(duration(limit["cooldown_s"]))
    after = f"and {left} more; the end after them" if left else "the next end"
    return (
        f"{after} is number {limit['burst']} within {duration(limit['interval_s'])}, "
        f"which is its start limit: {what}"
    )

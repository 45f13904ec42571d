"""What `start`, `stop`, `restart` and `reset-failed` have in common: jobs and their results."""

import sys
from argparse import ArgumentParser, Namespace

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.cli.render import clean
from anyclawd.model.value import Json

#: Verb to what a unit then is.
_DONE = {
    "start": "started",
    "stop": "stopped",
    "restart": "restarted",
    "reset-failed": "reset",
}

#: Results that leave a unit as it was asked to be.
_GOOD = ("done", "skipped")

MODES = ("replace", "fail", "ignore-dependencies")


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("units", nargs="+", metavar="UNIT")
    parser.add_argument("--no-block", action="store_true", help="do not wait for the results")
    parser.add_argument(
        "--job-mode",
        choices=MODES,
        default="replace",
        help="what happens to jobs that are queued already: replace them (the default), fail, or "
        "ignore-dependencies: touch the named units alone",
    )


def run(verb: str, options: Namespace) -> int:
    """Status 1 if a unit is not as it was asked to be."""
    body = {
        "verb": verb,
        "units": options.units,
        "mode": options.job_mode,
        "wait": not options.no_block,
    }
    answer = connect(options).post("/v1/jobs", body, waits=True)
    if options.json:
        render.print_json(answer)
    else:
        for row in answer["jobs"]:
            _report(verb, row)
    return 1 if any(row["result"] not in (*_GOOD, None) for row in answer["jobs"]) else 0


def _report(verb: str, row: Json) -> None:
    unit, result = row["unit"], row["result"]
    reason = f": {clean(row['reason'])}" if row["reason"] else ""
    if result is None:
        print(f"queued {row['type']} of {unit}")
    elif result == "done":
        print(f"{_DONE[verb]} {unit}")
    elif result in _GOOD:
        print(f"nothing to {verb} for {unit}{reason}")
    else:
        hint = f"see 'anyclawctl explain {unit}' and 'anyclawctl logs {unit}'"
        print(f"{unit}: {verb} {result}{reason}; {hint}", file=sys.stderr)

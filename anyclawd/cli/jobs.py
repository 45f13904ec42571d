"""What the verbs that ask for jobs have in common: the request, the waiting and the report."""

import sys
from argparse import ArgumentParser, Namespace

from anyclawd.cli import render, rest
from anyclawd.cli.daemon import connect
from anyclawd.cli.render import clean
from anyclawd.cli.span import duration
from anyclawd.cli.units import add_units
from anyclawd.client.exchange import FAILED, USAGE_ERROR
from anyclawd.model.value import Json

#: Verb to what a unit then is.
_DONE = {
    "start": "started",
    "stop": "stopped",
    "restart": "restarted",
    "try-restart": "restarted",
    "reload": "reloaded",
    "reset-failed": "reset",
}

#: Results that leave a unit as it was asked to be.
GOOD = ("done", "skipped")

MODES = ("replace", "fail", "ignore-dependencies")


def configure(parser: ArgumentParser) -> None:
    """The arguments of a verb that asks for jobs."""
    add_units(parser)
    configure_waiting(parser)


def configure_waiting(parser: ArgumentParser) -> None:
    parser.add_argument("--no-block", action="store_true", help="do not wait for the results")
    parser.add_argument(
        "--timeout",
        type=duration,
        metavar="DURATION",
        help="wait no longer than this, such as 90 or 1min30s; the jobs go on",
    )
    parser.add_argument(
        "--job-mode",
        choices=MODES,
        default="replace",
        help="what happens to jobs that are queued already: replace them (the default), fail, or "
        "ignore-dependencies: touch the named units alone",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the jobs that this would queue, and why"
    )


def configure_rest(parser: ArgumentParser) -> None:
    """For the verbs after which a unit runs."""
    parser.add_argument(
        "--wait",
        action="store_true",
        help="wait until the units have come to rest again; the worst result is the exit status",
    )


def run(verb: str, options: Namespace) -> int:
    """Status 1 if a unit is not as it was asked to be; with `--wait` the worst of the ends."""
    if contradicts_itself(verb, options):
        return USAGE_ERROR
    body = {
        "verb": verb,
        "units": options.units,
        "mode": options.job_mode,
        "dry_run": options.dry_run,
        "wait": _wait(options),
        "timeout_s": options.timeout,
    }
    answer = connect(options).post("/v1/jobs", body, waits=True)
    if options.json:
        render.print_json(answer)
    elif options.dry_run:
        _print_jobs(answer["jobs"])
    else:
        for row in answer["jobs"]:
            _report(verb, row, options)
    if options.dry_run or options.no_block:
        return 0
    return max(map(_status, answer["jobs"]), default=0)


def contradicts_itself(verb: str, options: Namespace) -> bool:
    """Whether the options say to wait and not to; stderr is told so."""
    waits = options.timeout is not None or getattr(options, "wait", False)
    if options.no_block and waits:
        text = "--no-block waits for nothing; leave out --wait and --timeout, or --no-block"
        print(f"anyclawctl {verb}: {text}", file=sys.stderr)
        return True
    return False


def _wait(options: Namespace) -> Json:
    if options.no_block:
        return False
    return "rest" if getattr(options, "wait", False) else True


def _status(row: Json) -> int:
    if row["result"] not in GOOD:
        return FAILED
    return rest.status(row["rest"]) if "rest" in row and row["result"] == "done" else 0


def _print_jobs(jobs: list[Json]) -> None:
    if not jobs:
        print("no jobs")
        return
    rows = [(job["unit"], job["type"], clean(job["reason"])) for job in jobs]
    print("\n".join(render.table(rows, ("UNIT", "TYPE", "BECAUSE"))))


def _report(verb: str, row: Json, options: Namespace) -> None:
    unit, result = row["unit"], row["result"]
    reason = f": {clean(row['reason'])}" if row["reason"] else ""
    if result is None and options.no_block:
        number = f" as job {row['id']}" if row["id"] is not None else ""
        print(f"queued {row['type']} of {unit}{number}")
    elif result is None:
        print(f"{unit}: {verb} has not ended in time and goes on; see list-jobs", file=sys.stderr)
    elif result == "done":
        print(f"{_DONE[verb]} {unit}")
        if "rest" in row:
            rest.report(row["rest"])
    elif result in GOOD:
        print(f"nothing to {verb} for {unit}{reason}")
    else:
        complain(row, verb)


def complain(row: Json, verb: str) -> None:
    """Say that a job has not come to what it was for, and where to look."""
    unit, reason = row["unit"], f": {clean(row['reason'])}" if row["reason"] else ""
    hint = f"see 'anyclawctl explain {unit}' and 'anyclawctl logs {unit}'"
    print(f"{unit}: {verb} {row['result']}{reason}; {hint}", file=sys.stderr)

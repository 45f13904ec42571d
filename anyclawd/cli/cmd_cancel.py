"""`cancel JOB...`: take back jobs that wait or run; what a running one has begun goes on."""

import sys
from argparse import ArgumentParser, Namespace

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.client.exchange import FAILED, NO_DAEMON, ClientError


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("jobs", nargs="+", type=int, metavar="JOB", help="its number in list-jobs")


def run(options: Namespace) -> int:
    """Status 1 if one of them is no job any more; the others are canceled all the same."""
    client = connect(options)
    canceled, status = [], 0
    for number in options.jobs:
        try:
            canceled.append(client.delete(f"/v1/jobs/{number}"))
        except ClientError as error:
            if error.exit_code == NO_DAEMON:
                raise
            print(f"anyclawctl: {error}", file=sys.stderr)
            status = FAILED
    if options.json:
        render.print_json({"jobs": canceled})
    else:
        for job in canceled:
            print(f"canceled {job['type']} of {job['unit']}")
    return status

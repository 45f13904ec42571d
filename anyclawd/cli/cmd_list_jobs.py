"""`list-jobs`: the jobs that wait or run, what they wait for, and what waits for them."""

from argparse import ArgumentParser, Namespace

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.cli.render import clean

_HEADINGS = ("ID", "UNIT", "TYPE", "STATE", "ORIGIN", "WAITS FOR", "BLOCKS")


def configure(parser: ArgumentParser) -> None:
    """No arguments of its own."""


def run(options: Namespace) -> int:
    answer = connect(options).get("/v1/jobs")
    if options.json:
        render.print_json(answer)
    elif not answer["jobs"]:
        print("no jobs")
    else:
        rows = [
            (
                str(job["id"]),
                job["unit"],
                job["type"],
                job["state"],
                clean(job["origin"]),
                ", ".join(job["waiting_for"]),
                ", ".join(job["blocks"]),
            )
            for job in answer["jobs"]
        ]
        print("\n".join(render.table(rows, _HEADINGS)))
    return 0

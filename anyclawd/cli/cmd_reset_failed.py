"""`reset-failed UNIT...`: done at once, and no job, so that there is nothing to wait for."""

from argparse import ArgumentParser, Namespace

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.cli.units import add_units


def configure(parser: ArgumentParser) -> None:
    add_units(parser)


def run(options: Namespace) -> int:
    body = {"verb": "reset-failed", "units": options.units}
    answer = connect(options).post("/v1/jobs", body)
    if options.json:
        render.print_json(answer)
    else:
        print("\n".join(f"reset {row['unit']}" for row in answer["jobs"]))
    return 0

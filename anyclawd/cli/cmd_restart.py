"""`restart UNIT...`."""

from argparse import Namespace

from anyclawd.cli import jobs

configure = jobs.configure


def run(options: Namespace) -> int:
    return jobs.run("restart", options)

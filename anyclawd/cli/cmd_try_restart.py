"""`try-restart UNIT...`: restart what is up, leave alone what is not."""

from argparse import Namespace

from anyclawd.cli import jobs

configure = jobs.configure


def run(options: Namespace) -> int:
    return jobs.run("try-restart", options)

"""`reload UNIT...`: let units take up what has changed for them, by their `exec_reload`."""

from argparse import Namespace

from anyclawd.cli import jobs

configure = jobs.configure


def run(options: Namespace) -> int:
    return jobs.run("reload", options)

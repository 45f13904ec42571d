"""`start UNIT...`."""

from argparse import ArgumentParser, Namespace

from anyclawd.cli import jobs


def configure(parser: ArgumentParser) -> None:
    jobs.configure(parser)
    jobs.configure_rest(parser)


def run(options: Namespace) -> int:
    return jobs.run("start", options)

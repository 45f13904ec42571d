"""`is-failed UNIT...`."""

from argparse import Namespace

from anyclawd.cli import states

NOT_FAILED = 1

configure = states.configure


def run(options: Namespace) -> int:
    return states.run(options, ("failed",), NOT_FAILED)

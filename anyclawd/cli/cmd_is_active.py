"""`is-active UNIT...`."""

from argparse import Namespace

from anyclawd.cli import states

NOT_ACTIVE = 3

configure = states.configure


def run(options: Namespace) -> int:
    return states.run(options, ("active", "reloading"), NOT_ACTIVE)

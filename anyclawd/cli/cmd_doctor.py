"""`doctor [--fix] [--offline]`: what is wrong with this installation, and what to do about it."""

import os
from argparse import ArgumentParser, Namespace


def configure(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--fix", action="store_true", help="put right what is safe to put right, and look again"
    )
    parser.add_argument("--offline", action="store_true", help="ask no daemon")
    parser.add_argument(
        "--state-dir", metavar="DIR", help="the daemon's state directory, where it is another one"
    )
    parser.add_argument(
        "--runtime-dir", metavar="DIR", help="the directory of its socket, where it is another one"
    )


def run(options: Namespace) -> int:
    """0 with nothing above a note, 5 with warnings only, 1 with an error."""
    from anyclawd.cli.doctor.visit import visit

    return visit(options, os.environ)

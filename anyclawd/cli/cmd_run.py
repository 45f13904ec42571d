"""`run [-c FILE]`: become the daemon, in the foreground."""

import os
from argparse import ArgumentParser, Namespace

from anyclawd.cli import places


def configure(parser: ArgumentParser) -> None:
    """No arguments of its own: the daemon has the global ones it needs."""


def run(options: Namespace) -> int:
    """Does not return: the daemon takes over this process, and its exit status is the result."""
    argv = places.daemon_argv()
    if options.config:
        argv += ["-c", options.config]
    os.execv(argv[0], argv)

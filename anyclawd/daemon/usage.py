"""The command line of `anyclawd` for people: help, version, and what is wrong with an argument."""

import argparse

from anyclawd import __version__


def parser() -> argparse.ArgumentParser:
    """The options that `stage0` understands; it takes the plain cases before this is imported."""
    made = argparse.ArgumentParser(
        prog="anyclawd",
        description="Supervisor and gateway for AI agents: runs the units of one anyclaw.yaml.",
        epilog="Talk to it with anyclawctl(1). Exit codes: 0 stopped, 1 failed, 2 usage, "
        "78 the configuration cannot be used.",
        allow_abbrev=False,
    )
    made.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        help="the configuration; else $ANYCLAW_CONFIG, ./anyclaw.yaml, /etc/anyclawd/anyclaw.yaml",
    )
    made.add_argument("--state-dir", metavar="DIR", help="what outlives a run; one daemon each")
    made.add_argument("--runtime-dir", metavar="DIR", help="where admin.sock is made")
    made.add_argument("--log-level", metavar="FILTER", help="overrides log_level, e.g. debug")
    made.add_argument("--version", action="version", version=f"anyclawd {__version__}")
    return made


def answer(arguments: list[str]) -> int:
    """Print what was asked for, or what is wrong; exits with 0 or 2 as argparse does."""
    made = parser()
    made.parse_args(arguments)
    made.error("an option needs a value that is not empty")

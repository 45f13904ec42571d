"""`schema`: the JSON Schema of `anyclaw.yaml`, for editors and other programs."""

from argparse import ArgumentParser, Namespace

from anyclawd.cli import render


def configure(parser: ArgumentParser) -> None:
    """No arguments of its own; the output is JSON with or without --json."""


def run(_options: Namespace) -> int:
    from anyclawd.compile.schema import anyclaw_schema

    render.print_json(anyclaw_schema())
    return 0

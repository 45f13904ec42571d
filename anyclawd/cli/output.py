"""Where a verb that draws puts its picture: stdout, or with -o a file that is written whole."""

import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", help="write to FILE, not to stdout")


def write(options: Namespace, text: str) -> None:
    """Raises OSError where the file cannot be written; what was there before is then untouched."""
    if not options.output or options.output == "-":
        sys.stdout.write(text)
        return
    target = Path(options.output)
    if target.exists() and not target.is_file():  # a pipe, or the null device
        target.write_text(text, "utf-8")
        return
    new = target.with_name(f".{target.name}.{os.getpid()}")
    with new.open("x", encoding="utf-8") as file:  # never through a link that is there already
        try:
            file.write(text)
            file.flush()
            new.replace(target)
        except OSError:
            new.unlink()
            raise

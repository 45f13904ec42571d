"""Where a verb that draws puts its picture: stdout, or with -o a file that is written whole."""

import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from anyclawd.client.exchange import ClientError


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", help="write to FILE, not to stdout")


def write(options: Namespace, text: str) -> None:
    """Raises ClientError where FILE cannot be written; what was there before is then untouched."""
    if not options.output or options.output == "-":
        sys.stdout.write(text)
        return
    try:
        _replace(Path(options.output), text)
    except OSError as error:
        raise ClientError(f"cannot write {options.output!r}: {error.strerror}") from error


def _replace(target: Path, text: str) -> None:
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

"""Where a verb that draws puts its picture: stdout, or with -o a file that is written whole."""

import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from anyclawd.client.exchange import ClientError, utf8


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


def write_private(options: Namespace, text: str, *, replaces: bool) -> None:
    """As `write`, for what is private: FILE is for its owner alone, and there was none before.

    With `replaces` there may have been one.
    """
    if not options.output or options.output == "-":
        sys.stdout.write(text)
        return
    try:
        _put(options.output, utf8(text), replaces=replaces)
    except FileExistsError:
        raise ClientError(f"{options.output!r} exists; --force replaces it") from None
    except OSError as error:
        raise ClientError(f"cannot write {options.output!r}: {error.strerror}") from error


def _put(target: str, data: bytes, *, replaces: bool) -> None:
    new = Path(target).with_name(f".{Path(target).name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        (os.replace if replaces else os.link)(new, target)  # a link is made or fails, at once
    finally:
        new.unlink(missing_ok=True)


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

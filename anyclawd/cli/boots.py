"""Which boot a verb is about: of the daemon, or without one of those its state directory keeps."""

import os
import sys
from argparse import ArgumentParser, Namespace

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.client import boots as files
from anyclawd.client.exchange import NO_DAEMON, USAGE_ERROR, ClientError
from anyclawd.model.value import Json


def configure(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--boot",
        type=int,
        metavar="N",
        help="0 is this boot (without a daemon the last one), -1 the one before it",
    )
    parser.add_argument(
        "--state-dir", metavar="DIR", help="read the boots that are kept in DIR, and ask no daemon"
    )


def record_of(options: Namespace) -> Json:
    """The record of the boot that the options name.

    Raises ClientError where there is none, and the daemon's absence where nothing is kept either.
    """
    offset = options.boot or 0
    if offset > 0:
        raise ClientError("a boot is 0, -1, -2 and so on; see 'analyze --help'", USAGE_ERROR)
    if options.state_dir:
        return _kept_record(options, offset, ClientError(f"no boot is kept in {options.state_dir}"))
    try:
        return connect(options).get(f"/v1/boot?boot={offset}")
    except ClientError as error:
        if error.exit_code != NO_DAEMON or options.socket:
            raise
        return _kept_record(options, offset, error)


def _kept_record(options: Namespace, offset: int, none_is_kept: ClientError) -> Json:
    records = kept(options)
    if not records:
        raise none_is_kept
    if -offset >= len(records):
        earliest = 1 - len(records)
        raise ClientError(f"no boot {offset} is kept; the earliest one is {earliest}")
    return records[-offset]


def rows_of(options: Namespace) -> list[Json]:
    """A line for each boot there is to tell of, the latest first; as `GET /v1/boots` has them."""
    if not options.state_dir:
        try:
            answer = connect(options).get("/v1/boots")
        except ClientError as error:
            if error.exit_code != NO_DAEMON or options.socket:
                raise
        else:
            for note in answer["notes"]:
                print(f"anyclawctl: {note}", file=sys.stderr)
            rows: list[Json] = answer["boots"]
            return rows
    return [files.row(-index, record) for index, record in enumerate(kept(options))]


def rows_text(rows: list[Json]) -> str:
    """A table of boots, one a line."""
    cells = [
        (
            str(row["boot"]),
            row["started_at"],
            "goes on" if row["settled_s"] is None else render.duration(row["settled_s"]),
            str(row["units"]),
            str(row["failed_units"]),
            render.clean(row["failure"] or row["state"]),
        )
        for row in rows
    ]
    headings = ("BOOT", "STARTED", "SETTLED IN", "UNITS", "FAILED", "")
    return "\n".join(render.table(cells, headings)) + "\n"


def kept(options: Namespace) -> list[Json]:
    """The records in the state directory, newest first; what cannot be read is said on stderr."""
    state_dir = files.find_state_dir(options.state_dir, os.environ)
    if options.state_dir and not os.path.isdir(state_dir):  # noqa: PTH112 - quick to import
        raise ClientError(f"no state directory {state_dir!r}; name one that a daemon has used")
    records, notes = files.kept(state_dir)
    if records and not options.state_dir:
        notes = [f"no daemon answers; this is of the boots that are kept in {state_dir}", *notes]
    for note in notes:
        print(f"anyclawctl: {note}", file=sys.stderr)
    return records

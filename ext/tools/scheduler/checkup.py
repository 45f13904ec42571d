"""What the scheduler needs of the world: a place for its tasks, and time zones; changes nothing."""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from options import options_of
from store import FILE, VERSION
from zone import ZoneError, zone_of

from anyclaw_sdk.check import CheckFinding, CheckRequest

#: Any zone but UTC, which needs no data.
_ANY_ZONE = "Europe/Berlin"
_BUSY_S = 2.0


def checked(
    request: CheckRequest, directory: Path, environ: Mapping[str, str]
) -> Iterator[CheckFinding]:
    """Raises RpcError for an option that cannot be used."""
    options = options_of(request.options.get, environ)
    try:
        zone_of(_ANY_ZONE)
    except ZoneError:
        yield CheckFinding.error("there are no time zones on this machine", "install tzdata")
    else:
        yield CheckFinding.ok(f"times are those of {options.zone.key}")
    if request.is_running:  # and has the file to itself
        yield CheckFinding.ok(f"tasks are kept in {directory / FILE}")
    else:
        yield _kept(directory / FILE)


def _kept(path: Path) -> CheckFinding:
    if not os.access(path, os.F_OK):
        return _new(path)
    if not os.access(path, os.R_OK | os.W_OK):
        return CheckFinding.error(f"{path} cannot be written to", "give it to the unit's user")
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            count = connection.execute("SELECT count(*) FROM task").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.Error as error:
        return _unread(path, error)
    if version > VERSION:
        text = f"{path} is of version {version}, and this program knows those up to {VERSION}"
        return CheckFinding.error(text, "run the version that wrote it")
    if said != "ok":
        return CheckFinding.error(f"{path} is damaged: {said}", "restore it, or move it away")
    return CheckFinding.ok(f"{count} task{'' if count == 1 else 's'} in {path}")


def _new(path: Path) -> CheckFinding:
    place = path.parent
    while not os.access(place, os.F_OK) and place != place.parent:
        place = place.parent
    if not os.access(place, os.W_OK | os.X_OK):
        text = f"{place} cannot be written to, and tasks are to be kept in {path}"
        return CheckFinding.error(text, "set state_directory: true on the unit")
    return CheckFinding.ok(f"no task yet; they will be kept in {path}")


def _unread(path: Path, error: sqlite3.Error) -> CheckFinding:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return CheckFinding.note(f"{path} is being used, and was not looked into")
    return CheckFinding.error(f"{path} cannot be read: {error}", "restore it, or move it away")

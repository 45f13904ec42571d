"""Time zones by name, and the one that this machine is in."""

import os
from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LOCALTIME = Path("/etc/localtime")
UTC_NAME = "UTC"


class ZoneError(ValueError):
    """There is no such time zone here."""


def zone_of(name: str) -> ZoneInfo:
    """Raises ZoneError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        text = f"no time zone {name!r:.80}, expected a name such as Europe/Berlin or UTC"
        raise ZoneError(text) from error


def local_zone(environ: Mapping[str, str], localtime: Path = LOCALTIME) -> ZoneInfo:
    """The zone of `TZ`, else the one that the machine is set to, else UTC."""
    linked = os.path.realpath(localtime).partition("/zoneinfo/")[2]
    for name in (environ.get("TZ", "").removeprefix(":"), linked):
        try:
            return zone_of(name)
        except ZoneError:
            continue  # a rule instead of a name, a path, or nothing: the next one decides
    return zone_of(UTC_NAME)

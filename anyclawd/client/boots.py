"""The boots that are kept in a state directory, read without a daemon.

Each is a file `boots/<number>.json` of one JSON value, the record of `GET /v1/boot`; numbers only
grow. The daemon writes them (`anyclawd.daemon.boots`), whole or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

TYPE_CHECKING = False  # typing itself costs 2 ms of import
if TYPE_CHECKING:
    from anyclawd.model.value import Json

#: Below the state directory.
DIRECTORY = "boots"

#: What every record has; a file without it is no record.
_KEYS = ("state", "started_at", "settled_s", "failure", "units")
_INSTANTS = ("queued_s", "unblocked_s", "spawned_s", "ready_s", "settled_s")


def find_state_dir(given: str | None, environ: Mapping[str, str]) -> str:
    """Where the daemon of this user keeps its state, unless it was told another place."""
    if given or environ.get("STATE_DIRECTORY"):
        return given or environ["STATE_DIRECTORY"].partition(":")[0]
    if os.geteuid() == 0:
        return "/var/lib/anyclawd"
    base = environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")  # noqa: PTH111 - quick to import
    return f"{base}/anyclawd"


def numbers(state_dir: str) -> list[int]:
    """The numbers of the boots that are kept, oldest first."""
    try:
        names = os.listdir(f"{state_dir}/{DIRECTORY}")  # noqa: PTH208 - quick to import
    except (FileNotFoundError, NotADirectoryError):
        return []
    stems = (name.removesuffix(".json") for name in names if name.endswith(".json"))
    return sorted(int(stem) for stem in stems if stem.isascii() and stem.isdecimal())


def path_of(state_dir: str, number: int) -> str:
    return f"{state_dir}/{DIRECTORY}/{number:06}.json"


def kept(state_dir: str) -> tuple[list[Json], list[str]]:
    """All records, newest first, and a note on each file that holds none.

    Raises OSError where the directory cannot be read.
    """
    records, notes = [], []
    for number in reversed(numbers(state_dir)):
        path = path_of(state_dir, number)
        try:
            records.append(read(path))
        except FileNotFoundError:
            continue  # it made room for a newer one meanwhile
        except (OSError, ValueError) as error:
            notes.append(f"{path} holds no boot: {error}; it is left out")
    return records, notes


def row(offset: int, record: Json) -> Json:
    """What a list of boots says of one."""
    units = record["units"]
    return {
        "boot": offset,
        "started_at": record["started_at"],
        "settled_s": record["settled_s"],
        "state": record["state"],
        "failure": record["failure"],
        "units": len(units),
        "failed_units": sum(unit["result"] not in (None, "done", "skipped") for unit in units),
    }


def read(path: str) -> Json:
    """One record. Raises OSError, and ValueError saying what is wrong with the file."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - quick to import
        try:
            record = json.load(file)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        except ValueError as error:
            raise ValueError("it is no JSON") from error
    if not isinstance(record, dict) or not all(key in record for key in _KEYS):
        raise ValueError("it is no record of a boot")
    if not _is_instant(record["settled_s"]) or not isinstance(record["units"], list):
        raise ValueError("it is no record of a boot")
    for unit in record["units"]:
        _check(unit)
    return record


def _check(unit: Json) -> None:
    """Raises ValueError where it is no row of a record."""
    texts = ("name", "kind", "reason")
    if not (
        isinstance(unit, dict)
        and all(isinstance(unit.get(key), str) for key in texts)
        and all(key in unit and _is_instant(unit[key]) for key in _INSTANTS)
        and isinstance(unit.get("result", ""), str | None)
        and isinstance(unit.get("after"), list)
        and all(isinstance(name, str) for name in unit["after"])
    ):
        raise ValueError("one of its units is no unit of a boot")


def _is_instant(value: Json) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))

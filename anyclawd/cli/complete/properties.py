"""What `set-property` takes: settings by the kind of their unit, and their values.

They are read off the JSON Schema that is installed: the table that it is made of takes longer to
import than a shell may wait.
"""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False  # typing itself costs 2 ms of import
if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyclawd.model.value import Json

#: Where `schema/` is: in a checkout, or where a wheel or a distribution puts it.
_PLACES = (
    os.path.abspath(f"{__file__}/../../../.."),  # noqa: PTH100 - quick to import
    *(f"{prefix}/share/anyclawd" for prefix in (sys.prefix, "/usr/local", "/usr")),
)


def candidates(unit: str, last: str) -> Iterator[tuple[str, str]]:
    """`KEY=` for each setting that a unit can have, or `KEY=VALUE` for the key that is begun."""
    defs = _definitions()
    table = defs.get(f"{unit.rpartition('.')[2]}_unit")
    if table is None:
        return
    key, is_given, _ = last.partition("=")
    for name, setting in _settings(table, defs, ""):
        if not is_given:
            yield f"{name}=", setting.get("description", "")
        elif name == key:
            yield from ((f"{name}={value}", "") for value in _values(setting, defs))


def _definitions() -> Json:
    for place in _PLACES:
        try:
            with open(f"{place}/schema/anyclaw.schema.json", encoding="utf-8") as file:  # noqa: PTH123 - quick to import
                return json.load(file)["$defs"]
        except OSError:
            continue
    return {}


def _settings(table: Json, defs: Json, prefix: str) -> Iterator[tuple[str, Json]]:
    """(dotted name, what it can be) pairs; of what has several forms, those of all of them."""
    for key, row in table["properties"].items():
        name, setting = f"{prefix}{key}", _resolved(row, defs)
        inner: dict[str, Json] = {}
        for form in _forms(setting, defs):
            if "properties" in form:
                inner |= dict(_settings(form, defs, f"{name}."))
        if inner:
            yield from inner.items()
        else:
            yield name, setting


def _values(setting: Json, defs: Json) -> Iterator[str]:
    for form in _forms(setting, defs):
        yield from (str(word) for word in form.get("enum", ()) if word)
        if form.get("type") == "boolean":
            yield from ("true", "false")


def _forms(setting: Json, defs: Json) -> Iterator[Json]:
    yield from (_resolved(form, defs) for form in setting.get("anyOf", [setting]))


def _resolved(row: Json, defs: Json) -> Json:
    while "$ref" in row:
        row = defs[row["$ref"].rpartition("/")[2]]
    return row

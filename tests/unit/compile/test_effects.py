"""What a change means: the table of settings and the table of a plan's fields say the same."""

import dataclasses
import typing
from collections.abc import Iterator, Mapping

import pytest

from anyclawd.compile.kinds import Setting, Switched, Table, Tagged
from anyclawd.compile.settings import ANYCLAW, UNIT
from anyclawd.model.deps import Relation
from anyclawd.model.difference import SETTINGS_ROWS, UNIT_ROWS, Effect, Row, row_of
from anyclawd.model.plan import Settings
from anyclawd.model.unit import Unit

#: Fields of a unit that nobody writes, or whose changes are told in another way.
_ABOUT_ITSELF = {"name", "kind", "span", "hidden", "deps"}
#: Told as a whole, since it is compared as a whole.
_WHOLE = {"condition"}
#: Made of other settings, or settings of which nothing is left in a unit.
_MADE = {"problem", "options.ack"}
_USED_UP = {"enabled", "options_schema", "instances", *(relation.value for relation in Relation)}


def written(rows: Mapping[str, Setting], prefix: str = "") -> Iterator[tuple[str, Effect]]:
    """Every key that a user can write, with its effect."""
    for name, row in rows.items():
        key = f"{prefix}{name}"
        match row.kind:
            case Table(settings=inner) | Switched(table=Table(settings=inner)) if key not in _WHOLE:
                yield from written(inner, f"{key}.")
            case Tagged(variants=variants):
                for table in variants.values():
                    yield from written(table.settings, f"{key}.")
            case _:
                yield key, row.effect


def fields_of(cls: type, prefix: str = "") -> Iterator[str]:
    """The path of every field, those of values inside included."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        path = f"{prefix}{field.name}"
        hint = hints[field.name]
        found = [hint, *typing.get_args(hint)] if typing.get_origin(hint) is not tuple else []
        inner = [one for one in found if dataclasses.is_dataclass(one)]
        if inner and path not in _WHOLE and path != "channel.ack":
            assert isinstance(inner[0], type)
            yield from fields_of(inner[0], f"{path}.")
        else:
            yield path


WRITTEN = dict(written(UNIT))
SETTINGS_WRITTEN = {
    **{name: setting.effect for name, setting in ANYCLAW.settings.items()},
    **dict(written(ANYCLAW.settings)),
}
FIELDS = [path for path in fields_of(Unit) if path.partition(".")[0] not in _ABOUT_ITSELF]
ROWS = {path: row_of(path, UNIT_ROWS) for path in FIELDS}


@pytest.mark.parametrize(("path", "row"), ROWS.items(), ids=ROWS)
def test_a_field_is_told_by_a_key_that_can_be_written(path: str, row: Row) -> None:
    if row.key not in _MADE:
        assert WRITTEN[row.key] is row.effect, path


def test_every_key_is_told() -> None:
    assert WRITTEN.keys() - {row.key for row in ROWS.values()} == _USED_UP


def test_a_key_has_one_effect() -> None:
    assert len(set(written(UNIT))) == len(WRITTEN)


@pytest.mark.parametrize(("name", "row"), SETTINGS_ROWS.items(), ids=SETTINGS_ROWS)
def test_a_setting_of_the_daemon_has_its_effect(name: str, row: Row) -> None:
    assert name in {*fields_of(Settings), *(one.name for one in dataclasses.fields(Settings))}
    assert SETTINGS_WRITTEN[row.key] is row.effect

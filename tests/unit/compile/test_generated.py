"""What is generated from the table of settings is committed as the table would generate it."""

import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from anyclawd.compile import reference, unit_reference
from anyclawd.compile.schema import anyclaw_schema, as_text, unit_schema
from anyclawd.compile.settings import UNIT
from tests.unit.compile.conftest import Compile, lines

ROOT = Path(__file__).resolve().parent.parent.parent.parent
SCHEMAS = {"anyclaw": anyclaw_schema, "unit": unit_schema}
PAGES = {
    "configuration.md": ("reference", reference.page),
    "units.md": ("unit_reference", unit_reference.page),
}
EXAMPLES = re.findall(
    r"^```yaml\n(.*?)^```", reference.page() + unit_reference.page(), re.DOTALL | re.MULTILINE
)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_committed_schema_is_what_the_table_says(name: str) -> None:
    committed = (ROOT / "schema" / f"{name}.schema.json").read_text(encoding="utf-8")
    hint = f"run: python -m anyclawd.compile.schema {name} > schema/{name}.schema.json"
    assert committed == as_text(SCHEMAS[name]()), hint


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_page_is_what_the_table_says(name: str) -> None:
    module, page = PAGES[name]
    committed = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    hint = f"run: python -m anyclawd.compile.{module} > docs/reference/{name}"
    assert committed == page(), hint


def test_the_page_of_units_has_every_setting() -> None:
    rows = [line for line in unit_reference.page().splitlines() if line.startswith("| `")]
    assert [name for name in UNIT if not any(row.startswith(f"| `{name}` |") for row in rows)] == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_a_page_compiles(compile_text: Compile, example: str) -> None:
    outcome = compile_text(example)
    assert lines(outcome) == []
    assert outcome.plan is not None
    assert all(unit.problem == "" for unit in outcome.plan.units.values())


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name]())
    Draft202012Validator.check_schema(SCHEMAS[name](env=False))


def test_an_editor_may_write_a_variable_where_a_scalar_stands() -> None:
    document = {
        "log_format": "LOG_FORMAT:json",
        "supervisor": {"admin_port": "PORT"},
        "channels_manager": {"channels": {"t": {"binary": "x", "enabled": "TELEGRAM_ENABLED"}}},
    }
    assert list(Draft202012Validator(anyclaw_schema()).iter_errors(document)) == []
    assert len(list(Draft202012Validator(anyclaw_schema(env=False)).iter_errors(document))) == 3

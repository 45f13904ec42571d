"""What is generated from the table of settings is committed as the table would generate it."""

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from anyclawd.compile.reference import page
from anyclawd.compile.schema import anyclaw_schema, as_text, unit_schema

ROOT = Path(__file__).resolve().parent.parent.parent.parent
SCHEMAS = {"anyclaw": anyclaw_schema, "unit": unit_schema}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_committed_schema_is_what_the_table_says(name: str) -> None:
    committed = (ROOT / "schema" / f"{name}.schema.json").read_text(encoding="utf-8")
    hint = f"run: python -m anyclawd.compile.schema {name} > schema/{name}.schema.json"
    assert committed == as_text(SCHEMAS[name]()), hint


def test_the_reference_page_is_what_the_table_says() -> None:
    committed = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    hint = "run: python -m anyclawd.compile.reference > docs/reference/configuration.md"
    assert committed == page(), hint


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

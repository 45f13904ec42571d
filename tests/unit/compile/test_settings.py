"""The table itself: complete, consistent, and fit to be read by people."""

from collections.abc import Iterator

import pytest

from anyclawd.compile.diagnose import Report
from anyclawd.compile.kinds import (
    Duration,
    Flag,
    ListOf,
    MapOf,
    Setting,
    Size,
    Switched,
    Table,
    Tagged,
    ValueKind,
    Whole,
)
from anyclawd.compile.origin import Shown
from anyclawd.compile.read import Reader
from anyclawd.compile.settings import ANYCLAW, UNIT
from anyclawd.compile.tree import Node, resolve
from anyclawd.model.deps import Relation

EVERY_SETTING = {
    "exec", "enabled", "required", "protocol", "readiness", "health", "watchdog", "restart",
    "backoff", "start_limit", "exit_codes", "timeouts", "resources", "environment",
    "pass_environment", "working_dir", "user", "stdout_line_max", "stderr_rate", "options",
    "options_schema", "description", "agent", "tools", "prompt_idle_timeout", "exec_start_pre",
    "exec_start_post", "exec_reload", "exec_stop_post", "condition", "isolate", "instances",
    "queue", "recovery", "delivery_ttl", "rate_limits", "fs", "terminal", "history_replay",
    "hooks", "min_workers", "max_workers", "worker_idle", "mcp_era", "trusted", "call_timeout",
    "tool_access", "services", "state_directory", "check",
    *(relation.value for relation in Relation),
}  # fmt: skip


def rows_of(kind: ValueKind) -> Iterator[Setting]:
    match kind:
        case Table(settings=settings):
            for row in settings.values():
                yield row
                yield from rows_of(row.kind)
        case Tagged(variants=variants):
            for table in variants.values():
                yield from rows_of(table)
        case Switched(table=table):
            yield from rows_of(table)
        case MapOf(entry=entry):
            yield from rows_of(entry)
        case ListOf(item=item):
            yield from rows_of(item)


ROWS = [*rows_of(ANYCLAW), *rows_of(Table(name="unit", settings=UNIT))]


def test_the_table_has_every_setting_of_a_unit() -> None:
    assert set(UNIT) == EVERY_SETTING


@pytest.mark.parametrize("row", {row.name: row for row in ROWS}.values(), ids=lambda row: row.name)
def test_a_row_is_documented_in_one_sentence(row: Setting) -> None:
    assert row.doc.endswith(".")
    assert row.doc[0].isupper() or row.doc[0] == "`"


@pytest.mark.parametrize(
    "row",
    [
        row
        for row in ROWS
        if isinstance(row.kind, Duration | Flag | Size | Whole) and " " not in row.default
        if row.default
    ],
    ids=lambda row: f"{row.name}={row.default}",
)
def test_a_default_is_a_value_of_its_kind(row: Setting) -> None:
    report = Report()
    Reader(report, Shown()).read(Node(resolve(row.default), "f", 1, 1), row.kind, row.name)
    assert report.findings() == ()

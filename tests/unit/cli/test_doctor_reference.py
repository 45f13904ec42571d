"""docs/reference/doctor.md has the table of checks as it is, and every check can be performed."""

from pathlib import Path

from anyclawd.cli.doctor.checks import CHECKS, Check
from anyclawd.cli.doctor.examine import EXAMINATIONS

PAGE = (Path(__file__).parents[3] / "docs/reference/doctor.md").read_text("utf-8")


def row(check: Check) -> str:
    return f"| `{check.name}` | {check.when} | {check.asks} | {check.fixes} |"


def test_the_page_has_the_table_of_checks() -> None:
    section = PAGE.partition("## Checks")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [row(check) for check in CHECKS]


def test_every_check_has_an_examination() -> None:
    assert list(EXAMINATIONS) == [check.name for check in CHECKS]

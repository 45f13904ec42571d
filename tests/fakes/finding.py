"""Findings of the doctor as lines, for tables of tests."""

from collections.abc import Iterable

from anyclawd.cli.doctor.finding import Finding


def told(findings: Iterable[Finding]) -> list[str]:
    """`severity subject: text`, and behind an arrow what `--fix` would do."""
    return [
        f"{one.severity} {f'{one.subject}: ' if one.subject else ''}{one.text}"
        + (f" -> {one.fix}" if one.fix is not None else "")
        for one in findings
    ]

"""Prints what was found out, beside what holds."""

import pytest


def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter") -> None:
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for key, found in report.user_properties:
                terminalreporter.write_line(
                    f"{report.nodeid.rpartition('::')[2]}: {key}: {found!s:.600}"
                )

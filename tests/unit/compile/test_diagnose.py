from anyclawd.compile.diagnose import MOST_SHOWN, Report, quote
from anyclawd.model.errors import Severity
from anyclawd.model.span import Span


def at(line: int) -> Span:
    return Span("f", line, 1)


def test_findings_come_in_the_order_of_the_file() -> None:
    report = Report()
    report.error(at(3), "c", "third")
    report.warning(at(1), "a", "first")
    report.error(at(2), "b", "second")
    assert [finding.text for finding in report.findings()] == ["first", "second", "third"]
    assert report.has_errors


def test_the_same_finding_is_told_once() -> None:
    report = Report()
    report.error(at(1), "a", "twice")
    report.error(at(1), "a", "twice")
    assert len(report.findings()) == 1


def test_a_warning_is_no_error() -> None:
    report = Report()
    report.warning(at(1), "a", "well")
    assert not report.has_errors


def test_errors_go_before_warnings_where_not_all_can_be_shown() -> None:
    report = Report()
    for line in range(1, MOST_SHOWN + 1):
        report.warning(at(line), "w", "warned")
    report.error(at(500), "e", "wrong")
    report.error(at(501), "e", "wrong")
    findings = report.findings()
    shown = findings[:-1]
    assert len(shown) == MOST_SHOWN
    assert [f.span.line for f in shown if f.severity is Severity.ERROR] == [500, 501]
    assert str(findings[-1]) == "f: warning: 2 more findings are not shown; correct these first"


def test_long_input_is_shortened() -> None:
    assert quote("x" * 1000) == repr("x" * 57 + "...")

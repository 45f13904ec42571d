"""`validate [--strict] [FILE]`: check a configuration, and the machine it meets, offline."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from anyclawd.cli import render
from anyclawd.model.errors import Finding, Severity
from anyclawd.model.value import Json


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", metavar="FILE", help="the same as -c FILE")
    parser.add_argument("--strict", action="store_true", help="unknown keys are errors")


def run(options: Namespace) -> int:
    """Status 1 for a configuration that cannot be used; what is wrong with it is on stderr."""
    from anyclawd.cli.offline import findings_of

    options.config = options.file or options.config
    path, findings = findings_of(options, strict=options.strict)
    good = all(finding.severity is not Severity.ERROR for finding in findings)
    if options.json:
        render.print_json({"valid": good, "config": path, "findings": [*map(_plain, findings)]})
        return 0 if good else 1
    _print(findings)
    if good:
        print(f"✓ Configuration valid: {path}")
    return 0 if good else 1


def _print(findings: Sequence[Finding]) -> None:
    paint = render.Paint(sys.stderr)
    for finding in findings:
        colour = "red" if finding.severity is Severity.ERROR else "yellow"
        print(paint(render.clean(str(finding)), colour), file=sys.stderr)


def _plain(finding: Finding) -> Json:
    return {
        "file": finding.span.file,
        "line": finding.span.line,
        "column": finding.span.column,
        "severity": str(finding.severity),
        "scope": str(finding.scope),
        "key": finding.key,
        "text": finding.text,
        "hint": finding.hint,
    }

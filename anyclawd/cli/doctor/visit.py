"""One run of `doctor`: check after check, told as it goes, put right where that is wanted."""

import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping

from anyclawd.cli import render
from anyclawd.cli.doctor.checks import CHECKS, Check
from anyclawd.cli.doctor.examine import examine, is_due
from anyclawd.cli.doctor.finding import Finding, Severity, exit_status, worst
from anyclawd.cli.doctor.fix import NotFixed, perform
from anyclawd.cli.doctor.scene import Scene, scene_of
from anyclawd.model.value import Json

_MARKS = {
    Severity.OK: ("✓", "green"),
    Severity.NOTE: ("·", "cyan"),
    Severity.WARNING: ("!", "yellow"),
    Severity.ERROR: ("✗", "red"),
}
_WIDTH = max(len(check.name) for check in CHECKS)
_INDENT = " " * (_WIDTH + 4)


def visit(options: Namespace, environ: Mapping[str, str]) -> int:
    """Perform every check that is due; the exit status is that of the worst finding left."""
    scene = scene_of(options, environ)
    tell = _Silent() if options.json else _Teller()
    told: list[tuple[Check, Finding]] = []
    done: list[Json] = []
    for check in CHECKS:
        if not is_due(check, scene):
            continue
        if options.fix and check.fixes and (repaired := _put_right(examine(check, scene), tell)):
            done += repaired
        tell.begin(check)
        for found in examine(check, scene):
            tell.finding(found)
            told.append((check, found))
    findings = [one for _, one in told]
    status = exit_status(worst(findings))
    if options.json:
        render.print_json(_plain(scene, told, done))
    else:
        print(_summary(findings, is_fixing=options.fix))
    return status


class _Teller:
    """Prints what is found, when it is found."""

    def __init__(self) -> None:
        self._paint = render.Paint(sys.stdout)
        self._name = ""

    def begin(self, check: Check) -> None:
        """What is told from now on is of this check."""
        self._name = check.name

    def finding(self, one: Finding) -> None:
        sign, colour = _MARKS[one.severity]
        place = f"{one.subject}: " if one.subject else ""
        line = f"{self._paint(sign, colour)} {self._name.ljust(_WIDTH)}  "
        print(line + render.clean(f"{place}{one.text}"))
        if one.remedy:
            print(self._paint(f"{_INDENT}-> {render.clean(one.remedy)}", "dim"))
        self._name = ""
        sys.stdout.flush()

    def repair(self, text: str, failure: str) -> None:
        sign = self._paint("+", "yellow" if failure else "green")
        outcome = f"not done: {text}: {failure}" if failure else f"done: {text}"
        print(f"{sign} {'fix'.ljust(_WIDTH)}  {render.clean(outcome)}")


class _Silent:
    """Tells nothing before the end."""

    def begin(self, check: Check) -> None:
        """It is all in the JSON."""

    def finding(self, one: Finding) -> None:
        """It is all in the JSON."""

    def repair(self, text: str, failure: str) -> None:
        """It is all in the JSON."""


def _put_right(found: Iterable[Finding], tell: _Teller | _Silent) -> list[Json]:
    """Do what is safe, and tell each step, also one that could not be done."""
    steps: list[Json] = []
    for fix in dict.fromkeys(one.fix for one in found if one.fix is not None):
        failure = ""
        try:
            perform(fix)
        except NotFixed as error:
            failure = str(error)
        except OSError as error:
            failure = (error.strerror or str(error)).lower()
        tell.repair(str(fix), failure)
        steps.append({"fix": str(fix), "done": not failure, "failure": failure})
    return steps


def _plain(scene: Scene, told: list[tuple[Check, Finding]], done: list[Json]) -> Json:
    return {
        "online": scene.online is not None,
        "config": scene.config,
        "socket": scene.socket,
        "state_dir": scene.state_dir,
        "runtime_dir": scene.runtime_dir,
        "worst": worst(one for _, one in told).value,
        "findings": [one.plain(check.name) for check, one in told],
        "fixes": done,
    }


def _summary(findings: list[Finding], *, is_fixing: bool) -> str:
    count = {
        severity: sum(one.severity is severity for one in findings)
        for severity in (Severity.ERROR, Severity.WARNING, Severity.NOTE)
    }
    told = [
        f"{number} {severity}{'' if number == 1 else 's'}"
        for severity, number in count.items()
        if number
    ]
    text = ", ".join(told) or "nothing is wrong"
    fixable = sum(one.fix is not None for one in findings)
    if fixable and not is_fixing:
        text += f"; --fix puts {fixable} of them right"
    return f"\n{text}"

"""What extensions say of themselves by their checks."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from anyclawd.cli.doctor.finding import Finding, Severity, error, note, ok


class Said(NamedTuple):
    """One line of a check, as far as it is one."""

    severity: str
    text: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFacts:
    """One run of a check. Of the first three fields the first that is set is all there is."""

    unit: str
    why_not: str = ""  #: it was not run
    failure: str = ""  #: it could not be started
    is_late: bool = False  #: it was killed; what it had said until then counts
    is_flood: bool = False  #: it was killed for saying too much
    exit_code: int | None = 0
    last_words: str = ""  #: of its stderr
    said: tuple[Said, ...] = ()


_SEVERITIES: Mapping[str, Severity] = MappingProxyType({one.value: one for one in Severity})


def findings(checks: Iterable[CheckFacts]) -> Iterator[Finding]:
    count = 0
    for facts in checks:
        count += 1
        yield from _judge(facts)
    if not count:
        yield ok("", "no unit has a check of its own")


def _judge(facts: CheckFacts) -> Iterator[Finding]:
    unit = facts.unit
    if facts.why_not:
        yield note(unit, f"its check was not made: {facts.why_not}")
        return
    if facts.failure:
        yield error(unit, f"its check cannot be started: {facts.failure}", "see 'programs'")
        return
    for said in facts.said:
        severity = _SEVERITIES.get(said.severity, Severity.NOTE)
        yield Finding(severity=severity, subject=unit, text=said.text, remedy=said.remedy)
    if failure := _failure(facts):
        yield error(unit, f"its check {failure}", "take check: true from the unit if it has none")
    elif not facts.said:
        yield ok(unit, "has nothing to say")


def _failure(facts: CheckFacts) -> str:
    """How the check itself went wrong; empty where it did not."""
    if facts.is_late:
        return "did not end in time and was killed"
    if facts.is_flood:
        return "said too much and was killed"
    if facts.exit_code == 0:
        return ""
    words = f": {facts.last_words}" if facts.last_words else ""
    return f"failed with exit code {facts.exit_code}{words}"

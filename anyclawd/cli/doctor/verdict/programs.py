"""What the machine lacks for the units of a plan."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from anyclawd.cli.doctor.finding import Finding, MakeDirectory, error, ok, warning
from anyclawd.model import errors


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramFacts:
    """`lacking` is what the world pass of the compiler says; `makeable` what can be made.

    A directory can be made whose parent is there: by the text of the finding that misses it.
    """

    lacking: tuple[errors.Finding, ...]
    makeable: Mapping[str, MakeDirectory]
    units: int  #: that have a process


def findings(facts: ProgramFacts) -> Iterator[Finding]:
    for one in facts.lacking:
        fix = facts.makeable.get(one.text)
        say = error if one.severity is errors.Severity.ERROR else warning
        yield say(one.key, f"{one.span}: {one.text}", str(fix) if fix else "", fix)
    if not facts.lacking:
        yield ok("", f"nothing is missing for {facts.units} units with a process")

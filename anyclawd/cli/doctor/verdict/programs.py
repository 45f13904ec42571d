"""What the machine lacks for the units of a plan."""

from collections.abc import Iterator
from dataclasses import dataclass

from anyclawd.cli.doctor.finding import Finding, MakeDirectory, error, note, ok, warning
from anyclawd.model.errors import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """One thing that a unit has not got."""

    unit: str
    place: str  #: where the configuration asks for it
    severity: Severity
    text: str
    remedy: str = ""
    makeable: MakeDirectory | None = None  #: what would be it, and can be made


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramFacts:
    missing: tuple[Missing, ...]
    unseen: tuple[str, ...]  #: paths that we may not look at
    units: int  #: that have a process


def findings(facts: ProgramFacts) -> Iterator[Finding]:
    for one in facts.missing:
        say = error if one.severity is Severity.ERROR else warning
        remedy = one.remedy or (str(one.makeable) if one.makeable else "")
        yield say(one.unit, f"{one.place}: {one.text}", remedy, one.makeable)
    if facts.unseen:
        text = f"{len(facts.unseen)} paths cannot be seen from here, {facts.unseen[0]} among them"
        yield note("", text, "ask as root, or as the daemon's user")
    if not facts.missing:
        yield ok("", f"nothing is missing for {facts.units} units with a process")

"""Whether each `!credential` is there, and its source for nobody else to read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from anyclawd.cli.doctor.finding import Finding, TakeRights, error, note, ok, warning
from anyclawd.cli.doctor.verdict.permissions import Shape

_READ, _WRITE, _OTHERS = 0o004, 0o002, 0o007


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialFacts:
    """One credential that the configuration names."""

    name: str
    has_default: bool = False
    is_handed_over: bool | None = (
        None  #: seen in the directory of credentials; None: not to be seen
    )
    unit: str = ""  #: of systemd, that would hand it over; empty where there is none to ask
    is_in_unit: bool = False  #: the unit says where it comes from
    is_searched: bool = False  #: systemd looks for its file, and goes on without one
    source: str = ""  #: the file it is loaded from, where it is one that can be told
    shape: Shape = Shape.UNSEEN  #: of the source
    mode: int = 0


def findings(credentials: tuple[CredentialFacts, ...]) -> Iterator[Finding]:
    for facts in credentials:
        yield from _judge(facts)
    if not credentials:
        yield ok("", "the configuration names none")


def _judge(facts: CredentialFacts) -> Iterator[Finding]:
    if facts.is_handed_over is False and facts.has_default:
        yield ok(facts.name, "has a default, and the service is given no other")
        return
    if facts.is_handed_over is False:
        yield error(facts.name, "is not among those that the service is given", _remedy(facts))
        return
    if facts.is_handed_over is None and not facts.unit:
        text = "cannot be seen from here, since the service manager alone has it"
        yield note(facts.name, text, "ask as root while the daemon runs")
        return
    if facts.is_handed_over is None and not facts.is_in_unit:
        if facts.has_default:
            yield ok(facts.name, f"has a default, and {facts.unit} gives no other")
        else:
            yield error(facts.name, f"{facts.unit} does not say where it is from", _remedy(facts))
        return
    yield from _source(facts)


def _source(facts: CredentialFacts) -> Iterator[Finding]:
    """The file that systemd loads it from."""
    if not facts.source:
        yield ok(facts.name, "is there" if facts.is_handed_over else f"{facts.unit} has it")
        return
    match facts.shape:
        case Shape.MISSING if facts.is_searched and facts.has_default:
            yield note(facts.name, f"its file {facts.source} is not there; its default is taken")
        case Shape.MISSING:
            what = "is not given it" if facts.is_searched else "cannot start"
            text = f"its file {facts.source} is not there, so the service {what}"
            yield error(facts.name, text, "put the secret there, readable for root alone")
        case Shape.UNSEEN:
            yield note(facts.name, f"its file {facts.source} cannot be seen from here")
        case Shape.DIRECTORY | Shape.OTHER:
            yield note(facts.name, f"comes from {facts.source}, which is no file")
        case Shape.FILE:
            yield from _rights(facts)
        case _:
            assert_never(facts.shape)


def _rights(facts: CredentialFacts) -> Iterator[Finding]:
    if not facts.mode & (_READ | _WRITE):
        yield ok(facts.name, f"comes from {facts.source}")
        return
    fix = TakeRights(path=facts.source, rights=facts.mode & _OTHERS)
    if facts.mode & _WRITE:
        yield error(facts.name, f"everybody may change its file {facts.source}", str(fix), fix)
    else:
        yield warning(facts.name, f"everybody may read its file {facts.source}", str(fix), fix)


def _remedy(facts: CredentialFacts) -> str:
    unit = facts.unit or "the unit of the daemon"
    return f"systemctl edit {unit}: [Service] LoadCredential={facts.name}:/path; then restart it"

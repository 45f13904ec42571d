"""What the compiler says, and whether what runs is what is written."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from anyclawd.cli.doctor.finding import Finding, error, note, ok, warning
from anyclawd.model import errors
from anyclawd.model.value import Json

_CORRECT = "correct it; 'anyclawctl validate' looks again"
#: Units that are named where more have changed.
_NAMED_MAX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFacts:
    """The configuration as it was compiled from here."""

    path: str  #: empty where there is none
    why_none: str = ""
    failure: str = ""  #: why it could not be compiled from here
    is_unseen: bool = False  #: for the lack of rights
    needs_library: str = ""  #: the module that the compiler lacks; the daemon will lack it, too
    found: tuple[errors.Finding, ...] = ()  #: about its content
    told_elsewhere: frozenset[str] = frozenset()  #: texts that are another check's
    units: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadFacts:
    """What the daemon itself says of the files as they are now."""

    findings: tuple[str, ...] = ()  #: why it cannot take them up
    failure: str = ""  #: why it could not say
    answer: Json = None  #: what a reload would change


def findings(facts: ConfigFacts, running: ReloadFacts | None) -> Iterator[Finding]:
    """`running` is None where no daemon answers."""
    if not facts.path:
        yield error("", facts.why_none, "write one with 'anyclawctl init', or name it with -c")
        return
    if facts.failure or facts.needs_library:
        yield _unread(facts, is_judged=running is not None and not running.failure)
    elif running is None or running.failure:
        yield from (_told(one) for one in facts.found if one.text not in facts.told_elsewhere)
        if all(one.severity is not errors.Severity.ERROR for one in facts.found):
            yield ok(facts.path, f"compiles to {facts.units} units")
    if running is not None:
        yield from _running(facts.path, running)


def _unread(facts: ConfigFacts, *, is_judged: bool) -> Finding:
    if facts.needs_library:
        text = f"cannot be compiled: the module {facts.needs_library!r} is missing"
        return error(facts.path, text, "see the check 'versions'")
    if is_judged:
        text = (
            f"{facts.failure}; the daemon has judged it, and checks of what it names are left out"
        )
        return note(facts.path, text, "ask as root, or as the daemon's user, to have them all")
    if facts.is_unseen:
        return note(facts.path, facts.failure, "ask as root, or as the daemon's user")
    return error(facts.path, f"cannot be compiled: {facts.failure}", _CORRECT)


def _told(found: errors.Finding) -> Finding:
    key = f"{found.key}: " if found.key else ""
    hint = f" (did you mean {found.hint!r}?)" if found.hint else ""
    say = error if found.severity is errors.Severity.ERROR else warning
    return say(str(found.span), f"{key}{found.text}{hint}", _CORRECT if say is error else "")


def _running(path: str, running: ReloadFacts) -> Iterator[Finding]:
    if running.failure:
        yield note(path, f"the daemon cannot say whether a reload is due: {running.failure}")
        return
    if running.findings:
        for line in running.findings:
            yield error("", line, "correct it; the daemon goes on with what it has until then")
        return
    for line in running.answer["findings"]:
        yield warning("", line)
    yield from _difference(path, running.answer)


def _difference(path: str, answer: Json) -> Iterator[Finding]:
    changed = [
        *(f"+{name}" for name in answer["added"]),
        *(f"-{name}" for name in answer["removed"]),
        *(f"~{unit['unit']}" for unit in answer["modified"]),
    ]
    if changed:
        text = f"is not what runs: {_some(changed)}"
        yield warning(path, text, "anyclawctl reload; with --dry-run it shows the difference")
    needy = [key["key"] for key in answer["settings"] if key["effect"] == "restart"]
    live = [key["key"] for key in answer["settings"] if key["effect"] != "restart"]
    if live:
        yield warning(path, f"is not what runs: {_some(live)}", "anyclawctl reload")
    if needy:
        text = f"a restart of the daemon is due for {_some(needy)}"
        yield warning(path, text, "systemctl restart anyclawd, or stop and start the daemon")
    if not (changed or live or needy):
        yield ok(path, f"is what runs, {answer['unchanged']} units")


def _some(names: Iterable[str]) -> str:
    told = list(names)
    more = len(told) - _NAMED_MAX
    return ", ".join(told[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")

"""How the units of a running daemon are."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import assert_never

from anyclawd.cli.doctor.finding import Finding, error, note, ok, warning
from anyclawd.model.state import Active, Health, Result, Sub

#: So many restarts of a unit that is up tell of more than an accident.
_RESTARTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFacts:
    name: str
    active: Active
    sub: Sub
    result: Result
    restarts: int = 0
    health: Health = Health.NONE
    sentence: str = ""  #: the first of `explain`
    is_stopped_by_hand: bool = False
    last_crash: str = ""  #: how its last run that failed has ended
    reload_failure: str = ""
    dropped_lines: int = 0  #: of its stderr
    noise: int = 0  #: lines on its stdout that were no frames


def findings(units: Iterable[UnitFacts]) -> Iterator[Finding]:
    up = 0
    for facts in units:
        found = [*_state(facts), *_conduct(facts)]
        yield from found
        up += not found
    yield ok("", f"{up} units are as they should be")


def _state(facts: UnitFacts) -> Iterator[Finding]:
    name, said = facts.name, facts.sentence
    match facts.active:
        case Active.FAILED if facts.result is Result.START_LIMIT_HIT:
            remedy = f"anyclawctl logs {name}; when it is mended, anyclawctl restart {name}"
            yield error(name, said or "has reached its start limit", remedy)
        case Active.FAILED:
            yield error(name, said or f"has failed: {facts.result}", f"anyclawctl logs {name}")
        case Active.ACTIVATING if facts.sub is Sub.AUTO_RESTART:
            text = said or f"is restarted again and again: {facts.result}"
            yield error(name, text, f"anyclawctl logs {name}")
        case Active.INACTIVE if facts.sub is Sub.BLOCKED:
            yield error(name, said or "waits for what it requires", f"anyclawctl explain {name}")
        case Active.INACTIVE if facts.is_stopped_by_hand:
            yield note(name, "was stopped by hand and stays so", f"anyclawctl start {name}")
        case Active.ACTIVE if facts.sub is Sub.DEGRADED:
            yield warning(name, said or "is up but not ready", f"anyclawctl status {name}")
        case Active.ACTIVE | Active.RELOADING if facts.health is Health.UNHEALTHY:
            yield warning(name, said or "is not healthy", f"anyclawctl status {name}")
        case Active.ACTIVATING | Active.DEACTIVATING:
            yield note(name, said or f"is {facts.active} ({facts.sub})")
        case Active.ACTIVE | Active.RELOADING | Active.INACTIVE:
            return
        case _:
            assert_never(facts.active)


def _conduct(facts: UnitFacts) -> Iterator[Finding]:
    name = facts.name
    if facts.active is Active.ACTIVE and facts.restarts >= _RESTARTS:
        crash = f", at last by {facts.last_crash}" if facts.last_crash else ""
        text = f"has been restarted {facts.restarts} times{crash}"
        yield warning(name, text, f"anyclawctl status --full {name}")
    if facts.reload_failure:
        text = f"its last reload failed: {facts.reload_failure}"
        yield warning(name, text, f"anyclawctl reload {name}")
    if facts.dropped_lines:
        text = f"{facts.dropped_lines} lines of its stderr were dropped"
        yield note(name, text, "let it log less, or raise stderr_rate")
    if facts.noise:
        text = f"{facts.noise} lines on its stdout were no messages"
        yield note(name, text, "let it print to stderr")

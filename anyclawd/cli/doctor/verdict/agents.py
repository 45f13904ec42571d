"""Whether agents answer `initialize`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from anyclawd.cli.doctor.finding import Finding, error, note, ok, warning
from anyclawd.cli.render import duration


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFacts:
    """One agent: as the daemon has it, or as it was tried."""

    unit: str
    why_not: str = ""  #: it was not tried
    failure: str = ""  #: why it did not answer, or not well
    state: str = ""  #: what the daemon says of one that does not answer: `active (running)`
    answered_s: float | None = None  #: after how long it answered
    start_s: float = 0.0  #: how long it may take
    needs_login: bool = False  #: it offers ways to log in
    has_hooks: bool = False  #: programs that would run before it, and did not


def findings(agents: Iterable[AgentFacts] | None) -> Iterator[Finding]:
    """`agents` is None where neither a daemon nor a plan names them."""
    if agents is None:
        yield note("", "left out: there is no compiled configuration to name them")
        return
    count = 0
    for facts in agents:
        count += 1
        yield from _judge(facts)
    if not count:
        yield note("", "the configuration has no agent", "add one below agents_manager.agents")


def _judge(facts: AgentFacts) -> Iterator[Finding]:
    if facts.why_not:
        yield note(facts.unit, f"was not tried: {facts.why_not}")
    elif facts.failure:
        more = "; its exec_start_pre was not run" if facts.has_hooks else ""
        remedy = f"anyclawctl logs {facts.unit}" if facts.state else "run its command line by hand"
        yield error(facts.unit, f"{facts.failure}{more}", remedy)
    elif facts.state:
        yield error(
            facts.unit, f"does not answer: {facts.state}", f"anyclawctl explain {facts.unit}"
        )
    elif facts.answered_s is not None and facts.start_s and facts.answered_s > facts.start_s / 2:
        text = f"answers after {duration(facts.answered_s)} of the {duration(facts.start_s)} it has"
        yield warning(facts.unit, text, "raise timeouts.start, or see what it does for so long")
    else:
        after = "" if facts.answered_s is None else f" after {duration(facts.answered_s)}"
        login = "; it can be logged in to (anyclawctl login)" if facts.needs_login else ""
        yield ok(facts.unit, f"answers initialize{after}{login}")

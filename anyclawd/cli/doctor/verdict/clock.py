"""Whether the clock of the machine can be right."""

from collections.abc import Iterator
from dataclasses import dataclass

from anyclawd.cli.doctor.finding import Finding, error, note, ok
from anyclawd.cli.render import duration

#: What a clock may be set back by without anybody being the worse for it.
_SLACK_S = 5.0

_SET = "set the clock, and have it kept right (systemd-timesyncd, chrony)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockFacts:
    """Instants are seconds since 1970."""

    now_wall_s: float
    built_wall_s: float  #: when the youngest file of anyclawd was made
    newest_wall_s: float | None = None  #: of the youngest row of the database
    is_synchronised: bool | None = None  #: None where the kernel does not say


def findings(facts: ClockFacts) -> Iterator[Finding]:
    found = list(_behind(facts))
    yield from found
    if not found:
        yield ok("", "is not behind anything that was written by it")
    if facts.is_synchronised is False:
        text = "nothing keeps it right, as far as the kernel knows"
        yield note("", text, "run systemd-timesyncd or chrony, or leave it to the host")


def _behind(facts: ClockFacts) -> Iterator[Finding]:
    newest = facts.newest_wall_s
    if newest is not None and newest - facts.now_wall_s > _SLACK_S:
        by = duration(newest - facts.now_wall_s)
        text = f"is {by} behind the youngest row of the database, so nothing of it expires in time"
        yield error("", text, _SET)
    elif facts.built_wall_s - facts.now_wall_s > _SLACK_S:
        by = duration(facts.built_wall_s - facts.now_wall_s)
        yield error("", f"is {by} behind the files of anyclawd itself", _SET)

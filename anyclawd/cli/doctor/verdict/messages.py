"""What has become of messages and answers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from anyclawd.cli.doctor.finding import Finding, error, note, ok, warning

#: So many that wait for one agent tell that it does not keep up.
_WAITING = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFacts:
    """As a daemon counts them since its start, or as the database has them."""

    is_live: bool  #: a daemon tells it
    open: int = 0  #: messages without an outcome
    waiting: Mapping[str, int] = field(default_factory=dict)  #: by agent: for their turn
    undelivered: Mapping[str, int] = field(default_factory=dict)  #: answers under way, by channel
    given_up: int = 0  #: answers that never arrived
    store_trouble: str = ""  #: why nothing can be kept
    lost_steps: int = 0  #: what had no room while nothing could be kept
    truncated: int = 0  #: answers that were cut short


def findings(facts: MessageFacts | None) -> Iterator[Finding]:
    """`facts` is None where neither a daemon nor a database tells."""
    if facts is None:
        yield note("", "left out: neither a daemon nor a database tells of them")
        return
    found = [*_kept(facts), *_under_way(facts)]
    yield from found
    if not found:
        text = f"{facts.open} without an outcome" + (", all in time" if facts.is_live else "")
        yield ok("", text)


def _kept(facts: MessageFacts) -> Iterator[Finding]:
    if facts.store_trouble:
        yield error("store", facts.store_trouble, "see 'store' and 'disk'")
    if facts.lost_steps:
        text = f"{facts.lost_steps} steps found no room while nothing could be written"
        yield error("store", text, "see 'store' and 'disk'")


def _under_way(facts: MessageFacts) -> Iterator[Finding]:
    for agent, count in facts.waiting.items():
        if count >= _WAITING:
            text = f"{count} messages wait for their turn"
            yield warning(agent, text, "raise max_workers, or lower queue.cap")
    for channel, count in facts.undelivered.items():
        if count and not facts.is_live:
            text = f"{count} answers wait to be delivered at the next start"
            yield note(channel, text)
        elif count >= _WAITING:
            text = f"{count} answers are not delivered yet"
            yield warning(channel, text, f"anyclawctl status {channel}")
    if facts.given_up:
        text = f"{facts.given_up} answers never arrived and were given up"
        yield note(
            "", text, "raise delivery_ttl of the channel; 'anyclawctl sessions' has the text"
        )
    if facts.truncated:
        text = f"{facts.truncated} answers were cut short, since their channel did not keep up"
        yield warning("", text, "see the log of the channel")

"""The units of a daemon that answers, one by one."""

from collections.abc import Iterator

from anyclawd.cli.doctor.scene import Online
from anyclawd.cli.doctor.verdict.units import UnitFacts
from anyclawd.client.client import quote
from anyclawd.client.exchange import ClientError
from anyclawd.model.state import Active, Health, Result, Sub
from anyclawd.model.value import Json

#: How much of an explanation is enough to act on.
_SENTENCES = 3
#: States that need no words.
_QUIET = ("running", "exited", "dead", "reload")


def facts_of(online: Online) -> Iterator[UnitFacts]:
    for row in online.status["units"]:
        try:
            yield _facts(online, row)
        except ClientError:
            continue  # a reload has removed it meanwhile


def _facts(online: Online, row: Json) -> UnitFacts:
    name = row["name"]
    more = online.client.get(f"/v1/units/{quote(name)}?n=0")
    sub = more["sub"]
    needs_words = sub not in _QUIET or more["health"] == "unhealthy"
    crash = more["crash"]
    return UnitFacts(
        name=name,
        active=Active(more["active"]),
        sub=Sub(sub),
        result=Result(more["result"]),
        restarts=more["restarts"],
        health=Health(more["health"] or ""),
        sentence=_sentence(online, name) if needs_words else "",
        is_stopped_by_hand=more["stopped_by_hand"],
        last_crash="" if crash is None else f"{crash['result']} {crash['exit'] or ''}".strip(),
        reload_failure=more["reload_failure"],
        dropped_lines=more["dropped_lines"],
        noise=more["noise"],
    )


def _sentence(online: Online, name: str) -> str:
    """What `explain` says first, without the unit's own name."""
    sentences: list[str] = online.client.get(f"/v1/units/{quote(name)}/explain")["sentences"]
    return " ".join(sentences[:_SENTENCES]).removeprefix(f"{name} ").rstrip(".")

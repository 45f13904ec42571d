"""Reloads of the configuration, for the verbs that end in one: the request and the report.

`+` marks units that are new, `-` units that are gone, `~` units that have changed, each with its
keys and what their change means.
"""

import sys
from collections.abc import Iterator

from anyclawd.cli.jobs import GOOD, complain
from anyclawd.cli.render import Paint, clean
from anyclawd.client.client import Client
from anyclawd.client.exchange import FAILED
from anyclawd.model.value import Json

#: What a change means, in words.
_MEANS = {
    "live": "applied live",
    "reload": "applied live",
    "restart": "restarted",
    "replace": "restarted",
}


def reload(
    client: Client, *, dry_run: bool = False, waits: bool = True, timeout_s: float | None = None
) -> Json:
    """Let the daemon take up what its configuration says. Raises ClientError with findings."""
    body = {"dry_run": dry_run, "wait": waits, "timeout_s": timeout_s}
    return client.post("/v1/reload", body, waits=True)


def status(answer: Json) -> int:
    """Status 1 where a job has not come to what it was for."""
    bad = any(row["result"] not in (*GOOD, None) for row in answer["jobs"])
    return FAILED if bad else 0


def report(answer: Json, *, is_dry: bool = False) -> None:
    paint = Paint(sys.stdout)
    for finding in answer["findings"]:
        print(clean(finding), file=sys.stderr)
    for line in _lines(answer, paint, is_dry=is_dry):
        print(line)
    for row in answer["jobs"]:
        if row["result"] not in (*GOOD, None):
            complain(row, row["type"])


def _lines(answer: Json, paint: Paint, *, is_dry: bool) -> Iterator[str]:
    if not (answer["changed"] or answer["settings"]):
        yield "nothing has changed"
        return
    for name in answer["added"]:
        yield paint(f"+ {name}", "green")
    for name in answer["removed"]:
        yield paint(f"- {name}", "red")
    for unit in answer["modified"]:
        yield paint(f"~ {unit['unit']}: {_MEANS[unit['effect']]}", "yellow")
        yield from (f"    {_key(key)}" for key in unit["keys"])
    for key in answer["settings"]:
        needs = ", needs a new daemon" if key["effect"] == "restart" else ""
        yield f"~ {_key(key)}{needs}"
    yield f"{answer['unchanged']} units unchanged" + ("; nothing was done" if is_dry else "")


def _key(change: Json) -> str:
    old, new = clean(change["old"]), clean(change["new"])
    if not old:
        return f"{change['key']}: {new}"
    return f"{change['key']}: {old} -> {new or 'not set'}"

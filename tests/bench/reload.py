"""Reloads that touch nothing: no input has changed, or only the text of one."""

import time

from anyclawd.client.client import Client
from tests.bench.budget import Row, Samples, at_most
from tests.bench.experiment import Experiment
from tests.bench.lab import Lab

_UNITS = 500
_TIMES = 5

RELOAD = Row(
    key="reload",
    what=f"POST /v1/reload with nothing changed, {_UNITS} units, no signal",
    bare="GET /v1/jobs, which has nothing to say",
    must=at_most(150),
    moonshot=at_most(30),
)
TEXT = Row(
    key="reload-text",
    what=f"the same where a comment has changed: {_UNITS} units are compiled and compared",
)


def _reload(lab: Lab) -> dict[str, Samples]:
    site = lab.trivial(_UNITS)
    text = site.config.read_text()
    try:
        with site.daemon() as daemon:
            daemon.wait_ready()
            client = daemon.admin()
            before = _runs(client)
            _reload_ms(client)  # the first one waits until the plan of the boot has been kept
            ours, bare, compiled = [], [], []
            for _ in range(_TIMES):
                ours.append(_reload_ms(client))
                bare.append(_timed_ms(client))
            for number in range(_TIMES):
                site.config.write_text(f"{text}# {number}\n")
                compiled.append(_reload_ms(client))
            if _runs(client) != before:
                raise AssertionError("a reload of nothing has touched a unit")
            daemon.stop()
    finally:
        site.config.write_text(text)
    return {RELOAD.key: Samples(ours, bare), TEXT.key: Samples(compiled)}


def _reload_ms(client: Client) -> float:
    begun_ns = time.monotonic_ns()
    answer = client.post("/v1/reload", {}, waits=True)
    took_ms = (time.monotonic_ns() - begun_ns) / 1e6
    if answer["changed"]:
        raise AssertionError(f"nothing was changed, and the daemon says {answer}")
    return took_ms


def _timed_ms(client: Client) -> float:
    begun_ns = time.monotonic_ns()
    client.get("/v1/jobs")
    return (time.monotonic_ns() - begun_ns) / 1e6


def _runs(client: Client) -> dict[str, tuple[int | None, str]]:
    """Process and beginning of every unit: what must not change."""
    rows = client.get("/v1/status")["units"]
    return {row["name"]: (row["pid"], row["since"]) for row in rows}


EXPERIMENTS = (Experiment(rows=(RELOAD, TEXT), run=_reload),)

"""Calls of a tool over HTTP: through the daemon's endpoint, and to a server of the official SDK.

The tool adds two numbers. Ours is a process behind the daemon, reached by two hops; the official
one is its own HTTP server. The clients are the same raw ones, in a process of their own.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.budget import Row, Samples, at_least_x, at_most, at_most_x
from tests.bench.experiment import Experiment
from tests.bench.footprint import rss_kib, rss_kib_of
from tests.bench.lab import HERE, PATIENCE_S, Daemon, Json, Lab, LabError, Running
from tests.bench.talk import Result, through_daemon

#: Clients, and the calls of each.
_ONE, _MANY = (1, 3_000), (16, 500)

#: Where PyPI's mcp is; it need not be where anyclawd is.
_PYTHON = os.environ.get("ANYCLAWD_MCP_PYTHON") or sys.executable

_OFFICIAL = "a server of the official SDK on uvicorn"


def _rows(clients: int) -> tuple[Row, Row, Row]:
    """The calls a second of so many clients, and how long one takes: 99th percentile and median."""
    who = "one client" if clients == 1 else f"{clients} clients"
    rate = Row(
        key=f"tools-{clients}",
        what=f"tool calls a second, {who}, endpoint and tool process",
        unit="/s",
        bare=_OFFICIAL,
        more_is_better=True,
        must=at_least_x(2),
        moonshot=at_least_x(3),
    )
    what = f"how long a call takes with {who}"
    slow = Row(
        key=f"tools-{clients}-p99",
        what=f"{what}, 99th percentile",
        bare=_OFFICIAL,
        must=at_most_x(1),
    )
    usual = Row(key=f"tools-{clients}-p50", what=f"{what}, median", bare=_OFFICIAL)
    return rate, slow, usual


ROWS_ONE, ROWS_MANY = _rows(_ONE[0]), _rows(_MANY[0])
#: For who has installed more than the official SDK asks for.
TUNED = tuple(
    Row(
        key=f"tools-{clients}-tuned",
        what=f"the calls a second of {clients} once more, beside a tuned server",
        unit="/s",
        bare=f"{_OFFICIAL} with uvloop and httptools",
        more_is_better=True,
    )
    for clients, _ in (_ONE, _MANY)
)
RSS = Row(
    key="rss-tools",
    what="resident memory of the daemon after all these calls",
    unit="MiB",
    bare=_OFFICIAL,
    must=at_most(60),
)
RSS_BOTH = Row(
    key="rss-tools-both", what="the same with the tool's process", unit="MiB", bare=_OFFICIAL
)


class Service:
    """A tool that can be called over HTTP."""

    def __init__(self, lab: Lab, url: str, token: str, running: Running) -> None:
        self._lab, self._url, self._token, self.running = lab, url, token, running

    def call(self, clients: int, calls: int) -> Result:
        argv = [sys.executable, str(HERE / "peers" / "caller.py"), self._url, self._token]
        argv += [str(clients), str(calls)]
        done = subprocess.run(
            argv,
            env=self._lab.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        if done.returncode:
            raise LabError(f"a call failed: {done.stderr}; {self.running.tail}")
        return Result(json.loads(done.stdout))


@contextmanager
def _ours(lab: Lab) -> Iterator[tuple[Service, Daemon]]:
    """The daemon with the tool, once an agent has been told where it is."""
    told = lab.site("tools") / "told"
    told.unlink(missing_ok=True)
    adder: Json = {"binary": sys.executable, "args": [str(HERE / "peers" / "tool.py")]}
    with through_daemon(lab, "tools", ["turns 1"], tools={"adder": adder}) as (talk, daemon):
        talk.perform()
        [entry] = json.loads(told.read_text())
        headers = {header["name"].lower(): header["value"] for header in entry["headers"]}
        yield Service(lab, entry["url"], headers["authorization"], daemon), daemon


@contextmanager
def _official(lab: Lab, loop: str, http: str) -> Iterator[Service]:
    directory = lab.site("official-tool")
    line = [_PYTHON, str(HERE / "peers" / "official_tool.py"), loop, http]
    running = Running(line, directory / "log", environ=lab.environ, cwd=directory)
    try:
        port = running.wait_said("port")
        yield Service(lab, f"http://127.0.0.1:{port}/mcp", "", running)
    finally:
        running.end()


def has_official() -> bool:
    """Whether there is anything to measure beside."""
    return bool(os.environ.get("ANYCLAWD_MCP_PYTHON") or importlib.util.find_spec("mcp"))


def _is_tunable() -> bool:
    line = [_PYTHON, "-c", "import httptools, uvloop"]
    return subprocess.run(line, check=False, capture_output=True).returncode == 0


def _call(lab: Lab) -> dict[str, Samples]:
    if not has_official():
        return {}
    with _ours(lab) as (service, daemon):
        ours = [service.call(*_ONE), service.call(*_MANY)]
        pid = daemon.admin().get("/v1/units/adder.tool")["pid"]
        kib = rss_kib(daemon), rss_kib_of(pid)
    with _official(lab, "asyncio", "h11") as service:
        theirs = [service.call(*_ONE), service.call(*_MANY)]
        their_mib = rss_kib(service.running) / 1024
    found = {
        RSS.key: Samples([kib[0] / 1024], [their_mib]),
        RSS_BOTH.key: Samples([sum(kib) / 1024], [their_mib]),
    }
    for rows, our, their in zip((ROWS_ONE, ROWS_MANY), ours, theirs, strict=True):
        rate, slow, usual = rows
        found[rate.key] = Samples([our.whole_rate()], [their.whole_rate()])
        for row, percent in ((slow, 99), (usual, 50)):
            delays = our.percentile_ms(percent), their.percentile_ms(percent)
            found[row.key] = Samples([delays[0]], [delays[1]])
    if _is_tunable():
        with _official(lab, "uvloop", "httptools") as service:
            tuned = [service.call(*_ONE), service.call(*_MANY)]
        for row, our, their in zip(TUNED, ours, tuned, strict=True):
            found[row.key] = Samples([our.whole_rate()], [their.whole_rate()])
    return found


EXPERIMENTS = (Experiment(rows=(*ROWS_ONE, *ROWS_MANY, *TUNED, RSS, RSS_BOTH), run=_call),)

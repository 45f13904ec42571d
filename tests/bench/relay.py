"""What streams from an agent to a channel, and what many sessions at once cost.

The peers are plain scripts (peers/), the same ones on all sides. The delay of an update is taken
from right before the agent's write to right after the channel's read; what the relay *adds* to it
is the difference to the same two programs with nothing but a pipe between them.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.budget import Row, Samples, at_least_x, at_most
from tests.bench.experiment import Experiment
from tests.bench.footprint import peak_kib, rss_kib
from tests.bench.lab import HERE, PATIENCE_S, Lab, LabError, Running, Site

_BURST = 50_000
_PACED, _RATE = 3_000, 1_000
_PEERS, _MESSAGES = 1_000, 10

RATE = Row(
    key="relay-rate",
    what=f"updates a second, agent -> orchestrator -> channel, a burst of {_BURST:,}",
    unit="/s",
    bare="uvloop program between two pipes: parse, wrap, write",
    more_is_better=True,
    must=at_least_x(0.6),
    moonshot=at_least_x(0.85),
)
DELAY = Row(
    key="relay-delay",
    what=f"p99 of the delay that is added to an update, at {_RATE:,} a second",
    bare=RATE.bare,
    must=at_most(1),
    moonshot=at_most(0.3),
)
CROWD = Row(
    key="crowd",
    what=f"{_PEERS:,} sessions, {_PEERS * _MESSAGES:,} messages queued, none lost",
)
CROWD_LINEAR = Row(
    key="crowd-linear",
    what="time for all by time for half the sessions (2 is linear)",
    unit="x",
    must=at_most(2.5),
)
CROWD_MEMORY = Row(
    key="crowd-memory",
    what="memory of the daemon at its highest, above what it was before",
    unit="KiB/message",
    must=at_most(16),
)


class Result(dict[str, object]):
    """What the channel says of one command."""

    def rate(self) -> float:
        return int(str(self["count"])) / int(str(self["stream_ns"])) * 1e9

    def p99_ms(self) -> float:
        delays = self["delays_ns"]
        assert isinstance(delays, list)
        return float(delays[len(delays) * 99 // 100]) / 1e6

    def whole_ms(self) -> float:
        return int(str(self["whole_ns"])) / 1e6


class Talk:
    """The channel of one run, wherever it hangs; performs its commands one after the other."""

    def __init__(self, results: Path, channel_pid: int, running: Running | None = None) -> None:
        self._results, self._pid, self._running = results, channel_pid, running
        self._asked = 0
        results.write_bytes(b"")

    def perform(self) -> Result:
        """Its next command."""
        self.begin()
        return self.wait()

    def begin(self) -> None:
        self._asked += 1
        os.kill(self._pid, signal.SIGUSR1)

    def wait(self) -> Result:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            lines = self._results.read_bytes().splitlines(keepends=True)
            if len(lines) == self._asked and lines[-1].endswith(b"\n"):
                return Result(json.loads(lines[-1]))
            if self._running is not None:
                self._running.check()
            time.sleep(0.01)
        tail = "" if self._running is None else self._running.tail
        raise LabError(f"not all was answered within {PATIENCE_S:g} s; {tail}")


def _agent() -> list[str]:
    return [sys.executable, "-I", str(HERE / "peers" / "agent.py")]


def _channel(results: Path, commands: list[str]) -> list[str]:
    return [sys.executable, "-I", str(HERE / "peers" / "channel.py"), str(results), *commands]


_STREAMS = [f"burst {_BURST}", f"pace {_PACED} {_RATE}"]
_CROWDS = [f"crowd {_PEERS // 2} {_MESSAGES}", f"crowd {_PEERS} {_MESSAGES}"]


def _site(lab: Lab, name: str, commands: list[str]) -> Site:
    results = lab.site(name) / "results"
    agent, channel = _agent(), _channel(results, commands)
    workspace = {"type": "local", "binary": agent[0]}
    entry = {"binary": channel[0], "args": channel[1:], "agent": "bench"}
    config = {
        "agents_manager": {"agents": {"bench": {"workspace": workspace}}},
        "channels_manager": {"channels": {"bench": entry}},
        "units": {"bench.agent": {"exec": agent}},
    }
    return lab.made(name, config)


@contextmanager
def _through_daemon(lab: Lab, name: str, commands: list[str]) -> Iterator[tuple[Talk, Running]]:
    site = _site(lab, name, commands)
    with site.daemon() as daemon:
        daemon.wait_ready()
        pid = daemon.admin().get("/v1/units/bench.channel")["pid"]
        yield Talk(site.directory / "results", pid, daemon), daemon
        daemon.stop()


@contextmanager
def _through_bare(lab: Lab) -> Iterator[Talk]:
    directory = lab.site("bare-relay")
    results = directory / "results"
    line = [sys.executable, str(HERE / "bare_relay.py")]
    line += [json.dumps(_agent()), json.dumps(_channel(results, _STREAMS))]
    running = Running(line, directory / "log", environ=lab.environ, cwd=directory)
    try:
        pid = int(running.wait_said("channel"))
        running.wait_said("ready")
        yield Talk(results, pid, running)
        running.stop()
    finally:
        running.end()


def _direct_p99_ms(lab: Lab) -> float:
    """The paced stream with nothing but a pipe between agent and channel."""
    command = _STREAMS[1]
    results = lab.site("direct") / "results"
    prompt = {"sessionId": "s", "prompt": [{"type": "text", "text": command}]}
    frame = {"id": 1, "method": "session/prompt", "params": prompt}
    pipe = subprocess.PIPE
    with subprocess.Popen(_agent(), stdin=pipe, stdout=pipe, env=lab.environ) as agent:
        assert agent.stdin is not None
        assert agent.stdout is not None
        line = _channel(results, [command])
        with subprocess.Popen(
            line, stdin=agent.stdout, stdout=subprocess.DEVNULL, stderr=pipe, env=lab.environ
        ) as channel:
            assert channel.stderr is not None
            agent.stdout.close()
            channel.stderr.readline()  # from here on it takes signals
            talk = Talk(results, channel.pid)
            talk.begin()
            agent.stdin.write(json.dumps(frame).encode() + b"\n")
            agent.stdin.close()
            return talk.wait().p99_ms()


def _stream(lab: Lab) -> dict[str, Samples]:
    floor = _direct_p99_ms(lab)
    with _through_daemon(lab, "relay", _STREAMS) as (talk, _):
        ours_rate, ours_p99 = _checked(talk).rate(), talk.perform().p99_ms()
    with _through_bare(lab) as talk:
        bare_rate, bare_p99 = _checked(talk).rate(), talk.perform().p99_ms()
    return {
        RATE.key: Samples([ours_rate], [bare_rate]),
        DELAY.key: Samples([ours_p99 - floor], [bare_p99 - floor]),
    }


def _checked(talk: Talk) -> Result:
    result = talk.perform()
    if result["count"] != _BURST:
        raise LabError(f"{result['count']} of {_BURST} updates arrived")
    return result


def _crowd(lab: Lab) -> dict[str, Samples]:
    with _through_daemon(lab, "crowd-half", _CROWDS[:1]) as (talk, _):
        half_ms = talk.perform().whole_ms()
    with _through_daemon(lab, "crowd", _CROWDS[1:]) as (talk, daemon):
        before = rss_kib(daemon)
        whole_ms = talk.perform().whole_ms()
        memory = (peak_kib(daemon) - before) / (_PEERS * _MESSAGES)
    return {
        CROWD.key: Samples([whole_ms]),
        CROWD_LINEAR.key: Samples([whole_ms / half_ms]),
        CROWD_MEMORY.key: Samples([memory]),
    }


EXPERIMENTS = (
    Experiment(rows=(RATE, DELAY), run=_stream),
    Experiment(rows=(CROWD, CROWD_LINEAR, CROWD_MEMORY), run=_crowd, visits_max=3),
)

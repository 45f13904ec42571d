"""An agent and a channel that measure (peers/), with the daemon, a bare relay or a pipe between.

The channel performs one command after the other, each when it is signalled, and says what came of
it. With the daemon the store is in memory or on disk, and the channel takes part in all of its
promises: it waits for acceptance and confirms what has arrived.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.lab import HERE, PATIENCE_S, Daemon, Json, Lab, LabError, Running, Site


class Result(dict[str, object]):
    """What the channel says of one command."""

    def rate(self) -> float:
        return int(str(self["count"])) / int(str(self["stream_ns"])) * 1e9

    def whole_rate(self) -> float:
        return int(str(self["count"])) / int(str(self["whole_ns"])) * 1e9

    def percentile_ms(self, percent: int) -> float:
        delays = self["delays_ns"]
        assert isinstance(delays, list)
        return float(delays[len(delays) * percent // 100]) / 1e6

    def whole_ms(self) -> float:
        return int(str(self["whole_ns"])) / 1e6

    def ended_ns(self) -> int:
        """The instant, on the clock that all processes share."""
        return int(str(self["ended_ns"]))


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


def agent_argv() -> list[str]:
    return [sys.executable, "-I", str(HERE / "peers" / "agent.py")]


def _channel_argv(results: Path, commands: Sequence[str]) -> list[str]:
    return [sys.executable, "-I", str(HERE / "peers" / "channel.py"), str(results), *commands]


def _site(
    lab: Lab, name: str, commands: Sequence[str], *, is_kept: bool, tools: Mapping[str, Json] | None
) -> Site:
    """Agent and channel, and tools where there are some: the agent notes where they are."""
    directory = lab.site(name)
    agent, channel = agent_argv(), _channel_argv(directory / "results", commands)
    if tools:
        agent.append(str(directory / "told"))
    workspace = {"type": "local", "binary": agent[0]}
    entry = {"binary": channel[0], "args": channel[1:], "agent": "bench"}
    at_once = {"backoff": {"initial": 0, "jitter": 0}, "start_limit": {"burst": 0}}
    store = {"type": "sqlite", "path": str(directory / "sessions.db")}
    config = {
        "agents_manager": {"agents": {"bench": {"workspace": workspace}}},
        "channels_manager": {"channels": {"bench": entry}},
        "units": {"bench.agent": {"exec": agent, **at_once}},
        "session_store": store if is_kept else {"type": "none"},
        **({"tools_manager": {"tools": dict(tools)}} if tools else {}),
    }
    return lab.made(name, config)


@contextmanager
def through_daemon(
    lab: Lab,
    name: str,
    commands: Sequence[str],
    *,
    is_kept: bool = False,
    tools: Mapping[str, Json] | None = None,
) -> Iterator[tuple[Talk, Daemon]]:
    """The daemon; what is said is kept on disk, or in memory."""
    name = f"{name}-kept" if is_kept else name
    site = _site(lab, name, commands, is_kept=is_kept, tools=tools)
    for path in site.directory.glob("sessions.db*"):
        path.unlink()
    with site.daemon() as daemon:
        daemon.wait_ready()
        pid = daemon.admin().get("/v1/units/bench.channel")["pid"]
        yield Talk(site.directory / "results", pid, daemon), daemon
        daemon.stop()


@contextmanager
def through_bare(lab: Lab, commands: Sequence[str]) -> Iterator[Talk]:
    """The bare relay in the daemon's place."""
    directory = lab.site("bare-relay")
    results = directory / "results"
    line = [sys.executable, str(HERE / "bare_relay.py")]
    line += [json.dumps(agent_argv()), json.dumps(_channel_argv(results, commands))]
    running = Running(line, directory / "log", environ=lab.environ, cwd=directory)
    try:
        pid = int(running.wait_said("channel"))
        running.wait_said("ready")
        yield Talk(results, pid, running)
        running.stop()
    finally:
        running.end()


def through_pipe(lab: Lab, command: str) -> Result:
    """One stream with nothing but a pipe between agent and channel."""
    results = lab.site("direct") / "results"
    prompt = {"sessionId": "s", "prompt": [{"type": "text", "text": command}]}
    frame = {"id": 1, "method": "session/prompt", "params": prompt}
    pipe = subprocess.PIPE
    with subprocess.Popen(agent_argv(), stdin=pipe, stdout=pipe, env=lab.environ) as agent:
        assert agent.stdin is not None
        assert agent.stdout is not None
        line = _channel_argv(results, [command])
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
            return talk.wait()

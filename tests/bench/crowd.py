"""What many sessions cost, busy and idle, and how soon one goes on after its agent has died."""

import json
import os
import signal
import subprocess
import time
from typing import NamedTuple

from tests.bench.budget import Row, Samples, at_most
from tests.bench.experiment import Experiment
from tests.bench.footprint import peak_kib, rss_kib, spent
from tests.bench.lab import Lab
from tests.bench.talk import agent_argv, through_daemon

_PEERS, _MESSAGES = 1_000, 10
_DEATHS = 5

_MEMORY = "the same with the store in memory"
CROWD = Row(
    key="crowd",
    what=f"{_PEERS:,} sessions, {_PEERS * _MESSAGES:,} messages queued, none lost",
)
CROWD_LINEAR = Row(
    key="crowd-linear",
    what="processor time of the daemon for 10,000 messages by that for 5,000 (2 is linear)",
    unit="x",
    bare="that for 5,000 by that for 2,500",
    must=at_most(2.5),
)
CROWD_MEMORY = Row(
    key="crowd-memory",
    what="memory of the daemon at its highest, above what it was before",
    unit="KiB/message",
    must=at_most(16),
)
CROWD_KEPT = Row(key="crowd-kept", what="the same crowd with a store on disk", bare=_MEMORY)
CROWD_KEPT_LINEAR = Row(
    key="crowd-kept-linear",
    what="the same with a store on disk",
    unit="x",
    bare="that for 5,000 by that for 2,500",
    must=at_most(2.5),
)
CROWD_KEPT_MEMORY = Row(
    key="crowd-kept-memory",
    what="memory at its highest with a store on disk",
    unit="KiB/message",
    bare=_MEMORY,
    must=at_most(16),
)
SESSION = Row(
    key="rss-session",
    what=f"resident memory for each of {_PEERS:,} idle sessions that have had a turn, kept on disk",
    unit="KiB",
    bare=_MEMORY,
)
RECOVERY = Row(
    key="recovery",
    what="SIGKILL of an agent -> first word of the next answer, by session/resume",
    bare="the same agent, started and asked by hand",
)


class _Crowd(NamedTuple):
    whole_ms: float
    spent_ns: int  #: by the daemon
    kib: float  #: a message, at the highest


def _crowds(lab: Lab, *, is_kept: bool) -> tuple[_Crowd, _Crowd, _Crowd]:
    """A quarter, half and all of them."""
    quarter, half, whole = (_of(lab, _PEERS // part, is_kept=is_kept) for part in (4, 2, 1))
    return quarter, half, whole


def _of(lab: Lab, peers: int, *, is_kept: bool) -> _Crowd:
    command = f"crowd {peers} {_MESSAGES}"
    with through_daemon(lab, f"crowd-{peers}", [command], is_kept=is_kept) as (talk, daemon):
        kib, nanoseconds = rss_kib(daemon), spent([daemon.pid])[0]
        whole_ms = talk.perform().whole_ms()
        nanoseconds = spent([daemon.pid])[0] - nanoseconds
        return _Crowd(whole_ms, nanoseconds, (peak_kib(daemon) - kib) / (peers * _MESSAGES))


def _crowd(lab: Lab) -> dict[str, Samples]:
    quarter, half, whole = _crowds(lab, is_kept=False)
    quarter_kept, half_kept, kept = _crowds(lab, is_kept=True)
    return {
        CROWD.key: Samples([whole.whole_ms]),
        CROWD_LINEAR.key: Samples(
            [whole.spent_ns / half.spent_ns], [half.spent_ns / quarter.spent_ns]
        ),
        CROWD_MEMORY.key: Samples([whole.kib]),
        CROWD_KEPT.key: Samples([kept.whole_ms], [whole.whole_ms]),
        CROWD_KEPT_LINEAR.key: Samples(
            [kept.spent_ns / half_kept.spent_ns], [half_kept.spent_ns / quarter_kept.spent_ns]
        ),
        CROWD_KEPT_MEMORY.key: Samples([kept.kib], [whole.kib]),
    }


def _idle(lab: Lab) -> dict[str, Samples]:
    return {
        SESSION.key: Samples([_session_kib(lab, is_kept=True)], [_session_kib(lab, is_kept=False)])
    }


def _session_kib(lab: Lab, *, is_kept: bool) -> float:
    """After a first chat, for which much is made that all others share."""
    commands = ["crowd 1 1", f"crowd {_PEERS} 1"]
    with through_daemon(lab, "idle", commands, is_kept=is_kept) as (talk, daemon):
        talk.perform()
        before = rss_kib(daemon)
        talk.perform()
        return (rss_kib(daemon) - before) / _PEERS


def _recover(lab: Lab) -> dict[str, Samples]:
    ours = []
    with through_daemon(lab, "recovery", ["turns 1"] * (_DEATHS + 1)) as (talk, daemon):
        talk.perform()
        for _ in range(_DEATHS):
            pid = daemon.admin().get("/v1/units/bench.agent")["pid"]
            begun_ns = time.monotonic_ns()
            os.kill(pid, signal.SIGKILL)
            ours.append((talk.perform().ended_ns() - begun_ns) / 1e6)
    return {RECOVERY.key: Samples(ours, [_by_hand_ms(lab) for _ in range(_DEATHS)])}


def _by_hand_ms(lab: Lab) -> float:
    """The agent's own part of it: to start, to take the session up, to answer."""
    block = {"type": "text", "text": "turn"}
    frames = [
        {"id": 1, "method": "initialize", "params": {}},
        {"id": 2, "method": "session/resume", "params": {"sessionId": "s1"}},
        {"id": 3, "method": "session/prompt", "params": {"sessionId": "s1", "prompt": [block]}},
    ]
    pipe = subprocess.PIPE
    begun_ns = time.monotonic_ns()
    with subprocess.Popen(agent_argv(), stdin=pipe, stdout=pipe, env=lab.environ) as agent:
        assert agent.stdin is not None
        assert agent.stdout is not None
        for frame in frames:
            agent.stdin.write(json.dumps(frame).encode() + b"\n")
            agent.stdin.flush()
            agent.stdout.readline()
        ended_ns = time.monotonic_ns()
        agent.stdin.close()
    return (ended_ns - begun_ns) / 1e6


EXPERIMENTS = (
    Experiment(
        rows=(
            *(CROWD, CROWD_LINEAR, CROWD_MEMORY),
            *(CROWD_KEPT, CROWD_KEPT_LINEAR, CROWD_KEPT_MEMORY),
        ),
        run=_crowd,
        visits_max=3,
    ),
    Experiment(rows=(SESSION,), run=_idle, visits_max=3),
    Experiment(rows=(RECOVERY,), run=_recover),
)

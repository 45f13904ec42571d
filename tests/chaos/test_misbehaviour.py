"""Peers that do what no peer should (invariants I2, I3, I5): they harm themselves only.

Each test ends with the look of `unharmed` and `running`: the bystanders answer and are the
processes they were, no process of the daemon is left, nobody is a zombie.
"""

import os
import signal
import sys
from pathlib import Path

import pytest

from anyclawd.model.value import Json
from tests.chaos.bystander import beside, unharmed
from tests.fakes.daemon import WAIT_S, Daemon, is_alive, running, started, wait_dead

MULE = str(Path(__file__).parent / "peers" / "mule.py")
#: So that a stop which has to be enforced does not take long; a start may, on a busy machine.
SHORT: Json = {"start": WAIT_S, "stop": 0.3, "eof_grace": 0.2}
NEVER_READY: Json = {**SHORT, "start": 0.5}
SOON: Json = {"initial": 0.01, "factor": 1, "max": 0.01, "jitter": 0}


def argv(kind: str, behaviour: str) -> list[str]:
    return [sys.executable, "-SE", MULE, kind, behaviour]


def agent(behaviour: str, **settings: Json) -> Json:
    workspace = {"type": "local", "binary": argv("agent", behaviour)}
    return {"workspace": workspace, "timeouts": SHORT, "backoff": SOON, **settings}


def channel(behaviour: str, **settings: Json) -> Json:
    binary, *args = argv("channel", behaviour)
    entry = {"binary": binary, "args": args, "agent": "bystander"}
    return {**entry, "timeouts": SHORT, "backoff": SOON, **settings}


def suffering(kind: str, behaviour: str, **settings: Json) -> tuple[str, Json]:
    """The name of the unit that misbehaves, and the configuration of it and its bystanders."""
    if kind == "agent":
        return "mule.agent", beside({"mule": agent(behaviour, **settings)})
    return "mule.channel", beside({}, {"mule": channel(behaviour, **settings)})


def provoke(daemon: Daemon, kind: str) -> Json:
    """Give it something to do; an agent's answer to it."""
    if kind == "agent":
        return daemon.answer("go", agent="mule")
    daemon.client.post("/v1/notifications", {"channel": "mule", "peer": "mule", "text": "go"})
    return None


KINDS = pytest.mark.parametrize("kind", ["agent", "channel"])


@KINDS
def test_it_answers_nothing(tmp_path: Path, kind: str) -> None:
    name, config = suffering(kind, "mute", restart="never", timeouts=NEVER_READY)
    with unharmed(tmp_path, config) as daemon:
        unit = daemon.wait_unit(name, "failed")
        assert unit["result"] == "timeout"
        assert unit["reason"] == "not ready within 0.5 s"


@KINDS
def test_it_answers_its_handshake_with_garbage(tmp_path: Path, kind: str) -> None:
    """And nothing else: its stdout is closed behind it."""
    name, config = suffering(kind, "garbage-first", restart="never")
    with unharmed(tmp_path, config) as daemon:
        unit = daemon.wait_unit(name, "failed")
        assert unit["result"] == "protocol"
        assert unit["noise"] > 0


@KINDS
def test_it_writes_garbage_while_it_works(tmp_path: Path, kind: str) -> None:
    """Noise is counted and skipped; it never breaks the connection."""
    name, config = suffering(kind, "garbage")
    with unharmed(tmp_path, config) as daemon:
        pid = daemon.units()[name]["pid"]
        if kind == "agent":  # which owes the first answer, so the caller leaves
            events = daemon.talk("go", agent="mule")
            assert next(events)["type"] == "accepted"
            daemon.wait_noise(name)
            events.close()
            provoke(daemon, kind)
        else:
            provoke(daemon, kind)
            daemon.wait_noise(name)
        assert daemon.units()[name]["pid"] == pid


@KINDS
def test_it_floods_its_stderr_with_300_kb(tmp_path: Path, kind: str) -> None:
    """A pipe holds 64 KB: who does not read on has a child that hangs before its handshake."""
    name, config = suffering(kind, "300-kb-stderr")
    with unharmed(tmp_path, config) as daemon:
        assert daemon.units()[name]["active"] == "active"
        assert daemon.units()[name]["restarts"] == 0


@KINDS
def test_it_floods_its_stderr_for_ever(tmp_path: Path, kind: str) -> None:
    name, config = suffering(kind, "endless-stderr", stderr_rate=100)
    with unharmed(tmp_path, config) as daemon:
        assert daemon.units()[name]["active"] == "active"
        if kind == "agent":
            assert not provoke(daemon, kind)["isError"]
        daemon.wait_log(name, "lines dropped, more than 100 a second")
        assert daemon.unit(name)["dropped_lines"] > 0
        for _ in range(20):
            assert daemon.answer("still there?", agent="bystander")["text"]
        assert rss_kb(daemon.pid) < 200 * 1024


@KINDS
def test_it_writes_a_line_of_64_mb(tmp_path: Path, kind: str) -> None:
    """Over `stdout_line_max` it fails with result `protocol`, and is started again."""
    name, config = suffering(kind, "64-mb-line")
    with unharmed(tmp_path, config) as daemon:
        answer = provoke(daemon, kind)
        assert kind == "channel" or answer["isError"]
        daemon.wait_until(lambda units: units[name]["restarts"], "the restart")
        assert [line for line in said(daemon, name) if line.startswith("auto-restart, protocol")]
        assert any(
            "stdout_line_max" in line or "longer than" in line for line in said(daemon, name)
        )
        assert rss_kb(daemon.pid) < 200 * 1024


@KINDS
@pytest.mark.parametrize("end", ["stop", "shutdown"])
def test_it_ignores_sigterm_and_eof(tmp_path: Path, kind: str, end: str) -> None:
    name, config = suffering(kind, "ignores-term-and-eof")
    with unharmed(tmp_path, config) as daemon:
        pid = daemon.units()[name]["pid"]
        if end == "stop":
            [job] = daemon.job("stop", name)
            assert job["result"] == "done"
            assert not is_alive(pid)
            unit = daemon.unit(name)
            assert unit["exit"] == {"code": None, "signal": "SIGKILL"}
            assert unit["result"] == "timeout"
    wait_dead(pid)


@KINDS
@pytest.mark.parametrize("end", ["stop", "kill", "shutdown"])
def test_its_grandchild_has_left_the_session(tmp_path: Path, kind: str, end: str) -> None:
    name, config = suffering(kind, "grandchild")
    with unharmed(tmp_path, config) as daemon:
        pid = daemon.units()[name]["pid"]
        [grandchild] = (
            one for one, unit in daemon.descendants().items() if unit == name and one != pid
        )
        if end == "stop":
            assert daemon.job("stop", name)[0]["result"] == "done"
            assert not is_alive(grandchild), "a stop is done when nothing is left"
        elif end == "kill":
            os.kill(pid, 9)
            daemon.wait_restarted(name, pid)
            assert not is_alive(grandchild), "what was left is ended before the successor starts"
    wait_dead(grandchild)


@KINDS
@pytest.mark.parametrize("end", ["stop", "kill", "shutdown", "daemon killed"])
def test_its_family_is_large_and_one_has_shed_its_variables(
    tmp_path: Path, kind: str, end: str
) -> None:
    name, config = suffering(kind, "family")
    with started(tmp_path, config) as daemon:
        daemon.wait_ready()
        pid = daemon.units()[name]["pid"]
        naked = int(daemon.wait_log(name, "naked ").split()[1])
        family = {one for one, unit in daemon.descendants().items() if unit == name} | {naked}
        assert len(family) == 22
        if end == "stop":
            daemon.job("stop", name)
            assert not any(map(is_alive, family))
        elif end == "kill":
            os.kill(pid, 9)
            daemon.wait_restarted(name, pid)
            assert not any(map(is_alive, family))
        if end == "daemon killed":
            daemon.kill()
            with running(tmp_path) as successor:
                assert not any(map(is_alive, family))
                assert f"ended process {naked} " in successor.log_text()
        else:
            assert daemon.stop() == 0
            assert not any(map(is_alive, family))


@KINDS
def test_it_is_frozen(tmp_path: Path, kind: str) -> None:
    """SIGSTOP: it takes no signal but SIGKILL."""
    name, config = suffering(kind, "nothing")
    with unharmed(tmp_path, config) as daemon:
        pid = daemon.units()[name]["pid"]
        os.kill(pid, signal.SIGSTOP)
        assert daemon.job("restart", name)[0]["result"] == "done"
        assert not is_alive(pid)
        if kind == "agent":
            assert not provoke(daemon, kind)["isError"]


@KINDS
def test_it_closes_its_stdout_and_lives_on(tmp_path: Path, kind: str) -> None:
    """It says nothing any more, so it is no use: its turn fails, and it is replaced."""
    name, config = suffering(kind, "closes-stdout")
    with unharmed(tmp_path, config) as daemon:
        pid = daemon.units()[name]["pid"]
        answer = provoke(daemon, kind)
        if kind == "agent":
            assert answer["isError"]
            assert answer["text"]
        daemon.wait_restarted(name, pid)
        assert daemon.unit(name)["result"] == "protocol"


@KINDS
def test_it_closes_its_stdin_and_lives_on(tmp_path: Path, kind: str) -> None:
    """What is written to it next finds nobody: its turn is over, and it is replaced."""
    name, config = suffering(kind, "closes-stdin")
    with unharmed(tmp_path, config) as daemon:
        pid = daemon.units()[name]["pid"]
        if kind == "agent":
            events = daemon.talk("go", agent="mule")
            message = next(events)["messageId"]
            daemon.wait_log(name, "closed")
            events.close()  # nobody waits for the answer, so the prompt is cancelled
            daemon.wait_restarted(name, pid)
            assert daemon.client.get(f"/v1/messages/{message}")["state"] == "interrupted"
        else:
            provoke(daemon, kind)
            daemon.wait_log(name, "closed")
            provoke(daemon, kind)
            daemon.wait_restarted(name, pid)
        assert daemon.unit(name)["result"] == "protocol"


@pytest.mark.parametrize("behaviour", ["exits", "aborts"])
@KINDS
def test_it_dies_at_work(tmp_path: Path, kind: str, behaviour: str) -> None:
    name, config = suffering(kind, behaviour, restart="never")
    with unharmed(tmp_path, config) as daemon:
        answer = provoke(daemon, kind)
        if kind == "agent":
            assert answer["isError"]
            assert answer["text"]
        unit = daemon.wait_unit(name, "failed")
        found = (unit["result"], unit["exit"])
        if behaviour == "exits":
            assert found == ("exit-code", {"code": 3, "signal": None})
        else:
            assert found[0] in ("signal", "core-dump")
            assert found[1]["signal"] == "SIGABRT"


def test_an_agent_hangs_in_the_middle_of_its_work(tmp_path: Path) -> None:
    """It reads nothing any more: its turn ends by the silence."""
    # What a start may take is what the answer to a cancelled prompt may take, at the stop as well.
    config = beside({"mule": agent("stuck", prompt_idle_timeout=1, timeouts={**SHORT, "start": 3})})
    with unharmed(tmp_path, config) as daemon:
        answer = daemon.answer("go", agent="mule")
        assert answer["isError"]
        assert answer["text"] == "Agent mule did not respond for 1 seconds"


def test_a_channel_hangs_in_the_middle_of_its_work(tmp_path: Path) -> None:
    name, config = suffering("channel", "stuck")
    with unharmed(tmp_path, config) as daemon:
        for _ in range(100):
            provoke(daemon, "channel")
        assert daemon.units()[name]["active"] == "active"
        assert daemon.job("restart", name)[0]["result"] == "done"


def said(daemon: Daemon, name: str) -> list[str]:
    return [line["text"] for line in daemon.client.stream("GET", f"/v1/logs?unit={name}&n=1000")]


def rss_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError(f"process {pid} has no memory")

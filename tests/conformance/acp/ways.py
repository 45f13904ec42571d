"""Agents that can come back to their sessions, and what is done to them."""

from pathlib import Path

from anyclawd.model.value import Json
from tests.fakes.talk import Talk, misbehaving

BOTH: Json = {"loadSession": True, "sessionCapabilities": {"resume": {}}}
CRASHED = "result", "Agent crashed — restarting (default)"


def keeping(directory: Path, **traits: Json) -> Json:
    """An agent whose sessions outlive it, and that advertises every way back to them."""
    kept = directory / "sessions"
    kept.mkdir()
    return misbehaving(directory, {"capabilities": BOTH, "directory": str(kept), **traits})


def crash(talk: Talk) -> None:
    """End the agent within a turn, and wait for its successor."""
    pid = talk.agent_pid()
    talk.chat().say("do crash")
    assert talk.chat().turn() == [CRASHED]
    talk.daemon.wait_restarted("default.agent", pid)


def ways(talk: Talk) -> list[str]:
    """How the daemon has come to its sessions."""
    wanted = ("session/new", "session/resume", "session/load")
    return [method for method in talk.methods() if method in wanted]

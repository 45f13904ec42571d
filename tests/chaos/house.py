"""A daemon between an agent and a channel that the test plays, with a store on disk.

The channel takes part in both ends of the promise: it waits for acceptance, and confirms what has
arrived. A house brings its first message into any state, and is taken over by the next daemon.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anyclawd.model.value import Json
from tests.fakes.daemon import Daemon, Deadline, running, started, system
from tests.fakes.post import RESULT, Post
from tests.fakes.puppet import AgentPuppet, Stage

SOON = {"backoff": {"initial": 0.01, "factor": 1, "max": 0.01, "jitter": 0}}
CAN = {"protocolVersion": 1, "agentCapabilities": {"sessionCapabilities": {"resume": {}}}}


def config_of(directory: Path, theatre: Stage, **channel: Json) -> Json:
    return system(
        {"default": theatre.agent("a", CAN, **SOON)},
        {"web": theatre.channel("w", result=RESULT, **SOON, **channel)},
        session_store={"type": "sqlite", "path": str(directory / "sessions.db")},
    )


class House:
    """A daemon, and the agent and the channel of the process that runs now."""

    def __init__(self, theatre: Stage, daemon: Daemon) -> None:
        self._theatre, self.daemon = theatre, daemon
        self.agent, self.post = self.next_agent(), self.next_post()

    def next_agent(self) -> AgentPuppet:
        self.agent = self._theatre.accept_agent("a")
        return self.agent

    def next_post(self) -> Post:
        self.post = Post(self._theatre.accept_channel("w"))
        return self.post

    # -- the states ----------------------------------------------------------------------------

    def received(self) -> None:
        """The daemon has been sent a message and has not read it."""
        self.daemon.signal(signal.SIGSTOP)
        self.post.send("m1", "first")

    def queued(self) -> str:
        """It is accepted and waits, since its session is being opened."""
        message = self.post.hand_in("m1", "first")
        self.agent.expect("session/new")
        assert self.post.state(message)["state"] == "queued"
        return message

    def running(self) -> str:
        message = self.post.hand_in("m1", "first")
        self.agent.open("s1")
        self.request, asked = self.agent.prompted()
        assert asked == "first"
        assert self.post.state(message)["state"] == "running"
        return message

    def answered(self) -> str:
        """Its answer has come to the channel, which has not confirmed it."""
        message = self.running()
        self.agent.chunk("to the first", "s1")
        self.agent.done(self.request)
        self.shown = self.post.delivery()
        assert (self.shown.messages, self.shown.is_repeat) == ((message,), False)
        assert self.post.state(message)["state"] == "answered"
        return message

    def delivered(self) -> str:
        message = self.answered()
        self.post.confirm(self.shown)
        self.post.wait_state(message, "delivered")
        return message

    # -- afterwards ----------------------------------------------------------------------------

    def resume(self) -> None:
        """The agent is asked to come back to the session of before, and does."""
        request = self.agent.expect("session/resume")
        assert request["params"]["sessionId"] == "s1"
        self.agent.answer(request, {})

    def check_goes_on(self) -> None:
        """The next message is the next prompt, and its answer the next that is delivered."""
        message = self.post.hand_in("m2", "second")
        self._open_anyhow()
        assert self.agent.reply("to the second", "s1") == "second"
        shown = self.post.delivery()
        assert (shown.messages, shown.is_repeat) == ((message,), False)
        self.post.confirm(shown)
        self.post.wait_state(message, "delivered")

    def _open_anyhow(self) -> None:
        """Answer whatever precedes the prompt, if anything does."""
        methods = ("session/new", "session/resume", "session/prompt")
        frame = self.agent.take(lambda frame: frame.get("method") in methods, "a session")
        if frame["method"] == "session/prompt":
            self.agent.put_back(frame)
        else:
            is_new = frame["method"] == "session/new"
            self.agent.answer(frame, {"sessionId": "s1"} if is_new else {})


@contextmanager
def house(directory: Path, theatre: Stage, **channel: Json) -> Iterator[House]:
    with started(directory, config_of(directory, theatre, **channel)) as daemon:
        daemon.wait_ready()
        yield House(theatre, daemon)
        if daemon.process.poll() is None:
            assert daemon.stop() == 0


@contextmanager
def after_its_kill(directory: Path, theatre: Stage, former: House) -> Iterator[House]:
    """SIGKILL for the daemon, and the house as its successor has it."""
    former.daemon.kill()
    with running(directory) as daemon:
        yield House(theatre, daemon)


def wait_state_in_status(daemon: Daemon, message: str, state: str) -> None:
    """As `Post.wait_state`, asked of the admin API, for a channel that cannot ask."""
    deadline = Deadline()
    while (told := daemon.client.get(f"/v1/messages/{message}"))["state"] != state:
        deadline.left(f"{message}, which is {told['state']}, to be {state}")

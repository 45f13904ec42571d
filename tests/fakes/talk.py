"""A daemon between a channel that the test plays and an agent of `tests/fakes/agents`.

The agents are programs of their own. What passes between one and the daemon is in a transcript that
the agent keeps, so that everything it was sent can be judged afterwards.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from anyclawd.model.value import Json
from tests.fakes.daemon import Daemon, Deadline, running, system
from tests.fakes.puppet import CHANNEL_RESULT, ChannelPuppet, Frame, Stage, shown

_AGENTS = Path(__file__).parent / "agents"

#: An agent comes back at once, however often it dies.
TOUGH: Json = {
    "backoff": {"initial": 0.01, "factor": 1, "max": 0.01, "jitter": 0},
    "start_limit": {"burst": 10_000},
}
#: However long a process may take to begin, it is the test that gives it up.
UNHURRIED: Json = {"timeouts": {"start": 0}}


class Line(NamedTuple):
    """One frame of a transcript."""

    side: str  #: `client` or `agent`
    frame: Frame


def misbehaving(directory: Path, traits: Mapping[str, Json], **settings: Json) -> Json:
    """An agent entry; its transcript is in `directory`, and its sessions if a trait asks so."""
    given = {"transcript": str(transcript_of(directory)), **traits}
    program = str(_AGENTS / "misbehaving.py")
    binary = [sys.executable, "-SE", program, json.dumps(given)]
    return {"workspace": {"type": "local", "binary": binary}, **TOUGH, **settings}


def official(directory: Path, **settings: Json) -> Json:
    """An agent entry: the one on the official SDK, with its sessions and notes in `directory`."""
    program = str(_AGENTS / "official.py")
    notes = str(transcript_of(directory))
    binary = [sys.executable, program, str(directory / "sessions"), notes]
    workspace = {"type": "local", "binary": binary}
    return {"workspace": workspace, **TOUGH, **UNHURRIED, **settings}


def transcript_of(directory: Path) -> Path:
    return directory / "transcript.jsonl"


def read_transcript(directory: Path) -> list[Line]:
    """What has passed between a daemon and its misbehaving agent, over all processes of it."""
    found = [json.loads(line) for line in _lines(directory)]
    return [Line(one["from"], one["frame"]) for one in found if "from" in one]


def _lines(directory: Path) -> list[str]:
    """The lines of a transcript that are whole: its agent may be writing the next one just now."""
    return transcript_of(directory).read_text().split("\n")[:-1]


class Chat:
    """One peer of the channel."""

    def __init__(self, channel: ChannelPuppet, peer: str) -> None:
        self._channel, self.peer, self.key = channel, peer, f"web:direct:{peer}"

    def say(self, text: str) -> None:
        self._channel.message(text, self.peer)

    def send(self, *content: Json, **members: Json) -> None:
        """A message of any content, as a notification."""
        who = {"channelName": "web", "peerId": self.peer, "kind": "direct"}
        params = {"peerInfo": who, "content": list(content), **members}
        self._channel.say({"method": "channel/sendMessage", "params": params})

    def shown(self) -> tuple[str, str]:
        """(kind, text) of the next delivery to this chat."""
        return shown(self.delivery()["content"])

    def delivery(self) -> Frame:
        """The parameters of the next delivery to this chat."""
        frame = self._channel.take(
            lambda frame: (
                frame.get("method") == "channel/deliverMessage"
                and frame["params"]["sessionId"] == self.key
            ),
            f"a delivery to {self.key}",
        )
        params: Frame = frame["params"]
        return params

    def turn(self) -> list[tuple[str, str]]:
        """The deliveries up to the next result."""
        found = [self.shown()]
        while found[-1][0] != "result":
            found.append(self.shown())
        return found

    def ask(self, text: str) -> list[str]:
        """Say a text; what the agent says to it, chunk by chunk."""
        self.say(text)
        return [said for kind, said in self.turn() if kind == "agent_message_chunk"]

    def asked(self) -> Frame:
        """The next request for permission in this chat."""
        return self._channel.take(
            lambda frame: (
                frame.get("method") == "channel/requestPermission"
                and frame["params"]["sessionId"] == self.key
            ),
            f"a request for permission in {self.key}",
        )

    def choose(self, asked: Frame, option_id: str) -> None:
        answer = {"requestId": asked["params"]["requestId"], "optionId": option_id}
        self._channel.answer(asked, answer)


class Talk:
    """One running daemon with both its ends."""

    def __init__(self, directory: Path, daemon: Daemon, channel: ChannelPuppet) -> None:
        self._directory = directory
        self.daemon, self.channel = daemon, channel
        self._guests, self._begun_at = 0, 0

    def begin(self) -> "Talk":
        """Let the next test have chats of its own, and a transcript that begins here."""
        self._guests += 1
        is_begun = transcript_of(self._directory).exists()
        self._begun_at = len(_lines(self._directory)) if is_begun else 0
        return self

    def chat(self, peer: str = "ann") -> Chat:
        return Chat(self.channel, f"{peer}{self._guests or ''}")

    def transcript(self) -> list[Line]:
        """What has passed between the daemon and its agent, over all processes of it."""
        return [Line(one["from"], one["frame"]) for one in self.notes()]

    def sent(self, method: str) -> list[Json]:
        """The parameters of what the daemon has sent of one method."""
        return [
            line.frame["params"]
            for line in self.transcript()
            if line.side == "client" and line.frame.get("method") == method
        ]

    def methods(self) -> list[str]:
        """The methods of all that the daemon has sent, in order."""
        frames = [line.frame for line in self.transcript() if line.side == "client"]
        return [frame["method"] for frame in frames if "method" in frame]

    def wait_sent(self, method: str, count: int = 1) -> list[Json]:
        """As `sent`, once there are so many of them; asked for after each sign of life."""
        deadline = Deadline()
        while len(found := self.sent(method)) < count:
            deadline.left(f"{method} to be sent {count} times")
            self.daemon.status()
        return found

    def notes(self) -> list[Frame]:
        """What the agent has noted, line by line; of the one on the official SDK, its calls."""
        return [json.loads(line) for line in _lines(self._directory)[self._begun_at :]]

    def agent_pid(self) -> int:
        pid: int = self.daemon.units()["default.agent"]["pid"]
        return pid


@contextmanager
def talking(
    directory: Path,
    theatre: Stage,
    agent: Json,
    *,
    capabilities: Mapping[str, Json] | None = None,
    **sections: Json,
) -> Iterator[Talk]:
    """A daemon with this agent and the channel `web`, which can what `capabilities` add."""
    result = {
        **CHANNEL_RESULT,
        "capabilities": {**CHANNEL_RESULT["capabilities"], **(capabilities or {})},
    }
    channel = {**UNHURRIED, **sections.pop("channel", {})}
    config = system(
        {"default": agent}, {"web": theatre.channel("w", result=result, **channel)}, **sections
    )
    with running(directory, config) as daemon:
        yield Talk(directory, daemon, theatre.accept_channel("w"))

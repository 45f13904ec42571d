"""The test's hand in a real process: it plays an agent or a channel frame by frame.

A `Stage` gives configuration entries whose programs are puppets (tests/e2e/peers/puppet.py) and
takes their calls; a `Puppet` is one process of them. So a test knows exactly in which state a turn
is, and can kill a process that is real in it.
"""

import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from anyclawd.model.value import Json
from tests.fakes.daemon import WAIT_S, Deadline, TestFailure, wait_dead

_PROGRAM = Path(__file__).parents[1] / "e2e" / "peers" / "puppet.py"
CHANNEL_RESULT: "dict[str, Json]" = {
    "protocolVersion": 1,
    "capabilities": {"streaming": True, "richText": False},
}

Frame = dict[str, Json]
P = TypeVar("P", bound="Puppet")


class Puppet:
    """One process; every wait ends within `WAIT_S`."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(WAIT_S)
        self._connection = connection
        self._buffer = b""
        self._inbox: list[Frame] = []
        hello = self._line()
        assert hello is not None, "a puppet died before it had said who it is"
        self.pid: int = hello["pid"]
        self.unit: str = hello["unit"]
        self.environ: dict[str, str] = hello["env"]

    # -- frames --------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Bytes for its stdout, as they are."""
        self._connection.sendall(data)

    def write_some(self, data: bytes) -> int:
        """As many of the bytes as go without waiting for it to read; how many these were."""
        try:
            return self._connection.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def say(self, *frames: Mapping[str, Json]) -> None:
        """In one write: who has read the first of them may rely on the others being there."""
        lines = (json.dumps({"jsonrpc": "2.0", **frame}).encode() + b"\n" for frame in frames)
        self.write(b"".join(lines))

    def answer(self, request: Mapping[str, Json], result: Json) -> None:
        self.say({"id": request["id"], "result": result})

    def fail(self, request: Mapping[str, Json], code: int, message: str) -> None:
        self.say({"id": request["id"], "error": {"code": code, "message": message}})

    def expect(self, method: str) -> Frame:
        """Take the oldest frame of this method; what comes before it stays unread."""
        return self.take(lambda frame: frame.get("method") == method, method)

    def expect_answer(self, id_: Json) -> Frame:
        return self.take(
            lambda frame: frame.get("id") == id_ and "method" not in frame, f"an answer to {id_!r}"
        )

    def expect_end(self) -> None:
        """Its stdin has been closed, or it is dead; frames that came before are kept."""
        deadline = Deadline()
        while (frame := self._line()) is not None:
            self._inbox.append(frame)
            deadline.left("the end of the stream")

    def read(self) -> list[Frame]:
        """The frames that have been taken in and not been expected."""
        found, self._inbox = self._inbox, []
        return found

    def take(self, wanted: Callable[[Frame], bool], what: str) -> Frame:
        """Take the oldest frame that is wanted; others stay unread."""
        for index, kept in enumerate(self._inbox):
            if wanted(kept):
                return self._inbox.pop(index)
        deadline = Deadline()
        while (frame := self._line()) is not None:
            if wanted(frame):
                return frame
            self._inbox.append(frame)
            deadline.left(what)
        raise TestFailure(f"{self.unit} ended before {what}; it has read {self._inbox}")

    def put_back(self, frame: Frame) -> None:
        """It is the oldest that nobody has taken."""
        self._inbox.insert(0, frame)

    def fileno(self) -> int:
        """Readable when `frames` need not wait; unless they are there already."""
        return self._connection.fileno()

    @property
    def has_frames(self) -> bool:
        """Something has come that nobody has taken."""
        return b"\n" in self._buffer

    def frames(self) -> list[Frame] | None:
        """All that has come, after a wait for the first of it; None at the end of the stream."""
        if not self.has_frames:
            try:
                data = self._connection.recv(1 << 20)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        return [json.loads(line) for line in lines]

    def _line(self) -> Frame | None:
        while b"\n" not in self._buffer:
            try:
                data = self._connection.recv(65536)
            except ConnectionResetError:
                data = b""
            except TimeoutError as error:
                text = f"nothing came to {getattr(self, 'unit', 'it')}; unread: {self._inbox}"
                raise TestFailure(text) from error
            if not data:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        frame: Frame = json.loads(line)
        return frame

    # -- the end -------------------------------------------------------------------------------

    def kill(self) -> None:
        """SIGKILL, and wait until it is dead."""
        os.kill(self.pid, signal.SIGKILL)
        wait_dead(self.pid)

    def close(self) -> None:
        self._connection.close()


class AgentPuppet(Puppet):
    """Plays an agent."""

    def open(self, session_id: str = "s1") -> Frame:
        request = self.expect("session/new")
        self.answer(request, {"sessionId": session_id})
        params: Frame = request["params"]
        return params

    def prompted(self) -> tuple[Frame, str]:
        """The next prompt, and its text: the blocks that are not the platform's, one a line."""
        request = self.expect("session/prompt")
        return request, "\n".join(block["text"] for block in request["params"]["prompt"])

    def chunk(self, text: str, session_id: str = "s1") -> None:
        self.say(_chunk(text, session_id))

    def done(self, request: Frame, stop_reason: str = "end_turn") -> None:
        self.answer(request, {"stopReason": stop_reason})

    def chunk_and_done(self, text: str, request: Frame) -> None:
        """Both at once: the process may die as soon as the chunk is seen."""
        self.say(_chunk(text), {"id": request["id"], "result": {"stopReason": "end_turn"}})

    def reply(self, text: str, session_id: str = "s1") -> str:
        """Take one prompt and answer it in one chunk; what it said."""
        request, asked = self.prompted()
        self.chunk(text, session_id)
        self.done(request)
        return asked

    def ask(self, id_: Json = 900, session_id: str = "s1") -> None:
        options = [
            {"optionId": "yes", "name": "Yes", "kind": "allow_once"},
            {"optionId": "no", "name": "No", "kind": "reject_once"},
        ]
        tool_call = {"toolCallId": "t1", "title": "Do it?"}
        params = {"sessionId": session_id, "toolCall": tool_call, "options": options}
        self.say({"id": id_, "method": "session/request_permission", "params": params})


def _chunk(text: str, session_id: str = "s1") -> Frame:
    content = {"type": "text", "text": text}
    update = {"sessionUpdate": "agent_message_chunk", "content": content}
    return {"method": "session/update", "params": {"sessionId": session_id, "update": update}}


def shown(content: Json) -> tuple[str, str]:
    """(kind, text) of what a channel is to show."""
    if isinstance(content, str):
        return "text", content
    update = content["update"]
    inner = update.get("content", update.get("stopReason", ""))
    return update["sessionUpdate"], inner.get("text", "") if isinstance(inner, dict) else inner


class ChannelPuppet(Puppet):
    """Plays a channel."""

    def message(self, text: str, peer: str = "ann") -> None:
        params = {
            "peerInfo": {"channelName": "web", "peerId": peer, "kind": "direct"},
            "content": [{"type": "text", "text": text}],
        }
        self.say({"method": "channel/sendMessage", "params": params})

    def shown(self) -> tuple[str, str]:
        """(kind, text) of the next delivery."""
        return shown(self.expect("channel/deliverMessage")["params"]["content"])

    def turn(self) -> list[tuple[str, str]]:
        """The deliveries up to the next result."""
        found = [self.shown()]
        while found[-1][0] != "result":
            found.append(self.shown())
        return found


class HookPuppet(Puppet):
    """Plays a hook."""

    def decide(self, event: str, action: str = "pass", **members: Json) -> Frame:
        """Answer the next question of this kind; what it was."""
        request = self.expect(f"hook/{event}")
        self.answer(request, {"action": action, **members})
        params: Frame = request["params"]
        return params


class Stage:
    """Where puppets call; one socket a unit."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._listeners: dict[str, socket.socket] = {}
        self._puppets: list[Puppet] = []

    def agent(
        self, name: str, result: Json = None, *, is_mute: bool = False, **settings: Json
    ) -> Json:
        """An agent entry; `result` answers `initialize`, unless it is left to the test."""
        if result is None:
            result = {"protocolVersion": 1, "agentCapabilities": {}}
        binary = [*self._program(name), *([] if is_mute else [json.dumps(result)])]
        return {"workspace": {"type": "local", "binary": binary}, **settings}

    def channel(
        self, name: str, agent: str = "default", result: Json = CHANNEL_RESULT, **settings: Json
    ) -> Json:
        """A channel entry; `result` answers `initialize`."""
        binary, *args = [*self._program(name), json.dumps(result)]
        return {"binary": binary, "args": args, "agent": agent, **settings}

    def hook(self, name: str, *events: str, **settings: Json) -> Json:
        """A service entry; it asks to be asked about `events`, or about everything."""
        result = {"events": list(events)} if events else {}
        binary, *args = [*self._program(name), json.dumps(result)]
        return {"binary": binary, "args": args, "protocol": "hook", **settings}

    def tool(self, name: str, **settings: Json) -> Json:
        """A tool entry; all of it is left to the test."""
        binary, *args = self._program(name)
        return {"binary": binary, "args": args, **settings}

    def accept(self, name: str, kind: type[P]) -> P:
        """The next process of this entry, as a puppet of this kind."""
        return self._keep(kind(self._accept(name)))

    def accept_agent(self, name: str) -> AgentPuppet:
        """The next process of this entry, once it has been started."""
        return self._keep(AgentPuppet(self._accept(name)))

    def accept_channel(self, name: str) -> ChannelPuppet:
        return self._keep(ChannelPuppet(self._accept(name)))

    def accept_hook(self, name: str) -> HookPuppet:
        return self._keep(HookPuppet(self._accept(name)))

    def listener(self, name: str) -> socket.socket:
        """Readable when the next process of this entry has called."""
        return self._listeners[name]

    def close(self) -> None:
        for puppet in self._puppets:
            puppet.close()
        for listener in self._listeners.values():
            listener.close()

    def _program(self, name: str) -> list[str]:
        path = self._directory / f"{name}.sock"
        listener = self._listeners[name] = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        listener.listen(16)
        listener.settimeout(WAIT_S)
        return [sys.executable, "-SE", str(_PROGRAM), str(path)]

    def _accept(self, name: str) -> socket.socket:
        return self._listeners[name].accept()[0]

    def _keep(self, puppet: P) -> P:
        self._puppets.append(puppet)
        return puppet


@contextmanager
def stage(directory: Path) -> Iterator[Stage]:
    found = Stage(directory)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def theatre(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as found:
        yield found

"""Fifty chats talk while daemon, agent and channel are killed; then everything is accounted for.

The test plays the channel and remembers all that it has sent, was told and has shown, as a platform
would. The agent is a program that keeps its sessions and a transcript of every prompt. What has
become of a message is so known from three sides: the channel's, the agent's and the daemon's own.
Every decision is drawn from one seed.
"""

import json
import os
import random
import re
import select
import signal
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from anyclawd.model.value import Json
from tests.fakes.daemon import Daemon, Deadline, system
from tests.fakes.post import RESULT, Delivery, delivery_of, message
from tests.fakes.puppet import ChannelPuppet, Frame, Stage, stage
from tests.fakes.talk import TOUGH, misbehaving, read_transcript

PEERS = 50
#: Messages of one chat that have no outcome yet.
_AHEAD = 3
_CAN: Json = {"loadSession": True, "sessionCapabilities": {"resume": {}, "close": {}}}
#: How a message begins, whatever else it says.
_MARK = re.compile(r"(?:do say )?<(p\d+) (\d+)>")
_FINAL = ("delivered", "interrupted", "refused")


@dataclass(slots=True)
class Sent:
    """One message as its sender knows it."""

    peer: str
    number: int
    text: str
    is_answered: bool = False  #: it was accepted, or refused at once
    id: str = ""  #: the daemon's name of it, once it is accepted
    state: Json = None  #: what the daemon told of it last


@dataclass(slots=True)
class Ledger:
    """All that the channel has seen."""

    sent: dict[str, Sent] = field(default_factory=dict)  #: by source id
    refusals: Counter[str] = field(default_factory=Counter)
    arrivals: list[tuple[str, Delivery]] = field(default_factory=list)  #: with their session

    def accepted(self) -> dict[str, Sent]:
        return {one.id: one for one in self.sent.values() if one.id}


class Traffic:
    """One life of fifty chats; `faults` tells what is wrong at its end."""

    def __init__(self, directory: Path, theatre: Stage, seed: int) -> None:
        self.steps: list[str] = []  #: what was done, in words
        self.ledger = Ledger()
        self._random = random.Random(seed)
        self._directory, self._theatre = directory, theatre
        kept = directory / "sessions"
        kept.mkdir()
        traits = {"capabilities": _CAN, "directory": str(kept)}
        config = system(
            {"default": misbehaving(directory, traits)},
            {"web": theatre.channel("w", result=RESULT, **TOUGH)},
            session_store={"type": "sqlite", "path": str(directory / "sessions.db")},
        )
        self._channel: ChannelPuppet | None = None
        self._unsent = bytearray()  # for the channel that runs now
        self._numbers: Counter[str] = Counter()
        self._open: defaultdict[str, list[str]] = defaultdict(list)  # source ids, by peer
        self._over: set[str] = set()  # ids of messages that are answered, source ids of refused
        self._handled = 0
        self._is_talking = True
        self._forgets = True
        self.daemon = Daemon(directory, config, {}, ())
        self.daemon.wait_ready()

    # -- blows ---------------------------------------------------------------------------------

    def step(self) -> None:
        """Some traffic, then a blow."""
        goal = self._handled + self._random.randint(5, 200)
        self._pump(lambda: self._handled >= goal, "traffic")
        acts: dict[Callable[[], None], int] = {
            self._kill_the_daemon: 6,
            self._kill_the_agent: 6,
            self._kill_the_channel: 6,
            self._kill_everything: 2,
            self._stop_the_daemon: 2,
        }
        [act] = self._random.choices([*acts], [*acts.values()])
        self.steps.append(act.__name__.strip("_").replace("_", " "))
        act()

    def _kill_the_daemon(self) -> None:
        self.daemon.kill()
        self._begin_daemon()

    def _stop_the_daemon(self) -> None:
        self.daemon.signal(signal.SIGTERM)
        assert self.daemon.wait_exit() == 0
        self._begin_daemon()

    def _begin_daemon(self) -> None:
        former = self.daemon
        self.daemon = Daemon(self._directory, None, {}, ())
        former._notify.close()
        self.daemon.wait_ready()

    def _kill_the_agent(self) -> None:
        self._kill_unit("default.agent")

    def _kill_the_channel(self) -> None:
        self._kill_unit("web.channel")

    def _kill_everything(self) -> None:
        self.daemon.signal(signal.SIGSTOP)
        for pid in self.daemon.descendants():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._kill_the_daemon()

    def _kill_unit(self, name: str) -> None:
        pid = self.daemon.units()[name]["pid"]
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # -- the channel ---------------------------------------------------------------------------

    def _pump(self, is_over: Callable[[], bool], what: str) -> None:
        """Play the channel until something holds."""
        deadline = Deadline()
        listener = self._theatre.listener("w")
        while not is_over():
            channel = self._channel
            if channel is None or not channel.has_frames:
                sources = [listener, *([] if channel is None else [channel])]
                sinks = [channel] if channel is not None and self._unsent else []
                readable, writable, _ = select.select(sources, sinks, [], deadline.left(what))
                if writable:
                    self._send()
                if listener in readable:
                    self._accept()
                if channel is not self._channel or channel not in readable:
                    continue
            assert channel is not None
            self._hear(channel.frames())
            self._talk()

    def _send(self) -> None:
        """What it reads without having to be waited for: it may be waiting for us to read."""
        assert self._channel is not None
        with suppress(BrokenPipeError, ConnectionResetError):
            del self._unsent[: self._channel.write_some(self._unsent)]

    def _hear(self, frames: list[Frame] | None) -> None:
        if frames is None:
            self._channel = None
        for frame in frames or []:
            self._handled += 1
            self._take(frame)

    def _accept(self) -> None:
        """The next process of the channel; it sends again what nobody has answered."""
        try:
            self._channel = self._theatre.accept_channel("w")
        except AssertionError:
            return  # it was killed before it had said who it is
        self._unsent.clear()
        for source_id, one in self.ledger.sent.items():
            if not one.is_answered:
                self._say(message(source_id, one.text, one.peer))

    def _say(self, frame: Frame) -> None:
        self._unsent += json.dumps({"jsonrpc": "2.0", **frame}).encode() + b"\n"

    def _talk(self) -> None:
        """Every chat has some messages under way."""
        if not self._is_talking or self._channel is None:
            return
        for number in range(PEERS):
            peer = f"p{number}"
            while self._has_room(peer):
                self._numbers[peer] += 1
                source_id = f"{peer}-{self._numbers[peer]}"
                text = f"<{peer} {self._numbers[peer]}>"
                if self._random.random() < 0.3:
                    text = f"do say {text}" + "; think of it" * self._random.randint(1, 40)
                self.ledger.sent[source_id] = Sent(peer, self._numbers[peer], text)
                self._open[peer].append(source_id)
                self._say(message(source_id, text, peer))

    def _take(self, frame: Frame) -> None:
        if (arrived := delivery_of(frame)) is not None:
            self.ledger.arrivals.append((frame["params"]["sessionId"], arrived))
            self._over.update(arrived.messages)
            if not self._forgets or self._random.random() < 0.9:
                receipt = {"deliveryId": arrived.id}
                self._say({"method": "channel/deliveryReceipt", "params": receipt})
        elif "method" not in frame and str(frame["id"]).startswith("state "):
            self.ledger.sent[frame["id"][6:]].state = frame.get("result", frame.get("error"))
        elif "method" not in frame:
            self._answered(frame)

    def _answered(self, frame: Frame) -> None:
        one = self.ledger.sent[frame["id"]]
        if "error" in frame:
            assert not one.id, f"{frame['id']} was accepted as {one.id}, and now: {frame['error']}"
            self.ledger.refusals[frame["error"]["data"]["reason"]] += 1
            self._over.add(frame["id"])
        else:
            given = frame["result"]["messageId"]
            assert one.id in ("", given), f"{frame['id']} is {one.id} and {given}"
            one.id = given
        one.is_answered = True

    def _has_room(self, peer: str) -> bool:
        """Whether a chat may say something more before what it has said is answered."""
        self._open[peer] = [
            source_id
            for source_id in self._open[peer]
            if self._over.isdisjoint((source_id, self.ledger.sent[source_id].id))
        ]
        return len(self._open[peer]) < _AHEAD

    # -- the end -------------------------------------------------------------------------------

    def come_to_rest(self) -> None:
        """No blow and no new message any more: every message comes to its end."""
        self._is_talking = self._forgets = False
        self._change_the_channel()  # the successor is sent again what was not confirmed
        everything = self.ledger.sent.values()
        self._pump(lambda: all(one.is_answered for one in everything), "every message's acceptance")
        deadline = Deadline()
        while any(not _is_final(one) for one in self.ledger.accepted().values()):
            deadline.left(f"an outcome of every message: {self.told()}")
            self._ask_states()
        shown = self.ledger.arrivals
        wanted = self.ledger.accepted().keys()
        self._pump(
            lambda: wanted <= {one for _, arrived in shown for one in arrived.messages},
            "every outcome to be shown",
        )
        assert self.daemon.stop() == 0
        assert self.daemon.descendants() == {}

    def _change_the_channel(self) -> None:
        units = self.daemon.wait_until(
            lambda units: units["web.channel"]["pid"] is not None, "the channel to run"
        )
        former = units["web.channel"]["pid"]
        with suppress(ProcessLookupError):  # the last blow may have been for it
            os.kill(former, signal.SIGKILL)
        pid = self.daemon.wait_restarted("web.channel", former)
        self._pump(lambda: self._channel is not None and self._channel.pid == pid, "the channel")

    def _ask_states(self) -> None:
        """Ask the daemon for some messages, as many as it lets ask."""
        asked = [
            (source_id, one)
            for source_id, one in self.ledger.sent.items()
            if one.id and not _is_final(one)
        ][:50]
        for source_id, one in asked:
            one.state = None
            params = {"messageId": one.id}
            frame = {"id": f"state {source_id}", "method": "channel/messageState"}
            self._say({**frame, "params": params})
        self._pump(lambda: all(one.state is not None for _, one in asked), "the states of messages")

    def faults(self) -> Iterator[str]:
        """What is not as it was promised, in words."""
        accepted = self.ledger.accepted()
        answers: defaultdict[str, set[str]] = defaultdict(set)
        seen: set[str] = set()
        last: defaultdict[str, int] = defaultdict(int)
        for session, arrived in self.ledger.arrivals:
            for one in arrived.messages:
                answers[one].add(arrived.id)
            if arrived.id in seen:
                if not arrived.is_repeat:
                    yield f"{arrived.id} came again without its mark"
                continue
            seen.add(arrived.id)
            numbers = [accepted[one].number for one in arrived.messages if one in accepted]
            if numbers != sorted(numbers) or numbers[:1] < [last[session]]:
                yield f"{session}: {numbers} after {last[session]}"
            last[session] = max([last[session], *numbers])
        for id_, one in accepted.items():
            if len(answers[id_]) != 1:
                yield f"{one} has the answers {answers[id_]}"
        yield from self._prompts_that_are_wrong()

    def _prompts_that_are_wrong(self) -> Iterator[str]:
        """None is prompted twice or before an earlier one, and each that is answered was."""
        prompted: dict[tuple[str, int], int] = {}
        last: defaultdict[str, int] = defaultdict(int)
        for side, frame in read_transcript(self._directory):
            if side == "client" and frame.get("method") == "session/prompt":
                for block in frame["params"]["prompt"]:
                    if found := _MARK.match(block.get("text", "")):
                        peer, number = found[1], int(found[2])
                        prompted[peer, number] = prompted.get((peer, number), 0) + 1
                        if number <= last[peer]:
                            yield f"{peer}: {number} is prompted after {last[peer]}"
                        last[peer] = number
        for one in self.ledger.accepted().values():
            times = prompted.get((one.peer, one.number), 0)
            if one.state["state"] == "delivered" and times != 1:
                yield f"{one} was answered and prompted {times} times"
            if one.state["state"] == "refused":  # nothing here is ever too much
                yield f"{one} was refused after it was accepted"

    def told(self) -> str:
        """What came of it, for people."""
        known = [one.state or {"state": "unknown"} for one in self.ledger.accepted().values()]
        states = Counter(state["state"] for state in known)
        reasons = Counter(state["text"] for state in known if state["state"] == "refused")
        return (
            f"{len(self.ledger.sent)} messages, {dict(states)}, refused once accepted "
            f"{dict(reasons)}, refused at once {dict(self.ledger.refusals)}, {Counter(self.steps)}"
        )


def _is_final(one: Sent) -> bool:
    return one.state is not None and one.state.get("state") in _FINAL


@contextmanager
def talking(directory: Path, seed: int) -> Iterator[Traffic]:
    """A life; a failure tells its seed and its steps."""
    with stage(directory) as theatre:
        traffic = Traffic(directory, theatre, seed)
        try:
            yield traffic
        except BaseException as error:
            error.add_note(f"seed {seed}; steps: {', '.join(traffic.steps)}")
            error.add_note("the end of the daemon's log:\n" + traffic.daemon.log_text()[-8000:])
            raise
        finally:
            traffic.daemon.close()

"""Agents call tools that are killed at random: each call has one answer, and is made once at most.

What has become of a call is known from both sides: by what its client was answered, and by the
transcripts that the tools keep, over all of their processes. Neither clients nor blows go by time:
a tool is struck after so many answers, whatever it does just then.
"""

import json
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Queue

from anyclawd.model.value import Json
from tests.chaos.test_random import seed
from tests.conformance.mcp.door import Door
from tests.conformance.mcp.house import door_of
from tests.fakes.daemon import WAIT_S, Daemon, Deadline, running, system
from tests.fakes.talk import TOUGH, misbehaving, transcript_of
from tests.fakes.tool_process import MISBEHAVING

KEYS = ("red", "green", "blue")
CLIENTS, CALLS = 6, 60
#: Answers, of all clients together, from one blow to the next.
BREATH = 12


def entry(directory: Path, key: str) -> Json:
    binary, *arguments = MISBEHAVING
    traits = {"tools": ["echo"], "transcript": str(directory / f"{key}.jsonl")}
    return {"binary": binary, "args": [*arguments, json.dumps(traits)], **TOUGH}


@contextmanager
def told_with(note: str) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        error.add_note(note)
        raise


def door_to(directory: Path, daemon: Daemon) -> Door:
    """Where the agent finds all its tools."""
    daemon.answer("hello")
    lines = map(json.loads, transcript_of(directory).read_text().splitlines())
    [servers] = (
        line["frame"]["params"]["mcpServers"]
        for line in lines
        if line["frame"].get("method") == "session/new"
    )
    return door_of(servers[0]).merged


def call(door: Door, number: int, dice: random.Random, answers: "Queue[tuple[str, Json]]") -> None:
    """The calls of one client, one after the other: plain, with progress, in either era.

    After a call that came to nothing it waits until the tool is offered again, as an agent does.
    """
    for count in range(CALLS):
        text, name = f"<{number} {count}>", f"{dice.choice(KEYS)}__echo"
        arguments: Json = {"text": text, "do": dice.choice(["", "progress", "noise"])}
        params: Json = {"name": name, "arguments": arguments}
        if dice.random() < 0.5:
            params["_meta"] = {"progressToken": count}
        ask = door.ask_modern if dice.random() < 0.3 else door.ask
        frames = ask("tools/call", params).frames
        answers.put((text, frames))
        deadline = Deadline()
        while said(frames) != text and name not in door.names():
            deadline.left(f"{name} to be offered again")


def said(frames: list[Json]) -> str:
    """The text of the one result among them."""
    [result] = (frame["result"] for frame in frames if "method" not in frame)
    [block] = result["content"]
    text: str = block["text"]
    assert result.get("isError", False) is not text.startswith("<"), result
    return text


def calls_of(directory: Path) -> Counter[str]:
    """How often each call has come to a tool."""
    found: Counter[str] = Counter()
    for key in KEYS:
        for line in (directory / f"{key}.jsonl").read_text().splitlines():
            with suppress(ValueError):  # it was killed as it wrote this
                noted = json.loads(line)
                if noted["frame"].get("method") == "tools/call":
                    found[noted["frame"]["params"]["arguments"]["text"]] += 1
    return found


def test_each_call_is_answered_once_whatever_is_killed(tmp_path: Path) -> None:
    dice = random.Random(chosen := seed())
    agent = misbehaving(
        tmp_path, {"capabilities": {"mcpCapabilities": {"http": True}}}, tools=[*KEYS]
    )
    tools = {key: entry(tmp_path, key) for key in KEYS}
    answers: Queue[tuple[str, Json]] = Queue()
    config = system({"default": agent}, tools_manager={"tools": tools})
    with told_with(f"seed {chosen}"), running(tmp_path, config) as daemon:
        door = door_to(tmp_path, daemon)
        clients = [
            threading.Thread(
                target=call,
                args=(door, number, random.Random(dice.random()), answers),
                name=f"client {number}",
            )
            for number in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        told: dict[str, str] = {}
        struck: dict[str, int] = {}
        while len(told) < CLIENTS * CALLS:
            text, frames = answers.get(timeout=WAIT_S)
            assert text not in told
            told[text] = said(frames)
            assert told[text] == text or not told[text].startswith("<")
            if len(told) % BREATH == 0:
                strike(daemon, dice.choice(KEYS), struck)
        for client in clients:
            client.join()
        for key in KEYS:
            daemon.wait_restarted(f"{key}.tool", struck.get(key, 0))
            assert said(door.call(f"{key}__echo", text="<well>").frames) == "<well>"
        made = calls_of(tmp_path)
        del made["<well>"]
        assert [text for text, count in made.items() if count > 1] == []
        assert {text for text, answer in told.items() if answer == text} <= made.keys()
        assert invocations(daemon) == len(told) + len(KEYS)
        daemon.wait_descriptors(80)


def invocations(daemon: Daemon) -> float:
    """How many calls the daemon has counted."""
    lines = daemon.tcp("/metrics")[1].decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if "tool_invocations_total{" in line)


def strike(daemon: Daemon, key: str, struck: dict[str, int]) -> None:
    """Kill the process of a tool, which the daemon may notice later; `struck` has the last one."""
    pid = daemon.units()[f"{key}.tool"]["pid"]
    if pid is not None:
        struck[key] = pid
        with suppress(ProcessLookupError):  # it has died of the blow before
            os.kill(pid, signal.SIGKILL)

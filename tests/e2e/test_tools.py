"""Tools from end to end: what becomes of eight good ones beside a bad one, of secrets, of chats.

One daemon for all of it: eight tools, and a ninth that each test makes as bad as it likes, by a
reload. The agents are two: one that keeps what it was given, with whose token the tests ask as it
would, and a mock one behind a channel.
"""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from anyclawd.model.value import Json
from tests.conformance.mcp.door import Door, Stream
from tests.conformance.mcp.house import door_of
from tests.fakes.daemon import (
    Daemon,
    Deadline,
    debug_http,
    mock,
    running,
    system,
    until,
    write_config,
)
from tests.fakes.talk import misbehaving, transcript_of
from tests.fakes.tool_process import MISBEHAVING

OURS = str(Path(__file__).parents[1] / "conformance/mcp/programs/our_tools.py")
NAMES = ["echo", "who", "hold"]
EIGHT = [f"t{number}" for number in range(1, 9)]
SECOND: Json = {"name": "echo", "title": "2nd", "inputSchema": {"type": "object"}}
ODD: Json = {"name": "odd", "inputSchema": 7}
#: Neither may be seen by anybody but the one who is to have it.
SECRET, ARGUMENT = "s3cr3t-of-the-tool", "argum3nt-of-the-call"

SOON: Json = {"initial": 0.01, "factor": 1, "max": 0.01, "jitter": 0}
NEVER: Json = {"initial": 3600, "factor": 1, "max": 3600, "jitter": 0}


def entry(traits: Json = None, **settings: Json) -> Json:
    """A tool that is good but for these traits."""
    [binary, *arguments] = [*MISBEHAVING, json.dumps({"tools": NAMES, **(traits or {})})]
    return {"binary": binary, "args": arguments, "backoff": SOON, **settings}


class Shop:
    """The daemon, its configuration, and the way to its tools."""

    def __init__(self, directory: Path, daemon: Daemon, config: Json) -> None:
        self.daemon, self.config = daemon, config
        self._transcript = transcript_of(directory)

    def entry(self, key: str) -> Json:
        """The newest entry of `mcpServers` for a unit."""
        if not self._transcript.exists() or "session/new" not in self._transcript.read_text():
            self.daemon.answer("hello")
        lines = map(json.loads, self._transcript.read_text().splitlines())
        [*_, servers] = (
            line["frame"]["params"]["mcpServers"]
            for line in lines
            if line["frame"].get("method") == "session/new"
        )
        [found] = (one for one in servers if one["name"] == key)
        return found

    def door(self, key: str) -> Door:
        return door_of(self.entry(key))

    @property
    def merged(self) -> Door:
        return self.door("t1").merged

    def ninth(self, traits: Json, *words: str, fails: bool = False, **settings: Json) -> None:
        """Let the ninth tool be one with these traits."""
        self.config["tools_manager"]["tools"]["t9"] = entry(traits, **settings)
        self.reload(*words, fails=fails)

    def reload(self, *words: str, fails: bool = False) -> None:
        write_config(self.daemon.config, self.config)
        done = self.daemon.ctl("reload", *words)
        assert done.returncode == fails, done.stderr

    def ceiling(self, key: str, duration: str) -> None:
        """Let calls of a tool that runs on take so long at most, from the next one on."""
        self.config["tools_manager"]["tools"][key]["call_timeout"] = duration
        self.reload()

    def noted(self, unit: str) -> str:
        """What a unit that keeps a transcript has been sent and has sent."""
        return (self.daemon.directory / unit).read_text()

    def wait_noted(self, unit: str, text: str) -> None:
        deadline = Deadline()
        while text not in self.noted(unit):
            deadline.left(f"{text} for {unit}")
            self.daemon.status()

    def pid(self, unit: str) -> int:
        found: int = self.daemon.units()[f"{unit}.tool"]["pid"]
        return found

    @contextmanager
    def listening(self, key: str) -> Iterator[Stream]:
        session = self.door(key).open()
        with session.stream("GET", headers={"Accept": "text/event-stream"}) as stream:
            yield stream

    def all_work(self) -> None:
        """Each of the eight answers, as itself and in the view of all."""
        for key in EIGHT:
            assert text_of(self.door(key).call("echo", text=key).result) == key
            assert text_of(self.merged.call(f"{key}__echo", text=key).result) == key


def text_of(result: Json) -> str:
    [block] = result["content"]
    text: str = block["text"]
    return text


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    directory = tmp_path_factory.mktemp("shop")
    tools = {key: entry() for key in EIGHT}
    tools["t9"] = entry()
    tools["frail"] = entry({"transcript": str(directory / "frail")}, backoff=NEVER)
    tools["late"] = entry({"transcript": str(directory / "late")})
    options = {"API_KEY": SECRET, "PLAIN": "yes"}
    tools["secret"] = entry({"transcript": str(directory / "secret")}, options=options)
    ours = {"binary": sys.executable, "args": [OURS], "trusted": True}
    tools["ours"] = {**ours, "options": {"API_KEY": SECRET}}
    tools["strange"] = {**ours, "trusted": False, "options": {"API_KEY": SECRET}}
    http = {"capabilities": {"mcpCapabilities": {"http": True}}}
    denied = {"deny": ["t2/echo", "ours/in*"]}
    agents = {
        "default": misbehaving(
            directory,
            http,
            tools=[*tools],
            tool_access={"deny": ["t8/who"]},
            working_dir=str(directory),
        ),
        "mock": {**mock(obey=True), "tools": ["ours"]},
        "old": misbehaving(directory / "old", {}, tools=["t1", "t2", "ours"], tool_access=denied),
    }
    (directory / "old").mkdir()
    web, sections = {"web": debug_http("mock")}, {"tools_manager": {"tools": tools}}
    config = system(agents, web, **sections, log_level="debug")  # so that all is told that may be
    with running(directory, config) as daemon:
        yield Shop(directory, daemon, config)


# -- a bad one among nine -------------------------------------------------------------------------


def test_a_tool_that_ends_at_once_harms_nobody(shop: Shop) -> None:
    pids = [shop.pid(key) for key in EIGHT]
    shop.ninth({"crash": "start"}, fails=True, start_limit={"burst": 3, "on_limit": "fail"})
    unit = shop.daemon.wait_unit("t9.tool", "failed")
    assert unit["result"] == "start-limit-hit"
    result = shop.door("t9").call("echo", text="x").result
    assert result["isError"] is True
    assert "t9" in text_of(result)
    assert not [name for name in shop.merged.names() if name.startswith("t9__")]
    shop.all_work()
    assert [shop.pid(key) for key in EIGHT] == pids
    served = json.loads(shop.daemon.tcp("/health")[1])["mcp_servers"]
    assert set(EIGHT) <= set(served)
    assert "t9" not in served


def test_a_tool_that_lists_nothing_harms_nobody(shop: Shop) -> None:
    """It never becomes ready, and nobody waits for it, not even a list."""
    shop.ninth({"list": "hang"}, "--no-block", timeouts={"start": 0.5}, restart="never")
    shop.all_work()
    unit = shop.daemon.wait_unit("t9.tool", "failed")
    assert unit["result"] == "timeout"
    shop.all_work()


def test_a_tool_that_lists_a_hundred_megabytes_harms_nobody(shop: Shop) -> None:
    shop.ninth({"list": "huge"}, "--no-block", restart="never")
    shop.all_work()
    assert shop.daemon.wait_unit("t9.tool", "failed")["result"] == "protocol"
    shop.all_work()
    status = Path(f"/proc/{shop.daemon.pid}/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert peak is not None
    assert int(peak[1]) < 250_000  # its line has a bound, and what is beyond it is never kept


def test_a_tool_with_the_same_name_twice_harms_nobody(shop: Shop) -> None:
    shop.ninth({"tools": [*NAMES, SECOND]})
    shop.daemon.wait_unit("t9.tool", "active", "running")
    body = shop.door("t9").ask("tools/list").body
    assert b"2nd" not in body
    assert shop.door("t9").names() == NAMES
    assert text_of(shop.door("t9").call("echo", text="one of two").result) == "one of two"
    shop.all_work()


def test_a_tool_with_a_schema_that_is_none_harms_nobody(shop: Shop) -> None:
    shop.ninth({"tools": [ODD, *NAMES]})
    shop.daemon.wait_unit("t9.tool", "active", "running")
    assert shop.door("t9").names() == NAMES
    assert shop.door("t9").call("odd").error["code"] == -32602
    shop.daemon.wait_log_text("odd")
    shop.all_work()


# -- killed, restarted, reloaded ------------------------------------------------------------------


def test_a_call_whose_tool_is_killed_is_answered_before_anything_else(shop: Shop) -> None:
    """The answer does not wait for the tool to come back: that one will not, for an hour."""
    door, daemon = shop.door("frail"), shop.daemon
    with shop.listening("frail") as stream:
        params = {"name": "hold", "arguments": {"do": "hang"}}
        pending = door.begin(door.request("tools/call", params))
        shop.wait_noted("frail", '"tools/call"')
        os.kill(shop.pid("frail"), signal.SIGKILL)
        result = pending.reply().result
        assert result["isError"] is True
        assert "frail" in text_of(result)
        daemon.wait_unit("frail.tool", "activating", "auto-restart")
        stream.expect("notifications/tools/list_changed")
        assert door.names() == []
        assert door.call("echo", text="x").result["isError"] is True
        assert daemon.ctl("restart", "frail.tool").returncode == 0
        stream.expect("notifications/tools/list_changed")
    assert door.names() == NAMES
    assert text_of(door.call("echo", text="again").result) == "again"


def test_a_restart_is_seen_by_those_who_listen(shop: Shop) -> None:
    with shop.listening("t1") as one, shop.listening("t2") as other:
        assert shop.daemon.ctl("restart", "t1.tool").returncode == 0
        one.expect("notifications/tools/list_changed")
        assert shop.daemon.ctl("restart", "t2.tool").returncode == 0
        other.expect("notifications/tools/list_changed")  # and of the first nothing
    shop.all_work()


def test_a_reload_grants_and_takes_away(shop: Shop) -> None:
    """With the token that an agent has already: what it may see is looked up when it asks."""
    door = shop.door("t9")
    agent, tools = shop.config["agents_manager"]["agents"]["default"], shop.config["tools_manager"]
    granted = agent["tools"]
    with shop.listening("t3") as stream:
        agent["tools"] = [key for key in granted if key not in ("t3", "t9")]
        shop.reload()
        stream.expect("notifications/tools/list_changed")
    assert door.ask("tools/list").status == 404
    assert not [name for name in shop.merged.names() if name.startswith("t3__")]
    assert shop.merged.call("t3__echo", text="x").error["code"] == -32602
    agent["tools"] = [*granted, "new"]
    tools["tools"]["new"] = entry()
    shop.reload()
    assert text_of(door.at("/mcp/new").call("echo", text="new").result) == "new"
    agent["tools"] = granted
    del tools["tools"]["new"]
    shop.reload()
    assert door.at("/mcp/new").ask("tools/list").status == 404
    assert door.call("echo", text="x").status == 200
    shop.all_work()


def test_what_is_denied_is_neither_listed_nor_called(shop: Shop) -> None:
    door = shop.door("t8")
    assert door.names() == ["echo", "hold"]
    assert "t8__who" not in shop.merged.names()
    denied, unknown = door.call("who").error, door.call("whom").error
    assert denied == {**unknown, "message": unknown["message"].replace("whom", "who")}
    assert shop.merged.call("t8__who").error["code"] == -32602


def test_a_call_has_a_ceiling_whatever_progress_it_tells_of(shop: Shop) -> None:
    door, pid = shop.door("late"), shop.pid("late")
    shop.ceiling("late", "1s")
    params = {"name": "hold", "arguments": {"do": "forever"}, "_meta": {"progressToken": 1}}
    with door.stream("POST", door.request("tools/call", params)) as stream:
        result = stream.reply()["result"]
    assert result["isError"] is True
    assert "late" in text_of(result)
    shop.wait_noted("late", "notifications/cancelled")
    assert "notifications/progress" in shop.noted("late")
    shop.ceiling("late", "10min")
    assert text_of(door.call("echo", text="on").result) == "on"
    assert shop.pid("late") == pid


# -- who knows what -------------------------------------------------------------------------------


def test_who_is_not_trusted_learns_options_as_variables_and_nothing_of_callers(shop: Shop) -> None:
    known = json.loads(text_of(shop.door("secret").call("who").result))
    assert not [name for name in known["meta"] if name.startswith("anyclaw/")]
    variables = Path(f"/proc/{shop.pid('secret')}/environ").read_bytes().split(b"\0")
    assert f"API_KEY={SECRET}".encode() in variables
    assert b"PLAIN=yes" in variables
    assert SECRET not in shop.noted("secret")
    told = shop.door("strange").call("context").result["structuredContent"]
    assert (told["trusted"], told["session"], told["options"]) == (False, "", {})
    for name in ("deliver", "inject"):
        result = shop.door("strange").call(name, text="hello").result
        assert result["isError"] is True
        assert "not trusted" in text_of(result)


def test_who_is_trusted_learns_who_calls(shop: Shop) -> None:
    told = shop.door("ours").call("context").result["structuredContent"]
    assert told["trusted"] is True
    assert told["agent"] == "default"
    assert told["session"]
    assert told["session"].startswith(told["channel"])
    assert told["workspace"] == str(shop.daemon.directory)
    assert told["options"] == {"API_KEY": SECRET}
    forged = {"anyclaw/call": {"id": "1", "session": "web:local:local", "agent": "mock"}}
    params = {"name": "context", "_meta": {**forged, "anyclaw/options": {}}}
    again = shop.door("ours").ask("tools/call", params).result["structuredContent"]
    assert again == {**told, "id": again["id"]} != told
    variables = Path(f"/proc/{shop.pid('ours')}/environ").read_bytes()
    assert SECRET.encode() not in variables


def test_nothing_that_is_secret_is_told(shop: Shop) -> None:
    """I7: no token, no option, no argument in logs, status, the admin API or a command line."""
    daemon = shop.daemon
    shop.door("secret").call("echo", text=ARGUMENT)
    shop.door("ours").call("echo", text=ARGUMENT)
    shop.door("secret").call(ARGUMENT + "-as-a-name", text=ARGUMENT)
    shop.door("ours").ask("tools/call", {"name": "echo", "arguments": [ARGUMENT]})
    token = shop.door("t1").token
    told = [daemon.log_text(), json.dumps(daemon.status())]
    told += (json.dumps(daemon.unit(unit)) for unit in daemon.units())
    for words in (
        ["cat", "secret.tool"],
        ["show", "ours.tool"],
        ["explain", "t1.tool"],
        ["graph"],
        ["sessions"],
    ):
        done = daemon.ctl(*words)
        assert done.returncode == 0, done.stderr
        told.append(done.stdout)
    told.append(json.dumps(list(daemon.client.stream("GET", "/v1/logs?n=1000"))))
    for pid in (daemon.pid, *daemon.descendants()):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            told.append(Path(f"/proc/{pid}/cmdline").read_bytes().decode())
    told.append(daemon.tcp("/metrics")[1].decode())
    for name, secret in {"token": token, "option": SECRET, "argument": ARGUMENT}.items():
        assert not [one for one in told if secret in one], f"a {name} is told"


def test_calls_are_counted_and_written_down(shop: Shop) -> None:
    shop.door("t1").call("echo", text=ARGUMENT)
    shop.daemon.wait_log_text("tool_invoked")
    metrics = shop.daemon.tcp("/metrics")[1].decode()
    assert re.search(r"tool_invocations_total\{[^}]*echo[^}]*\} [1-9]", metrics)


def test_an_agent_without_http_is_given_a_program(shop: Shop) -> None:
    """Its token is in the environment, not in the arguments; what is denied is denied there too."""
    shop.daemon.answer("hello", agent="old")
    lines = transcript_of(shop.daemon.directory / "old").read_text().splitlines()
    [params] = (
        frame["params"]
        for frame in (json.loads(line)["frame"] for line in lines)
        if frame.get("method") == "session/new"
    )
    for one in params["mcpServers"]:
        variables = {item["name"]: item["value"] for item in one["env"]}
        assert one.keys() >= {"name", "command", "args", "env"}
        assert "type" not in one
        assert variables["ANYCLAW_MCP_TOKEN"] not in " ".join(one["args"])
        door = Door(variables["ANYCLAW_MCP_URL"], variables["ANYCLAW_MCP_TOKEN"])
        if one["name"] == "t2":
            assert door.names() == ["who", "hold"]
        if one["name"] == "ours":
            assert "inject" not in door.names()
            assert door.call("inject", text="x").error["code"] == -32602


# -- chats ----------------------------------------------------------------------------------------


def test_a_tool_delivers_to_the_chat_it_was_called_from(shop: Shop) -> None:
    chat = shop.daemon.chat("web")
    with chat.listening() as events:
        chat.say('!call deliver {"text": "a file for you"}')
        seen = until(events, ("", "a file for you"))
    assert seen[-1] == ("", "a file for you")


def test_a_tool_speaks_in_the_chat_it_was_called_from(shop: Shop) -> None:
    chat = shop.daemon.chat("web")
    with chat.listening() as events:
        chat.say('!call inject {"text": "do not forget"}')
        until(events, ("", "Echo: do not forget"))


def test_a_tool_speaks_in_a_chat_whose_agent_may_use_it(shop: Shop) -> None:
    """What it injects is a message like any other, and is taken once under one id."""
    chat, words = shop.daemon.chat("web"), {"session": "web:local:local", "source_id": "i1"}
    with chat.listening() as events:
        ids = [text_of(shop.door("ours").call("inject", text="once", **words).result) for _ in "12"]
        assert ids[0] == ids[1] != ""
        until(events, ("", "Echo: once"))
        chat.say("last")
        assert ("", "Echo: once") not in until(events, ("", "Echo: last"))[1:]


def test_a_tool_speaks_in_no_chat_that_there_is_not(shop: Shop) -> None:
    result = shop.door("ours").call("inject", text="hello", session="web:nobody:at-all").result
    assert result["isError"] is True

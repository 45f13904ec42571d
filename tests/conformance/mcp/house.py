"""The daemons that conformance tests of MCP share.

The tools of the playhouse are played by the tests, frame by frame: `played` in the handshake era,
`modern` in the other. Those of the makers' house are programs of other makers. In either, agents
that keep a transcript tell where their tools are, and lend the tests their tokens.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from anyclawd.model.value import Json
from tests.conformance.mcp.door import Door
from tests.conformance.mcp.peers import MODES
from tests.fakes.daemon import Daemon, is_alive, running, started, system
from tests.fakes.puppet import Frame, Puppet, Stage, stage
from tests.fakes.talk import TOUGH, UNHURRIED, misbehaving, transcript_of

#: A tool that comes back at once, and is given up by nobody but the test.
ENDURING: Json = {**TOUGH, **UNHURRIED, "call_timeout": "1h"}
#: What an agent says of itself that can reach tools over HTTP.
HTTP = {"capabilities": {"mcpCapabilities": {"http": True}}}


#: Schemas as no serializer of ours would write them.
SCHEMA = (
    r'{"type":"object", "$schema":"http://json-schema.org/draft-07/schema#","properties":{'
    r'"b":{"type":"number","maximum":1.0e2,"x-own":null},"a":{"const":"\u00fc/\/ü"},'
    r'"count":{"type":"integer","x-mcp-header":"Count"},"region":{"type":"string","x-mcp-header":'
    r'"Region"}}}'
)
#: What both puppets offer, as text: each name once in the views of one unit, twice in that of both.
ONE = '{"name":"one","description":"plays","inputSchema": ' + SCHEMA + "}"
TWO = (
    '{"title":"2nd","annotations":{"readOnlyHint":true, "later":[1.50]},"inputSchema":{"type":'
    '"object"},"outputSchema":{"type":"object"},"icons":[],"_meta":{"x/y":1},"name":"two"}'
)
TOOLS = (ONE, TWO)
NOTE: Json = {"uri": "notes://a", "name": "a", "annotations": {"priority": 0.5, "later": None}}
TEMPLATE: Json = {"uriTemplate": "notes://of/{name}", "name": "of"}
PROMPT: Json = {"name": "greet", "title": "A greeting", "arguments": [{"name": "who"}]}
CAPABILITIES: dict[str, Json] = {
    "tools": {"listChanged": True},
    "resources": {"subscribe": True, "listChanged": True},
    "prompts": {"listChanged": True},
    "completions": {},
    "logging": {},
}


class ToolPuppet(Puppet):
    """Plays a tool of the handshake era."""

    handshake: "list[Frame]"  #: what the daemon has begun with, in order

    def begin(self) -> None:
        """Answer all that comes first, up to the first lists."""
        initialize = self.expect("initialize")
        self.agree(initialize, initialize["params"]["protocolVersion"])
        self.list_all([initialize])

    def agree(self, initialize: Frame, revision: str) -> None:
        info = {"name": "played", "version": "1"}
        agreed = {"protocolVersion": revision, "capabilities": CAPABILITIES, "serverInfo": info}
        self.answer(initialize, agreed)

    def list_all(self, begun: list[Frame]) -> None:
        listed = self.expect("tools/list")
        self.handshake = [*begun, *self.read(), listed]
        self.offer(listed, *TOOLS)
        self.list_others()

    def list_others(self) -> None:
        """All but tools; when this returns it is known, and whoever listens has been told."""
        self.done(self.expect("prompts/list"), prompts=[PROMPT])
        self.done(self.expect("resources/list"), resources=[NOTE])
        self.done(self.expect("resources/templates/list"), resourceTemplates=[TEMPLATE])
        self.say({"id": "listed", "method": "ping"})
        self.expect_answer("listed")

    def offer(self, request: Frame, *tools: str, members: str = "") -> None:
        """Answer a list of tools with these texts."""
        text = f'{{"jsonrpc":"2.0","id":{json.dumps(request["id"])},"result":{{"tools":['
        self.write(f"{text}{','.join(tools)}]{members}}}}}\n".encode())

    def done(self, request: Mapping[str, Json], **result: Json) -> None:
        """Answer with a whole result."""
        self.answer(request, result)

    def called(self) -> Frame:
        """The next call of a tool."""
        return self.expect("tools/call")

    def reply(self, text: str) -> Frame:
        """Answer the next call with a text; the call."""
        call = self.called()
        self.done(call, content=[{"type": "text", "text": text}])
        return call

    def notify(self, method: str, **params: Json) -> None:
        self.say({"method": f"notifications/{method}", "params": params})

    def change(self, things: str) -> None:
        """Tell that a list is another now."""
        self.notify(f"{things}/list_changed")

    def cancellations(self) -> list[Frame]:
        """What has been cancelled before the last frame that was waited for."""
        return [one for one in self.read() if one.get("method") == "notifications/cancelled"]


class ModernPuppet(ToolPuppet):
    """Plays a tool of the modern era."""

    _stream: Json = None  #: where changes are told

    def begin(self) -> None:
        discover = self.expect("server/discover")
        self.discovered(discover)
        self.list_all([discover])
        self.listen(self.expect("subscriptions/listen"))

    def discovered(self, discover: Frame) -> None:
        info = {"name": "modern", "version": "1"}
        known = {"supportedVersions": ["2026-07-28"], "capabilities": CAPABILITIES}
        self.done(discover, **known, serverInfo=info)

    def listen(self, request: Frame) -> None:
        self._stream = request["id"]
        wanted = request["params"]["notifications"]
        self.notify("subscriptions/acknowledged", notifications=wanted, **self._mark())

    def _mark(self) -> Json:
        return {"_meta": {"io.modelcontextprotocol/subscriptionId": self._stream}}

    def offer(self, request: Frame, *tools: str, members: str = "") -> None:
        more = ',"resultType":"complete","ttlMs":3600000,"cacheScope":"private"' + members
        super().offer(request, *tools, members=more)

    def done(self, request: Mapping[str, Json], **result: Json) -> None:
        known = {"resultType": "complete", "ttlMs": 3_600_000, "cacheScope": "private"}
        self.answer(request, {**known, **result})

    def change(self, things: str) -> None:
        self.notify(f"{things}/list_changed", **self._mark())


class House:
    """A daemon, and what its agents were given."""

    def __init__(self, directory: Path, daemon: Daemon) -> None:
        self.daemon = daemon
        self._directory = directory
        self._doors: dict[str, list[Json]] = {}

    def servers(self, agent: str = "default") -> list[Json]:
        """The entries of `mcpServers` that an agent's session was given."""
        if agent not in self._doors:
            assert self.daemon.answer("hello", agent=agent)["stopReason"] == "end_turn"
            path = transcript_of(self._directory / agent)
            lines = map(json.loads, path.read_text().splitlines())
            [*_, self._doors[agent]] = (
                line["frame"]["params"]["mcpServers"]
                for line in lines
                if line["frame"].get("method") == "session/new"
            )
        return self._doors[agent]

    def entry(self, key: str, agent: str = "default") -> Json:
        [found] = (one for one in self.servers(agent) if one["name"] == key)
        return found

    def door(self, key: str, agent: str = "default") -> Door:
        """Where an agent sees one of its units."""
        return door_of(self.entry(key, agent))


class Playhouse(House):
    """Both tools are played by the tests."""

    def __init__(self, directory: Path, daemon: Daemon, theatre: Stage) -> None:
        super().__init__(directory, daemon)
        self._theatre = theatre
        self.played = theatre.accept("played", ToolPuppet)
        self.modern: ModernPuppet = theatre.accept("modern", ModernPuppet)
        self.played.begin()
        self.modern.begin()
        self.beginnings = {"played": self.played.handshake, "modern": self.modern.handshake}

    def tidy(self) -> None:
        """What a test before has left, in what it has read or killed, is not for the next one."""
        self.played.read()
        self.modern.read()
        if not is_alive(self.played.pid):
            self.replay()

    def next_played(self) -> ToolPuppet:
        """The process that comes after the one that has gone; nothing is answered yet."""
        self.played = self._theatre.accept("played", ToolPuppet)
        return self.played

    def next_modern(self) -> ModernPuppet:
        """As `next_played`."""
        self.modern = self._theatre.accept("modern", ModernPuppet)
        return self.modern

    def replay(self) -> None:
        """Play the process that comes after the one that has gone, as this was played."""
        self.next_played().begin()
        self.daemon.wait_unit("played.tool", "active", "running")


def way_in(house: House, key: str, era: str) -> dict[str, Json]:
    """Where the official client finds a unit, and how."""
    entry = house.entry(key)
    headers = {one["name"]: one["value"] for one in entry["headers"]}
    return {"url": entry["url"], "headers": headers, "mode": MODES[era]}


def door_of(entry: Json) -> Door:
    """The place and the token that an entry of `mcpServers` names."""
    [header] = entry["headers"]
    assert header["name"] == "Authorization"
    scheme, _, token = header["value"].partition(" ")
    assert scheme == "Bearer"
    return Door(entry["url"], token)


def _agents(directory: Path, granted: Mapping[str, list[str]]) -> Json:
    """Agents that keep transcripts; the one called `old` cannot reach tools over HTTP."""
    agents = {}
    for name, tools in granted.items():
        (directory / name).mkdir()
        traits = {} if name == "old" else HTTP
        agents[name] = misbehaving(directory / name, traits, tools=tools)
    return agents


@contextmanager
def playhouse(directory: Path) -> Iterator[Playhouse]:
    with stage(directory) as theatre:
        tools = {
            "played": theatre.tool("played", **ENDURING),
            "modern": theatre.tool("modern", mcp_era="modern", **ENDURING),
        }
        granted = {
            "default": ["played", "modern"],
            "other": ["modern", "played"],
            "alone": ["played"],
        }
        config = system(_agents(directory, granted), tools_manager={"tools": tools})
        with started(directory, config) as daemon:
            found = Playhouse(directory, daemon, theatre)
            daemon.wait_ready()
            yield found
            assert daemon.stop() == 0


@contextmanager
def makers_house(directory: Path, tools: Mapping[str, Json]) -> Iterator[House]:
    """Its tools are programs of other makers."""
    enduring = {name: {**entry, **ENDURING} for name, entry in tools.items()}
    granted = {"default": [*tools], "old": [*tools]}
    config = system(_agents(directory, granted), tools_manager={"tools": enduring})
    with running(directory, config) as daemon:
        yield House(directory, daemon)

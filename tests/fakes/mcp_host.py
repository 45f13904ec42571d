"""A small host of tools in one process: what the endpoint asks, answered by plain functions."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from anyclawd.mcp.seam import Answer, View
from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.route.grants import Grant, Grants
from anyclawd.wire.jsonrpc import INVALID_PARAMS, RpcError
from anyclawd.wire.mcp import RESOURCE_NOT_FOUND, Notification

GRANT = Grant("chat:direct:alice", UnitName("mock.agent"))
OTHER = Grant("chat:direct:bob", UnitName("mock.agent"))
TOKEN, OTHER_TOKEN = "token-of-alice", "token-of-bob"

#: Written as no encoder of ours would: it has to arrive like this.
LISTED = b'{"tools": [{"name":"add", "inputSchema": {"type":"object","x":1.50}}]}'

#: A tool of which an argument stands in the head as well.
ROUTED = b"""{"name":"routed","inputSchema":{"type":"object","properties":{
    "region":{"type":"string","x-mcp-header":"Region"}}}}"""


@dataclass(eq=False)
class Asked:
    """A request that is under way until a test answers it."""

    grant: Grant
    view: View
    method: str
    params: Mapping[str, Json]
    answered: Callable[[Answer], None]
    progressed: Callable[[Mapping[str, Json]], None] | None
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    reason: str = ""

    def cancel(self, reason: str) -> None:
        self.reason = reason
        self.cancelled.set()


class ToolsOfTest:
    """Answers `add` and lists at once; whatever else is called waits in `asked` for the test."""

    def __init__(self) -> None:
        self.grants = Grants()
        self.grants.begin(TOKEN, GRANT)
        self.grants.begin(OTHER_TOKEN, OTHER)
        self.asked: asyncio.Queue[Asked] = asyncio.Queue()
        self.watched: list[tuple[str, str]] = []
        self.followers: list[Callable[[str, Mapping[str, Json]], None]] = []
        self.seen: list[Mapping[str, Json]] = []

    def grant(self, token: str) -> Grant | None:
        return self.grants.find(token)

    def view(self, grant: Grant, key: str) -> UnitName | None:
        return UnitName(f"{key}.tool") if key in {"calc", "fünf"} and grant == GRANT else None

    def capabilities(self, _grant: Grant, _view: View) -> Mapping[str, Json]:
        return {
            "tools": {"listChanged": True},
            "resources": {"subscribe": True},
            "logging": {},
        }

    def tool(self, _grant: Grant, _view: View, name: str) -> bytes | None:
        return ROUTED if name == "routed" else None

    def ask(
        self,
        grant: Grant,
        view: View,
        method: str,
        params: Mapping[str, Json],
        *,
        answered: Callable[[Answer], None],
        progressed: Callable[[Mapping[str, Json]], None] | None,
    ) -> Asked | None:
        self.seen.append(params)
        match method, params.get("name", params.get("uri")):
            case "tools/list", _:
                answered(LISTED)
            case "tools/call", "add":
                total = sum(params.get("arguments", {}).values())
                answered(json.dumps({"content": [{"type": "text", "text": str(total)}]}).encode())
            case "tools/call", "unknown":
                answered(RpcError(INVALID_PARAMS, "unknown tool 'unknown'"))
            case "resources/read", "test://none":
                answered(RpcError(RESOURCE_NOT_FOUND, "no resource 'test://none'"))
            case "resources/subscribe" | "resources/unsubscribe", str(uri):
                self.watched.append((method, uri))
                refused = RpcError(INVALID_PARAMS, "it cannot be watched")
                if uri == "test://slow" and method == "resources/subscribe":
                    asked = Asked(grant, view, method, params, answered, progressed)
                    self.asked.put_nowait(asked)
                    return asked
                answered(refused if uri == "test://deaf" else b"{}")
            case _:
                asked = Asked(grant, view, method, params, answered, progressed)
                self.asked.put_nowait(asked)
                return asked
        return None

    def follow(
        self, _grant: Grant, _view: View, tell: Callable[[str, Mapping[str, Json]], None]
    ) -> Callable[[], None]:
        self.followers.append(tell)
        return lambda: self.followers.remove(tell)

    def tell(self, method: str, params: Mapping[str, Json]) -> None:
        for tell in list(self.followers):
            tell(method, params)

    def change_tools(self) -> None:
        self.tell(Notification.TOOLS_CHANGED, {})

"""An MCP server that misbehaves to order, on stdio; standard library only.

    misbehaving.py [TRAITS]

TRAITS is a JSON object that says how it is at all times; the arguments of a call say what that call
does. Without either it is a plain, good server of the handshake era. Nothing here waits for a time:
what comes late comes after something that the client has done.

    era               `handshake`: knows no `server/discover`. `modern`: knows nothing else.
                      `both`: takes its era from the first request, as some SDKs do. `deaf`: of the
                      handshake era, and silent to `server/discover`
    revision          what it answers `initialize` with; the client's own
    tools             a list of tools, or a number of them: `tool0` and so on; `echo` alone
    page              so many items are a page; 0 puts all on one
    list              `hang`: never answers `tools/list`. `error`, `garbage`: answers with an error,
                      or with no list. `endless`: each page has another after it. `loop`: so has
                      each, and it is the same. `huge`: answers with one line of `size` bytes.
                      `storm`: says that the list has changed whenever it was asked for it
    prompts, resources, templates
                      lists of them; a server without says nothing of them
    hang              methods that are never answered
    size              bytes of what is `huge`; 100 MiB
    noise             lines that are no message come before each answer
    stderr            so many bytes on stderr at its start
    crash             `start`: exits at once. `list`: when it is asked for its tools
    is_deaf           ignores SIGTERM and the end of its stdin
    transcript        file that gets every frame, `{"from": "client" or "server", "frame": ...}`

Every tool does what its argument `do` says, and answers with the text of `text`:

    (nothing)         answers at once, with its name, what it was told in `_meta`, and its arguments
    crash             exits, 1
    hang              never answers; with `cancelled: true` it answers once it is cancelled
    huge              answers with a text of `size` bytes
    garbage           answers with a result that is no object
    noise             lines that are no message, then the answer
    error             answers with an error, `code` and `text`
    failure           answers with a result that is an error
    progress          tells of `times` steps, then answers
    forever           tells of progress until the client says something, and never answers
    change            offers the tools of `tools` from now on, says so, and answers
    update            says that resource `uri` has changed, and answers
    log               writes a log message of `level`, and answers
    request           asks the client for `method` with `params`, and answers with what it says
    twice             answers, and then once more
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

Json = Any
Frame = dict[str, Json]

HANDSHAKE = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
TRAITS: Frame = {
    "era": "handshake",
    "revision": "",
    "tools": ["echo"],
    "page": 0,
    "list": "",
    "prompts": None,
    "resources": None,
    "templates": None,
    "hang": [],
    "size": 100 * 2**20,
    "noise": 0,
    "stderr": 0,
    "crash": "",
    "is_deaf": False,
    "transcript": "",
}


class Failure(Exception):
    def __init__(self, code: int, text: str, data: Json = None) -> None:
        super().__init__(text)
        self.code, self.text, self.data = code, text, data


class Never(Exception):
    pass


class Server:
    def __init__(self, traits: Frame) -> None:
        self.traits = {**TRAITS, **traits}
        self.era = ""  # once it is known
        self.tools = _tools(self.traits["tools"])
        self.asked: dict[Json, Json] = {}  # our requests, and whose answer waits for them
        self.hanging: dict[Json, Json] = {}  # calls, and what they answer once they are cancelled
        self.forever: Json = None  # the token of the call that tells of progress for ever
        self.steps = self.last_id = 0

    # --- the loop ---------------------------------------------------------------------------------

    def run(self) -> int:
        traits = self.traits
        if traits["is_deaf"]:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if traits["stderr"]:
            sys.stderr.write("x" * traits["stderr"] + "\n")
            sys.stderr.flush()
        if traits["crash"] == "start":
            return 1
        for line in sys.stdin.buffer:
            frame = json.loads(line)
            self.note("client", frame)
            self.take(frame)
            while self.forever is not None:
                self.tell_of_step(self.forever)
                self.forever = None if self.steps % 100 == 0 and _is_readable() else self.forever
        while traits["is_deaf"]:
            signal.pause()
        return 0

    def take(self, frame: Frame) -> None:
        method, id_ = frame.get("method"), frame.get("id")
        if method is None:
            self.take_answer(frame)
        elif id_ is None:
            self.take_notification(method, frame.get("params") or {})
        elif method not in self.traits["hang"]:
            try:
                self.say({"id": id_, "result": self.answer(id_, method, frame.get("params") or {})})
            except Failure as failure:
                error = {"code": failure.code, "message": failure.text, "data": failure.data}
                self.say({"id": id_, "error": error})
            except Never:
                pass

    def take_notification(self, method: str, params: Frame) -> None:
        if method == "notifications/cancelled" and params.get("requestId") in self.hanging:
            id_ = params["requestId"]
            self.say({"id": id_, "result": self.hanging.pop(id_)})

    def take_answer(self, frame: Frame) -> None:
        id_ = self.asked.pop(frame.get("id"))
        answer = frame["result"] if "result" in frame else frame["error"]
        self.say({"id": id_, "result": _text(json.dumps(answer))})

    def say(self, frame: Frame) -> None:
        for number in range(self.traits["noise"]):
            self.write(b"noise %d\n" % number)
        frame = {"jsonrpc": "2.0", **frame}
        self.note("server", frame)
        self.write(json.dumps(frame).encode() + b"\n")

    def notify(self, method: str, **params: Json) -> None:
        self.say({"method": f"notifications/{method}", "params": params})

    @staticmethod
    def write(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def note(self, who: str, frame: Frame) -> None:
        if path := self.traits["transcript"]:
            with Path(path).open("a") as file:
                file.write(json.dumps({"from": who, "frame": frame}) + "\n")

    # --- requests ---------------------------------------------------------------------------------

    def answer(self, id_: Json, method: str, params: Frame) -> Json:
        if self.traits["era"] == "deaf" and method == "server/discover":
            raise Never
        self.check_era(method, params)
        match method:
            case "initialize":
                return self.initialize(params)
            case "server/discover":
                return {"supportedVersions": [MODERN], **self.greeting()}
            case "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe":
                return {}
            case "subscriptions/listen":
                self.notify("subscriptions/acknowledged", notifications=params["notifications"])
                raise Never
            case "tools/list":
                return self.list_tools(params)
            case "tools/call":
                return self.call(id_, params)
            case "prompts/list" if self.traits["prompts"] is not None:
                return self.page("prompts", self.traits["prompts"], params)
            case "prompts/get":
                return {"messages": [{"role": "user", "content": _block(params["name"])}]}
            case "resources/list" if self.traits["resources"] is not None:
                return self.page("resources", self.traits["resources"], params)
            case "resources/templates/list" if self.traits["templates"] is not None:
                return self.page("resourceTemplates", self.traits["templates"], params)
            case "resources/read":
                return self.read(params["uri"])
            case "completion/complete":
                return {"completion": {"values": [json.dumps(params["ref"], sort_keys=True)]}}
        raise Failure(-32601, f"no method {method}")

    def check_era(self, method: str, params: Frame) -> None:
        """Refuse what is of another era than ours."""
        is_modern = VERSION_KEY in (params.get("_meta") or {})
        wanted = self.traits["era"]
        if wanted == "both":
            self.era = self.era or ("modern" if is_modern else "handshake")
            wanted = self.era
        if wanted == "modern" and method == "initialize":
            raise Failure(-32022, "stateless only", {"supported": [MODERN], "requested": "?"})
        if wanted == "modern" and not is_modern:
            raise Failure(-32602, f"{VERSION_KEY} is missing")
        if wanted != "modern" and method == "server/discover":
            raise Failure(-32601, "no method server/discover")

    def initialize(self, params: Frame) -> Frame:
        asked = params["protocolVersion"]
        revision = self.traits["revision"] or (asked if asked in HANDSHAKE else HANDSHAKE[-1])
        return {"protocolVersion": revision, **self.greeting()}

    def greeting(self) -> Frame:
        capabilities: Frame = {"tools": {"listChanged": True}, "logging": {}, "completions": {}}
        if self.traits["prompts"] is not None:
            capabilities["prompts"] = {"listChanged": True}
        if self.traits["resources"] is not None or self.traits["templates"] is not None:
            capabilities["resources"] = {"listChanged": True, "subscribe": True}
        server = {"name": "misbehaving", "version": "1"}
        return {"capabilities": capabilities, "serverInfo": server}

    def list_tools(self, params: Frame) -> Frame:
        match self.traits["list"]:
            case "hang":
                raise Never
            case "error":
                raise Failure(-32603, "cannot list")
            case "garbage":
                return {"tools": "many"}
            case "huge":
                return {"tools": [_tool("x" * self.traits["size"])]}
            case "loop":
                return {"tools": [_tool("again")], "nextCursor": "same"}
            case "endless":
                number = int(params.get("cursor") or 0)
                return {"tools": [_tool(f"tool{number}")], "nextCursor": str(number + 1)}
            case "storm":
                self.notify("tools/list_changed")
        if self.traits["crash"] == "list":
            os._exit(1)
        return self.page("tools", self.tools, params)

    def page(self, member: str, items: list[Json], params: Frame) -> Frame:
        size, first = self.traits["page"] or len(items), int(params.get("cursor") or 0)
        found: Frame = {member: items[first : first + size]}
        if first + size < len(items):
            found["nextCursor"] = str(first + size)
        return found

    def read(self, uri: str) -> Frame:
        listed = [one["uri"] for one in self.traits["resources"] or ()]
        if uri not in listed and not self.traits["templates"]:
            raise Failure(-32002, f"no resource {uri}", {"uri": uri})
        return {"contents": [{"uri": uri, "text": f"text of {uri}"}]}

    # --- calls ------------------------------------------------------------------------------------

    def call(self, id_: Json, params: Frame) -> Json:
        arguments, meta = params.get("arguments") or {}, params.get("_meta") or {}
        names = [one.get("name") for one in self.tools if isinstance(one, dict)]
        if params["name"] not in names:
            raise Failure(-32602, f"no tool {params['name']}")
        told = {"name": params["name"], "meta": meta, "arguments": arguments}
        answer = _text(arguments.get("text") or json.dumps(told, sort_keys=True))
        token = meta.get("progressToken")
        match arguments.get("do"):
            case "crash":
                os._exit(1)
            case "hang":
                if arguments.get("cancelled"):
                    self.hanging[id_] = answer
                raise Never
            case "huge":
                return _text("x" * arguments.get("size", self.traits["size"]))
            case "garbage":
                return "no object"
            case "noise":
                self.write(b"noise\n{]\n\n\xff\xfe\n[1]\n")
            case "error":
                raise Failure(arguments.get("code", -32603), arguments.get("text", "broken"))
            case "failure":
                return {**answer, "isError": True}
            case "progress":
                for _ in range(arguments.get("times", 3)):
                    self.tell_of_step(token)
            case "forever":
                self.forever = token
                raise Never
            case "change":
                self.tools = _tools(arguments["tools"])
                self.notify("tools/list_changed")
            case "update":
                self.notify("resources/updated", uri=arguments["uri"])
            case "log":
                self.notify("message", level=arguments["level"], data="something", logger="inner")
            case "request":
                self.request(id_, arguments["method"], arguments.get("params"))
                raise Never
            case "twice":
                self.say({"id": id_, "result": answer})
        return answer

    def tell_of_step(self, token: Json) -> None:
        self.steps += 1
        self.notify("progress", progressToken=token, progress=self.steps)

    def request(self, id_: Json, method: str, params: Json) -> None:
        self.last_id += 1
        self.asked[f"s{self.last_id}"] = id_
        self.say({"id": f"s{self.last_id}", "method": method, "params": params or {}})


def _is_readable() -> bool:
    """Whether the client has said something meanwhile."""
    import select

    return bool(select.select([0], [], [], 0)[0])


def _tools(wanted: Json) -> list[Json]:
    if isinstance(wanted, int):
        wanted = [f"tool{number}" for number in range(wanted)]
    return [_tool(one) if isinstance(one, str) else one for one in wanted]


def _tool(name: str) -> Frame:
    return {"name": name, "description": f"does {name[:20]}", "inputSchema": {"type": "object"}}


def _block(text: str) -> Frame:
    return {"type": "text", "text": text}


def _text(text: str) -> Frame:
    return {"content": [_block(text)]}


if __name__ == "__main__":
    sys.exit(Server(json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}).run())

"""What the mock agent does when it is told to: a text that begins with `!` is an order.

Each uses one part of what a client serves to agents, and says in words what came of it.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from anyclaw_sdk.types import Json, Message, RpcError, list_of, map_of, text_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from servers import Server
    from sessions import Sessions

    from anyclaw_sdk.agent import Turn

#: Of the questions that are taken back.
WITHDRAWN_ID = 9100

FORM: Message = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Your name", "minLength": 1},
        "colour": {"type": "string", "title": "A colour", "enum": ["red", "green", "blue"]},
        "age": {"type": "integer", "title": "Your age", "minimum": 0},
        "news": {"type": "boolean", "title": "Send me news", "default": False},
    },
    "required": ["name"],
}
PERMISSIONS: list[Json] = [
    {"optionId": "once", "name": "Allow once", "kind": "allow_once"},
    {"optionId": "always", "name": "Allow always", "kind": "allow_always"},
    {"optionId": "no", "name": "Reject", "kind": "reject_once"},
    {"optionId": "never", "name": "Reject always", "kind": "reject_always"},
]


class Orders:
    """Carries out the orders of one session's turn."""

    def __init__(self, turn: Turn, sessions: Sessions) -> None:
        self._turn, self._sessions = turn, sessions
        self._orders: dict[str, Callable[[str], Awaitable[str]]] = {
            "read": self._read,
            "write": self._write,
            "run": self._run,
            "permission": self._permission,
            "withdraw": self._withdraw,
            "form": self._form,
            "visit": self._visit,
            "set": self._set,
            "tools": self._tools,
            "call": self._call_tool,
        }

    async def obey(self, text: str) -> str:
        """Do what a text says; what came of it."""
        word, _, rest = text.removeprefix("!").strip().partition(" ")
        order = self._orders.get(word)
        if order is None:
            return f"no order {word!r}; there are: {', '.join(self._orders)}"
        try:
            return await order(rest.strip())
        except RpcError as error:
            return f"refused: {error.message} ({error.code})"
        except OSError as error:
            return f"refused: {error}"

    async def _call(self, method: str, **params: Json) -> Message:
        session = {"sessionId": self._turn.session_id}
        return map_of(await self._turn.client.request(method, session | params))

    def _path(self, name: str) -> str:
        return os.path.join(self._sessions.of(self._turn.session_id).cwd, name)  # noqa: PTH118 - quick to import

    async def _read(self, rest: str) -> str:
        path, *numbers = rest.split(" ")
        bounds = dict(
            zip(("line", "limit"), map(int, filter(str.isdecimal, numbers)), strict=False)
        )
        found = await self._call("fs/read_text_file", path=self._path(path), **bounds)
        return text_of(found.get("content"))

    async def _write(self, rest: str) -> str:
        path, _, content = rest.partition(" ")
        await self._call("fs/write_text_file", path=self._path(path), content=content)
        return f"wrote {len(content)} characters"

    async def _run(self, rest: str) -> str:
        created = await self._call("terminal/create", command=rest, outputByteLimit=4096)
        terminal = {"terminalId": created.get("terminalId")}
        call: Message = {"toolCallId": f"run-{terminal['terminalId']}", "status": "in_progress"}
        call |= {"title": rest, "kind": "execute", "content": [{"type": "terminal"} | terminal]}
        update = {"sessionUpdate": "tool_call"} | call
        await self._turn.client.update(self._turn.session_id, update)
        try:
            end = await self._call("terminal/wait_for_exit", **terminal)
            output = await self._call("terminal/output", **terminal)
        finally:
            await self._call("terminal/release", **terminal)
        status = "failed" if end.get("exitCode") else "completed"
        await self._turn.update("tool_call_update", toolCallId=call["toolCallId"], status=status)
        how = f"code {end['exitCode']}" if end.get("signal") is None else end["signal"]
        return f"{text_of(output.get('output'))}[ended with {how}]"

    async def _permission(self, rest: str) -> str:
        answer = await self._call("session/request_permission", **_question(rest))
        outcome = map_of(answer.get("outcome"))
        return f"permission: {outcome.get('optionId', outcome.get('outcome'))}"

    async def _withdraw(self, rest: str) -> str:
        client = self._turn.client
        params = {"sessionId": self._turn.session_id, **_question(rest)}
        asked = client.request("session/request_permission", params, WITHDRAWN_ID)
        import asyncio  # loaded already: a turn runs

        async with asyncio.TaskGroup() as tasks:
            question = tasks.create_task(_outcome(asked))
            await asyncio.sleep(0)  # until it has left
            await client.notify("$/cancel_request", {"requestId": WITHDRAWN_ID})
        return await question

    async def _form(self, rest: str) -> str:
        message = rest or "Tell me about yourself"
        answer = await self._call(
            "elicitation/create", mode="form", message=message, requestedSchema=FORM
        )
        return f"{answer.get('action')}: {map_of(answer.get('content'))}"

    async def _visit(self, rest: str) -> str:
        elicitation_id = os.urandom(8).hex()
        answer = await self._call(
            "elicitation/create",
            mode="url",
            message="Please log in",
            url=rest or "https://example.org/login",
            elicitationId=elicitation_id,
        )
        await self._turn.client.notify("elicitation/complete", {"elicitationId": elicitation_id})
        return f"{answer.get('action')}"

    async def _set(self, rest: str) -> str:
        option, _, text = rest.partition(" ")
        value: Json = text == "true" if option == "web" else text
        session_id = self._turn.session_id
        self._sessions.choose(session_id, option, value)
        choices = self._sessions.choices(session_id)
        if option == "mode" and "modes" in choices:
            await self._turn.update("current_mode_update", currentModeId=value)
        if "configOptions" in choices:
            await self._turn.update("config_option_update", configOptions=choices["configOptions"])
        return f"{option} is {value} now"

    async def _tools(self, _rest: str) -> str:
        from servers import connected

        lines = []
        for entry in self._sessions.of(self._turn.session_id).mcp_servers:
            async with connected(entry) as server:
                names = [text_of(tool.get("name")) for tool in await server.list_tools()]
            lines.append(f"{text_of(entry.get('name'))}: {', '.join(names)}")
        return "\n".join(lines) or "no tools"

    async def _call_tool(self, rest: str) -> str:
        from servers import connected

        name, _, text = rest.partition(" ")
        key, _, name = name.rpartition("/")
        try:
            params = {"name": name, "arguments": json.loads(text or "{}")}
        except ValueError:
            return f"the arguments are no JSON: {text}"
        for entry in self._sessions.of(self._turn.session_id).mcp_servers:
            if key not in ("", entry.get("name")):
                continue
            async with connected(entry) as server:
                if name in [tool.get("name") for tool in await server.list_tools()]:
                    return await self._show_call(server, params)
        return f"no tool {name!r}; !tools shows those that there are"

    async def _show_call(self, server: Server, params: Message) -> str:
        """Call a tool, and show the call as an agent does."""
        call = {"toolCallId": f"call-{os.urandom(4).hex()}", "title": params["name"]}
        begun = {"status": "in_progress", "rawInput": params["arguments"]}
        await self._turn.update("tool_call", **call, **begun)
        status = "failed"
        try:
            result = await server.ask("tools/call", params)
            status = "failed" if result.get("isError") else "completed"
        finally:
            await self._turn.update("tool_call_update", **call, status=status)
        blocks = [map_of(block) for block in list_of(result.get("content"))]
        texts = [text_of(block.get("text")) or f"[{block.get('type')}]" for block in blocks]
        return "\n".join(texts) if status == "completed" else f"failed: {' '.join(texts)}"


def _question(what: str) -> Message:
    title = what or "Run a command"
    call = {"toolCallId": "order", "title": title, "kind": "execute", "rawInput": {"what": what}}
    return {"toolCall": call, "options": PERMISSIONS}


async def _outcome(asked: Awaitable[Json]) -> str:
    try:
        return f"answered: {await asked}"
    except RpcError as error:
        return f"withdrawn: {error.code}"

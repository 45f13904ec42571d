"""An agent that knows no SDK: lines on stdin and stdout, as the 0.9 wire has them.

It is as odd as the wire allows: noise between its frames, `protocolVersion` 2, ids of its own that
are text, members that nobody knows, frames without `jsonrpc`, updates before their session is
answered and after the turn is, a tool call update without its tool call, no stop reason. It
answers a prompt with `raw: <text>` in one chunk a word. Options of the handshake, read from
`options` and `_meta.options` alike:

    transcript      append what is received to this file, one JSON object a line
    echo_id_as_text answer the request 7 with the id "7"
    ask             ask for permission in every turn, under the text id `perm-<n>`
    push            send a `session/push` notification after each turn
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Frame = dict[str, Any]


def send(frame: Frame) -> None:
    """Write one frame between two lines of noise, in two pieces."""
    line = b"[1, 2]\n" + json.dumps(frame).encode() + b"\nnot json {\n"
    os.write(1, line[:20])
    os.write(1, line[20:])


def update(session_id: str, kind: str, **members: object) -> None:
    params = {"sessionId": session_id, "update": {"sessionUpdate": kind, **members}, "extra": 1}
    send({"method": "session/update", "params": params})


class Agent:
    def __init__(self) -> None:
        self.options: Frame = {}
        self.sessions, self.asked = 0, 0

    def frames(self) -> Iterator[Frame]:
        for line in sys.stdin:
            frame = json.loads(line)
            if self.options.get("transcript"):
                with Path(self.options["transcript"]).open("a") as transcript:
                    transcript.write(json.dumps(frame) + "\n")
            yield frame

    def run(self) -> None:
        sys.stderr.write("raw agent: up\n")
        frames = self.frames()
        for frame in frames:
            method, params = frame.get("method"), frame.get("params") or {}
            if method == "initialize":
                meta = (params.get("_meta") or {}).get("options") or {}
                self.options = (params.get("options") or {}) | meta
                self.answer(frame, {"protocolVersion": 2, "agentInfo": {"name": "raw"}})
            elif method == "session/new":
                self.sessions += 1
                session_id = f"raw:{self.sessions}"
                update(session_id, "available_commands_update", commands=[{"name": "raw"}])
                self.answer(frame, {"sessionId": session_id, "modes": None, "extra": {}})
            elif method == "session/prompt":
                self.turn(frame, params, frames)
            elif "id" in frame and method:
                error = {"code": -32601, "message": f"raw: no {method}"}
                send({"id": frame["id"], "error": error})

    def answer(self, frame: Frame, result: Frame) -> None:
        rpc_id = frame["id"]
        send(
            {"id": str(rpc_id) if self.options.get("echo_id_as_text") else rpc_id, "result": result}
        )

    def turn(self, frame: Frame, params: Frame, frames: Iterator[Frame]) -> None:
        session_id = params["sessionId"]
        text = "\n".join(block.get("text", "") for block in params["prompt"])
        update(session_id, "tool_call_update", toolCallId="orphan", status="completed")
        update(session_id, "made_up_update", content={"type": "unheard of"})
        if self.options.get("ask"):
            text += " " + self.ask(session_id, frames)
        for word in ["raw:", *text.split()]:
            update(session_id, "agent_message_chunk", content={"type": "text", "text": f"{word} "})
        self.answer(frame, {"usage": None})
        update(session_id, "agent_thought_chunk", content={"type": "text", "text": "late"})
        if self.options.get("push"):
            content = [{"type": "text", "text": "pushed"}]
            send(
                {"method": "session/push", "params": {"sessionId": session_id, "content": content}}
            )

    def ask(self, session_id: str, frames: Iterator[Frame]) -> str:
        """Ask without a description, a tool call or a kind; the outcome in words."""
        self.asked += 1
        rpc_id = f"perm-{self.asked}"
        options = [{"optionId": "allow_once", "name": "Allow"}, {"optionId": "no", "label": "No"}]
        params = {"sessionId": session_id, "options": options}
        send({"id": rpc_id, "method": "session/request_permission", "params": params})
        for frame in frames:
            if frame.get("id") == rpc_id and "method" not in frame:
                outcome = (frame.get("result") or {}).get("outcome") or {}
                return str(outcome.get("optionId") or outcome.get("outcome"))
            if frame.get("method") == "session/cancel":
                return "cancelled"
        raise SystemExit(0)


if __name__ == "__main__":
    Agent().run()

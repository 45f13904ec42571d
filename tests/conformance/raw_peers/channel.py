"""A channel that knows no SDK: lines on stdin and stdout, as the 0.9 wire has them.

It is as odd as the wire allows: noise between its frames, `protocolVersion` 2, members that
nobody knows, frames without `jsonrpc`, notifications where a request would do. Options of the
handshake say what it does; whatever it receives is appended to a file, one JSON object a line.

    say           texts to send as the user `peer` right after the handshake
    then          texts to send, one after each result that is delivered
    transcript    the file; without it nothing is written
    peer          peer id of the user, `raw:7` if missing
    permission    option id to answer a permission request with, `allow_once` if missing
    respond_by    `response`, `nested` (`result.result`), `notification` or `silence`
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

Frame = dict[str, Any]


def send(frame: Frame) -> None:
    """Write one frame between two lines of noise, in two pieces."""
    line = b"this is no frame\n" + json.dumps(frame).encode() + b"\n\n"
    os.write(1, line[:30])
    os.write(1, line[30:])


def say(options: Frame, text: str) -> None:
    send(
        {
            "method": "channel/sendMessage",
            "params": {
                "peerInfo": {
                    "channelName": options.get("channel_name", "raw"),
                    "peerId": options.get("peer", "raw:7"),
                    "kind": "direct",
                    "mood": "curious",
                },
                "content": [{"type": "text", "text": text, "unknown": True}],
                "metadata": None,
                "extra": [],
            },
            "trace": "unknown",
        }
    )


def respond(options: Frame, frame: Frame) -> None:
    answer = {
        "requestId": frame["params"]["requestId"],
        "optionId": options.get("permission", "allow_once"),
    }
    match options.get("respond_by", "response"):
        case "response":
            send({"id": frame["id"], "result": answer})
        case "nested":
            send({"jsonrpc": "2.0", "id": frame["id"], "result": {"result": answer}})
        case "notification":
            send({"method": "channel/respondPermission", "params": answer})
        case "silence":
            pass


def main() -> None:
    sys.stderr.write("raw channel: up\n")
    options: Frame = {}
    waiting: list[str] = []
    for line in sys.stdin:
        frame = json.loads(line)
        method, params = frame.get("method"), frame.get("params") or {}
        if options.get("transcript"):
            with Path(options["transcript"]).open("a") as transcript:
                transcript.write(json.dumps(frame) + "\n")
        if method == "initialize":
            options = params.get("options") or {}
            waiting = list(options.get("then", []))
            capabilities = {"streaming": True, "richText": False, "telepathy": {}}
            result = {"protocolVersion": 2, "capabilities": capabilities, "name": "raw"}
            send({"id": frame["id"], "result": result})
            for text in options.get("say", []):
                say(options | {"channel_name": params["channelId"]}, text)
            options = options | {"channel_name": params["channelId"]}
        elif method == "channel/requestPermission":
            respond(options, frame)
        elif method == "channel/deliverMessage":
            if '"result"' in json.dumps(params["content"]) and waiting:
                say(options, waiting.pop(0))
        elif "id" in frame and method:
            send({"id": frame["id"], "error": {"code": -32601, "message": "not known here"}})


if __name__ == "__main__":
    main()

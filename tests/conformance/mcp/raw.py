"""A server without anything between: what it writes."""

import json
import subprocess

from tests.fakes.daemon import WAIT_S, environment


def items_of(argv: list[str], things: str) -> str:
    """What a server of the handshake era lists, as it writes it: the text between the brackets."""
    client = {"capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
    frames = [
        {"id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25", **client}},
        {"method": "notifications/initialized"},
        {"id": 1, "method": f"{things}/list"},
    ]
    with subprocess.Popen(
        argv, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for frame in frames:
            process.stdin.write(json.dumps({"jsonrpc": "2.0", **frame}) + "\n")
        process.stdin.flush()
        line = next(line for line in process.stdout if json.loads(line).get("id") == 1)
        process.stdin.close()
        process.wait(WAIT_S)
    start = line.index(f'"{things}":') + len(things) + 3
    _, end = json.JSONDecoder().raw_decode(line, start)
    return line[start + 1 : end - 1]

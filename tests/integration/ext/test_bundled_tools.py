"""The bundled tools as programs: what they answer over their pipes, and how they end."""

from pathlib import Path

import pytest

from anyclaw_sdk.types import Json, Message
from tests.integration.ext.supervisor import ROOT, Supervisor


def handshake(options: Message) -> Message:
    return {
        "protocolVersion": "2025-11-25",
        "capabilities": {"experimental": {"anyclaw": {"deliver": {}, "inject": {}}}},
        "clientInfo": {"name": "test", "version": "1"},
        "_meta": {"anyclaw/options": options},
    }


HOSTS: Message = {"allow": [{"host": "127.0.0.1", "scheme": "http"}]}
CALLS: dict[str, tuple[str, Message, Message, bool, str]] = {
    "system-info": ("system_info", {}, {"sections": ["time"]}, False, "time: "),
    "send-file": ("send_file", {}, {"path": "a.txt"}, False, "sent a.txt"),
    "http-request": (
        "http_request",
        HOSTS,
        {"url": "http://127.0.0.1/"},
        True,
        "127.0.0.1, is a private address",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_bundled_tool_runs(tmp_path: Path, name: str) -> None:
    tool, options, arguments, is_error, text = CALLS[name]
    (tmp_path / "a.txt").write_text("hello")
    with Supervisor(str(ROOT / "ext/tools" / name)) as program:
        program.answer = lambda _: {"result": {}}
        info = program.call(1, "initialize", handshake(options))["result"]["serverInfo"]
        assert info["name"] == name
        program.notify("notifications/initialized", {})
        (listed,) = program.call(2, "tools/list", {})["result"]["tools"]
        assert listed["name"] == tool
        call: Message = {"id": "c1", "session": "s", "agent": "a", "workspace": str(tmp_path)}
        params: Json = {"name": tool, "arguments": arguments, "_meta": {"anyclaw/call": call}}
        result = program.call(3, "tools/call", params)["result"]
        assert result.get("isError", False) is is_error
        assert result["content"][0]["text"].startswith(text)
        assert program.close() == 0
        assert program.noise == []
        assert program.stderr_rest() == []


def test_options_that_cannot_be_used_are_told_without_their_secrets() -> None:
    options: Message = {"credentials": {"key": {"header": "X", "value": "s3cr3t"}}}
    with Supervisor(str(ROOT / "ext/tools/http-request")) as program:
        answer = program.call(1, "initialize", handshake(options))
        assert "options: credentials.key: value is missing or shorter" in answer["error"]["message"]
        assert program.close() == 0
        assert "s3cr3t" not in repr(program.seen) + "".join(program.stderr_rest())

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from anyclaw_sdk.types import Json, Message
from tests.integration.ext.supervisor import ROOT, WAIT_S, Supervisor

MOCK = str(ROOT / "ext/agents/mock")

Start = Callable[..., Supervisor]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a mock agent whose handshake is over; options travel as `_meta.options`."""
    running: list[Supervisor] = []

    def start(*flags: str, **options: Json) -> Supervisor:
        agent = Supervisor(MOCK, *flags)
        running.append(agent)
        params = {"protocolVersion": 1, "_meta": {"options": {"thinking": False, **options}}}
        agent.call(1, "initialize", params)
        return agent

    yield start
    for agent in running:
        agent.__exit__()


def text(value: str) -> Message:
    return {"type": "text", "text": value}


def open_session(agent: Supervisor, mcp_servers: int = 0) -> str:
    params = {"cwd": "/", "mcpServers": [{}] * mcp_servers}
    session_id = agent.call(2, "session/new", params)["result"]["sessionId"]
    assert isinstance(session_id, str)
    return session_id


def prompt(agent: Supervisor, *blocks: Json, rpc_id: int = 3) -> tuple[list[Message], Message]:
    """Run one turn: its updates, and the answer."""
    first = len(agent.seen)
    answer = agent.call(rpc_id, "session/prompt", {"sessionId": "s", "prompt": list(blocks)})
    updates = [message["params"] for message in agent.seen[first:-1]]
    assert {params["sessionId"] for params in updates} <= {"s", "__global__"}
    return [params["update"] for params in updates if params["sessionId"] == "s"], answer


def summary(updates: list[Message]) -> str:
    assert updates[-1]["sessionUpdate"] == "result"
    content = updates[-1]["content"]
    assert isinstance(content, str)
    return content


@pytest.mark.parametrize("place", ["root", "meta"])
def test_handshake(place: str) -> None:
    options = {"support_resume": True}
    given = {"options": options} if place == "root" else {"_meta": {"options": options}}
    with Supervisor(MOCK) as agent:
        assert agent.call("a", "initialize", {"protocolVersion": 1, **given})["result"] == {
            "protocolVersion": 2,
            "agentCapabilities": {
                "loadSession": True,
                "mcpCapabilities": {"http": True, "sse": True},
                "promptCapabilities": {"embeddedContext": True},
                "sessionCapabilities": {"resume": {}},
            },
            "defaults": {
                "thinking": True,
                "thinking_time_ms": 0,
                "request_permission": False,
                "reject_load": False,
                "reject_resume": False,
                "support_resume": False,
                "echo_prefix": "Echo",
                "echo_mcp_count": False,
            },
        }
        commands = agent.receive_method("session/update")["params"]
        assert commands["sessionId"] == "__global__"
        assert commands["update"]["sessionUpdate"] == "available_commands_update"
        assert [command["name"] for command in commands["update"]["commands"]] == ["help", "status"]


def test_without_the_option_resume_is_not_advertised() -> None:
    with Supervisor(MOCK) as agent:
        result = agent.call(1, "initialize", {"protocolVersion": 2})["result"]
        assert result["agentCapabilities"]["sessionCapabilities"] == {}


def test_thoughts_precede_chunks_precede_the_result(start: Start) -> None:
    agent = start(thinking=True)
    UUID(open_session(agent))
    updates, answer = prompt(agent, text("hello"))
    assert updates == [
        {"sessionUpdate": "agent_thought_chunk", "content": text("Analyzing your message...")},
        {"sessionUpdate": "agent_thought_chunk", "content": text("Formulating response...")},
        {"sessionUpdate": "agent_message_chunk", "content": text("Echo: hello")},
        {"sessionUpdate": "result", "content": "Echo: hello"},
    ]
    assert answer["result"] == {"stopReason": "end_turn"}


def test_every_kind_of_block_is_echoed(start: Start) -> None:
    agent = start(echo_prefix="Hi")
    blocks: dict[str, tuple[Message, Message]] = {
        "text": (text("a"), text("Hi: a")),
        "image": ({"type": "image", "url": "u"}, {"type": "image", "url": "u"}),
        "acp image": ({"type": "image", "uri": "u"}, {"type": "image", "url": "u"}),
        "file": (
            {"type": "file", "url": "u", "filename": "f", "mimeType": "m"},
            {"type": "file", "url": "u", "filename": "f", "mimeType": "m"},
        ),
        "resource": (
            {"type": "resource", "resource": {"uri": "u", "text": "", "mimeType": "m"}},
            {"type": "file", "url": "u", "filename": None, "mimeType": "m"},
        ),
        "resource link": (
            {"type": "resource_link", "uri": "u", "name": "f"},
            {"type": "file", "url": "u", "filename": "f", "mimeType": None},
        ),
        "audio": (
            {"type": "audio", "url": "u", "mimeType": "m"},
            {"type": "audio", "url": "u", "mimeType": "m"},
        ),
        "acp audio": (
            {"type": "audio", "data": "d", "mimeType": "m"},
            {"type": "audio", "url": "d", "mimeType": "m"},
        ),
        "unknown": ({"type": "smell"}, text("Hi: unknown content kind 'smell'")),
    }
    updates, _ = prompt(agent, *(sent for sent, _ in blocks.values()))
    assert [update["content"] for update in updates[:-1]] == [echo for _, echo in blocks.values()]
    assert summary(updates) == "Echoed 9 content parts"
    updates, _ = prompt(agent, {"type": "image", "url": "u"})
    assert summary(updates) == "Echoed 1 content part"


def test_a_long_text_comes_back_whole(start: Start) -> None:
    agent = start()
    long = "é" * 1_000_000
    updates, _ = prompt(agent, text(long))
    assert summary(updates) == f"Echo: {long}"


def test_the_number_of_mcp_servers_is_echoed(start: Start) -> None:
    agent = start(echo_mcp_count=True)
    open_session(agent, mcp_servers=2)
    updates, _ = prompt(agent, text("hello"))
    assert updates[0]["content"] == text("Echo: hello")
    assert summary(updates) == "Echo: hello [mcp:2]"


@pytest.mark.parametrize("answer", [{"result": {}}, {"error": {"code": -1, "message": "no"}}])
def test_permission_is_asked_once_and_any_answer_will_do(start: Start, answer: Message) -> None:
    agent = start(request_permission=True)
    agent.request(3, "session/prompt", {"sessionId": "s", "prompt": [text("hello")]})
    asked = agent.receive_method("session/request_permission")
    assert asked["id"] == 9000
    assert asked["params"] == {
        "sessionId": "s",
        "tool": "shell",
        "description": "Run echo command",
        "options": [
            {"id": "allow_once", "label": "Allow once"},
            {"id": "reject_once", "label": "Reject"},
        ],
    }
    agent.send({"id": 9000, **answer})
    assert agent.receive(lambda message: message.get("id") == 3)["result"]["stopReason"]
    updates, _ = prompt(agent, text("again"), rpc_id=4)
    assert summary(updates) == "Echo: again"


def test_it_exits_right_after_the_answer_it_is_told_to(start: Start) -> None:
    agent = start(exit_after=2)
    prompt(agent, text("one"), rpc_id=3)
    _, answer = prompt(agent, text("two"), rpc_id=4)
    assert answer["result"] == {"stopReason": "end_turn"}
    assert agent.wait() == 1


def test_cancel_ends_a_running_turn(start: Start) -> None:
    agent = start(thinking=True, thinking_time_ms=3_600_000)
    agent.request(3, "session/prompt", {"sessionId": "s", "prompt": [text("hello")]})
    agent.receive(lambda message: "Formulating" in str(message))
    agent.notify("session/cancel", {"sessionId": "s"})
    answer = agent.receive(lambda message: message.get("id") == 3)
    assert answer["result"] == {"stopReason": "cancelled"}
    assert agent.call(4, "session/cancel", {"sessionId": "s"})["result"] == {}


def test_cancel_ends_a_turn_that_waits_for_a_permission(start: Start) -> None:
    agent = start(request_permission=True)
    agent.request(3, "session/prompt", {"sessionId": "s", "prompt": [text("hello")]})
    agent.receive_method("session/request_permission")
    agent.notify("session/cancel", {"sessionId": "s"})
    answer = agent.receive(lambda message: message.get("id") == 3)
    assert answer["result"] == {"stopReason": "cancelled"}
    agent.send({"id": 9000, "result": {"outcome": {"outcome": "cancelled"}}})  # late: dropped
    updates, _ = prompt(agent, text("next"), rpc_id=5)
    assert summary(updates) == "Echo: next"


@pytest.mark.parametrize("method", ["session/load", "session/resume"])
class TestRecovery:
    def test_answers_the_last_session(self, start: Start, method: str) -> None:
        agent = start()
        last = open_session(agent)
        assert agent.call(3, method, {"sessionId": "old"})["result"] == {"sessionId": last}

    def test_answers_a_new_session_where_there_is_none(self, start: Start, method: str) -> None:
        UUID(start().call(3, method, {"sessionId": "old"})["result"]["sessionId"])

    def test_answers_the_session_it_is_told(self, start: Start, method: str) -> None:
        agent = start(recovery_new_id="other")
        assert agent.call(3, method, {"sessionId": "old"})["result"] == {"sessionId": "other"}

    def test_is_rejected_where_the_option_says_so(self, start: Start, method: str) -> None:
        agent = start(reject_load=True, reject_resume=True)
        assert agent.call(3, method, {"sessionId": "old"})["error"]["code"] == -32000


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("session/new", {"mcpServers": []}, -32602),
        ("session/new", {"cwd": "/"}, -32602),
        ("session/new", {"cwd": 7, "mcpServers": []}, -32602),
        ("session/prompt", {"sessionId": "s"}, -32602),
        ("session/prompt", {"sessionId": "s", "prompt": []}, -32602),
        ("session/fork", {"sessionId": "s"}, -32601),
        ("anything", {}, -32601),
    ],
)
def test_refusals(start: Start, method: str, params: Message, code: int) -> None:
    assert start().call(3, method, params)["error"]["code"] == code


def test_noise_on_both_sides_is_skipped(start: Start) -> None:
    agent = start("--noisy-startup")
    agent.write(b"\n  \nnoise\n[1]\n\xff\n")
    updates, _ = prompt(agent, text("hello"))
    assert summary(updates) == "Echo: hello"
    assert len(agent.noise) == 2


def test_a_request_before_the_handshake_is_served() -> None:
    with Supervisor(MOCK) as agent:
        assert agent.call(2, "session/new", {"cwd": "/", "mcpServers": []})["result"]["sessionId"]
        assert agent.call(3, "initialize", {"protocolVersion": 1})["result"]["protocolVersion"] == 2


def test_the_end_of_stdin_ends_it_with_0(start: Start) -> None:
    assert start().close() == 0


def test_the_end_of_stdin_before_the_handshake_ends_it_with_0() -> None:
    with Supervisor(MOCK) as agent:
        assert agent.close() == 0


def test_a_turn_running_at_the_end_of_stdin_is_finished(start: Start) -> None:
    agent = start(thinking=True)
    agent.request(3, "session/prompt", {"sessionId": "s", "prompt": [text("hello")]})
    assert agent.close() == 0
    assert agent.seen[-1]["result"] == {"stopReason": "end_turn"}


def test_a_turn_that_waits_for_an_answer_ends_quietly_with_stdin(start: Start) -> None:
    agent = start(request_permission=True)
    agent.request(3, "session/prompt", {"sessionId": "s", "prompt": [text("hello")]})
    agent.receive_method("session/request_permission")
    assert agent.close() == 0
    assert agent.stderr_rest() == []


def test_sigterm_ends_it_with_0(start: Start) -> None:
    agent = start()
    open_session(agent)  # its event loop stands
    agent.process.send_signal(signal.SIGTERM)
    assert agent.wait() == 0


def test_a_reader_that_has_gone_ends_it() -> None:
    reader, writer = os.pipe()
    command = [sys.executable, MOCK]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=writer) as process:
        os.close(writer)
        assert process.stdin is not None
        handshake = {"id": 1, "method": "initialize", "params": {"protocolVersion": 1}}
        process.stdin.write(json.dumps(handshake).encode() + b"\n")
        process.stdin.flush()
        assert os.read(reader, 1)
        os.close(reader)
        assert process.wait(WAIT_S) == 0


def test_files_serve_as_stdin_and_stdout(tmp_path: Path) -> None:
    script, output = tmp_path / "in", tmp_path / "out"
    script.write_text(
        '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"options":{"thinking":false}}}\n'
        '{"jsonrpc":"2.0","id":2,"method":"session/prompt",'
        '"params":{"sessionId":"s","prompt":[{"type":"text","text":"hello"}]}}\n'
    )
    with script.open("rb") as stdin, output.open("wb") as stdout:
        subprocess.run(
            [sys.executable, MOCK], stdin=stdin, stdout=stdout, check=True, timeout=WAIT_S
        )
    assert output.read_text().splitlines()[-1] == (
        '{"jsonrpc":"2.0","id":2,"result":{"stopReason":"end_turn"}}'
    )

"""The peers do what their docstrings say, so that a test through the daemon can rely on them."""

import json
from pathlib import Path

import pytest

from tests.integration.ext.supervisor import Supervisor

PEERS = Path(__file__).parent
PEER = {"channelName": "odd", "peerId": "raw:7", "kind": "direct", "mood": "curious"}


def texts(channel: Supervisor, count: int) -> list[str]:
    sent = [channel.receive_method("channel/sendMessage")["params"] for _ in range(count)]
    assert all(params["peerInfo"] == PEER for params in sent)
    return [params["content"][0]["text"] for params in sent]


def test_the_channel_speaks_as_it_is_told(tmp_path: Path) -> None:
    transcript = tmp_path / "transcript"
    options = {"say": ["one", "two"], "then": ["three"], "transcript": str(transcript)}
    with Supervisor(str(PEERS / "channel.py")) as channel:
        answer = channel.call(1, "initialize", {"channelId": "odd", "options": options})
        assert answer["result"]["protocolVersion"] == 2
        assert texts(channel, 2) == ["one", "two"]
        done = {"sessionId": "s", "content": {"update": {"sessionUpdate": "result"}}}
        channel.notify("channel/deliverMessage", done)
        assert texts(channel, 1) == ["three"]
        assert channel.close() == 0
        assert b"this is no frame\n" in channel.noise
    assert [json.loads(line)["method"] for line in transcript.read_text().splitlines()] == [
        "channel/deliverMessage"
    ]


@pytest.mark.parametrize(
    ("respond_by", "answer"),
    [
        ("response", {"id": "p", "result": {"requestId": "r", "optionId": "no"}}),
        (
            "nested",
            {
                "jsonrpc": "2.0",
                "id": "p",
                "result": {"result": {"requestId": "r", "optionId": "no"}},
            },
        ),
        (
            "notification",
            {
                "method": "channel/respondPermission",
                "params": {"requestId": "r", "optionId": "no"},
            },
        ),
    ],
)
def test_the_channel_answers_permissions_in_three_ways(respond_by: str, answer: object) -> None:
    options = {"respond_by": respond_by, "permission": "no"}
    with Supervisor(str(PEERS / "channel.py")) as channel:
        channel.call(1, "initialize", {"channelId": "odd", "options": options})
        channel.request("p", "channel/requestPermission", {"requestId": "r", "options": []})
        assert channel.receive(lambda message: message.get("id") != 1) == answer


def test_the_agent_answers_in_its_odd_way() -> None:
    options = {"ask": True, "push": True, "echo_id_as_text": True}
    with Supervisor(str(PEERS / "agent.py")) as agent:
        agent.request(1, "initialize", {"_meta": {"options": options}})
        assert agent.receive(lambda message: message.get("id") == "1")["result"]
        agent.request(2, "session/new", {"cwd": "/", "mcpServers": []})
        early = agent.receive_method("session/update")
        assert early["params"]["sessionId"] == "raw:1"
        assert agent.receive(lambda message: message.get("id") == "2")["result"]["sessionId"]
        prompt = {"sessionId": "raw:1", "prompt": [{"type": "text", "text": "a b"}]}
        agent.request(3, "session/prompt", prompt)
        assert agent.receive_method("session/request_permission")["id"] == "perm-1"
        chosen = {"outcome": {"outcome": "selected", "optionId": "allow_once"}}
        agent.send({"id": "perm-1", "result": chosen})
        answer = agent.receive(lambda message: message.get("id") == "3")
        assert "stopReason" not in answer["result"]
        chunks = [
            message["params"]["update"]["content"]["text"]
            for message in agent.seen
            if "agent_message_chunk" in str(message)
        ]
        assert chunks == ["raw: ", "a ", "b ", "allow_once "]
        assert agent.receive_method("session/push")["params"]["sessionId"] == "raw:1"
        assert agent.call("x", "session/load", {})["error"]["code"] == -32601
        assert agent.close() == 0

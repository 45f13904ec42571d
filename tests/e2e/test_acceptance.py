"""What POST /message promises holds across restarts and crashes: debug-http and a real daemon."""

import http.client
import json
import os
import signal
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from anyclawd.model.value import Json
from tests.fakes.daemon import WAIT_S, Chat, Daemon, Deadline, debug_http, mock, running, system
from tests.fakes.puppet import Stage


class Answer(NamedTuple):
    status: int
    body: Json
    retry_after: str | None


def post(daemon: Daemon, text: str, key: str = "") -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port_of(), timeout=WAIT_S)
    with closing(connection):
        headers = {"Idempotency-Key": key} if key else {}
        connection.request("POST", "/message", json.dumps({"message": text}), headers)
        answer = connection.getresponse()
        return Answer(answer.status, json.loads(answer.read()), answer.headers["Retry-After"])


def durable(directory: Path, agent: Json, **channel: Json) -> Json:
    return system(
        {"default": agent},
        {"debug-http": {**debug_http(), **channel}},
        session_store={"type": "sqlite", "path": str(directory / "sessions.db")},
    )


def wait_state(chat: Chat, message: str, wanted: str) -> Json:
    """What is told of a message once it has come to this state; a look is a turn of two loops."""
    deadline = Deadline()
    while (found := chat.ask("GET", f"/messages/{message}")[1]).get("state") != wanted:
        assert found["state"] in ("queued", "running", "answered"), found
        deadline.left(f"{message} to be {wanted}")
    return found


def test_an_accepted_message_is_known_by_its_id_after_a_restart(tmp_path: Path) -> None:
    with running(tmp_path, durable(tmp_path, mock())) as daemon:
        status, body, _ = post(daemon, "hello")
        assert (status, body["status"]) == (200, "queued")
        message = body["messageId"]
        before = wait_state(daemon.chat(), message, "delivered")
        assert before["session"] == "debug-http:local:local"
        assert (before["text"], before["stopReason"]) == ("Echo: hello", "end_turn")
        assert daemon.chat().ask("GET", "/messages/nobody")[0] == 404
    with running(tmp_path) as daemon:
        assert daemon.chat().ask("GET", f"/messages/{message}") == (200, before)


def test_a_key_makes_one_message_of_two_also_after_a_restart(tmp_path: Path) -> None:
    with running(tmp_path, durable(tmp_path, mock())) as daemon:
        first = post(daemon, "hello", "order-17").body
        wait_state(daemon.chat(), first["messageId"], "delivered")
        assert post(daemon, "hello", "order-17").body == {**first, "duplicate": True}
    with running(tmp_path) as daemon:
        assert post(daemon, "hello", "order-17").body == {**first, "duplicate": True}
        other = post(daemon, "hello", "order-18").body
        assert other["messageId"] != first["messageId"]
        assert "duplicate" not in other
        wait_state(daemon.chat(), other["messageId"], "delivered")
        said = daemon.client.get("/v1/sessions/debug-http:local:local/history?turns=9")["turns"]
        assert [turn["prompt"] for turn in said] == ["hello", "hello"]


def test_too_many_messages_a_minute_are_told_when_to_come_back(tmp_path: Path) -> None:
    limits = {"session": {"messages_per_minute": 2}}
    with running(tmp_path, durable(tmp_path, mock(), rate_limits=limits)) as daemon:
        answers = [post(daemon, str(number)) for number in range(20)]
        refused = next(answer for answer in answers if answer.status != 200)
        assert refused.status == 429
        assert refused.retry_after is not None
        assert 1 <= int(refused.retry_after) <= 60
        assert (refused.body["state"], refused.body["reason"]) == ("refused", "rate-limit")
        assert refused.body["error"].startswith("Message not accepted: ")
        assert daemon.chat().ask("GET", f"/messages/{refused.body['messageId']}")[0] == 404


def test_a_message_for_an_agent_that_stays_away_is_refused_with_the_reason(tmp_path: Path) -> None:
    gone = {"workspace": {"type": "local", "binary": "/bin/false"}, "restart": "never"}
    with running(tmp_path, durable(tmp_path, gone)) as daemon:
        daemon.wait_unit("default.agent", "failed")
        status, body, retry_after = post(daemon, "hello")
        assert (status, body["state"], body["reason"]) == (503, "refused", "agent")
        assert retry_after is None


@pytest.mark.parametrize("victim", ["daemon", "channel"])
def test_an_accepted_message_outlives_a_kill(tmp_path: Path, theatre: Stage, victim: str) -> None:
    """The agent holds its answer back until the kill has happened: the state is known."""
    quick = {"backoff": {"initial": 0.01, "factor": 1, "max": 0.01, "jitter": 0}}
    config = durable(tmp_path, theatre.agent("a", **quick), **quick)
    with running(tmp_path, config) as daemon:
        agent = theatre.accept_agent("a")
        message = post(daemon, "hello").body["messageId"]
        agent.open()
        request, asked = agent.prompted()
        assert asked == "hello"
        if victim == "channel":
            pid = daemon.unit("debug-http.channel")["pid"]
            os.kill(pid, signal.SIGKILL)
            daemon.wait_restarted("debug-http.channel", pid)
            agent.chunk("Hi")
            agent.done(request)
            assert wait_state(daemon.chat(), message, "delivered")["text"] == "Hi"
            return
        daemon.kill()
    with running(tmp_path) as daemon:
        found = wait_state(daemon.chat(), message, "interrupted")
        assert "anyclawd was restarted" in found["text"]

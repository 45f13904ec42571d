"""Every route of the admin API over a real socket, with the client that people use."""

import json
import os
import socket
import stat
import urllib.request
from dataclasses import replace
from http.client import HTTPResponse
from typing import cast
from urllib.error import HTTPError

import pytest

from anyclawd.admin.views import plan_view
from anyclawd.client.exchange import ClientError
from anyclawd.model.deps import UnitName
from anyclawd.model.state import JobMode
from anyclawd.model.value import Json
from tests.fakes.control import AGENTS, PLAN, SECRET, log_line
from tests.integration.admin.conftest import Served

MESSAGE = {"content": "hello", "channel": None, "peer": "alice", "kind": "local", "agent": None}


def test_status_has_every_unit(served: Served) -> None:
    status = served.client.get("/v1/status")
    assert [unit["name"] for unit in status["units"]] == list(served.control.rows)
    assert status["state"] == "running"


def test_unknown_unit_is_refused_with_the_nearest_name(served: Served) -> None:
    with pytest.raises(ClientError, match=r"did you mean 'default.agent'") as caught:
        served.client.get("/v1/units/defualt.agent")
    assert (caught.value.exit_code, caught.value.code) == (4, "no-such-unit")


def test_plan_shows_settings_and_no_secret(served: Served) -> None:
    plan = served.client.get("/v1/plan")
    agent = plan["units"]["default.agent"]
    assert plan["order"] == list(PLAN.order)
    assert agent["options"] == {"token": "<secret>", "depth": 3}
    assert agent["environment"] == {"API_KEY": "<secret>", "PLAIN": "seen"}
    assert agent["exec"][-1] == "--key=<secret>"
    assert SECRET not in str(plan)


def test_a_plan_of_many_units_is_whole(served: Served) -> None:
    template = PLAN.units[AGENTS]
    names = [UnitName(f"t{number}.target") for number in range(230)]
    units = {name: replace(template, name=name) for name in names}
    served.control.running_plan = replace(PLAN, units=units, order=tuple(names))
    plan = served.client.get("/v1/plan")
    assert plan == plan_view(served.control.running_plan)
    assert list(plan["units"]) == names


def test_settings_of_one_unit_have_the_shape_of_the_plan(served: Served) -> None:
    settings = served.client.get("/v1/units/debug-http.channel/settings")
    assert settings["order"] == ["debug-http.channel"]
    assert settings["units"] == {
        "debug-http.channel": served.client.get("/v1/plan")["units"]["debug-http.channel"]
    }
    after = settings["units"]["debug-http.channel"]["after"]
    assert after == [{"unit": "default.agent", "until": "ready", "span": "anyclaw.yaml:12:5"}]


def test_settings_of_an_unknown_unit_are_refused(served: Served) -> None:
    with pytest.raises(ClientError) as caught:
        served.client.get("/v1/units/nothing.agent/settings")
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("target", "member"),
    [
        ("/v1/units/default.agent", "story"),
        ("/v1/units/default.agent/explain", "sentences"),
        ("/v1/boot", "settled_s"),
        ("/v1/boot?boot=-1", "settled_s"),
        ("/v1/boots", "boots"),
        ("/v1/verify", "findings"),
        ("/v1/jobs", "jobs"),
        ("/v1/sessions", "sessions"),
        ("/health", "agents"),
    ],
)
def test_reading_routes_answer_what_the_daemon_says(
    served: Served, target: str, member: str
) -> None:
    assert member in served.client.get(target)


def test_jobs_are_submitted_with_the_callers_identity(served: Served) -> None:
    body = {"verb": "restart", "units": ["default.agent"], "mode": "fail"}
    answer = served.client.post("/v1/jobs", body)
    assert answer["jobs"] == [
        {"id": 8, "unit": "default.agent", "type": "restart", "result": "done", "reason": ""}
    ]
    (request,) = served.control.requests
    assert (str(request.verb), request.mode) == ("restart", JobMode.FAIL)
    assert request.origin.startswith(f"uid {os.getuid()} (")
    assert f"pid {os.getpid()}: " in request.origin


def test_without_waiting_the_results_are_open(served: Served) -> None:
    served.call(served.control.jobs_finished.clear)
    body = {"verb": "start", "units": ["default.agent"], "wait": False}
    assert served.client.post("/v1/jobs", body)["jobs"][0]["result"] is None


def test_a_client_that_disconnects_cancels_no_job(served: Served) -> None:
    served.call(served.control.jobs_finished.clear)
    body = json.dumps({"verb": "stop", "units": ["default.agent"]}).encode()
    with raw(served) as connection:
        head = f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        served.wait_until(lambda: served.control.waiting == 1)
    served.wait_until(lambda: served.control.waiting == 0)
    assert [request.units for request in served.control.requests] == [("default.agent",)]


@pytest.mark.parametrize(
    ("target", "body", "said"),
    [
        ("/v1/jobs", {"verb": "jump", "units": ["a.agent"]}, "verb: found 'jump', expected one of"),
        ("/v1/jobs", {"verb": "start"}, "units: found nothing, expected a list of unit names"),
        ("/v1/jobs", {"verb": "start", "units": [1]}, "expected a list of unit names"),
        ("/v1/jobs", {"verb": "start", "units": ["*"], "mode": "x"}, "mode: found 'x'"),
        ("/v1/jobs", ["start"], 'the body is ["start"], expected an object'),
        ("/v1/kill", {"units": ["default.agent"], "signal": "SIGNOT"}, "signal: found 'SIGNOT'"),
        ("/v1/messages", {"content": ""}, "content: found ''"),
        ("/v1/notifications", {"channel": "c", "peer": "p"}, "text: found nothing"),
        ("/v1/permissions/p1", {}, "optionId: found nothing"),
    ],
)
def test_malformed_requests_are_told_what_is_wrong(
    served: Served, target: str, body: Json, said: str
) -> None:
    with pytest.raises(ClientError, match=r"found|expected") as caught:
        served.client.post(target, body)
    assert caught.value.code == "bad-request"
    assert said in str(caught.value)


@pytest.mark.parametrize("target", ["/v1/nothing", "/nothing"])
def test_unknown_routes_answer_in_json(served: Served, target: str) -> None:
    with pytest.raises(ClientError) as caught:
        served.client.get(target)
    assert caught.value.code == "not-found"


def test_a_body_over_the_limit_is_refused(served: Served) -> None:
    with pytest.raises(ClientError, match="too large"):
        served.client.post("/v1/messages", {"content": "x" * (17 * 2**20)})


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000], ids=["broken", "too-deep"])
def test_a_body_that_cannot_be_read_is_the_callers_fault(served: Served, body: bytes) -> None:
    with raw(served) as connection:
        head = f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        answer = HTTPResponse(connection)
        answer.begin()
        assert answer.status == 400
        assert json.load(answer)["error"]["code"] == "bad-request"


def test_kill_passes_the_signals_number(served: Served) -> None:
    answer = served.client.post("/v1/kill", {"units": ["default.agent"], "signal": "HUP"})
    assert answer == {"units": [{"name": "default.agent", "pid": 4242}]}
    assert served.control.calls[0][:3] == ("kill", "default.agent", "1")


def test_logs_give_the_last_lines_of_a_unit(served: Served) -> None:
    lines = list(served.client.stream("GET", "/v1/logs?unit=default.agent&n=2"))
    assert [line["text"] for line in lines] == ["line 1", "line 2"]


def test_logs_of_an_unknown_unit_are_refused(served: Served) -> None:
    with pytest.raises(ClientError) as caught:
        list(served.client.stream("GET", "/v1/logs?unit=nothing.agent"))
    assert caught.value.exit_code == 4


def test_following_logs_go_on_with_new_lines(served: Served) -> None:
    stream = served.client.stream("GET", "/v1/logs?n=1&follow=1", timeout_s=60)
    assert next(stream)["text"] == "line 2"
    served.wait_until(lambda: len(served.control.new_lines) == 1)
    line = log_line("default.agent", "new")
    served.call(lambda: served.control.new_lines.publish_nowait(line))
    assert next(stream)["text"] == "new"
    stream.close()
    served.wait_until(lambda: len(served.control.new_lines) == 0)


def test_a_reader_that_stands_still_is_dropped(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anyclawd.admin.answers.SLOW_READER_S", 0.05)
    long_line = log_line("default.agent", "x" * 2**20)
    served.control.history = [long_line] * 50
    with raw(served) as connection:
        connection.sendall(b"GET /v1/logs?n=50&follow=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        served.wait_until(lambda: served.control.read_logs == 1)
        assert served.control.open_logs == 0


def test_events_are_server_sent(served: Served) -> None:
    with raw(served) as connection:
        connection.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = connection.makefile("rb")
        assert answer.readline() == b"HTTP/1.1 200 OK\r\n"
        served.wait_until(lambda: len(served.control.changes) == 1)
        change = {"at": "now", "unit": "a.agent", "active": "failed", "sub": "failed"}
        served.call(lambda: served.control.changes.publish_nowait(change))
        while not (line := answer.readline()).startswith(b"data: "):
            assert line
        assert json.loads(line.removeprefix(b"data: ")) == change
        answer.close()


def test_a_message_streams_its_turn(served: Served) -> None:
    events = list(served.client.stream("POST", "/v1/messages", MESSAGE))
    assert [event["type"] for event in events] == ["accepted", "update", "update", "result"]
    assert events[0]["session"] == "cli:local:alice"
    assert events[-1]["text"] == "Echo: hello"
    assert served.control.messages[0].peer == "alice"


def test_a_refused_message_is_an_error_answer(served: Served) -> None:
    served.control.refusal = "agent default.agent is not connected"
    with pytest.raises(ClientError, match="not connected") as caught:
        list(served.client.stream("POST", "/v1/messages", MESSAGE))
    assert caught.value.code == "failed"


def test_a_permission_is_answered_on_another_connection(served: Served) -> None:
    served.control.asks_permission = True
    stream = served.client.stream("POST", "/v1/messages", MESSAGE, timeout_s=60)
    asked = next(event for event in stream if event["type"] == "permission")
    served.client.post(f"/v1/permissions/{asked['requestId']}", {"optionId": "allow_once"})
    assert list(stream)[-1]["text"] == "Echo: hello allow_once"


def test_a_permission_nobody_asked_for_is_refused(served: Served) -> None:
    with pytest.raises(ClientError) as caught:
        served.client.post("/v1/permissions/p9", {"optionId": "allow_once"})
    assert caught.value.code == "failed"


def test_a_notification_reaches_its_channel(served: Served) -> None:
    body = {"channel": "debug-http", "peer": "local", "text": "hi"}
    assert served.client.post("/v1/notifications", body) == {}
    assert served.control.calls == [("notify", "debug-http", "local", "hi")]


def test_the_port_serves_health_and_metrics_and_nothing_else(served: Served) -> None:
    assert json.loads(fetch(served, "/health").read())["status"] == "healthy"
    metrics = fetch(served, "/metrics")
    assert metrics.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"anyclaw_agents_connected 1.0\n" in metrics.read()
    with pytest.raises(HTTPError) as caught:
        fetch(served, "/v1/status")
    assert caught.value.code == 404
    caught.value.close()


def test_health_is_503_while_degraded(served: Served) -> None:
    served.control.state = "degraded"
    with pytest.raises(HTTPError) as caught:
        fetch(served, "/health")
    with caught.value as answer:
        assert (answer.code, json.loads(answer.read())["status"]) == (503, "degraded")


def test_the_socket_has_the_mode_that_was_asked_for(served: Served) -> None:
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o600


def test_a_fault_of_the_daemon_is_an_answer_too(served: Served) -> None:
    served.control.rows = cast("dict[str, Json]", None)
    with pytest.raises(ClientError, match="fault of its own"):
        served.client.get("/v1/status")


def raw(served: Served) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(60)
    connection.connect(str(served.path))
    return connection


def fetch(served: Served, path: str) -> HTTPResponse:
    url = f"http://127.0.0.1:{served.listener.port}{path}"
    return cast("HTTPResponse", urllib.request.urlopen(url, timeout=60))

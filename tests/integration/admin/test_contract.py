"""What the OpenAPI document promises, kept by the fake daemon and by the real one alike."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml

from anyclawd.cli.cmd_demo import CONFIG
from anyclawd.cli.demo_daemon import booted
from anyclawd.client.client import Client, quote
from anyclawd.client.exchange import ClientError
from anyclawd.model.value import Json
from tests.integration.admin.conftest import Served

SCHEMA = Path(__file__).parents[3] / "schema" / "admin.openapi.yaml"
DOCUMENT: Json = yaml.safe_load(SCHEMA.read_text("utf-8"))

MESSAGE = {"content": "hello", "peer": "contract"}


@pytest.fixture(scope="module")
def real() -> Iterator[Client]:
    with booted(CONFIG) as daemon:
        daemon.wait_ready(60)
        yield daemon.client


@pytest.fixture(params=["fake", "real"])
def client(request: pytest.FixtureRequest) -> Client:
    if request.param == "fake":
        served: Served = request.getfixturevalue("served")
        return served.client
    real: Client = request.getfixturevalue("real")
    return real


def check(value: Json, schema: Json) -> None:
    whole = {**schema, "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(whole).validate(value)


def schema_of(path: str, method: str = "get", media: str = "application/json") -> Json:
    answers = DOCUMENT["paths"][path][method]["responses"]
    schema: Json = answers["200"]["content"][media]["schema"]
    return schema


READING = [
    path
    for path, item in DOCUMENT["paths"].items()
    if "get" in item and "application/json" in item["get"]["responses"]["200"]["content"]
]

#: What a route cannot do without.
QUERIES = {"/v1/wait": "?unit=default.agent&timeout_s=0"}


@pytest.mark.parametrize("path", READING)
def test_answers_have_the_promised_shape(client: Client, path: str) -> None:
    target = path.replace("{name}", "default.agent") + QUERIES.get(path, "")
    if "{key}" in path or "{id}" in path:
        key, message = spoken_in(client)
        target = target.replace("{key}", quote(key)).replace("{id}", quote(message))
    check(client.get(target), schema_of(path))


def spoken_in(client: Client) -> tuple[str, str]:
    """The key of a session in which something was said, and the id of a message in it."""
    *_, result = client.stream("POST", "/v1/messages", MESSAGE, timeout_s=60)
    assert result["isError"] is False
    for row in client.get("/v1/sessions")["sessions"]:
        detail = client.get(f"/v1/sessions/{quote(row['session'])}")
        if detail["messages"]:
            return row["session"], detail["messages"][0]["messageId"]
    raise AssertionError("there is no session with a message")


@pytest.mark.parametrize("verb", ["new", "cancel", "close"])
def test_what_is_done_to_a_session_tells_how_it_was(client: Client, verb: str) -> None:
    key, _ = spoken_in(client)
    answer = client.post(f"/v1/sessions/{quote(key)}/{verb}", None)
    check(answer, schema_of(f"/v1/sessions/{{key}}/{verb}", "post"))
    assert answer == {"session": key, "was": "idle"}


def test_what_is_erased_is_told_and_gone(client: Client) -> None:
    key, message = spoken_in(client)
    answer = client.delete(f"/v1/sessions/{quote(key)}")
    check(answer, schema_of("/v1/sessions/{key}", "delete"))
    assert answer["erased"]["messages"] > 0
    for target, code in (
        (f"/v1/sessions/{quote(key)}", "session"),
        (f"/v1/messages/{message}", "message"),
    ):
        with pytest.raises(ClientError) as caught:
            client.get(target)
        assert caught.value.code == f"no-such-{code}"


def test_log_lines_have_the_promised_shape(client: Client) -> None:
    lines = list(client.stream("GET", "/v1/logs?n=5", timeout_s=60))
    assert lines
    for line in lines:
        check(line, schema_of("/v1/logs", media="application/x-ndjson"))


def test_a_turn_is_accepted_first_and_ends_in_its_result(client: Client) -> None:
    events = list(client.stream("POST", "/v1/messages", MESSAGE, timeout_s=60))
    for event in events:
        check(event, schema_of("/v1/messages", "post", "application/x-ndjson"))
    assert [events[0]["type"], events[-1]["type"]] == ["accepted", "result"]
    assert (events[-1]["text"], events[-1]["isError"]) == ("Echo: hello", False)


def test_jobs_answer_with_a_row_a_unit(client: Client) -> None:
    body = {"verb": "restart", "units": ["default.agent"]}
    answer = client.post("/v1/jobs", body, waits=True)
    check(answer, schema_of("/v1/jobs", "post"))
    assert [(row["unit"], row["result"]) for row in answer["jobs"]] == [("default.agent", "done")]


def test_a_dry_run_answers_with_the_jobs_that_would_be(client: Client) -> None:
    body = {"verb": "restart", "units": ["default.*"], "dry_run": True}
    answer = client.post("/v1/jobs", body)
    check(answer, schema_of("/v1/jobs", "post"))
    foretold = {row["unit"]: row["type"] for row in answer["jobs"]}
    assert (foretold["default.agent"], foretold["default.target"]) == ("restart", "restart")


def test_who_waits_for_the_end_is_told_how_far_it_is(client: Client) -> None:
    body = {"verb": "start", "units": ["default.agent"], "wait": "rest", "timeout_s": 0}
    answer = client.post("/v1/jobs", body)
    check(answer, schema_of("/v1/jobs", "post"))
    check(answer["jobs"][0]["rest"], DOCUMENT["components"]["schemas"]["RestRow"])


@pytest.mark.parametrize("whom", ["main", "all"])
def test_a_signal_answers_with_the_process_that_took_it(client: Client, whom: str) -> None:
    body = {"units": ["default.*"], "signal": "CONT", "whom": whom}
    answer = client.post("/v1/kill", body)
    check(answer, schema_of("/v1/kill", "post"))
    pids = {row["name"]: row["pid"] for row in answer["units"]}
    assert (pids["default.agent"] is None, pids["default.target"]) == (False, None)


def test_what_units_use_is_read_on_request(client: Client) -> None:
    target = "/v1/units?unit=default.agent"
    [idle], [used] = (client.get(target + more)["units"] for more in ("", "&usage=1"))
    check({"units": [used]}, schema_of("/v1/units"))
    assert (idle["tasks"], idle["memory_bytes"]) == (None, None)
    assert used["tasks"] > 0


def test_logs_begin_where_they_are_told_to(client: Client) -> None:
    target = "/v1/logs?unit=*.agent&n=1000&since=2999-01-01T00:00:00Z"
    assert list(client.stream("GET", target, timeout_s=60)) == []


def test_a_reload_tells_the_difference(client: Client) -> None:
    for body in ({"dry_run": True}, {"wait": False}, {"timeout_s": 20}):
        answer = client.post("/v1/reload", body, waits=True)
        check(answer, schema_of("/v1/reload", "post"))


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("GET", "/v1/units/no.agent", None, "no-such-unit"),
        ("GET", "/v1/units/no.agent/explain", None, "no-such-unit"),
        ("GET", "/v1/units/no.agent/settings", None, "no-such-unit"),
        ("POST", "/v1/jobs", {"verb": "start", "units": ["no.agent"]}, "no-such-unit"),
        ("POST", "/v1/kill", {"units": ["no.agent"]}, "no-such-unit"),
        ("POST", "/v1/jobs", {"verb": "start", "units": ["no-*"]}, "no-such-unit"),
        ("POST", "/v1/reload", {"dry_run": "yes"}, "bad-request"),
        ("GET", "/v1/units?unit=no.agent", None, "no-such-unit"),
        ("GET", "/v1/units/*", None, "no-such-unit"),
        ("GET", "/v1/wait?unit=no-*", None, "no-such-unit"),
        ("GET", "/v1/wait", None, "bad-request"),
        ("GET", "/v1/logs?unit=no.agent", None, "no-such-unit"),
        ("GET", "/v1/logs?since=yesterday", None, "bad-request"),
        ("GET", "/v1/units/default.agent?n=all", None, "bad-request"),
        ("POST", "/v1/jobs", {"verb": "start", "units": ["*"], "wait": 1}, "bad-request"),
        ("POST", "/v1/jobs", {"verb": "start", "units": ["*"], "timeout_s": -1}, "bad-request"),
        ("POST", "/v1/jobs", {"verb": "start", "units": ["*"], "dry_run": "no"}, "bad-request"),
        ("POST", "/v1/kill", {"units": ["*"], "whom": "nobody"}, "bad-request"),
        ("GET", "/v1/wait?unit=default.agent&timeout_s=nan", None, "bad-request"),
        ("DELETE", "/v1/jobs/999999", None, "no-such-job"),
        ("DELETE", "/v1/jobs/x", None, "bad-request"),
        ("POST", "/v1/permissions/no", {"optionId": "x"}, "failed"),
        ("GET", "/v1/no", None, "not-found"),
        ("GET", "/v1/sessions/no:such:one", None, "no-such-session"),
        ("GET", "/v1/sessions?session=no-*", None, "no-such-session"),
        ("GET", "/v1/sessions?session=no:such:one", None, "no-such-session"),
        ("GET", "/v1/sessions/no:such:one/history", None, "no-such-session"),
        ("GET", "/v1/sessions/no:such:one/history?turns=x", None, "bad-request"),
        ("GET", "/v1/sessions/no:such:one/events", None, "no-such-session"),
        ("GET", "/v1/sessions/no:such:one/export", None, "no-such-session"),
        ("POST", "/v1/sessions/no:such:one/new", None, "no-such-session"),
        ("POST", "/v1/sessions/no:such:one/cancel", None, "no-such-session"),
        ("POST", "/v1/sessions/no:such:one/close", None, "no-such-session"),
        ("POST", "/v1/sessions/no:such:one/fork", None, "no-such-session"),
        ("DELETE", "/v1/sessions/no:such:one", None, "no-such-session"),
        ("GET", "/v1/messages/nothing", None, "no-such-message"),
        ("POST", "/v1/messages", {"content": "x", "session": "no:such:one"}, "no-such-session"),
        ("POST", "/v1/messages", {"content": "x", "session": "a:b:c", "peer": "d"}, "bad-request"),
        ("POST", "/v1/pairing/approve", {"code": "NOTHING"}, "failed"),
        ("POST", "/v1/pairing/approve", {}, "bad-request"),
        ("DELETE", "/v1/grants?channel=a&kind=b&peer=c", None, "failed"),
        ("DELETE", "/v1/grants?channel=a&kind=b", None, "bad-request"),
        ("GET", "/v1/agents/no/sessions", None, "no-such-unit"),
        ("GET", "/v1/agents/no/authenticate", None, "no-such-unit"),
        ("POST", "/v1/agents/no/authenticate", {"method": "x"}, "no-such-unit"),
        ("POST", "/v1/agents/default/authenticate", {}, "bad-request"),
        ("POST", "/v1/agents/no/logout", None, "no-such-unit"),
        ("POST", "/v1/notifications", {"channel": "no", "peer": "x", "text": "y"}, "failed"),
    ],
)
def test_what_does_not_exist_is_refused_alike(
    client: Client, method: str, path: str, body: Json, code: str
) -> None:
    with pytest.raises(ClientError) as caught:
        next(client.stream(method, path, body, timeout_s=60))
    assert caught.value.code == code


def test_the_real_metrics_have_every_name(real: Client) -> None:
    port = real.get("/v1/status")["admin_port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    assert "anyclaw_agents_connected 1.0\n" in text
    assert 'anyclawd_unit_state{state="active",unit="default.agent"} 1.0\n' in text

"""What is said to tools, and how what they say is read."""

import json

import pytest

from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.tool import Era
from anyclawd.model.value import Json
from anyclawd.wire import mcp_client
from anyclawd.wire.channel import Acceptance
from anyclawd.wire.json_text import written
from anyclawd.wire.mcp_client import Caller, Delivery, Injection, Progress, Server
from anyclawd.wire.mcp_lists import Offer

OURS: dict[str, Json] = {"experimental": {"anyclaw": {"deliver": {}, "inject": {}}}}
TEXT = {"type": "text", "text": "x"}


def test_a_tool_is_told_nothing_that_is_ours_alone() -> None:
    params = mcp_client.initialize_params("1.2", {"key": "secret"}, is_trusted=False)
    assert params == {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "anyclawd", "version": "1.2"},
    }
    envelope = mcp_client.envelope("2026-07-28", "1.2", is_trusted=False)
    assert mcp_client.discover_params(envelope, {"key": "secret"}, is_trusted=False) == {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "anyclawd", "version": "1.2"},
        }
    }


def test_a_trusted_tool_is_told_its_options_and_what_it_may_do() -> None:
    params = mcp_client.initialize_params("1", {"key": 1}, is_trusted=True)
    assert params["_meta"] == {"anyclaw/options": {"key": 1}}
    assert params["capabilities"] == {"roots": {"listChanged": True}, **OURS}
    envelope = mcp_client.envelope("2026-07-28", "1", is_trusted=True)
    assert envelope["io.modelcontextprotocol/clientCapabilities"] == OURS
    asked = mcp_client.discover_params(envelope, {"key": 1}, is_trusted=True)
    assert asked["_meta"] == {**envelope, "anyclaw/options": {"key": 1}}
    assert mcp_client.capabilities(Era.MODERN, is_trusted=False) == {}


def test_of_a_clients_meta_only_what_is_for_the_tool_goes_on() -> None:
    meta = {
        "progressToken": 1,
        "io.modelcontextprotocol/protocolVersion": "x",
        "anyclaw/call": {"session": "forged"},
        "traceparent": "00-1",
    }
    params = {"name": "a", "_meta": meta}
    assert mcp_client.forwarded(params) == ({"name": "a"}, {"traceparent": "00-1"})
    assert params["_meta"] == meta
    assert mcp_client.forwarded({"name": "a", "_meta": "none"}) == ({"name": "a"}, {})


def test_a_call_says_who_calls() -> None:
    assert mcp_client.call_meta("7", Caller("s", "a", "/w", "c")) == {
        "id": "7",
        "session": "s",
        "agent": "a",
        "workspace": "/w",
        "channel": "c",
    }


FILTERS: dict[str, tuple[Server, set[str], dict[str, Json]]] = {
    "nothing": (Server(), set(), {}),
    "tools": (Server(tells_changes=frozenset({Offer.TOOLS})), set(), {"toolsListChanged": True}),
    "templates-have-no-own": (Server(tells_changes=frozenset({Offer.TEMPLATES})), set(), {}),
    "resources": (
        Server(tells_changes=frozenset({Offer.RESOURCES})),
        {"b", "a"},
        {"resourcesListChanged": True, "resourceSubscriptions": ["a", "b"]},
    ),
}


@pytest.mark.parametrize(("server", "uris", "wanted"), FILTERS.values(), ids=FILTERS)
def test_listen_filter(server: Server, uris: set[str], wanted: dict[str, Json]) -> None:
    assert mcp_client.listen_filter(server, uris) == wanted


def test_an_injection_is_answered_with_its_message() -> None:
    assert mcp_client.injected(Acceptance("m")) == {"messageId": "m"}
    again = Acceptance("m", is_duplicate=True)
    assert mcp_client.injected(again) == {"messageId": "m", "duplicate": True}


def test_a_failure_is_a_result_that_an_agent_can_read() -> None:
    assert json.loads(mcp_client.tool_error('no "tool"')) == {
        "content": [{"type": "text", "text": 'no "tool"'}],
        "isError": True,
    }


def test_what_a_server_can_do_is_read_from_its_greeting() -> None:
    offered = {
        "tools": {"listChanged": True},
        "resources": {"subscribe": True, "listChanged": False},
        "prompts": "yes",
        "completions": {},
        "logging": None,
    }
    assert mcp_client.read_server(written({"capabilities": offered})) == Server(
        offers=frozenset({Offer.TOOLS, Offer.RESOURCES, Offer.TEMPLATES}),
        tells_changes=frozenset({Offer.TOOLS}),
        can_subscribe=True,
        can_complete=True,
        can_log=False,
    )
    assert mcp_client.read_server(written(None)) == Server()


def test_a_revision_and_those_that_are_supported_are_read_where_they_are_texts() -> None:
    assert mcp_client.read_revision(written({"protocolVersion": "x"})) == "x"
    assert mcp_client.read_revision(written([])) == ""
    assert mcp_client.read_supported({"supportedVersions": ["a", 1]}) == ("a",)
    assert mcp_client.read_supported({"supported": ["b"]}) == ("b",)
    assert mcp_client.read_supported("c") == ()


RESULTS: dict[str, tuple[Json, str]] = {
    "good": ({"content": []}, ""),
    "complete": ({"content": [], "resultType": "complete"}, ""),
    "of-another-kind": (
        {"content": [], "resultType": "later"},
        "its result is of the unknown kind 'later'",
    ),
    "of-no-kind": ({"content": [], "resultType": None}, "its result is of the unknown kind None"),
    "no-object": ([], "its result is no object"),
    "no-content": ({"structuredContent": {}}, "its result has no list 'content'"),
    "wants-input": (
        {"resultType": "input_required"},
        "it asks for input, and there is nobody who could be asked",
    ),
}


@pytest.mark.parametrize(("result", "reason"), RESULTS.values(), ids=RESULTS)
def test_what_cannot_be_handed_on_is_named(result: Json, reason: str) -> None:
    assert mcp_client.unusable_result(written(result)) == reason


def test_only_what_says_so_is_an_error() -> None:
    assert mcp_client.is_error(written({"isError": True}))
    assert not mcp_client.is_error(written({"isError": "true"}))


def test_progress_is_told_without_its_token() -> None:
    params = {"progressToken": 3, "progress": 0.5, "message": "x"}
    assert mcp_client.read_progress(params) == Progress(3, {"progress": 0.5, "message": "x"})
    assert mcp_client.read_progress(None) == Progress(None, {})


def test_deliveries_and_injections_are_read() -> None:
    assert mcp_client.read_delivery({"call": "7", "content": [TEXT]}) == Delivery("7", [TEXT])
    asked = {"session": "s", "content": [TEXT], "sourceId": "1"}
    assert mcp_client.read_injection(asked) == Injection("s", [TEXT], "1")
    assert mcp_client.read_injection({"session": "s", "text": "x"}) == Injection("s", [TEXT])


BAD = {
    "no-call": ("deliver", {"content": [TEXT]}, "anyclaw/deliver: call is missing"),
    "no-content": ("deliver", {"call": "7"}, "anyclaw/deliver: content is missing"),
    "empty-content": ("deliver", {"call": "7", "content": []}, "content is missing"),
    "no-type": ("deliver", {"call": "7", "content": [TEXT, {}]}, "part 2 of content has no type"),
    "part-is-text": ("deliver", {"call": "7", "content": ["x"]}, "part 1 of content has no type"),
    "no-session": ("inject", {"text": "x"}, "anyclaw/inject: session is missing"),
    "nothing-to-say": ("inject", {"session": "s"}, "anyclaw/inject: content is missing"),
    "no-object": ("inject", 1, "anyclaw/inject: session is missing"),
}


@pytest.mark.parametrize(("what", "params", "reason"), BAD.values(), ids=BAD)
def test_what_says_too_little_is_refused(what: str, params: Json, reason: str) -> None:
    read = mcp_client.read_delivery if what == "deliver" else mcp_client.read_injection
    with pytest.raises(RemoteProtocolError, match=reason):
        read(params)

"""What is sent to agents, and how their answers are read."""

import json

import pytest

from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.value import Json
from anyclawd.wire import acp
from anyclawd.wire.acp import AuthMethod, Capabilities, PromptContent, Served
from anyclawd.wire.jsonrpc import RpcError

CAPABILITIES = {  # behaviour: (answer, capabilities)
    "nothing-said-is-0.9": ({}, Capabilities()),
    "acp": (
        {
            "agentCapabilities": {
                "loadSession": True,
                "promptCapabilities": {},
                "sessionCapabilities": {"resume": {}, "close": {}},
            }
        },
        Capabilities(load=True, resume=True, close=True, content=PromptContent(embeds=False)),
    ),
    "markers-as-booleans-in-the-guide": (
        {"capabilities": {"sessionCapabilities": {"resume": True, "close": False}}},
        Capabilities(resume=True),
    ),
    "flat-in-older-builds": ({"loadSession": True}, Capabilities(load=True)),
    "null-is-no": (
        {"agentCapabilities": {"loadSession": None, "sessionCapabilities": {"resume": None}}},
        Capabilities(),
    ),
    "wrong-types-count-as-absent": (
        {"agentCapabilities": {"loadSession": "yes", "sessionCapabilities": []}},
        Capabilities(),
    ),
    "embedded-context": (
        {"agentCapabilities": {"promptCapabilities": {"embeddedContext": True}}},
        Capabilities(),
    ),
}


@pytest.mark.parametrize(("answer", "capabilities"), CAPABILITIES.values(), ids=CAPABILITIES)
def test_capabilities(answer: Json, capabilities: Capabilities) -> None:
    assert acp.read_handshake({"protocolVersion": 2, **answer}).capabilities == capabilities


def test_an_agent_of_acp_takes_what_it_says_and_no_more() -> None:
    said = {"agentCapabilities": {"promptCapabilities": {"image": True}}}
    found = acp.read_handshake({"protocolVersion": 1, **said})
    taken = PromptContent(embeds=False, images=True, audio=False, reads_data=True)
    assert found.capabilities.content == taken


def test_the_rest_of_a_handshake_is_read_leniently() -> None:
    methods = [{"id": "login"}, "odd", {"name": "no id"}]
    found = acp.read_handshake(
        {"protocolVersion": 1, "authMethods": methods, "defaults": [], "agentInfo": {"name": "x"}}
    )
    login = AuthMethod("login", "login")
    assert (found.auth_methods, found.defaults, found.name) == ((login,), {}, "x")


def test_an_answer_that_is_no_map_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="with no protocolVersion, expected 1 or 2"):
        acp.read_handshake(None)


def test_empty_options_are_not_sent() -> None:
    params = acp.initialize_params("1.0", {}, Served())
    assert "options" not in params
    assert "_meta" not in params


def test_a_permission_of_0_9_is_read_like_one_of_acp() -> None:
    options = [{"id": "once", "label": "Go"}, {"optionId": "Reject_1"}, {"name": "no id"}, 7]
    found = acp.read_permission({"sessionId": "s", "requestId": "r", "options": options})
    assert found.description == "Permission requested"
    assert [tuple(option) for option in found.options] == [
        ("once", "Go", False, False),
        ("Reject_1", "Reject_1", True, False),
    ]


@pytest.mark.parametrize("params", [None, [], {"options": {}}, {"options": None}])
def test_a_permission_without_options_has_none(params: Json) -> None:
    assert acp.read_permission(params).options == ()


def frame(text: str) -> bytes:
    return text.encode()


PLAIN = '"update":{"sessionUpdate":"plan"}'
FAST = {  # behaviour: (frame, session id and rest, or None for the long way)
    "compact": (
        '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s",' + PLAIN + "}}",
        ("s", "," + PLAIN),
    ),
    "spaced": (
        '{"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": "s", '
        + PLAIN
        + "} } ",
        ("s", ", " + PLAIN),
    ),
    "carriage-return": (
        '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s",' + PLAIN + "}}\r",
        None,
    ),
    "another-order": (
        '{"method":"session/update","jsonrpc":"2.0","params":{"sessionId":"s",' + PLAIN + "}}",
        None,
    ),
    "a-member-after-params": (
        '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s",'
        + PLAIN
        + '},"params":{}}',
        None,
    ),
    "two-session-ids": (
        '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","sessionId":"t",'
        + PLAIN
        + "}}",
        None,
    ),
    "escaped-session-id": (
        '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"\\u0073",'
        + PLAIN
        + "}}",
        None,
    ),
    "not-a-number": (
        '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","x":NaN,'
        + PLAIN
        + "}}",
        None,
    ),
    "a-tool-call": (
        (
            '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s",'
            '"update":{"sessionUpdate":"tool_call"}}}'
        ),
        None,
    ),
    "malformed": (
        '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":1}}',
        None,
    ),
    "kind-of-another-type": (
        (
            '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s",'
            '"update":{"sessionUpdate":[]}}}'
        ),
        None,
    ),
    "broken": (
        '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s",' + PLAIN,
        None,
    ),
}


@pytest.mark.parametrize(("text", "found"), FAST.values(), ids=FAST)
def test_read_update(text: str, found: tuple[str, str] | None) -> None:
    update = acp.read_update(frame(text))
    assert (update and (update.session_id, update.rest)) == found


NORMALISED = {  # behaviour: (update, what it gains)
    "title-names-a-call": ({"sessionUpdate": "tool_call", "title": "t"}, {"name": "t"}),
    "a-name-stays": ({"sessionUpdate": "tool_call", "title": "t", "name": "n"}, {}),
    "raw-input": ({"sessionUpdate": "tool_call", "rawInput": {"a": 1}}, {"input": {"a": 1}}),
    "empty-raw-input": ({"sessionUpdate": "tool_call", "rawInput": {}}, {}),
    "raw-output": (
        {"sessionUpdate": "tool_call_update", "rawOutput": {"output": ""}},
        {"output": ""},
    ),
    "raw-output-of-a-call": ({"sessionUpdate": "tool_call", "rawOutput": {"output": 1}}, {}),
    "odd-types": ({"sessionUpdate": "tool_call_update", "rawOutput": "x", "title": 1}, {}),
    "another-kind": ({"sessionUpdate": "plan", "title": "t"}, {}),
}


@pytest.mark.parametrize(("update", "gained"), NORMALISED.values(), ids=NORMALISED)
def test_normalise(update: Json, gained: Json) -> None:
    before = json.loads(json.dumps(update))
    acp.normalise(update)
    assert update == before | gained


@pytest.mark.parametrize(
    ("error", "is_unknown"),
    [
        (RpcError(-32002, "gone"), True),
        (RpcError(-32603, "x", {"details": "Session Not Found: s1"}), True),
        (RpcError(-32603, "internal"), False),
    ],
)
def test_is_unknown_session(error: RpcError, is_unknown: bool) -> None:
    assert acp.is_unknown_session(error) is is_unknown


ALL = {"sessionCapabilities": {"fork": {}, "list": {}, "delete": {}}, "auth": {"logout": {}}}


def test_all_that_a_session_may_be_done_to_is_gated() -> None:
    found = acp.read_handshake({"protocolVersion": 1, "agentCapabilities": ALL}).capabilities
    assert found == Capabilities(fork=True, list=True, delete=True, logout=True)


def test_what_is_served_is_advertised() -> None:
    served = Served(reading=True, writing=False, terminal=True)
    assert acp.initialize_params("1.0", {}, served)["clientCapabilities"] == {
        "fs": {"readTextFile": True, "writeTextFile": False},
        "terminal": True,
        "session": {"configOptions": {"boolean": {}}},
        "elicitation": {"form": {}, "url": {}},
    }


@pytest.mark.parametrize(
    ("kind", "rejects", "is_lasting"),
    [
        ("allow_once", False, False),
        ("allow_always", False, True),
        ("reject_once", True, False),
        ("reject_always", True, True),
        (7, True, False),
    ],
)
def test_the_kind_of_a_permission_option(kind: Json, rejects: bool, is_lasting: bool) -> None:
    options = [{"optionId": "reject", "name": "x", "kind": kind}]
    found = acp.read_permission({"options": options}).options[0]
    assert (found.rejects, found.is_lasting) == (rejects, is_lasting)


def ask(**call: Json) -> acp.PermissionRequest:
    options = [{"optionId": "a"}, {"optionId": "b"}]
    return acp.read_permission({"sessionId": "s", "toolCall": call, "options": options})


def test_a_question_that_is_asked_again_is_told_by_its_fingerprint() -> None:
    first = ask(toolCallId="1", kind="edit", title="t", rawInput={"a": 1, "b": 2})
    assert first.tool_kind == "edit"
    assert ask(toolCallId="2", kind="edit", title="t", rawInput={"b": 2, "a": 1}) == first
    others = [ask(kind="read"), ask(kind="edit", title="u"), ask(kind="edit", title="t")]
    assert len({first.fingerprint, *(other.fingerprint for other in others)}) == 4


def test_the_fingerprint_of_a_long_question_is_short() -> None:
    first, second = ask(rawInput="x" * 10_000), ask(rawInput="x" * 9_999 + "y")
    assert len(first.fingerprint) < 64
    assert first.fingerprint != second.fingerprint


def test_the_tool_of_a_0_9_permission_is_its_kind() -> None:
    assert acp.read_permission({"tool": "shell"}).tool_kind == "shell"


def test_only_what_the_agent_says_is_part_of_its_answer() -> None:
    def line(kind: str) -> bytes:
        update = {"sessionUpdate": kind, "content": {"type": "text", "text": "x"}}
        params = {"sessionId": "s", "update": update}
        message = {"jsonrpc": "2.0", "method": "session/update", "params": params}
        return json.dumps(message).encode()

    kinds = "agent_message_chunk", "agent_thought_chunk", "user_message_chunk"
    found = [acp.read_update(line(kind)) for kind in kinds]
    assert [update and update.text for update in found] == ["x", "", ""]


def test_a_list_of_sessions_keeps_what_can_be_read() -> None:
    listed = [{"sessionId": "a", "cwd": "/", "title": 7}, 7, {"cwd": "/"}]
    found = acp.read_session_list({"sessions": listed, "nextCursor": "n"})
    assert found == acp.SessionList((acp.SessionEntry("a", "/", "", ""),), "n")
    assert acp.read_session_list({"sessions": None, "nextCursor": 7}) == acp.SessionList((), "")


def test_the_token_of_a_session_is_handed_over_and_not_printed() -> None:
    server = acp.McpServer("files", "http://127.0.0.1:1/mcp/files", "t0ken")
    assert "t0ken" in str(acp.mcp_over_http(server))
    assert "t0ken" in str(acp.mcp_over_stdio(server, ["python", "shim.py"]))
    assert repr(server) == "McpServer('files', 'http://127.0.0.1:1/mcp/files')"

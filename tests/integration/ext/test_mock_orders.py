"""What the mock agent does beyond its original: choices, kept sessions, a login, orders."""

import sys
from pathlib import Path

import pytest

from anyclaw_sdk.types import Json, Message
from tests.integration.ext.supervisor import Supervisor
from tests.integration.ext.test_mock_agent import Start, open_session, prompt, start, summary, text

__all__ = ["start"]  # a fixture


def new(agent: Supervisor, rpc_id: int = 2) -> Message:
    answer = agent.call(rpc_id, "session/new", {"cwd": "/work", "mcpServers": []})
    result: Message = answer["result"]
    return result


def test_without_options_a_session_is_but_an_id(start: Start) -> None:
    assert list(new(start())) == ["sessionId"]


def test_modes_and_options_are_told_and_set(start: Start) -> None:
    agent = start(modes=True, config_options=True)
    opened = new(agent)
    assert opened["modes"]["currentModeId"] == "ask"
    assert [one["currentValue"] for one in opened["configOptions"]] == ["ask", "small", False]
    session = {"sessionId": opened["sessionId"]}
    assert agent.call(3, "session/set_mode", session | {"modeId": "code"})["result"] == {}
    choice = {"configId": "web", "type": "boolean", "value": True}
    answer = agent.call(4, "session/set_config_option", session | choice)["result"]
    assert [one["currentValue"] for one in answer["configOptions"]] == ["code", "small", True]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("session/set_mode", {"modeId": "none"}),
        ("session/set_config_option", {"configId": "model", "value": "none"}),
        ("session/set_config_option", {"configId": "web", "value": "on"}),
        ("session/set_config_option", {"configId": "none", "value": "small"}),
    ],
)
def test_what_is_not_offered_cannot_be_set(start: Start, method: str, params: Message) -> None:
    agent = start(modes=True, config_options=True)
    answer = agent.call(3, method, {"sessionId": new(agent)["sessionId"], **params})
    assert answer["error"]["code"] == -32602


def test_kept_sessions_are_listed_forked_and_deleted(start: Start) -> None:
    agent = start(keep_sessions=True)
    ids = [new(agent, rpc_id)["sessionId"] for rpc_id in (2, 3)]
    ids.append(agent.call(4, "session/fork", {"sessionId": ids[0]})["result"]["sessionId"])
    first = agent.call(5, "session/list", {"cwd": "/work"})["result"]
    assert [one["sessionId"] for one in first["sessions"]] == ids[:2]
    rest = agent.call(6, "session/list", {"cursor": first["nextCursor"]})["result"]
    assert [one["sessionId"] for one in rest["sessions"]] == ids[2:]
    assert "nextCursor" not in rest
    assert agent.call(7, "session/list", {"cwd": "/other"})["result"] == {"sessions": []}
    assert agent.call(8, "session/close", {"sessionId": ids[0]})["result"] == {}
    assert agent.call(9, "session/load", {"sessionId": ids[0]})["result"]["sessionId"] == ids[0]
    assert agent.call(10, "session/delete", {"sessionId": ids[0]})["result"] == {}
    assert agent.call(11, "session/load", {"sessionId": ids[0]})["error"]["code"] == -32002


def test_a_login_is_asked_for_once(start: Start) -> None:
    agent = start(login=True)
    told = agent.call(2, "initialize", {"options": {"login": True}})["result"]
    assert told["authMethods"] == [{"id": "mock-login", "name": "Log the mock agent in"}]
    assert told["agentCapabilities"]["auth"] == {"logout": {}}
    params = {"cwd": "/", "mcpServers": []}
    assert agent.call(3, "session/new", params)["error"]["code"] == -32000
    assert agent.call(4, "authenticate", {"methodId": "other"})["error"]["code"] == -32602
    assert agent.call(5, "authenticate", {"methodId": "mock-login"})["result"] == {}
    assert agent.call(6, "session/new", params)["result"]["sessionId"]
    assert agent.call(7, "logout", {})["result"] == {}
    assert agent.call(8, "session/new", params)["error"]["code"] == -32000


def order(agent: Supervisor, words: str) -> str:
    """Begin a turn in a session; its id."""
    session_id: str = new(agent)["sessionId"]
    params = {"sessionId": session_id, "prompt": [text(words)]}
    agent.request(3, "session/prompt", params)
    return session_id


def said(agent: Supervisor) -> str:
    """The whole of what it says in the turn that runs."""
    agent.receive(lambda message: message.get("id") == 3)
    updates = [
        frame["params"]["update"] for frame in agent.seen if frame.get("method") == "session/update"
    ]
    return summary(updates)


SERVED: dict[str, tuple[str, str, Message, Message, str]] = {
    # order: (text, method, its parameters, the answer, what is said)
    "read": (
        "!read a.txt 2 1",
        "fs/read_text_file",
        {"path": "/work/a.txt", "line": 2, "limit": 1},
        {"result": {"content": "second\n"}},
        "second\n",
    ),
    "write": (
        "!write a.txt some words",
        "fs/write_text_file",
        {"path": "/work/a.txt", "content": "some words"},
        {"result": {}},
        "wrote 10 characters",
    ),
    "refused": (
        "!read /etc/passwd",
        "fs/read_text_file",
        {"path": "/etc/passwd"},
        {"error": {"code": -32000, "message": "outside"}},
        "refused: outside (-32000)",
    ),
}


@pytest.mark.parametrize(
    ("words", "method", "params", "answer", "result"), SERVED.values(), ids=SERVED
)
def test_files_are_asked_for(
    start: Start, words: str, method: str, params: Message, answer: Message, result: str
) -> None:
    agent = start(obey=True)
    session_id = order(agent, words)
    asked = agent.receive_method(method)
    assert asked["params"] == {"sessionId": session_id, **params}
    agent.send({"id": asked["id"], **answer})
    assert said(agent) == result


def test_a_command_goes_through_the_whole_life_of_a_terminal(start: Start) -> None:
    agent = start(obey=True)
    order(agent, "!run ls -l")
    answers: dict[str, Json] = {
        "terminal/create": {"terminalId": "t"},
        "terminal/wait_for_exit": {"exitCode": None, "signal": "SIGKILL"},
        "terminal/output": {"output": "total 0\n", "truncated": False},
        "terminal/release": {},
    }
    for method, result in answers.items():
        asked = agent.receive_method(method)
        wanted = "command" if method == "terminal/create" else "terminalId"
        assert asked["params"][wanted] == ("ls -l" if wanted == "command" else "t")
        agent.send({"id": asked["id"], "result": result})
    assert said(agent) == "total 0\n[ended with SIGKILL]"


def test_a_permission_that_is_taken_back_is_answered_so(start: Start) -> None:
    agent = start(obey=True)
    order(agent, "!withdraw")
    asked = agent.receive_method("session/request_permission")
    taken = agent.receive_method("$/cancel_request")
    assert taken["params"] == {"requestId": asked["id"]}
    agent.send({"id": asked["id"], "error": {"code": -32800, "message": "cancelled"}})
    assert said(agent) == "withdrawn: -32800"


def test_a_permission_and_a_form_tell_what_was_answered(start: Start) -> None:
    agent = start(obey=True)
    order(agent, "!permission rm -r")
    asked = agent.receive_method("session/request_permission")
    assert asked["params"]["toolCall"]["title"] == "rm -r"
    agent.send({"id": asked["id"], "result": {"outcome": {"outcome": "cancelled"}}})
    assert said(agent) == "permission: cancelled"
    order(agent, "!form Who?")
    asked = agent.receive_method("elicitation/create")
    assert asked["params"]["message"] == "Who?"
    answer = {"action": "accept", "content": {"name": "ann"}}
    agent.send({"id": asked["id"], "result": answer})
    assert said(agent) == "accept: {'name': 'ann'}"


def test_a_visit_is_completed(start: Start) -> None:
    agent = start(obey=True)
    order(agent, "!visit https://x/")
    asked = agent.receive_method("elicitation/create")["params"]
    assert (asked["mode"], asked["url"]) == ("url", "https://x/")
    agent.send({"id": agent.seen[-1]["id"], "result": {"action": "accept"}})
    completed = agent.receive_method("elicitation/complete")
    assert completed["params"] == {"elicitationId": asked["elicitationId"]}


def test_it_changes_its_own_choices(start: Start) -> None:
    agent = start(obey=True, modes=True, config_options=True)
    order(agent, "!set mode code")
    assert said(agent) == "mode is code now"
    kinds = [
        frame["params"]["update"]["sessionUpdate"]
        for frame in agent.seen
        if frame.get("method") == "session/update"
    ]
    assert {"current_mode_update", "config_option_update"} <= set(kinds)


def test_orders_are_told_apart_and_need_the_option(start: Start) -> None:
    agent = start(obey=True)
    order(agent, "!dance")
    assert said(agent).startswith("no order 'dance'; there are: read, write, run,")
    agent = start()
    open_session(agent)
    updates, _ = prompt(agent, text("!read x"))
    assert summary(updates) == "Echo: !read x"


TOOLS = """
from anyclaw_sdk.tool import ToolError, run_tools, tool

@tool
async def add(a: int, b: int) -> int:
    return a + b

@tool
async def refuse() -> str:
    raise ToolError("not today")

run_tools(add, refuse)
"""


@pytest.mark.parametrize(
    ("words", "result"),
    [
        ("!tools", "sums: add, refuse"),
        ('!call add {"a": 2, "b": 3}', "5"),
        ("!call sums/refuse", "failed: not today"),
        ("!call others/add {}", "no tool 'add'; !tools shows those that there are"),
        ("!call sub", "no tool 'sub'; !tools shows those that there are"),
        ("!call add 2 3", "the arguments are no JSON: 2 3"),
    ],
)
def test_tools_are_listed_and_called(start: Start, tmp_path: Path, words: str, result: str) -> None:
    (tmp_path / "sums.py").write_text(TOOLS)
    agent = start(obey=True)
    entry = {
        "name": "sums",
        "command": sys.executable,
        "args": [str(tmp_path / "sums.py")],
        "env": [],
    }
    opened = agent.call(2, "session/new", {"cwd": "/work", "mcpServers": [entry]})["result"]
    context = text("[Platform context: these MCP tools are available: ...]")
    agent.request(3, "session/prompt", {**opened, "prompt": [context, text(words)]})
    assert said(agent) == result

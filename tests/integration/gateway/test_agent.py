"""What is asked of one agent and what it asks, on an in-memory wire."""

import asyncio
from pathlib import Path

import pytest

from anyclawd.engine.events import Exit
from anyclawd.gateway.agent import AgentPeer
from anyclawd.gateway.requests import REQUESTS_MAX
from anyclawd.gateway.terminal import OUTPUT_MAX_BYTES, TERMINALS_MAX, Output
from anyclawd.model.conversation import FileAccess
from anyclawd.model.deps import UnitName
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from anyclawd.route import events
from anyclawd.route.commands import (
    Attempt,
    MessageId,
    OpenSession,
    Prompt,
    SessionKey,
    SetOption,
    Token,
)
from anyclawd.route.events import Event
from anyclawd.runtime.seam import Report, Sink, Wire
from anyclawd.wire import acp
from tests.integration.gateway.peers import AgentProcess, agent_unit

AGENT = UnitName("default.agent")
KEY = SessionKey("web:direct:ann")


class Host:
    """What a gateway is to one agent; remembers what it was told."""

    peer: AgentPeer

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.known: set[str] = set()
        self.is_gone = False

    def attach(self, unit: Unit, wire: Wire, report: Report) -> Sink:
        self.peer = AgentPeer(unit, wire, report, self, {})
        return self.peer.connection

    def agent_event(self, event: Event) -> None:
        self.events.append(event)

    def agent_streamed(self, agent: AgentPeer, update: acp.Update) -> bool:
        return False

    def agent_knows(self, agent: AgentPeer, session_id: str) -> bool:
        return session_id in self.known

    def agent_gone(self, agent: AgentPeer) -> None:
        self.is_gone = True

    def flush(self) -> None: ...

    def take(self) -> list[Event]:
        found, self.events = self.events, []
        return found


def start(is_ready: bool = True, **role: Json) -> tuple[Host, AgentProcess]:
    host = Host()
    agent = AgentProcess(host, agent_unit(**role))
    if is_ready:
        offered: Json = {"list": {}, "fork": {}, "delete": {}, "close": {}}
        agent.initialize(sessionCapabilities=offered, auth={"logout": {}})
        host.take()
    return host, agent


def ask(agent: AgentProcess, id_: Json, method: str, **params: Json) -> None:
    agent.say({"id": id_, "method": method, "params": params})


async def answer_to(agent: AgentProcess, id_: Json) -> Json:
    """The answer to a request of the agent's, as soon as there is one; the rest stays unread."""
    while True:
        agent.inbox += agent.wire.take()
        for index, message in enumerate(agent.inbox):
            if "method" not in message and message["id"] == id_:
                del agent.inbox[index]
                return message.get("result", message.get("error"))
        await agent.wire.wait_written()


class Done:
    """Whoever has asked for something."""

    def __init__(self) -> None:
        self.told: list[tuple[Json, str]] = []

    def __call__(self, result: Json, error: str) -> None:
        self.told.append((result, error))


# --- what can be set ------------------------------------------------------------------------------

MODES = {"currentModeId": "ask", "availableModes": [{"id": "ask"}, {"id": "code"}]}
CHOICES = (acp.Choice("", "Mode", "mode", "ask", (("ask", "ask"), ("code", "code"))),)


async def test_the_answer_to_every_opening_tells_what_can_be_set() -> None:
    host, agent = start()
    for number, attempt in enumerate((Attempt.NEW, Attempt.LOAD, Attempt.RESUME)):
        session_id = "" if attempt is Attempt.NEW else "s"
        host.peer.open_session(OpenSession(AGENT, Token(number), attempt, session_id, KEY), [])
        request = agent.expect(attempt.value)
        agent.answer(request, {"sessionId": "s", "modes": MODES})
        assert host.take() == [events.SessionOpened(Token(number), "s", CHOICES)]


async def test_a_load_may_be_answered_with_nothing() -> None:
    host, agent = start()
    host.peer.open_session(OpenSession(AGENT, Token(1), Attempt.LOAD, "s", KEY), [])
    agent.answer(agent.expect("session/load"), None)
    assert host.take() == [events.SessionOpened(Token(1), "", None)]


def choose(option: str, value: Json) -> SetOption:
    return SetOption(AGENT, "s", MessageId("m"), option, value, KEY)


async def test_a_mode_and_an_option_are_set_each_by_its_method() -> None:
    host, agent = start()
    host.peer.set_option(choose("", "code"))
    request = agent.expect("session/set_mode")
    assert request["params"] == {"sessionId": "s", "modeId": "code"}
    agent.answer(request, {})
    assert host.take() == [events.OptionSet(KEY, "s", MessageId("m"), None)]
    host.peer.set_option(choose("web", value=True))
    request = agent.expect("session/set_config_option")
    options = [{"id": "web", "name": "Web", "type": "boolean", "currentValue": True}]
    agent.answer(request, {"configOptions": options})
    choices = (acp.Choice("web", "Web", "", True),)
    assert host.take() == [events.OptionSet(KEY, "s", MessageId("m"), choices)]


async def test_what_cannot_be_set_says_why() -> None:
    host, agent = start()
    host.peer.set_option(choose("", "nonsense"))
    agent.fail(agent.expect("session/set_mode"), -32602, "no such mode")
    assert host.take() == [events.OptionSet(KEY, "s", MessageId("m"), None, "no such mode")]


async def test_an_agent_that_goes_answers_whoever_waits() -> None:
    host, agent = start()
    done = Done()
    host.peer.set_option(choose("", "code"))
    host.peer.fork("s", [], done)
    agent.die()
    gone = "default.agent has gone"
    assert host.take() == [events.OptionSet(KEY, "s", MessageId("m"), None, gone)]
    assert done.told == [(None, gone)]


# --- what an administrator asks for ---------------------------------------------------------------


async def test_a_session_is_forked_with_all_that_it_is_set_up_with() -> None:
    host, agent = start()
    done = Done()
    host.peer.fork("s", [], done)
    request = agent.expect("session/fork")
    assert request["params"] == {"cwd": "/work", "mcpServers": [], "sessionId": "s"}
    agent.answer(request, {"sessionId": "copy"})
    host.peer.fork("s", [], done)
    agent.answer(agent.expect("session/fork"), {})
    assert done.told == [("copy", ""), (None, "the answer to session/fork has no sessionId")]


async def test_sessions_are_listed_page_by_page() -> None:
    host, agent = start()
    done = Done()
    host.peer.list_sessions("", done)
    request = agent.expect("session/list")
    assert request["params"] == {"cwd": "/work"}
    agent.answer(request, {"sessions": [{"sessionId": "a", "cwd": "/"}], "nextCursor": "opaque"})
    host.peer.list_sessions("opaque", done)
    request = agent.expect("session/list")
    assert request["params"] == {"cwd": "/work", "cursor": "opaque"}
    agent.answer(request, {"sessions": []})
    pages = [page for page, error in done.told if not error]
    assert pages == [
        acp.SessionList((acp.SessionEntry("a", "/", "", ""),), "opaque"),
        acp.SessionList((), ""),
    ]


async def test_deleting_and_logging_out_are_calls() -> None:
    host, agent = start()
    done = Done()
    host.peer.delete_session("s", done)
    request = agent.expect("session/delete")
    assert request["params"] == {"sessionId": "s"}
    agent.answer(request, {})
    host.peer.logout(done)
    request = agent.expect("logout")
    assert request["params"] == {}
    agent.fail(request, -32603, "not today")
    assert done.told == [({}, ""), (None, "not today")]


async def test_what_an_agent_does_not_offer_is_not_asked() -> None:
    host, agent = start(is_ready=False)
    done = Done()
    host.peer.fork("s", [], done)
    agent.initialize()
    host.peer.fork("s", [], done)
    host.peer.list_sessions("", done)
    host.peer.delete_session("s", done)
    host.peer.logout(done)
    host.peer.authenticate("key", done)
    assert agent.read() == []
    assert [error for _, error in done.told] == [
        "default.agent has not started so far",
        "default.agent does not offer session/fork",
        "default.agent does not offer session/list",
        "default.agent does not offer session/delete",
        "default.agent does not offer logout",
        "default.agent has no way to log in by 'key'; it has: none",
    ]


async def test_a_login_at_a_terminal_is_never_called() -> None:
    host, agent = start(is_ready=False)
    methods = [{"id": "key", "name": "Key"}, {"id": "tty", "name": "TTY", "type": "terminal"}]
    agent.answer(agent.expect("initialize"), {"protocolVersion": 1, "authMethods": methods})
    done = Done()
    host.peer.authenticate("tty", done)
    assert agent.read() == []
    host.peer.authenticate("key", done)
    request = agent.expect("authenticate")
    assert request["params"] == {"methodId": "key"}
    agent.answer(request, {})
    assert done.told == [
        (None, "'tty' needs a terminal; run the agent's own login by hand"),
        ({}, ""),
    ]


async def test_what_is_not_answered_in_time_is_taken_back() -> None:
    host, agent = start(answer_timeout_s=0.01)
    answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    host.peer.fork("s", [], lambda _, error: answered.set_result(error))
    request = agent.expect("session/fork")
    assert await answered == "default.agent has not answered session/fork within 0.01 s"
    assert agent.expect("$/cancel_request")["params"] == {"requestId": request["id"]}
    agent.answer(request, {"sessionId": "late"})


# --- questions to the user ------------------------------------------------------------------------

OPTIONS = [{"optionId": "a", "name": "Allow", "kind": "allow_once"}]
FORM: Json = {"mode": "form", "message": "Who?", "requestedSchema": {"type": "object"}}
VISIT: Json = {"mode": "url", "message": "Log in", "url": "https://x/", "elicitationId": "e"}


def only(host: Host) -> Event:
    (event,) = host.take()
    return event


async def test_a_permission_that_is_taken_back_is_withdrawn() -> None:
    host, agent = start()
    ask(agent, "q", "session/request_permission", sessionId="s", options=OPTIONS)
    asked = only(host)
    assert isinstance(asked, events.PermissionAsked)
    agent.say({"method": "$/cancel_request", "params": {"requestId": "q"}})
    assert host.take() == [events.PermissionCancelled(AGENT, asked.ask)]
    assert (await answer_to(agent, "q"))["code"] == -32800
    host.peer.answer(asked.ask, "a")
    agent.say({"method": "$/cancel_request", "params": {"requestId": "q"}})
    assert (agent.read(), host.take()) == ([], [])


@pytest.mark.parametrize("id_", [7, "7", "other", None, [7], {"a": 1}])
async def test_only_the_very_id_takes_a_request_back(id_: Json) -> None:
    host, agent = start()
    ask(agent, 8, "session/request_permission", sessionId="s", options=OPTIONS)
    host.take()
    agent.say({"method": "$/cancel_request", "params": {"requestId": id_}})
    agent.say({"method": "$/cancel_request"})
    assert (agent.read(), host.take()) == ([], [])


async def test_a_form_goes_out_as_it_came_and_its_answer_comes_back() -> None:
    host, agent = start()
    params = FORM | {"sessionId": "s", "_meta": {"a": 1}, "new": 2}
    ask(agent, 7, "elicitation/create", **params)
    asked = only(host)
    assert asked == events.ElicitationAsked(AGENT, 1, "s", params)
    host.peer.answer_elicitation(1, "accept", {"name": "ann", "odd": {}})
    assert await answer_to(agent, 7) == {"action": "accept", "content": {"name": "ann"}}
    host.peer.answer_elicitation(1, "cancel", None)
    assert agent.read() == []


async def test_a_form_that_is_taken_back_is_withdrawn() -> None:
    host, agent = start()
    ask(agent, 7, "elicitation/create", sessionId="s", **FORM)
    host.take()
    agent.say({"method": "$/cancel_request", "params": {"requestId": 7}})
    assert host.take() == [events.PermissionCancelled(AGENT, 1)]
    assert (await answer_to(agent, 7))["code"] == -32800


async def test_what_belongs_to_a_prompt_belongs_to_its_session() -> None:
    host, agent = start()
    host.peer.prompt(Prompt(AGENT, Token(1), "s", [], KEY))
    prompt = agent.expect("session/prompt")
    for id_, request_id in ((1, prompt["id"]), (2, str(prompt["id"])), (3, 99), (4, None)):
        ask(agent, id_, "elicitation/create", requestId=request_id, **FORM)
    asked = [event for event in host.take() if isinstance(event, events.ElicitationAsked)]
    assert [event.session_id for event in asked] == ["s", "s", "", ""]
    agent.answer(prompt, {})
    ask(agent, 5, "elicitation/create", requestId=prompt["id"], **FORM)
    late = host.take()[-1]
    assert isinstance(late, events.ElicitationAsked)
    assert late.session_id == ""


async def test_a_form_that_cannot_be_shown_is_refused() -> None:
    host, agent = start()
    ask(agent, 7, "elicitation/create", mode="voice", message="Say it", sessionId="s")
    assert (await answer_to(agent, 7))["code"] == -32602
    assert host.take() == []


async def test_who_has_been_where_the_agent_sent_them_is_not_asked_any_more() -> None:
    host, agent = start()
    ask(agent, 7, "elicitation/create", sessionId="s", **VISIT)
    host.take()
    agent.say({"method": "elicitation/complete", "params": {"elicitationId": "other"}})
    assert host.take() == []
    agent.say({"method": "elicitation/complete", "params": {"elicitationId": "e"}})
    assert await answer_to(agent, 7) == {"action": "accept"}
    assert host.take() == [events.PermissionCancelled(AGENT, 1)]


async def test_a_visit_that_is_asked_for_again_is_the_later_question() -> None:
    host, agent = start()
    for id_ in (7, 8):
        ask(agent, id_, "elicitation/create", sessionId="s", **VISIT)
    host.take()
    host.peer.answer_elicitation(1, "decline", None)
    agent.say({"method": "elicitation/complete", "params": {"elicitationId": "e"}})
    assert await answer_to(agent, 7) == {"action": "decline"}
    assert await answer_to(agent, 8) == {"action": "accept"}
    assert host.take() == [events.PermissionCancelled(AGENT, 2)]


async def test_who_answers_before_the_visit_is_complete_is_answered_once() -> None:
    host, agent = start()
    ask(agent, 7, "elicitation/create", sessionId="s", **VISIT)
    host.take()
    host.peer.answer_elicitation(1, "accept", None)
    assert await answer_to(agent, 7) == {"action": "accept"}
    agent.say({"method": "elicitation/complete", "params": {"elicitationId": "e"}})
    assert (agent.read(), host.take()) == ([], [])


async def test_an_id_that_is_used_again_is_the_later_request() -> None:
    host, agent = start()
    for _ in range(2):
        ask(agent, 7, "session/request_permission", sessionId="s", options=OPTIONS)
    host.take()
    host.peer.answer(1, "a")
    assert (await answer_to(agent, 7))["outcome"]["optionId"] == "a"
    agent.say({"method": "$/cancel_request", "params": {"requestId": 7}})
    assert host.take() == [events.PermissionCancelled(AGENT, 2)]


async def test_no_more_requests_wait_than_memory_allows() -> None:
    host, agent = start()
    for id_ in range(REQUESTS_MAX + 1):
        ask(agent, id_, "session/request_permission", sessionId="s", options=OPTIONS)
    assert len(host.take()) == REQUESTS_MAX
    assert (await answer_to(agent, REQUESTS_MAX))["code"] == -32000


# --- files ----------------------------------------------------------------------------------------

BOTH = FileAccess(read=True, write=True)


def at(directory: Path, **role: Json) -> tuple[Host, AgentProcess]:
    host = Host()
    agent = AgentProcess(host, agent_unit(cwd=str(directory), **role))
    agent.initialize()
    host.take()
    return host, agent


@pytest.mark.parametrize(
    ("access", "answers"),
    [
        (FileAccess(), [-32601, -32601]),
        (FileAccess(read=True), [None, -32601]),
        (FileAccess(write=True), [-32601, None]),
        (BOTH, [None, None]),
    ],
)
async def test_what_is_advertised_is_served_and_nothing_else(
    tmp_path: Path, access: FileAccess, answers: list[int | None]
) -> None:
    (tmp_path / "file").write_text("x")
    host = Host()
    agent = AgentProcess(host, agent_unit(cwd=str(tmp_path), fs=access))
    advertised = agent.initialize()["clientCapabilities"]["fs"]
    assert advertised == {"readTextFile": access.read, "writeTextFile": access.write}
    ask(agent, 1, "fs/read_text_file", sessionId="s", path="file")
    ask(agent, 2, "fs/write_text_file", sessionId="s", path="file", content="y")
    found = [await answer_to(agent, 1), await answer_to(agent, 2)]
    assert [answer.get("code") for answer in found] == answers


async def test_a_workspace_that_is_everything_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    start(cwd="/")
    start(cwd="/work", fs=BOTH)
    assert caplog.text == ""
    start(cwd="/", fs=BOTH)
    assert "default.agent: its workspace is the whole file system; set working_dir" in caplog.text


async def test_files_are_served_in_the_order_of_the_requests(tmp_path: Path) -> None:
    _, agent = at(tmp_path, fs=BOTH)
    for number in range(20):
        path, text = str(tmp_path / "file"), f"{number}\nsecond"
        ask(agent, f"w{number}", "fs/write_text_file", sessionId="s", path=path, content=text)
        ask(agent, f"r{number}", "fs/read_text_file", sessionId="s", path=path, limit=1)
    for number in range(20):
        assert await answer_to(agent, f"w{number}") == {}
        assert await answer_to(agent, f"r{number}") == {"content": f"{number}\n"}


REFUSED = {  # behaviour: (method, parameters, code)
    "missing": ("fs/read_text_file", {"path": "none"}, -32002),
    "outside": ("fs/read_text_file", {"path": "/etc/passwd"}, -32000),
    "no-path": ("fs/read_text_file", {}, -32602),
    "a-line-of-another-type": ("fs/read_text_file", {"path": "x", "line": "2"}, -32602),
    "a-limit-below-zero": ("fs/read_text_file", {"path": "x", "limit": -1}, -32602),
    "no-content": ("fs/write_text_file", {"path": "x"}, -32602),
    "no-directory": ("fs/write_text_file", {"path": "x/y", "content": ""}, -32002),
}


@pytest.mark.parametrize(("method", "params", "code"), REFUSED.values(), ids=REFUSED)
async def test_why_a_file_is_not_served(
    tmp_path: Path, method: str, params: Json, code: int
) -> None:
    _, agent = at(tmp_path, fs=BOTH)
    ask(agent, 1, method, sessionId="s", **params)
    assert (await answer_to(agent, 1))["code"] == code


async def test_only_so_much_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two are sent in one breath, and only one of them has room; then there is room again."""
    monkeypatch.setattr("anyclawd.gateway.files.WAITING_MAX_BYTES", 300)
    _, agent = at(tmp_path, fs=BOTH)
    params = {"sessionId": "s", "path": "a", "content": "x" * 100}
    write = {"method": "fs/write_text_file", "params": params}
    for id_ in (1, 3, 5):
        agent.say({"id": id_, **write}, {"id": id_ + 1, **write})
        assert await answer_to(agent, id_) == {}
        assert "wait for the disk already" in (await answer_to(agent, id_ + 1))["message"]


async def test_a_write_that_is_taken_back_before_its_turn_is_not_done(tmp_path: Path) -> None:
    """Both are sent in one breath, so the second has not begun when it is taken back."""
    _, agent = at(tmp_path, fs=BOTH)
    write = {"sessionId": "s", "path": "b", "content": "x"}
    agent.say(
        {"id": 1, "method": "fs/write_text_file", "params": write | {"path": "a"}},
        {"id": 2, "method": "fs/write_text_file", "params": write},
        {"method": "$/cancel_request", "params": {"requestId": 2}},
        {"id": 3, "method": "fs/read_text_file", "params": {"path": "b"}},
    )
    assert (await answer_to(agent, 2))["code"] == -32800
    assert (await answer_to(agent, 3))["code"] == -32002
    assert (tmp_path / "a").exists()


async def test_what_an_agent_that_has_died_still_wanted_is_not_done(tmp_path: Path) -> None:
    host, agent = at(tmp_path, fs=BOTH)
    for id_, path in enumerate("abc"):
        ask(agent, id_, "fs/write_text_file", sessionId="s", path=path, content="x")
    agent.die()
    assert host.is_gone
    rest: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
    host.peer._errands.run(lambda: None, rest.set_result)
    await rest
    assert not (tmp_path / "b").exists()
    assert not (tmp_path / "c").exists()


# --- terminals ------------------------------------------------------------------------------------


async def test_terminals_are_served_where_they_are_advertised(tmp_path: Path) -> None:
    _, agent = at(tmp_path)
    ask(agent, 1, "terminal/create", sessionId="s", command="ls")
    assert (await answer_to(agent, 1))["code"] == -32601
    agent = AgentProcess(Host(), agent_unit(cwd=str(tmp_path), terminal=True))
    assert agent.initialize()["clientCapabilities"]["terminal"] is True


async def create(agent: AgentProcess, command: str = "make", **params: Json) -> str:
    ask(agent, "c", "terminal/create", sessionId="s", command=command, **params)
    answer = await answer_to(agent, "c")
    assert list(answer) == ["terminalId"], answer
    id_: str = answer["terminalId"]
    return id_


async def about(agent: AgentProcess, verb: str, terminal: str) -> Json:
    ask(agent, verb, f"terminal/{verb}", sessionId="s", terminalId=terminal)
    return await answer_to(agent, verb)


async def test_a_command_runs_where_and_as_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    _, agent = at(tmp_path, terminal=True)
    first = await create(agent, "make -j && ls")
    env = [{"name": "A", "value": "1"}]
    second = await create(agent, "git", args=["log", "a b"], env=env, cwd=str(tmp_path / "sub"))
    assert first != second
    line, program = agent.report.launched
    assert line.argv[-1] == "make -j && ls"
    assert (line.directory, line.variables) == (str(tmp_path), ())
    assert program.argv[-3:] == ("git", "log", "a b")
    assert (program.directory, program.variables) == (str(tmp_path / "sub"), (("A", "1"),))


async def test_output_is_kept_until_the_release(tmp_path: Path) -> None:
    _, agent = at(tmp_path, terminal=True)
    terminal = await create(agent)
    command = agent.report.launched[0]
    assert await about(agent, "output", terminal) == {"output": "", "truncated": False}
    command.output(b"one\n")
    command.output("é".encode()[:1])
    assert await about(agent, "output", terminal) == {"output": "one\n", "truncated": False}
    command.output("é".encode()[1:])
    command.ended(Exit(code=2))
    status = {"exitCode": 2, "signal": None}
    shown = {"output": "one\né", "truncated": False, "exitStatus": status}
    assert await about(agent, "output", terminal) == shown
    assert await about(agent, "wait_for_exit", terminal) == status
    assert await about(agent, "kill", terminal) == {}
    assert await about(agent, "output", terminal) == shown
    assert await about(agent, "release", terminal) == {}
    for verb in ("output", "wait_for_exit", "kill", "release"):
        assert (await about(agent, verb, terminal))["code"] == -32002


async def test_whoever_waits_for_the_end_is_answered_by_it(tmp_path: Path) -> None:
    _, agent = at(tmp_path, terminal=True)
    terminal = await create(agent)
    for id_ in (1, 2):
        ask(agent, id_, "terminal/wait_for_exit", sessionId="s", terminalId=terminal)
    assert agent.read() == []
    agent.say({"method": "$/cancel_request", "params": {"requestId": 1}})
    assert (await answer_to(agent, 1))["code"] == -32800
    assert await about(agent, "kill", terminal) == {}
    assert await answer_to(agent, 2) == {"exitCode": None, "signal": "SIGKILL"}


async def test_a_wait_that_is_taken_back_is_forgotten(tmp_path: Path) -> None:
    host, agent = at(tmp_path, terminal=True)
    terminal = await create(agent)
    for id_ in range(20):
        ask(agent, id_, "terminal/wait_for_exit", sessionId="s", terminalId=terminal)
        agent.say({"method": "$/cancel_request", "params": {"requestId": id_}})
    assert host.peer._terminals._open[terminal].waiting == []


async def test_a_terminal_that_is_taken_back_is_not_created(tmp_path: Path) -> None:
    _, agent = at(tmp_path, terminal=True)
    params = {"sessionId": "s", "command": "ls"}
    agent.say(
        {"id": 1, "method": "terminal/create", "params": params},
        {"method": "$/cancel_request", "params": {"requestId": 1}},
    )
    assert (await answer_to(agent, 1))["code"] == -32800
    await create(agent, "the one that is")
    assert [command.argv[-1] for command in agent.report.launched] == ["the one that is"]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_no_directory_stays_open(tmp_path: Path) -> None:
    _, agent = at(tmp_path, terminal=True)
    await create(agent)
    before = descriptors()
    for _ in range(5):
        await create(agent)
    assert descriptors() <= before  # others may close what is theirs


async def test_a_release_kills(tmp_path: Path) -> None:
    _, agent = at(tmp_path, terminal=True)
    terminal = await create(agent)
    ask(agent, 1, "terminal/wait_for_exit", sessionId="s", terminalId=terminal)
    assert await about(agent, "release", terminal) == {}
    assert agent.report.launched[0].is_killed
    assert (await answer_to(agent, 1))["signal"] == "SIGKILL"


async def test_only_so_many_terminals_are_open(tmp_path: Path) -> None:
    _, agent = at(tmp_path, terminal=True)
    terminals = [await create(agent) for _ in range(TERMINALS_MAX)]
    ask(agent, 1, "terminal/create", sessionId="s", command="ls")
    assert "release one" in (await answer_to(agent, 1))["message"]
    await about(agent, "release", terminals[0])
    assert await create(agent) not in terminals


async def test_a_session_that_is_closed_leaves_no_terminal(tmp_path: Path) -> None:
    host, agent = at(tmp_path, terminal=True)
    await create(agent)
    ask(agent, "d", "terminal/create", sessionId="other", command="ls")
    await answer_to(agent, "d")
    host.peer.close_session("s")
    assert [command.is_killed for command in agent.report.launched] == [True, False]
    agent.die()
    assert [command.is_killed for command in agent.report.launched] == [True, True]


NOT_CREATED = {  # behaviour: (parameters, code)
    "no-command": ({}, -32602),
    "args-of-another-type": ({"command": "ls", "args": "x"}, -32602),
    "env-without-values": ({"command": "ls", "env": [{"name": "A"}]}, -32602),
    "env-of-another-type": ({"command": "ls", "env": {"A": "1"}}, -32602),
    "cwd-of-another-type": ({"command": "ls", "cwd": 1}, -32602),
    "limit-of-another-type": ({"command": "ls", "outputByteLimit": "1"}, -32602),
    "outside": ({"command": "ls", "cwd": "/"}, -32000),
    "missing": ({"command": "ls", "cwd": "none"}, -32002),
}


@pytest.mark.parametrize(("params", "code"), NOT_CREATED.values(), ids=NOT_CREATED)
async def test_why_a_terminal_is_not_created(tmp_path: Path, params: Json, code: int) -> None:
    _, agent = at(tmp_path, terminal=True)
    ask(agent, 1, "terminal/create", sessionId="s", **params)
    assert (await answer_to(agent, 1))["code"] == code
    assert agent.report.launched == []


async def test_null_is_as_good_as_nothing(tmp_path: Path) -> None:
    _, agent = at(tmp_path, terminal=True)
    await create(agent, args=None, env=None, cwd=None, outputByteLimit=None)


async def test_what_cannot_be_started_says_why(tmp_path: Path) -> None:
    _, agent = at(tmp_path, terminal=True)
    agent.report.cannot_launch = "tasks_max allows no more"
    ask(agent, 1, "terminal/create", sessionId="s", command="ls")
    assert await answer_to(agent, 1) == {"code": -32000, "message": "tasks_max allows no more"}


CUT = {  # behaviour: (limit, what is printed, what is shown, whether something is missing)
    "whole": (4, b"abcd", "abcd", False),
    "from-the-front": (4, b"abcdef", "cdef", True),
    "between-characters": (4, "aéé€".encode(), "€", True),
    "nothing": (0, b"abc", "", True),
    "no-room-for-one-character": (1, "é".encode(), "", True),
    "no-text": (6, b"\xff\xff\xff", "\ufffd\ufffd", True),
    "half-a-character-at-the-end": (5, b"ab\xc3", "ab\ufffd", False),
}


@pytest.mark.parametrize(("limit", "data", "shown", "is_cut"), CUT.values(), ids=CUT)
def test_output_is_cut_from_the_front_between_characters(
    limit: int, data: bytes, shown: str, is_cut: bool
) -> None:
    """However it comes in."""
    for size in range(1, len(data) + 1):
        output = Output(limit)
        for start in range(0, len(data), size):
            output.add(data[start : start + size])
        assert output.text(is_whole=True) == shown
        assert output.is_truncated is is_cut


def test_output_that_nobody_asks_for_takes_no_room() -> None:
    output = Output(100)
    for _ in range(1000):
        output.add(b"x" * 10)
    assert len(output._kept) <= 210


async def test_output_is_bounded_whatever_an_agent_asks_for(tmp_path: Path) -> None:
    _, agent = at(tmp_path, terminal=True)
    terminal = await create(agent, outputByteLimit=2**40)
    for _ in range(5):
        agent.report.launched[0].output(b"x" * (OUTPUT_MAX_BYTES // 2))
    shown = await about(agent, "output", terminal)
    assert len(shown["output"]) == OUTPUT_MAX_BYTES
    assert shown["truncated"] is True

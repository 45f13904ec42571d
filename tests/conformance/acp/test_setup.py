"""Initialization, authentication, and the ways to a session: new, resume, load."""

from pathlib import Path

import pytest

from anyclawd.model.value import Json
from tests.conformance.acp.ways import BOTH, crash, keeping, ways
from tests.fakes.puppet import Stage
from tests.fakes.talk import misbehaving, official, talking

# -- initialization -------------------------------------------------------------------------------


def test_initialize_precedes_all_else(tmp_path: Path, theatre: Stage) -> None:
    with talking(tmp_path, theatre, misbehaving(tmp_path, {})) as talk:
        assert talk.chat().ask("hello") == ["heard: hello"]
        assert talk.methods() == ["initialize", "session/new", "session/prompt"]
        [params] = talk.sent("initialize")
        assert params["protocolVersion"] == 1
        assert params["clientInfo"]["name"] == "anyclawd"


def test_options_are_in_meta_and_where_older_agents_look(tmp_path: Path, theatre: Stage) -> None:
    with talking(tmp_path, theatre, misbehaving(tmp_path, {}, options={"model": "x"})) as talk:
        params = talk.wait_sent("initialize")[0]
        assert params["options"] == params["_meta"]["options"] == {"model": "x"}


def test_what_is_not_served_is_not_advertised(tmp_path: Path, theatre: Stage) -> None:
    with talking(tmp_path, theatre, misbehaving(tmp_path, {})) as talk:
        can = talk.wait_sent("initialize")[0]["clientCapabilities"]
        assert not can["fs"]["readTextFile"]
        assert not can["fs"]["writeTextFile"]
        assert not can["terminal"]
        assert not can.get("auth", {}).get("terminal")


@pytest.mark.parametrize("version", [9, "1", None])
def test_a_version_we_cannot_speak_ends_the_connection(
    tmp_path: Path, theatre: Stage, version: Json
) -> None:
    agent = misbehaving(tmp_path, {"version": version}, restart="never")
    with talking(tmp_path, theatre, agent) as talk:
        unit = talk.daemon.wait_unit("default.agent", "failed")
        assert unit["result"] == "protocol"
        assert "protocolVersion" in unit["reason"]


def test_the_official_sdk_takes_us_for_a_client(tmp_path: Path, theatre: Stage) -> None:
    with talking(tmp_path, theatre, official(tmp_path)) as talk:
        assert talk.chat().ask("hello") == ["heard: hello"]
        first, second, third = talk.notes()
        assert (first["method"], first["version"]) == ("initialize", 1)
        assert second["method"] == "session/new"
        assert Path(second["cwd"]).is_absolute()
        assert third == {"method": "session/prompt", "kinds": ["text"]}


# -- authentication -------------------------------------------------------------------------------


def test_an_agent_that_wants_a_login_says_so_to_its_user(tmp_path: Path, theatre: Stage) -> None:
    with talking(tmp_path, theatre, misbehaving(tmp_path, {"auth_methods": ["key"]})) as talk:
        chat = talk.chat()
        chat.say("hello")
        _, text = chat.shown()
        assert "Authentication required" in text
        assert "key" in text
        assert "authenticate" not in talk.methods()


# -- sessions -------------------------------------------------------------------------------------


def test_a_session_has_an_absolute_directory_and_a_list_of_servers(
    tmp_path: Path, theatre: Stage
) -> None:
    with talking(tmp_path, theatre, misbehaving(tmp_path, {})) as talk:
        talk.chat().ask("hello")
        [params] = talk.sent("session/new")
        assert Path(params["cwd"]).is_absolute()
        assert params["mcpServers"] == []


def test_each_chat_has_a_session_of_its_own(tmp_path: Path, theatre: Stage) -> None:
    with talking(tmp_path, theatre, misbehaving(tmp_path, {})) as talk:
        for peer in ("ann", "bob", "ann"):
            assert talk.chat(peer).ask(f"I am {peer}") == [f"heard: I am {peer}"]
        assert [params["sessionId"] for params in talk.sent("session/prompt")] == ["s1", "s2", "s1"]


def test_updates_before_the_answer_to_session_new_are_kept(tmp_path: Path, theatre: Stage) -> None:
    with talking(tmp_path, theatre, misbehaving(tmp_path, {"new": "early"})) as talk:
        chat = talk.chat()
        chat.say("hello")
        delivered = [chat.delivery()["content"]["update"] for _ in range(4)]
        assert [update["sessionUpdate"] for update in delivered] == [
            "available_commands_update",
            "agent_message_chunk",
            "agent_message_chunk",
            "result",
        ]
        assert delivered[0]["availableCommands"][0]["name"] == "early"
        assert [update["content"]["text"] for update in delivered[1:3]] == [
            "too early",
            "heard: hello",
        ]


def test_an_id_that_another_chat_has_is_not_taken(tmp_path: Path, theatre: Stage) -> None:
    """Nobody may read another chat's answers."""
    with talking(tmp_path, theatre, misbehaving(tmp_path, {"new": "same"})) as talk:
        assert talk.chat("ann").ask("hello") == ["heard: hello"]
        talk.chat("bob").say("hello")
        assert "id of another session" in talk.chat("bob").shown()[1]
        assert len(talk.sent("session/prompt")) == 1


def test_a_session_that_is_left_is_closed_where_the_agent_can(
    tmp_path: Path, theatre: Stage
) -> None:
    capabilities = {"sessionCapabilities": {"close": {}}}
    with talking(tmp_path, theatre, misbehaving(tmp_path, {"capabilities": capabilities})) as talk:
        chat = talk.chat()
        chat.say("do hang")
        talk.wait_sent("session/prompt")
        chat.say("/new")
        assert talk.wait_sent("session/close") == [{"sessionId": "s1"}]
        assert chat.turn()[-1] == ("result", "cancelled")
        assert chat.ask("hello")[-1] == "heard: hello"
        assert talk.sent("session/prompt")[-1]["sessionId"] == "s2"


def test_a_session_is_not_closed_where_the_agent_cannot(tmp_path: Path, theatre: Stage) -> None:
    with talking(tmp_path, theatre, misbehaving(tmp_path, {})) as talk:
        chat = talk.chat()
        chat.ask("hello")
        chat.say("/new")
        talk.wait_sent("session/new", 2)
        assert "session/close" not in talk.methods()


# -- the way back after a crash -------------------------------------------------------------------

#: Capabilities and the agent's manner, and the ways that are tried once it has crashed.
BACK: dict[str, tuple[Json, dict[str, Json], list[str]]] = {
    "resume": (BOTH, {}, ["session/resume"]),
    "load": ({"loadSession": True}, {}, ["session/load"]),
    "neither": ({}, {}, ["session/new"]),
    "resume-of-null": ({"sessionCapabilities": {"resume": None}}, {}, ["session/new"]),
    "resume-that-replays": (BOTH, {"resume": "replay"}, ["session/resume"]),
    "resume-that-fails": (BOTH, {"resume": "refuse"}, ["session/resume", "session/load"]),
    "load-that-fails": (
        {"loadSession": True},
        {"load": "refuse"},
        ["session/load", "session/new"],
    ),
    "all-that-fails": (
        BOTH,
        {"resume": "refuse", "load": "refuse"},
        ["session/resume", "session/load", "session/new"],
    ),
    "resume-that-dies": (BOTH, {"resume": "die"}, ["session/resume", "session/load"]),
}


@pytest.mark.parametrize(("capabilities", "manner", "tried"), BACK.values(), ids=BACK)
def test_after_a_crash_the_ways_back_are_tried_in_order(
    tmp_path: Path, theatre: Stage, capabilities: Json, manner: dict[str, Json], tried: list[str]
) -> None:
    """What the agent replays on the way is not shown to anybody again."""
    agent = keeping(tmp_path, **{"capabilities": capabilities, **manner})
    with talking(tmp_path, theatre, agent) as talk:
        assert talk.chat().ask("my name is Ann") == ["heard: my name is Ann"]
        crash(talk)
        chunks = talk.chat().ask("hello")
        assert chunks[-1].endswith("hello")
        assert len(chunks) == len(talk.sent("session/prompt")[-1]["prompt"])
        assert ways(talk) == ["session/new", *tried]


def test_an_attempt_to_come_back_carries_all_of_the_first(tmp_path: Path, theatre: Stage) -> None:
    agent = keeping(tmp_path, resume="refuse")
    with talking(tmp_path, theatre, agent) as talk:
        talk.chat().ask("hello")
        crash(talk)
        talk.chat().ask("hello")
        first = talk.sent("session/new")[0]
        for method in ("session/resume", "session/load"):
            assert talk.sent(method) == [{**first, "sessionId": "s1"}]


@pytest.mark.parametrize("verb", ["resume", "load"])
def test_a_session_may_come_back_under_another_id(
    tmp_path: Path, theatre: Stage, verb: str
) -> None:
    other = {"resume": {"sessionCapabilities": {"resume": {}}}, "load": {"loadSession": True}}
    agent = keeping(tmp_path, **{verb: "rename", "capabilities": other[verb]})
    with talking(tmp_path, theatre, agent) as talk:
        talk.chat().ask("hello")
        crash(talk)
        assert talk.chat().ask("again") == ["heard: again"]
        assert talk.sent("session/prompt")[-1]["sessionId"] == "s1-again"
        crash(talk)
        assert talk.chat().ask("and again") == ["heard: and again"]
        assert talk.sent(f"session/{verb}")[-1]["sessionId"] == "s1-again"


@pytest.mark.parametrize("code", [-32002, -32603, -1])
def test_recovery_depends_on_no_code(tmp_path: Path, theatre: Stage, code: int) -> None:
    """An agent that advertises all and has kept nothing: each way fails but the last."""
    agent = misbehaving(tmp_path, {"capabilities": BOTH, "unknown_code": code})
    with talking(tmp_path, theatre, agent) as talk:
        talk.chat().ask("hello")
        crash(talk)
        talk.chat().ask("again")
        assert ways(talk) == ["session/new", "session/resume", "session/load", "session/new"]


@pytest.mark.parametrize(("code", "errors"), [(-32002, 0), (-32603, 2)])
def test_a_session_that_the_agent_has_lost_is_made_anew(
    tmp_path: Path, theatre: Stage, code: int, errors: int
) -> None:
    """The error that is meant for it says enough at once, any other one the second time."""
    with talking(tmp_path, theatre, misbehaving(tmp_path, {"unknown_code": code})) as talk:
        chat = talk.chat()
        chat.ask("do lose")
        for _ in range(errors):
            chat.say("hello")
            assert chat.turn()[-1] == ("result", "what is s1?")
        assert chat.ask("hello")[-1].endswith("hello")
        assert ways(talk) == ["session/new", "session/new"]


def test_the_official_sdk_takes_up_a_session_after_a_crash(tmp_path: Path, theatre: Stage) -> None:
    with talking(tmp_path, theatre, official(tmp_path)) as talk:
        talk.chat().ask("hello")
        pid = talk.agent_pid()
        talk.daemon.ctl("kill", "--signal", "KILL", "default.agent")
        talk.daemon.wait_restarted("default.agent", pid)
        assert talk.chat().ask("again") == ["heard: again"]
        methods = [note["method"] for note in talk.notes()]
        assert methods == [
            *("initialize", "session/new", "session/prompt"),
            *("initialize", "session/resume", "session/prompt"),
        ]

"""Turns as users live them: order, permission, commands, and what they are told of failures."""

import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from anyclawd.client.exchange import ClientError
from anyclawd.model.value import Json
from tests.fakes.daemon import (
    WAIT_S,
    Chat,
    Deadline,
    contained,
    debug_http,
    environment,
    mock,
    running,
    system,
    until,
    write_config,
)
from tests.fakes.puppet import Stage

PEERS = Path(__file__).parents[1] / "conformance" / "raw_peers"
CTL = str(Path(sys.executable).with_name("anyclawctl"))


# -- order and lanes ------------------------------------------------------------------------------


def test_ten_rapid_messages_arrive_in_order(tmp_path: Path, theatre: Stage) -> None:
    """The first makes a turn of its own; what comes meanwhile is merged and keeps its order."""
    config = system({"default": theatre.agent("a")}, {"web": theatre.channel("w")})
    with running(tmp_path, config):
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        for number in range(10):
            channel.message(f"m{number}")
        agent.open()
        asked: list[str] = []
        while len(asked) < 10:
            asked += agent.reply(f"turn after {len(asked)}").splitlines()
            turn = channel.turn()
            assert turn[0][0] == "agent_message_chunk"
        assert asked == [f"m{number}" for number in range(10)]


def test_ten_rapid_messages_over_http_arrive_in_order(tmp_path: Path) -> None:
    config = system({"default": mock()}, {"debug-http": debug_http()})
    with running(tmp_path, config) as daemon, daemon.chat().listening() as events:
        chat = daemon.chat()
        for number in range(10):
            chat.say(f"m{number}")
        seen: list[str] = []
        while "Echo: m9" not in seen:
            name, data = next(events)
            if name == "" and data not in seen and not data.startswith("Echoed"):
                seen.append(data)
        assert seen == [f"Echo: m{number}" for number in range(10)]


def test_a_slow_channel_does_not_slow_another(tmp_path: Path, theatre: Stage) -> None:
    """One channel reads nothing of 8 MB that are streamed to it; it is told what was left out."""
    config = system(
        {"default": theatre.agent("a")},
        {"slow": theatre.channel("s"), "quick": theatre.channel("q")},
    )
    with running(tmp_path, config) as daemon:
        agent = theatre.accept_agent("a")
        slow, quick = theatre.accept_channel("s"), theatre.accept_channel("q")
        slow.message("much, please")
        agent.open("slow")
        flood, _ = agent.prompted()
        for number in range(16):
            quick.message("hello")
            if number == 0:
                agent.open("quick")
            request, _ = agent.prompted()
            for _ in range(8):
                agent.chunk("x" * 65536, "slow")
            agent.chunk(f"answer {number}", "quick")
            agent.done(request)
            answer = ("agent_message_chunk", f"answer {number}")
            assert quick.turn() == [answer, ("result", "end_turn")]
        agent.done(flood)
        assert daemon.units()["slow.channel"]["restarts"] == 0
        received = slow.turn()
        assert received[-1] == ("result", "end_turn")
        shown = "".join(text for _, text in received[:-1])
        assert shown.strip("x").endswith("did not keep up.]")


def test_an_update_of_eight_megabytes_passes_whole(tmp_path: Path, theatre: Stage) -> None:
    text = "x" * (8 * 2**20)
    config = system({"default": theatre.agent("a")}, {"web": theatre.channel("w")})
    with running(tmp_path, config):
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        channel.message("much, please")
        agent.open()
        agent.reply(text)
        assert channel.turn() == [("agent_message_chunk", text), ("result", "end_turn")]


def test_two_chats_of_one_channel_have_lanes_of_their_own(tmp_path: Path, theatre: Stage) -> None:
    config = system({"default": theatre.agent("a")}, {"web": theatre.channel("w")})
    with running(tmp_path, config):
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        channel.message("from ann", "ann")
        agent.open("ann")
        first, _ = agent.prompted()
        channel.message("from bob", "bob")
        agent.open("bob")
        assert agent.reply("to bob", "bob") == "from bob"
        assert channel.turn() == [("agent_message_chunk", "to bob"), ("result", "end_turn")]
        agent.chunk("to ann", "ann")
        agent.done(first)
        assert channel.turn() == [("agent_message_chunk", "to ann"), ("result", "end_turn")]


# -- raw peers ------------------------------------------------------------------------------------


def raw_agent(**options: Json) -> Json:
    binary = [sys.executable, str(PEERS / "agent.py")]
    return {"workspace": {"type": "local", "binary": binary}, "options": options}


def raw_channel(transcript: Path, **options: Json) -> Json:
    return {
        "binary": sys.executable,
        "args": [str(PEERS / "channel.py")],
        "options": {"transcript": str(transcript), **options},
    }


@pytest.mark.parametrize("respond_by", ["response", "nested", "notification"])
def test_peers_without_any_sdk_work_unchanged(tmp_path: Path, respond_by: str) -> None:
    transcript = tmp_path / "transcript"
    config = system(
        {"default": raw_agent(ask=True, push=True, echo_id_as_text=True)},
        {
            "raw": raw_channel(
                transcript, say=["one two"], then=["three"], respond_by=respond_by, permission="no"
            )
        },
    )
    with running(tmp_path, config) as daemon:
        whole = wait_written(transcript, '"sessionUpdate": "result"', 2)
        frames = [json.loads(line) for line in whole]
        contents = [
            frame["params"]["content"]["update"]
            for frame in frames
            if frame.get("method") == "channel/deliverMessage"
        ]
        chunks = [
            update["content"]["text"]
            for update in contents
            if update["sessionUpdate"] == "agent_message_chunk"
        ]
        assert "".join(chunks[:4]) == "raw: one two no "
        assert "".join(chunks[4:7]) == "raw: three no "
        assert daemon.unit("raw.channel")["noise"] > 0
        assert daemon.unit("default.agent")["noise"] > 0
        assert {row["restarts"] for row in daemon.units().values()} == {0}


# -- permission -----------------------------------------------------------------------------------


def test_permission_is_asked_and_answered_over_debug_http(tmp_path: Path) -> None:
    config = system({"default": mock(request_permission=True)}, {"debug-http": debug_http()})
    with running(tmp_path, config) as daemon, daemon.chat().listening() as events:
        chat = daemon.chat()
        chat.say("hello")
        [asked] = wait_pending(chat)
        assert asked["description"] == "Run echo command"
        assert [option["optionId"] for option in asked["options"]] == ["allow_once", "reject_once"]
        path = f"/permissions/{asked['requestId']}/respond"
        assert chat.ask("POST", path, {"optionId": "allow_once"}) == (200, {"status": "responded"})
        until(events, ("", "Echo: hello"))
        assert chat.pending() == []


def test_permission_is_asked_on_the_terminal_of_send(tmp_path: Path, theatre: Stage) -> None:
    with running(tmp_path, system({"default": theatre.agent("a")})) as daemon:
        agent = theatre.accept_agent("a")
        ours, theirs = pty.openpty()
        sending = subprocess.Popen(
            [CTL, "-s", daemon.socket, "send", "hello"],
            env=environment(),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        os.close(theirs)
        agent.open()
        request, _ = agent.prompted()
        agent.ask()
        read_until(ours, b"1-2? ")
        os.write(ours, b"nonsense\n3\n2\n")
        outcome = agent.expect_answer(900)["result"]["outcome"]
        assert outcome == {"outcome": "selected", "optionId": "no"}
        agent.chunk("as you wish")
        agent.done(request)
        assert sending.communicate(timeout=WAIT_S)[0] == b"as you wish\n"
        assert sending.returncode == 0
        os.close(ours)


def test_an_unanswered_permission_is_refused_in_time(tmp_path: Path, theatre: Stage) -> None:
    config = system(
        {"default": theatre.agent("a")},
        {"web": theatre.channel("w")},
        supervisor={"permission_timeout_secs": 1},
    )
    with running(tmp_path, config):
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        channel.message("hello")
        agent.open()
        request, _ = agent.prompted()
        agent.ask()
        asked = channel.expect("channel/requestPermission")
        assert asked["params"]["description"] == "Do it?"
        outcome = agent.expect_answer(900)["result"]["outcome"]
        assert outcome == {"outcome": "selected", "optionId": "no"}
        agent.done(request)


# -- platform commands ----------------------------------------------------------------------------


def test_new_begins_another_conversation(tmp_path: Path, theatre: Stage) -> None:
    config = system({"default": theatre.agent("a")}, {"web": theatre.channel("w")})
    with running(tmp_path, config):
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        channel.message("first")
        agent.open("s1")
        agent.reply("one")
        channel.turn()
        channel.message("/new")
        agent.open("s2")
        assert channel.shown() == ("agent_message_chunk", "New conversation started.")
        channel.message("second")
        request, asked = agent.prompted()
        assert (request["params"]["sessionId"], asked) == ("s2", "second")
        agent.done(request)


def test_cancel_ends_the_running_turn(tmp_path: Path, theatre: Stage) -> None:
    config = system({"default": theatre.agent("a")}, {"web": theatre.channel("w")})
    with running(tmp_path, config):
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        channel.message("count to a million")
        agent.open()
        request, _ = agent.prompted()
        agent.chunk("1 2 3")
        assert channel.shown() == ("agent_message_chunk", "1 2 3")
        channel.message("/cancel")
        assert agent.expect("session/cancel")["params"] == {"sessionId": "s1"}
        assert channel.shown() == ("agent_message_chunk", "Operation cancelled.")
        agent.done(request, "cancelled")
        assert channel.shown() == ("result", "cancelled")
        channel.message("and now?")
        assert agent.reply("something else") == "and now?"
        assert channel.turn()[0] == ("agent_message_chunk", "something else")


def test_cancel_with_nothing_to_cancel_says_so(tmp_path: Path) -> None:
    config = system({"default": mock()}, {"debug-http": debug_http()})
    with running(tmp_path, config) as daemon:
        told = daemon.chat().converse("/cancel", "No active operation to cancel.")
        assert told[-1] == ("", "No active operation to cancel.")


# -- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capabilities", "method"),
    [
        ({"sessionCapabilities": {"resume": {}}, "loadSession": True}, "session/resume"),
        ({"loadSession": True}, "session/load"),
        ({}, "session/new"),
    ],
)
def test_after_a_crash_the_next_message_works(
    tmp_path: Path, theatre: Stage, capabilities: Json, method: str
) -> None:
    result = {"protocolVersion": 1, "agentCapabilities": capabilities}
    config = system({"default": theatre.agent("a", result)}, {"web": theatre.channel("w")})
    with running(tmp_path, config):
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        channel.message("first")
        agent.open()
        agent.prompted()
        agent.chunk("I am about to")
        channel.shown()
        agent.kill()
        assert channel.turn()[-1] == ("result", "Agent crashed — restarting (default)")
        successor = theatre.accept_agent("a")
        channel.message("second")
        request = successor.expect(method)
        if method != "session/new":
            assert request["params"]["sessionId"] == "s1"
            successor.chunk("replayed, so not shown again")
        successor.answer(request, {"sessionId": "s1"})
        said = successor.reply("here again")
        if method == "session/new":  # which knows nothing of what was said before
            told = "What was said so far:\nUser: first\nAgent: I am about to\n]\n"
            assert told in said
        assert said.rpartition("\n")[2] == "second"
        assert channel.turn() == [("agent_message_chunk", "here again"), ("result", "end_turn")]


@pytest.mark.parametrize(
    ("options", "second"),
    [
        ({"support_resume": True}, "Echo: second"),
        ({"support_resume": True, "reject_resume": True}, "Echo: second"),
        (
            {"support_resume": True, "reject_resume": True, "reject_load": True},
            "Echoed 2 content parts",  # what was said before is the other one
        ),
        ({"recovery_new_id": "another"}, "Echo: second"),
    ],
)
def test_the_mock_agent_recovers_in_each_of_its_ways(
    tmp_path: Path, options: Json, second: str
) -> None:
    """`exit_after` ends it with status 1 right after the answer, which must still arrive."""
    config = system({"default": mock(exit_after=1, **options)})
    with running(tmp_path, config) as daemon:
        pid = daemon.units()["default.agent"]["pid"]
        for text, answer in (("first", "Echo: first"), ("second", second)):
            assert daemon.answer(text, peer="p") == {
                "type": "result",
                "stopReason": "end_turn",
                "isError": False,
                "text": answer,
            }
            pid = daemon.wait_restarted("default.agent", pid)


def test_an_agent_that_is_stopped_by_hand_tells_its_user(tmp_path: Path, theatre: Stage) -> None:
    config = system({"default": theatre.agent("a")}, {"web": theatre.channel("w")})
    with running(tmp_path, config) as daemon:
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        channel.message("hello")
        agent.open()
        agent.prompted()
        assert daemon.job("stop", "default.agent")[0]["result"] == "done"
        assert channel.turn()[-1] == ("result", "Agent stopped (default)")
        channel.message("anybody there?")
        kind, text = channel.turn()[-1]
        assert (kind, text.partition(":")[0]) == ("result", "Agent default is not available")
        daemon.job("start", "default.agent")
        successor = theatre.accept_agent("a")
        channel.message("and now?")
        successor.open("s2")
        asked = successor.reply("here", "s2")
        assert "What was said so far:\nUser: hello\n" in asked
        assert asked.rpartition("\n")[2] == "and now?"
        assert channel.turn()[0] == ("agent_message_chunk", "here")


def test_an_agent_that_a_boot_leaves_out_tells_its_user(tmp_path: Path) -> None:
    """It was stopped by hand before; nothing happens to it in this life of the daemon."""
    with running(tmp_path, system({"default": mock()})) as daemon:
        daemon.job("stop", "default.agent")
    with running(tmp_path) as daemon:
        with pytest.raises(ClientError, match="stopped by hand"):
            daemon.answer("hello", agent="default")
        daemon.job("start", "default.agent")
        assert daemon.answer("hello", agent="default")["text"] == "Echo: hello"


def test_an_agent_that_falls_silent_is_given_up(tmp_path: Path, theatre: Stage) -> None:
    entry = theatre.agent("a", prompt_idle_timeout=1)
    config = system({"default": entry}, {"web": theatre.channel("w")})
    with running(tmp_path, config) as daemon:
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        channel.message("hello?")
        agent.open()
        request, _ = agent.prompted()
        agent.expect("session/cancel")
        assert channel.shown() == ("result", "Agent default did not respond for 1 seconds")
        agent.done(request, "cancelled")
        entry["prompt_idle_timeout"] = WAIT_S
        write_config(daemon.config, contained(config))
        assert daemon.ctl("reload").returncode == 0
        channel.message("still there?")
        assert agent.reply("yes") == "still there?"
        assert channel.turn()[0] == ("agent_message_chunk", "yes")


def test_an_error_of_the_agent_reaches_the_user(tmp_path: Path, theatre: Stage) -> None:
    with running(tmp_path, system({"default": theatre.agent("a")})) as daemon:
        agent = theatre.accept_agent("a")
        events = daemon.talk("hello")
        assert next(events)["type"] == "accepted"
        agent.open()
        request, _ = agent.prompted()
        agent.fail(request, -32000, "the model is overloaded")
        *_, result = events
        assert result["isError"]
        assert "the model is overloaded" in result["text"]


# -- the administrator in a chat ------------------------------------------------------------------


def test_what_send_says_in_a_chat_is_answered_in_the_chat_too(tmp_path: Path) -> None:
    config = system({"default": mock()}, {"debug-http": debug_http()})
    with running(tmp_path, config) as daemon, daemon.chat().listening() as events:
        done = daemon.ctl("send", "--channel", "debug-http", "--peer", "local", "hello")
        assert (done.returncode, done.stdout) == (0, "Echo: hello\n")
        until(events, ("", "Echo: hello"))


def test_notify_reaches_a_chat_without_an_agent(tmp_path: Path) -> None:
    config = system({"default": mock()}, {"debug-http": debug_http()})
    with running(tmp_path, config) as daemon, daemon.chat().listening() as events:
        done = daemon.ctl("notify", "--channel", "debug-http", "--peer", "local", "dinner")
        assert (done.returncode, done.stderr) == (0, "")
        assert next(events) == ("", "dinner")
        refused = daemon.ctl("notify", "--channel", "nowhere", "--peer", "x", "dinner")
        assert refused.returncode == 1
        assert "no channel 'nowhere'" in refused.stderr


def test_chat_is_a_loop_of_messages(tmp_path: Path) -> None:
    with running(tmp_path, system({"default": mock()})) as daemon:
        done = daemon.ctl("chat", stdin="one\ntwo\n")
        assert done.returncode == 0
        assert [line for line in done.stdout.splitlines() if "Echo" in line] == [
            "Echo: one",
            "Echo: two",
        ]


def test_send_to_an_agent_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with (
        running(tmp_path, system({"default": mock()})) as daemon,
        pytest.raises(ClientError, match="no agent 'nobody'"),
    ):
        daemon.answer("hello", agent="nobody")


# -- waiting --------------------------------------------------------------------------------------


def wait_pending(chat: Chat) -> list[Json]:
    """debug-http pushes no permission request, so its list is asked for until there is one."""
    deadline = Deadline()
    while not (found := chat.pending()):
        deadline.left("a permission request")
    return found


def wait_written(path: Path, text: str, count: int) -> list[str]:
    """The whole lines of a file, once a text stands in so many of them.

    A raw peer tells what it has read through a file only, which it may be writing to.
    """
    deadline = Deadline()
    while True:
        *lines, _ = path.read_text().split("\n") if path.exists() else [""]
        if sum(text in line for line in lines) >= count:
            return lines
        select.select([], [], [], min(0.01, deadline.left(f"{text} in {path}")))


def read_until(descriptor: int, wanted: bytes) -> bytes:
    found = b""
    while wanted not in found:
        readable, _, _ = select.select([descriptor], [], [], WAIT_S)
        assert readable, f"{wanted!r} did not come: {found!r}"
        found += os.read(descriptor, 4096)
    return found

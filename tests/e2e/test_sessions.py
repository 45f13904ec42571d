"""Conversations as an administrator sees them: anyclawctl against a daemon with a store on disk."""

import json
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from anyclawd.client.client import quote
from anyclawd.model.value import Json
from tests.fakes.daemon import (
    WAIT_S,
    Daemon,
    Deadline,
    debug_http,
    environment,
    mock,
    running,
    system,
)
from tests.fakes.patient import PATIENT

CTL = str(Path(sys.executable).with_name("anyclawctl"))
KEY = "debug-http:local:local"
STORE = {"type": "sqlite", "path": "sessions.db"}


def config(*, channel: Json = None, **options: Json) -> Json:
    agent = mock(keep_sessions=True, **options)
    channels = {"debug-http": {**debug_http(), **(channel or {})}}
    return system({"default": agent}, channels, session_store=STORE)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running(tmp_path, config()) as found:
        yield found


def said(daemon: Daemon, text: str) -> str:
    """Say something in the chat of the channel, and wait for its answer; the id of the message."""
    status, answer = daemon.chat().ask("POST", "/message", {"message": text})
    assert status == 200, answer
    return ended(daemon, answer["messageId"])


def ended(daemon: Daemon, message: str) -> str:
    """Wait until the answer to a message has arrived; nobody tells but the message itself."""
    deadline = Deadline()
    while (state := daemon.client.get(f"/v1/messages/{message}")["state"]) != "delivered":
        assert state in ("queued", "running", "answered")
        deadline.left(f"the answer to {message}")
    return message


def test_a_chat_is_listed_shown_and_told(daemon: Daemon) -> None:
    message = said(daemon, "hello")
    [row] = daemon.ctl_json("sessions")["sessions"]
    assert (row["session"], row["agent"], row["worker"]) == (KEY, "default", "default.agent")
    assert (row["state"], row["conversation"]) == ("idle", 1)
    [detail] = daemon.ctl_json("sessions", "show", "debug*")["sessions"]
    assert [one["number"] for one in detail["conversations"] if one["current"]] == [1]
    assert detail["messages"][0]["messageId"] == message
    [turn] = daemon.ctl_json("sessions", "history", KEY)["turns"]
    assert (turn["prompt"], turn["answer"], turn["stopReason"]) == (
        "hello",
        "Echo: hello",
        "end_turn",
    )
    told = daemon.ctl("sessions", "history", KEY).stdout
    assert told.endswith("> hello\nEcho: hello\n")
    assert KEY in daemon.ctl("sessions").stdout


def test_the_state_of_a_message_is_told(daemon: Daemon) -> None:
    message = said(daemon, "hello")
    found = daemon.ctl_json("message", message)
    assert (found["state"], found["text"], found["session"]) == ("delivered", "Echo: hello", KEY)
    assert "Echo: hello" in daemon.ctl("message", message).stdout
    unknown = daemon.ctl("message", "nothing")
    assert (unknown.returncode, "no message 'nothing'" in unknown.stderr) == (4, True)


def test_an_administrator_goes_on_in_a_chat(daemon: Daemon) -> None:
    """The chat is shown the answer, and the message is a turn of its conversation."""
    said(daemon, "hello")
    with daemon.chat().listening() as events:
        done = daemon.ctl("send", "--session", KEY, "and again")
        assert (done.returncode, done.stdout, done.stderr) == (0, "Echo: and again\n", "")
        assert ("", "Echo: and again") in (event for event in events)
    turns = daemon.ctl_json("sessions", "history", KEY)["turns"]
    assert [turn["prompt"] for turn in turns] == ["hello", "and again"]


def test_a_chat_at_rest_after_a_restart_can_be_gone_on_with(tmp_path: Path) -> None:
    with running(tmp_path, config()) as daemon:
        said(daemon, "before")
    with running(tmp_path) as daemon:
        [row] = daemon.ctl_json("sessions")["sessions"]
        assert row["session"] == KEY
        done = daemon.ctl("send", "--session", KEY, "after")
        assert (done.returncode, done.stdout[-12:]) == (0, "Echo: after\n")
        turns = daemon.ctl_json("sessions", "history", KEY)["turns"]
        assert [turn["prompt"] for turn in turns] == ["before", "after"]


def test_a_new_conversation_begins_with_the_next_message(daemon: Daemon) -> None:
    said(daemon, "one")
    done = daemon.ctl("sessions", "new", KEY)
    assert (done.returncode, done.stdout) == (0, f"a new conversation begins in {KEY}\n")
    said(daemon, "two")
    turns = daemon.ctl_json("sessions", "history", KEY)["turns"]
    assert [(turn["conversation"], turn["prompt"]) for turn in turns] == [(1, "one"), (2, "two")]


def test_a_closed_session_goes_on_where_it_was(daemon: Daemon) -> None:
    said(daemon, "one")
    assert daemon.ctl("sessions", "close", KEY).stdout == f"closed {KEY}\n"
    said(daemon, "two")
    turns = daemon.ctl_json("sessions", "history", KEY)["turns"]
    assert [turn["conversation"] for turn in turns] == [1, 1]


def test_a_turn_is_cancelled_from_outside(tmp_path: Path) -> None:
    with running(tmp_path, config(thinking=True, thinking_time_ms=600_000)) as daemon:
        events = daemon.talk("think", peer="ann")
        while next(events)["type"] != "update":
            pass
        key = "@anyclawctl:local:ann"
        assert daemon.ctl("sessions", "cancel", key).stdout == f"cancelled the turn in {key}\n"
        *_, last = events
        assert last["stopReason"] == "cancelled"
        assert daemon.ctl("sessions", "cancel", key).stdout == f"no turn runs in {key}\n"


def test_a_fork_is_a_session_of_its_own(daemon: Daemon) -> None:
    said(daemon, "hello")
    fork = daemon.ctl_json("sessions", "fork", KEY)
    assert fork["from"] == KEY
    assert fork["session"] in [row["session"] for row in daemon.ctl_json("sessions")["sessions"]]
    done = daemon.ctl("send", "--session", fork["session"], "elsewhere")
    assert (done.returncode, done.stdout) == (0, "Echo: elsewhere\n")
    [turn] = daemon.ctl_json("sessions", "history", KEY)["turns"]
    assert turn["prompt"] == "hello"


def test_what_an_agent_keeps_is_listed(daemon: Daemon) -> None:
    """The mock lists two sessions a page, so there is more than one page here."""
    said(daemon, "hello")
    daemon.ctl("sessions", "new", KEY)
    said(daemon, "afresh")
    fork = daemon.ctl_json("sessions", "fork", KEY)
    kept = daemon.ctl_json("sessions", "agent", "default")
    assert kept["complete"] is True
    assert [row["session"] for row in kept["sessions"]] == [KEY, KEY, fork["session"]]
    assert {(row["agent"], row["cwd"]) for row in kept["sessions"]} == {
        ("default.agent", str(daemon.directory))
    }
    ids = [row["agent_session"] for row in kept["sessions"]]
    [detail] = daemon.ctl_json("sessions", "show", KEY)["sessions"]
    assert [one["agent_session"] for one in detail["conversations"]] == [ids[1], ids[0]]
    assert ids[2] == fork["agent_session"]
    told = daemon.ctl("sessions", "agent", "default").stdout
    assert told.endswith("\n\n3 sessions\n")


def test_what_an_agent_does_not_offer_is_said(tmp_path: Path) -> None:
    with running(tmp_path, system({"default": mock()})) as daemon:
        daemon.answer("hello", peer="ann")
        for words in (
            ["sessions", "fork", "*:ann"],
            ["sessions", "agent", "default"],
            ["logout", "default"],
        ):
            done = daemon.ctl(*words)
            assert (done.returncode, done.stdout) == (1, "")
            assert "does not offer" in done.stderr
            assert done.stderr.count("\n") == 1


def test_an_export_has_it_all(daemon: Daemon, tmp_path: Path) -> None:
    said(daemon, "hello")
    target = tmp_path / "talk.json"
    assert daemon.ctl("sessions", "export", KEY, "-o", str(target)).returncode == 0
    export = json.loads(target.read_text("utf-8"))
    assert [row["text"] for row in export["messages"]] == ["Echo: hello"]
    assert [row["answer"] for row in export["turns"]] == ["Echo: hello"]
    assert [row["number"] for row in export["conversations"]] == [1]
    document = daemon.ctl("sessions", "export", "--format", "md", KEY).stdout
    assert document.startswith(f"# {KEY}\n\n## Conversation 1")
    assert "\n> hello\n\nEcho: hello\n" in document


def test_what_is_erased_is_gone_from_the_disk(daemon: Daemon) -> None:
    """Also after a restart, and at the agent, which offers to erase its own."""
    secret = "a word that nobody else says"
    message = said(daemon, secret)
    written = [daemon.directory / name for name in ("sessions.db", "sessions.db-wal")]
    assert any(secret.encode() in path.read_bytes() for path in written if path.exists())
    done = daemon.ctl("sessions", "delete", KEY)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"erased {KEY}: 1 conversation, 1 message, 1 turn\n"
    assert daemon.ctl("sessions").stdout == "no sessions\n"
    assert daemon.ctl("message", message).returncode == 4
    for verb in ("show", "history", "delete"):
        assert daemon.ctl("sessions", verb, KEY).returncode == 4
    assert daemon.stop() == 0
    files = [path for path in daemon.directory.rglob("*") if path.is_file()]
    assert daemon.directory / "sessions.db" in files
    for path in files:
        assert secret.encode() not in path.read_bytes(), path


def test_a_misspelt_key_is_told_the_nearest(daemon: Daemon) -> None:
    said(daemon, "hello")
    done = daemon.ctl("sessions", "show", "debug-http:local:locla")
    assert done.returncode == 4
    assert done.stderr == (
        f"anyclawctl: no session 'debug-http:local:locla' (did you mean '{KEY}'?)\n"
    )
    assert daemon.ctl("send", "--session", "nobody", "hi").returncode == 4


@pytest.mark.parametrize("verb", ["history", "send"])
def test_a_chat_is_followed(daemon: Daemon, verb: str) -> None:
    said(daemon, "hello")
    words = (
        ["sessions", "history", "-f", KEY]
        if verb == "history"
        else ["send", "-f", "--session", KEY, "first"]
    )
    first = b"Echo: hello\n" if verb == "history" else b"Echo: first\n"
    with subprocess.Popen(
        [CTL, "-s", daemon.socket, *words], env=environment(), stdout=subprocess.PIPE, bufsize=0
    ) as following:
        read_line(following, first)
        said(daemon, "more")
        read_line(following, b"Echo: more\n")
        daemon.ctl("send", "--session", KEY, "and more")
        read_line(following, b"Echo: and more\n")
        following.send_signal(signal.SIGINT)
        assert following.wait(WAIT_S) == 130


def read_line(process: "subprocess.Popen[bytes]", wanted: bytes) -> None:
    """Read lines up to this one."""
    assert process.stdout is not None
    line = b""
    while line != wanted:
        assert select.select([process.stdout], [], [], WAIT_S)[0], f"{wanted!r} did not come"
        line = process.stdout.readline()
        assert line, f"it ended before {wanted!r}"


def test_following_ends_with_the_daemon(daemon: Daemon) -> None:
    said(daemon, "hello")
    with closing(daemon.client.events(f"/v1/sessions/{quote(KEY)}/events")) as events:
        assert next(events) is None
        assert daemon.stop() == 0
        assert list(events) == []


def test_a_stranger_is_let_in_by_a_code(tmp_path: Path) -> None:
    access = {"default": "closed", "pairing": {"enabled": True}}
    with running(tmp_path, {**config(), "access": access}) as daemon:
        status, refused = daemon.chat().ask("POST", "/message", {"message": "hello"})
        assert (status, refused["reason"]) == (503, "access")
        [row] = daemon.ctl_json("pair")["codes"]
        assert (row["session"], row["code"] in refused["error"]) == (KEY, True)
        assert row["code"] in daemon.ctl("pair", "list").stdout
        assert daemon.ctl("pair", "approve", row["code"]).stdout == f"let in {KEY}\n"
        assert daemon.ctl("pair", "approve", row["code"]).returncode == 1
        said(daemon, "hello")
        pairing = daemon.ctl_json("pair")
        assert pairing["codes"] == []
        assert pairing["grants"] == [{"channel": "debug-http", "kind": "local", "peer": "local"}]
        assert daemon.ctl("pair", "revoke", "debug-http:*").returncode == 0
        assert daemon.chat().ask("POST", "/message", {"message": "hello"})[0] == 503


def test_an_agent_is_logged_in_to(tmp_path: Path) -> None:
    with running(tmp_path, system({"default": mock(login=True)})) as daemon:
        [method] = daemon.ctl_json("login", "default")["methods"]
        assert (method["id"], method["type"]) == ("mock-login", "agent")
        assert daemon.answer("hello")["isError"] is True
        assert daemon.ctl("login", "default", "mock-login").returncode == 0
        assert daemon.answer("hello")["text"] == "Echo: hello"
        assert daemon.ctl("logout", "default").returncode == 0
        done = daemon.ctl("login", "default", "by-magic")
        assert (done.returncode, "it offers 'mock-login'" in done.stderr) == (1, True)
        unknown = daemon.ctl("login", "defualt")
        assert (unknown.returncode, "did you mean 'default'" in unknown.stderr) == (4, True)


def test_a_login_in_a_terminal_is_explained(tmp_path: Path) -> None:
    """ACP: a method of type `terminal` is never called; who is to log in is told what to run."""
    code = (
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    request = json.loads(line)\n"
        "    methods = [{'id': 'tty', 'name': 'Log in', 'type': 'terminal'}]\n"
        "    result = {'protocolVersion': 1, 'authMethods': methods}\n"
        "    answer = {'jsonrpc': '2.0', 'id': request['id'], 'result': result}\n"
        "    print(json.dumps(answer), flush=True)\n"
    )
    agent = {"workspace": {"type": "local", "binary": [sys.executable, "-SE", "-c", code]}}
    with running(tmp_path, system({"default": agent})) as daemon:
        assert "tty     terminal  Log in" in daemon.ctl("login", "default").stdout
        done = daemon.ctl("login", "default", "tty")
        assert (done.returncode, done.stdout) == (1, "")
        assert "needs a terminal: run the agent's own program there" in done.stderr
        assert sys.executable in done.stderr


def test_chats_are_measured(daemon: Daemon) -> None:
    said(daemon, "hello")
    lines = daemon.tcp("/metrics")[1].decode().splitlines()
    for line in (
        'anyclawd_sessions{state="idle"} 1.0',
        'anyclawd_messages{state="queued"} 0.0',
        "anyclawd_messages_received_total 1.0",
        'anyclawd_messages_ended_total{outcome="answered"} 1.0',
        'anyclawd_refusals_total{reason="rate-limit"} 0.0',
        'anyclawd_deliveries_pending{channel="debug-http"} 0.0',
        "anyclawd_store_healthy 1.0",
        "anyclawd_store_waiting 0.0",
        'anyclawd_unit_state{state="active",unit="store.core"} 1.0',
    ):
        assert line in lines
    counted = daemon.status()["conversations"]
    assert counted == {
        **dict.fromkeys(("resting", "queued", "running", "undelivered"), 0),
        "live": 1,
        "store": "",
    }
    assert (
        "   sessions: 1 live, 0 resting; messages: 0 queued, 0 running\n"
        in daemon.ctl("status").stdout
    )


def test_limits_show_as_refusals(tmp_path: Path) -> None:
    limits = {"rate_limits": {"session": {"messages_per_minute": 1}}}
    with running(tmp_path, config(channel=limits)) as daemon:
        said(daemon, "one")
        assert daemon.chat().ask("POST", "/message", {"message": "two"})[0] == 429
        text = daemon.tcp("/metrics")[1].decode()
        assert 'anyclawd_refusals_total{reason="rate-limit"} 1.0\n' in text


def test_nothing_that_was_said_is_in_the_log(tmp_path: Path) -> None:
    """Invariant I7, with every event and command in the log."""
    with running(tmp_path, config(), "--log-level", "trace") as daemon:
        said(daemon, "swordfish")
        for words in (["history"], ["show"], ["export"], ["fork"], ["new"], ["delete"]):
            daemon.ctl("sessions", *words, KEY)
        daemon.ctl("send", "swordfish")
        text = daemon.log_text()
    assert f"DELETE /v1/sessions/{KEY} by uid" in text
    assert "swordfish" not in text


def test_the_shell_is_told_keys_and_without_a_daemon_nothing(daemon: Daemon) -> None:
    said(daemon, "hello")

    def complete(program: Sequence[str], begun: str) -> "subprocess.CompletedProcess[str]":
        words = ["-s", daemon.socket, "complete", "--", "sessions", "show", begun]
        return subprocess.run(
            [*program, *words], env=environment(), capture_output=True, text=True, timeout=WAIT_S
        )

    assert complete(PATIENT, "deb").stdout.startswith(f"{KEY}\t")
    assert daemon.stop() == 0
    done = complete([CTL], "")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_store_that_was_set_aside_is_told(tmp_path: Path) -> None:
    """The daemon comes up, keeps what is new, and says what has become of what was old."""
    with running(tmp_path, config()) as daemon:
        said(daemon, "before")
    file = tmp_path / "sessions.db"
    assert file.exists()
    file.write_bytes(b"this is no database at all, and never was " * 100)
    with running(tmp_path) as daemon:
        assert daemon.ctl("sessions").stdout == "no sessions\n"  # the answer waits for the store
        reason = daemon.status()["conversations"]["store"]
        assert "sessions.db.damaged-" in reason
        assert f"      store: {reason}\n" in daemon.ctl("status").stdout
        assert reason in daemon.ctl("status", "store.core").stdout
        assert b"anyclawd_store_healthy 0.0\n" in daemon.tcp("/metrics")[1]
        said(daemon, "after")
        [turn] = daemon.ctl_json("sessions", "history", KEY)["turns"]
        assert turn["prompt"] == "after"


def test_a_chat_is_erased_in_the_middle_of_a_turn(tmp_path: Path) -> None:
    """What ends with it writes nothing of it anew; the next message finds a chat without a past."""
    secret = "a word that nobody else says"
    with running(tmp_path, config(thinking=True, thinking_time_ms=600_000)) as daemon:
        events = daemon.talk(secret, peer="ann")
        while next(events)["type"] != "update":
            pass
        key = "@anyclawctl:local:ann"
        assert daemon.ctl("sessions", "delete", key).returncode == 0
        *_, last = events
        assert (last["type"], last["isError"]) == ("result", True)
        assert daemon.ctl("sessions").stdout == "no sessions\n"
        assert daemon.ctl("sessions", "export", key).returncode == 4
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert tmp_path / "sessions.db" in files
    for path in files:
        assert secret.encode() not in path.read_bytes(), path

"""The verbs about conversations, as processes of their own against a real admin socket."""

import json
import os
import pty
import select
import signal
import stat
import subprocess
import sys
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from anyclawd.model.value import Json
from tests.fakes.conversations import (
    ANSWERED,
    ASKED,
    LIVE,
    OWN,
    RESTING,
    SAID_AT,
    kept_row,
)
from tests.integration.admin.conftest import Served
from tests.integration.admin.test_cli import anyclawctl, run, waited


def shown(text: str) -> Json:
    update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}
    return {"type": "update", "update": update}


RESULT: Json = {"type": "update", "update": {"sessionUpdate": "result", "content": "whole"}}

JSON_VERBS = {
    "list": (["sessions"], "sessions"),
    "list-pattern": (["sessions", "list", "tele*"], "sessions"),
    "show": (["sessions", "show", LIVE], "sessions"),
    "history": (["sessions", "history", LIVE], "turns"),
    "agent": (["sessions", "agent", "default"], "complete"),
    "new": (["sessions", "new", LIVE], "sessions"),
    "cancel": (["sessions", "cancel", "*"], "sessions"),
    "close": (["sessions", "close", LIVE], "sessions"),
    "fork": (["sessions", "fork", LIVE], "from"),
    "export": (["sessions", "export", LIVE], "messages"),
    "delete": (["sessions", "delete", LIVE], "sessions"),
    "message": (["message", "m1"], "state"),
    "pair": (["pair"], "codes"),
    "pair-approve": (["pair", "approve", "K7PM2QXA"], "session"),
    "pair-revoke": (["pair", "revoke", "*:direct:*"], "grants"),
    "login-methods": (["login", "default"], "methods"),
    "login": (["login", "default", "api-key"], "method"),
    "logout": (["logout", "default"], "agent"),
}


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize(("words", "member"), JSON_VERBS.values(), ids=JSON_VERBS)
def test_json_is_one_value(served: Served, words: list[str], member: str, place: str) -> None:
    given = ["--json", *words] if place == "before" else [*words, "--json"]
    done = anyclawctl(served, *given)
    assert (done.returncode, done.stderr) == (0, "")
    assert member in json.loads(done.stdout)


FAILING = {
    "unknown": (["sessions", "show", "debug-http:local:locla"], 4, f"did you mean '{LIVE}'"),
    "no-match": (["sessions", "history", "no*"], 4, "no session's key matches 'no*'"),
    "ambiguous": (
        ["sessions", "fork", "*:local:*"],
        2,
        f"means 2 sessions, and one is wanted: {LIVE}",
    ),
    "no-verb": (["sessions", "shwo"], 2, "invalid choice: 'shwo'"),
    "send-unknown": (["send", "--session", "no:such:one", "hi"], 4, "no session 'no:such:one'"),
    "send-both": (["send", "--session", LIVE, "--peer", "x", "hi"], 2, "leave --channel"),
    "message": (["message", "nothing"], 4, "no message 'nothing'"),
    "code": (["pair", "approve", "NOTHING"], 1, "no code 'NOTHING'"),
    "revoke": (["pair", "revoke", "telegram:direct:1"], 1, "nobody was let in"),
    "agent": (["login", "nobody"], 4, "no unit 'nobody'"),
    "agent-sessions": (["sessions", "agent", "nobody"], 4, "no unit 'nobody'"),
    "no-agent": (["sessions", "agent"], 2, "required: AGENT"),
    "method": (["login", "default", "nothing"], 1, "it offers 'api-key', 'browser'"),
    "terminal": (["login", "default", "browser"], 1, "needs a terminal"),
    "delete-pattern": (["sessions", "delete", "*"], 2, "--yes erases what is meant: 3 sessions"),
}


@pytest.mark.parametrize(("words", "code", "said"), FAILING.values(), ids=FAILING)
def test_what_goes_wrong_is_told(served: Served, words: list[str], code: int, said: str) -> None:
    done = anyclawctl(served, *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert served.control.conversations.calls == []


def test_a_fork_that_an_agent_does_not_offer_is_said(served: Served) -> None:
    served.control.conversations.can_fork = False
    done = anyclawctl(served, "sessions", "fork", LIVE)
    assert done.returncode == 1
    assert done.stderr == "anyclawctl: agent 'default' does not offer to fork a conversation\n"


def test_sessions_are_a_line_each(served: Served) -> None:
    lines = anyclawctl(served, "sessions").stdout.splitlines()
    assert [line.split() for line in lines[:2]] == [
        ["SESSION", "AGENT", "STATE", "QUEUED", "IDLE", "TITLE"],
        [LIVE, "default", "idle", "1", "12.5s", "swallows"],
    ]
    assert lines[-1] == "3 sessions"


def test_without_sessions_that_is_said(served: Served) -> None:
    served.control.conversations.rows.clear()
    assert anyclawctl(served, "sessions").stdout == "no sessions\n"


def test_what_an_agent_keeps_is_a_line_each(served: Served) -> None:
    lines = anyclawctl(served, "sessions", "agent", "default").stdout.splitlines()
    at = datetime.fromisoformat(SAID_AT).astimezone()
    assert [line.split() for line in lines] == [
        ["ID", "AGENT", "SESSION", "UPDATED", "TITLE"],
        ["acp-1", "default", LIVE, str(at.date()), f"{at:%H:%M:%S}", "swallows"],
        ["by-hand", "default", "-", "-", "swallows"],
        [],
        ["2", "sessions"],
    ]


def test_what_an_agent_says_of_its_sessions_cannot_steer_the_terminal(served: Served) -> None:
    odd = "\x1b[2Jgone"
    served.control.conversations.kept["sessions"] = [kept_row(odd, title=odd, updated_at=odd)]
    done = anyclawctl(served, "sessions", "agent", "default")
    assert ("\x1b" in done.stdout, done.stdout.count(r"\x1b[2Jgone")) == (False, 3)


ENDS = {
    "all": ({"sessions": [], "complete": True}, "no sessions"),
    "some": (
        {"sessions": [kept_row("a")], "complete": False},
        "1 session; the agent says that there are more",
    ),
}


@pytest.mark.parametrize(("kept", "said"), ENDS.values(), ids=ENDS)
def test_a_list_that_was_cut_off_says_so(served: Served, kept: Json, said: str) -> None:
    served.control.conversations.kept = kept
    done = anyclawctl(served, "sessions", "agent", "default")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, said)


def test_an_agent_that_lists_no_sessions_is_said(served: Served) -> None:
    served.control.conversations.can_list = False
    done = anyclawctl(served, "sessions", "agent", "default")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "anyclawctl: default.agent does not offer session/list\n"


def test_show_tells_choices_conversations_and_messages(served: Served) -> None:
    said = anyclawctl(served, "sessions", "show", "debug-http:*").stdout
    assert "     Model: Small (or Large)" in said
    assert "2 (current)   default.agent" in said
    assert "m2       queued" in said


def test_a_title_cannot_steer_the_terminal(served: Served) -> None:
    served.control.conversations.rows[LIVE]["title"] = "\x1b[2Jgone"
    for words in (["sessions"], ["sessions", "show", LIVE]):
        done = anyclawctl(served, *words)
        assert ("\x1b" in done.stdout, r"\x1b[2Jgone" in done.stdout) == (False, True)


def test_history_is_what_was_said(served: Served) -> None:
    done = anyclawctl(served, "sessions", "history", "-n", "1", LIVE)
    assert done.stdout.splitlines()[-2:] == [f"> {ASKED}", ANSWERED]
    assert "hello" not in done.stdout


def test_cancelling_tells_whether_there_was_a_turn(served: Served) -> None:
    served.control.conversations.rows[OWN]["state"] = "prompting"
    done = anyclawctl(served, "sessions", "cancel", LIVE, OWN)
    assert done.stdout == f"no turn runs in {LIVE}\ncancelled the turn in {OWN}\n"


@pytest.mark.parametrize("verb", ["cancel", "delete"])
def test_one_that_is_unknown_holds_up_no_other(served: Served, verb: str) -> None:
    done = anyclawctl(served, "sessions", verb, "no:such:one", LIVE)
    assert (done.returncode, LIVE in done.stdout) == (4, True)
    assert done.stderr.startswith("anyclawctl: no session 'no:such:one'")
    assert done.stderr.count("\n") == 1


def test_closing_tells_what_rests_already(served: Served) -> None:
    done = anyclawctl(served, "sessions", "close", LIVE, RESTING)
    assert done.stdout == f"closed {LIVE}\n{RESTING} rests already\n"


def test_an_export_is_private_and_overwrites_nothing(served: Served, tmp_path: Path) -> None:
    target = tmp_path / "talk.json"
    words = ["sessions", "export", LIVE, "-o", str(target)]
    assert anyclawctl(served, *words).returncode == 0
    assert json.loads(target.read_text("utf-8"))["turns"][1]["answer"] == ANSWERED
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    target.write_text("mine")
    refused = anyclawctl(served, *words)
    assert (refused.returncode, target.read_text("utf-8")) == (1, "mine")
    assert refused.stderr == f"anyclawctl: '{target}' exists; --force replaces it\n"
    assert anyclawctl(served, *words, "--force").returncode == 0
    assert json.loads(target.read_text("utf-8"))["session"] == LIVE
    assert [path.name for path in tmp_path.glob("*talk*")] == ["talk.json"]


def test_an_export_is_a_document_too(served: Served) -> None:
    done = anyclawctl(served, "sessions", "export", "--format", "md", LIVE)
    assert done.stdout.startswith(f"# {LIVE}\n\n## Conversation 1\n")
    assert (
        f"\n## Conversation 2: swallows\n\n*2026-01-02T03:04:05.678Z*\n\n> {ASKED}\n\n{ANSWERED}\n"
        in done.stdout
    )


def test_an_export_into_a_directory_that_is_not_there_says_so(
    served: Served, tmp_path: Path
) -> None:
    target = str(tmp_path / "nowhere" / "talk.json")
    done = anyclawctl(served, "sessions", "export", LIVE, "-o", target)
    assert (done.returncode, done.stderr) == (
        1,
        f"anyclawctl: cannot write '{target}': No such file or directory\n",
    )


@pytest.mark.parametrize(
    ("typed", "code", "is_kept"), [("y\n", 0, False), ("\n", 1, True), ("n\n", 1, True)]
)
def test_erasing_is_asked_about_on_a_terminal(
    served: Served, typed: str, code: int, is_kept: bool
) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "anyclawd.cli.main", "sessions", "delete", "-s"]
    command += [str(served.path), RESTING]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(command, env=environ, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        assert "Erase it? [y/N] " in read_until(ours, "[y/N] ")
        os.write(ours, typed.encode())
        assert waited(process) == code
    finally:
        os.close(ours)
    assert (RESTING in served.control.conversations.rows) is is_kept


def read_until(descriptor: int, text: str) -> str:
    found = ""
    while text not in found:
        assert select.select([descriptor], [], [], 60)[0], f"only {found!r} was printed"
        found += os.read(descriptor, 4096).decode()
    return found


def test_erasing_tells_what_is_gone(served: Served) -> None:
    done = anyclawctl(served, "sessions", "delete", LIVE, RESTING)
    assert done.stdout == "".join(
        f"erased {key}: 2 conversations, 2 messages, 2 turns\n" for key in (LIVE, RESTING)
    )
    assert list(served.control.conversations.rows) == [OWN]


def test_an_agent_that_keeps_its_own_record_is_told(served: Served) -> None:
    served.control.conversations.refusals = ["default.agent: not now"]
    done = anyclawctl(served, "sessions", "delete", LIVE)
    assert done.returncode == 1
    assert done.stderr == "anyclawctl: not erased by its agent: default.agent: not now\n"


@pytest.mark.parametrize(
    "words",
    [["sessions", "history", "-f", "-n", "0", LIVE], ["send", "-f", "--session", LIVE, "hi"]],
    ids=["history", "send"],
)
def test_a_chat_is_followed_until_ctrl_c(served: Served, words: list[str]) -> None:
    """Answers that were streamed are not repeated by their result; those that were not are told."""
    command = [sys.executable, "-m", "anyclawd.cli.main", *words, "-s", str(served.path)]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        chat = served.control.conversations.shown
        served.wait_until(lambda: len(chat) == 1)
        for event in (shown("one "), shown("two"), RESULT, RESULT):
            served.call(partial(chat.publish_nowait, event))
        told = []
        while b"whole\n" not in told:
            told.append(process.stdout.readline())
            assert told[-1], f"it ended after {told}"
        assert told[-2:] == [b"one two\n", b"whole\n"]
        process.send_signal(signal.SIGINT)
        assert waited(process) == 130
    served.wait_until(lambda: len(chat) == 0)


def test_questions_to_others_are_shown_and_left_to_them(served: Served) -> None:
    """Who follows a chat after the answer reads what is asked there, and is asked nothing."""
    command = [sys.executable, "-m", "anyclawd.cli.main", "send", "-f", "--session", LIVE, "hi"]
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "ANYCLAWD_SOCKET": str(served.path),
    }
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, env=environ, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        chat = served.control.conversations.shown
        served.wait_until(lambda: len(chat) == 1)
        asked = {"type": "permission", "requestId": "p2", "description": "rm -r", "options": []}
        for event in (asked, shown("it went on"), RESULT):
            served.call(partial(chat.publish_nowait, event))
        told = read_until(ours, "it went on")
        assert ("permission: rm -r" in told, "1-" in told) == (True, False)
        process.send_signal(signal.SIGINT)
        assert waited(process) == 130
    finally:
        os.close(ours)


def test_sending_into_a_session_prints_the_answer(served: Served) -> None:
    done = anyclawctl(served, "send", "--session", LIVE, "-", stdin="hello\n")
    assert (done.returncode, done.stdout) == (0, "Echo: hello\n")
    [message] = served.control.messages
    assert (message.session, message.channel, message.peer) == (LIVE, "", "")


def test_each_nested_verb_has_help() -> None:
    for words in (["sessions", "history"], ["pair", "approve"]):
        done = run([*words, "--help"], {})
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"usage: anyclawctl {' '.join(words)}")


def test_status_tells_of_chats_and_of_a_store_that_cannot_write(served: Served) -> None:
    line = "   sessions: 2 live, 1 resting; messages: 1 queued, 0 running; answers under way: 1\n"
    assert line in anyclawctl(served, "status").stdout
    served.control.store_reason = "no space left on device"
    assert "      store: no space left on device\n" in anyclawctl(served, "status").stdout

"""Files and terminals: served where the configuration says so, within the workspace."""

import json
import sys
from pathlib import Path

import pytest

from anyclawd.model.value import Json
from tests.fakes.daemon import Deadline, wait_dead
from tests.fakes.puppet import Stage
from tests.fakes.talk import Talk, misbehaving, official, talking


def request(method: str, **params: Json) -> str:
    return f"request {method} {json.dumps(params)}"


def answers(talk: Talk, *steps: str) -> list[Json]:
    """What each request of a turn was answered with; of an error its code in words."""
    said = talk.chat().ask("do " + "; ".join(steps))
    return [text if text.startswith("error") else json.loads(text) for text in said]


def workspace(directory: Path) -> Json:
    """The settings of an agent whose workspace is `directory / "work"`."""
    (directory / "work").mkdir()
    return {"working_dir": str(directory / "work")}


FILE_METHODS = ("fs/read_text_file", "fs/write_text_file")
TERMINAL_METHODS = (
    "terminal/create",
    "terminal/output",
    "terminal/wait_for_exit",
    "terminal/kill",
    "terminal/release",
)


@pytest.mark.parametrize("method", [*FILE_METHODS, *TERMINAL_METHODS])
def test_what_is_not_advertised_is_not_served(plain: Talk, method: str) -> None:
    assert answers(plain, request(method, path="/etc/hostname")) == ["error -32601"]


# -- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "reads", "writes"),
    [
        (True, True, True),
        ({"read": True}, True, False),
        ({"write": True}, False, True),
    ],
    ids=["both", "read", "write"],
)
def test_each_of_the_methods_is_advertised_where_it_is_served(
    tmp_path: Path, theatre: Stage, setting: Json, reads: bool, writes: bool
) -> None:
    agent = misbehaving(tmp_path, {}, fs=setting, **workspace(tmp_path))
    (tmp_path / "work" / "f").write_text("found")
    with talking(tmp_path, theatre, agent) as talk:
        [params] = talk.wait_sent("initialize")
        can = params["clientCapabilities"]["fs"]
        assert can == {"readTextFile": reads, "writeTextFile": writes}
        path = str(tmp_path / "work" / "f")
        got = answers(
            talk,
            request("fs/read_text_file", path=path),
            request("fs/write_text_file", path=path, content="x"),
        )
        assert (got[0] != "error -32601", got[1] != "error -32601") == (reads, writes)


def test_lines_of_a_file_are_read(tmp_path: Path, theatre: Stage) -> None:
    agent = misbehaving(tmp_path, {}, fs=True, **workspace(tmp_path))
    path = tmp_path / "work" / "poem"
    path.write_text("one\ntwo\nthree\nfour\n")
    with talking(tmp_path, theatre, agent) as talk:
        ranges: list[Json] = [{}, {"line": 2}, {"limit": 1}, {"line": 2, "limit": 2}, {"line": 9}]
        found = answers(
            talk, *(request("fs/read_text_file", path=str(path), **one) for one in ranges)
        )
        texts = [answer["content"].splitlines() for answer in found]
        assert texts == [
            ["one", "two", "three", "four"],
            ["two", "three", "four"],
            ["one"],
            ["two", "three"],
            [],
        ]


def test_a_file_is_made_and_written_anew(tmp_path: Path, theatre: Stage) -> None:
    agent = misbehaving(tmp_path, {}, fs=True, **workspace(tmp_path))
    path = tmp_path / "work" / "new"
    with talking(tmp_path, theatre, agent) as talk:
        for content in ("a long first version", "short"):
            answers(talk, request("fs/write_text_file", path=str(path), content=content))
            assert path.read_text() == content


def test_no_way_leads_out_of_the_workspace(tmp_path: Path, theatre: Stage) -> None:
    """Neither a path from elsewhere, nor dots, nor a link to a file or to a directory."""
    agent = misbehaving(tmp_path, {}, fs=True, **workspace(tmp_path))
    work, secret = tmp_path / "work", tmp_path / "secret"
    secret.write_text("nobody's business")
    (work / "inner").mkdir()
    (work / "link").symlink_to(secret)
    (work / "out").symlink_to(tmp_path)
    (work / "dangling").symlink_to(tmp_path / "made")
    ways = [
        str(secret),
        f"{work}/../secret",
        f"{work}/inner/../../secret",
        f"{work}/link",
        f"{work}/out/secret",
        f"{work}/dangling",
        f"{work}/out/made",
        f"/proc/self/root{secret}",
        "../secret",
        "",
    ]
    with talking(tmp_path, theatre, agent) as talk:
        read = answers(talk, *(request("fs/read_text_file", path=way) for way in ways))
        wrote = answers(
            talk, *(request("fs/write_text_file", path=way, content="x") for way in ways)
        )
        taken = [
            way
            for way, *found in zip(ways, read, wrote, strict=True)
            if not all(str(answer).startswith("error") for answer in found)
        ]
        assert taken == []
        assert secret.read_text() == "nobody's business"
        assert not (tmp_path / "made").exists()


def test_the_official_sdk_uses_files(tmp_path: Path, theatre: Stage) -> None:
    agent = official(tmp_path, fs=True, **workspace(tmp_path))
    with talking(tmp_path, theatre, agent) as talk:
        assert [text.strip() for text in talk.chat().ask("do use files")] == ["two"]


# -- terminals ------------------------------------------------------------------------------------


def test_a_command_runs_in_the_workspace_to_its_end(tmp_path: Path, theatre: Stage) -> None:
    """Its output stays until it is released; its id dies with that."""
    agent = misbehaving(tmp_path, {}, terminal=True, **workspace(tmp_path))
    with talking(tmp_path, theatre, agent) as talk:
        assert talk.wait_sent("initialize")[0]["clientCapabilities"]["terminal"] is True
        said = talk.chat().ask("do terminal pwd && echo wrong >&2 && exit 3")
        ended, shown, released = map(json.loads, said[:3])
        assert ended["exitCode"] == 3
        assert shown["output"] == f"{tmp_path}/work\nwrong\n"
        assert (shown["truncated"], shown["exitStatus"]["exitCode"]) == (False, 3)
        assert not released
        assert said[3].startswith("error")


def test_the_official_sdk_uses_terminals(tmp_path: Path, theatre: Stage) -> None:
    agent = official(tmp_path, terminal=True, **workspace(tmp_path))
    with talking(tmp_path, theatre, agent) as talk:
        assert [text.strip() for text in talk.chat().ask("do use a terminal")] == ["0 hello"]
        [said] = talk.chat().ask("do kill a terminal")
        assert said in ("SIGKILL", "SIGTERM")


def test_output_is_cut_from_the_front_between_characters(tmp_path: Path, theatre: Stage) -> None:
    agent = misbehaving(tmp_path, {}, terminal=True, **workspace(tmp_path))
    with talking(tmp_path, theatre, agent) as talk:
        create = request(
            "terminal/create",
            command="/bin/sh",
            args=["-c", "printf 'aéé€€'"],
            outputByteLimit=7,
        )
        [made] = answers(talk, create)
        which = {"terminalId": made["terminalId"]}
        _, shown = answers(
            talk, request("terminal/wait_for_exit", **which), request("terminal/output", **which)
        )
        assert (shown["output"], shown["truncated"]) == ("€€", True)


def test_a_release_ends_what_runs(tmp_path: Path, theatre: Stage) -> None:
    agent = misbehaving(tmp_path, {}, terminal=True, **workspace(tmp_path))
    with talking(tmp_path, theatre, agent) as talk:
        pid = sleeper(talk, tmp_path)
        answers(talk, request("terminal/release", terminalId=terminal_of(talk)))
        wait_dead(pid)


def test_a_terminal_ends_with_its_agent(tmp_path: Path, theatre: Stage) -> None:
    """It is a process of the agent's unit."""
    agent = misbehaving(tmp_path, {}, terminal=True, **workspace(tmp_path))
    with talking(tmp_path, theatre, agent) as talk:
        pid = sleeper(talk, tmp_path)
        assert talk.daemon.descendants()[pid] == "default.agent"
        talk.daemon.job("stop", "default.agent")
        wait_dead(pid)


#: Says who it is in the program that stays: amid an exec, a process has no environment to be seen.
SLEEPER = """
import os, signal
with open({path!r} + ".new", "w") as file:
    file.write(str(os.getpid()))
os.rename(file.name, {path!r})
signal.pause()
"""


def sleeper(talk: Talk, directory: Path) -> int:
    """The pid of a command that runs in a terminal until it is ended."""
    path, deadline = directory / "pid", Deadline()
    args = ["-SEc", SLEEPER.format(path=str(path))]
    answers(talk, request("terminal/create", command=sys.executable, args=args))
    while not path.exists():
        deadline.left("the command to begin")
        talk.daemon.status()
    return int(path.read_text())


def terminal_of(talk: Talk) -> str:
    """The id of the terminal that was made last."""
    made = [
        line.frame["result"]["terminalId"]
        for line in talk.transcript()
        if line.side == "client" and "terminalId" in (line.frame.get("result") or {})
    ]
    return str(made[-1])

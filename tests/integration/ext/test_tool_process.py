"""A tool as a process: what it writes, and how it ends."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from anyclaw_sdk.types import Json, Message
from tests.integration.ext.supervisor import WAIT_S

PROGRAM = """
import os, subprocess, sys, threading, time
from anyclaw_sdk.tool import Call, ToolServer, run_tools, tool

ToolServer.eof_grace_s = 0.1

@tool
def chatter() -> str:
    print("one line on stdout")
    os.write(1, b"another\\n")
    subprocess.run(["sh", "-c", "echo a third; cat"], check=True)
    return "done"

@tool
def hang(call: Call) -> str:
    print("hanging", file=sys.stderr, flush=True)
    threading.Event().wait()

run_tools(chatter, hang)
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    path = tmp_path / "tools.py"
    path.write_text(PROGRAM)
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-W", "error", path], stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        yield process
        process.kill()


def send(process: "subprocess.Popen[bytes]", **message: Json) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()


def read(process: "subprocess.Popen[bytes]") -> Message:
    assert process.stdout is not None
    frame: Message = json.loads(process.stdout.readline())
    return frame


def test_stdout_is_protected_noise_is_skipped_and_the_end_of_stdin_is_the_end(
    program: "subprocess.Popen[bytes]",
) -> None:
    assert program.stdin is not None
    assert program.stderr is not None
    program.stdin.write(b"not JSON\n[1]\n\n")
    send(program, id=1, method="initialize", params={})
    assert read(program)["id"] == 1
    send(program, id=2, method="tools/call", params={"name": "chatter"})
    assert read(program)["result"] == {"content": [{"type": "text", "text": "done"}]}
    send(program, id=3, method="tools/call", params={"name": "hang"})
    told = b""
    while b"hanging" not in told:
        told += program.stderr.readline()
    assert b"skipped a line of 8 bytes" in told
    program.stdin.close()  # a thread that never ends keeps nobody waiting
    assert read(program)["error"]["message"] == "the request was cancelled"
    assert program.wait(WAIT_S) == 0
    told += program.stderr.read()
    assert [
        line for line in (b"one line on stdout", b"another", b"a third") if line not in told
    ] == []


def test_sigterm_ends_a_tool_in_peace(program: "subprocess.Popen[bytes]") -> None:
    send(program, id=1, method="initialize", params={})
    read(program)
    program.send_signal(signal.SIGTERM)
    assert program.wait(WAIT_S) == 0

"""The check of an extension: what it is given, what becomes of what it says."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from anyclaw_sdk.channel import Channel
from anyclaw_sdk.check import CheckFinding, CheckRequest, is_check_asked
from anyclaw_sdk.service import Service
from anyclaw_sdk.testing import ChannelTester, ServiceTester, ToolTester
from anyclaw_sdk.tool import ToolServer
from anyclaw_sdk.types import INVALID_PARAMS, Message, RpcError

Value = TypeVar("Value")


def run(awaitable: Coroutine[None, None, Value]) -> Value:
    async def bounded() -> Value:
        async with asyncio.timeout(60):
            return await awaitable

    return asyncio.run(bounded())


class Told:
    """Says what it was given."""

    def defaults(self) -> Message:
        return {"port": 0, "host": "here"}

    async def check(self, request: CheckRequest) -> Sequence[CheckFinding]:
        if request.options.get("refuse"):
            raise RpcError(INVALID_PARAMS, "option refuse: set")
        place = f"{request.options.get('host')}:{request.options.get('port')}"
        return [
            CheckFinding.ok(place),
            CheckFinding.note(f"running {request.is_running}", "wait"),
            CheckFinding.warning(f"workspaces {[*request.workspaces]}"),
            CheckFinding.error(request.unit, "go"),
        ]


class Board(Told, Channel):
    """A channel."""


class Shelf(Told, Service):
    """A service."""


class Bench(Told, ToolServer):
    """A program of tools."""


def test_a_channel_is_given_its_options_over_its_defaults() -> None:
    assert run(ChannelTester(Board()).check({"port": 7}, is_running=True)) == [
        CheckFinding("ok", "here:7"),
        CheckFinding("note", "running True", "wait"),
        CheckFinding("warning", "workspaces []"),
        CheckFinding("error", "test", "go"),
    ]


def test_a_service_is_checked_likewise() -> None:
    assert run(ServiceTester(Shelf()).check({"host": "there"}))[0].text == "there:0"


def test_a_tool_is_told_the_workspaces_of_its_agents_and_has_no_defaults() -> None:
    found = run(ToolTester(Bench(), options={"port": 1}, workspace="/srv").check())
    assert [one.text for one in found[:3:2]] == ["None:1", "workspaces ['/srv']"]


def test_options_that_are_refused_are_a_finding() -> None:
    remedy = "correct the options of the unit"
    refused = [CheckFinding.error("option refuse: set", remedy)]
    assert run(ChannelTester(Board()).check({"refuse": True})) == refused


def test_without_a_check_of_its_own_nothing_is_said() -> None:
    assert run(ServiceTester(Service()).check()) == []


def test_a_severity_that_there_is_not_is_a_fault_of_the_check() -> None:
    with pytest.raises(ValueError, match="expected one of ok, note, warning, error"):
        CheckFinding("fatal", "all is lost").to_wire()


@pytest.mark.parametrize(
    ("arguments", "asks"),
    [([], False), (["--check"], True), (["-v", "--check"], True), (["--check", "-v"], False)],
)
def test_the_last_word_asks_for_a_check(arguments: list[str], asks: bool) -> None:
    assert is_check_asked(arguments) is asks


PROGRAM = """
import sys, threading, time
from anyclaw_sdk.check import CheckFinding
from anyclaw_sdk.{module} import {base}, {run}
class It({base}):
    async def check(self, request):
        print("a stray word")
        threading.Thread(target=threading.Event().wait).start()
        if request.options.get("fail"):
            raise KeyError("fail")
        return [CheckFinding.ok(request.unit)]
{run}(It())
"""
KINDS = [
    ("channel", "Channel", "run"),
    ("service", "Service", "run_service"),
    ("tool", "ToolServer", "run_server"),
]


@pytest.mark.parametrize(("module", "base", "run"), KINDS)
def test_a_program_says_what_it_finds_and_ends(
    module: str, base: str, run: str, tmp_path: Path
) -> None:
    """Whatever it prints beside, and whatever threads it has left; the wire's end is open."""
    program = tmp_path / "it.py"
    program.write_text(PROGRAM.format(module=module, base=base, run=run))
    with subprocess.Popen(
        [sys.executable, str(program), "--check"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b'{"options": {}, "unit": "it", "more": 1}\n')
        process.stdin.flush()
        assert process.stdout is not None
        assert json.loads(process.stdout.read()) == {"severity": "ok", "text": "it"}
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b"a stray word\n"

"""A hook of the SDK as a real process, spoken to line by line."""

import re
import signal
from pathlib import Path

import pytest

from anyclaw_sdk.types import Json, Message
from tests.integration.ext.supervisor import ROOT, Supervisor

SLOW = """
import asyncio

from anyclaw_sdk.agent import Hook, run_hook
from anyclaw_sdk.hook import HookPrompt, Pass, PromptVerdict


class Slow(Hook):
    async def on_prompt(self, prompt: HookPrompt) -> PromptVerdict:
        print("between two frames")
        if prompt.text == "wait":
            await asyncio.Event().wait()
        return Pass()


run_hook(Slow())
"""


@pytest.fixture
def guard(tmp_path: Path) -> str:
    """The program of the guide."""
    page = (ROOT / "docs/how-to/write-a-hook.md").read_text()
    [code, *_] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "guard.py").write_text(code)
    return str(tmp_path / "guard.py")


def prompt(text: str) -> Message:
    blocks = [{"type": "text", "text": text}]
    return {"session": "web:direct:ann", "agent": "a", "acpSessionId": "s", "prompt": blocks}


def result_of(answer: Message) -> Json:
    return answer["result"]


def test_it_answers_and_ends_with_its_stdin(guard: str) -> None:
    with Supervisor(guard) as hook:
        told = hook.call(1, "initialize", {"namespace": "n", "options": {}})
        assert result_of(told) == {"events": ["prompt", "update", "permission"]}
        pong = hook.call(2, "hook/prompt", prompt("ping"))
        assert result_of(pong) == {"action": "answer", "text": "pong"}
        assert result_of(hook.call("x", "hook/prompt", prompt("hello"))) == {"action": "pass"}
        assert result_of(hook.call(3, "health", {})) == {"status": "healthy"}
        assert hook.call(4, "hook/other", {})["error"]["code"] == -32601
        assert result_of(hook.call(5, "shutdown", {})) == {}
        assert hook.close() == 0


def test_a_signal_ends_it_in_order(guard: str) -> None:
    with Supervisor(guard) as hook:
        hook.call(1, "initialize", {"options": {}})
        hook.call(2, "health", {})  # its loop stands, and with it the handler
        hook.process.send_signal(signal.SIGTERM)
        assert hook.wait() == 0


def test_a_question_can_be_taken_back_and_prints_reach_no_frame(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    with Supervisor(str(tmp_path / "slow.py")) as hook:
        assert result_of(hook.call(1, "initialize", {})) == {"events": ["prompt"]}
        hook.request(2, "hook/prompt", prompt("wait"))
        assert result_of(hook.call(3, "hook/prompt", prompt("quick"))) == {"action": "pass"}
        hook.notify("$/cancel_request", {"requestId": 2})
        taken_back = hook.receive(lambda message: message["id"] == 2)
        assert taken_back["error"]["code"] == -32800
        assert hook.noise == []

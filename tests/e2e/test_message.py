"""A message on its way from a channel through an agent and back, with the shipped extensions."""

from pathlib import Path

import pytest

from tests.fakes.daemon import Chat, debug_http, mock, running, system, until

THOUGHTS = [("thought", "Analyzing your message..."), ("thought", "Formulating response...")]


def test_thoughts_precede_chunks_precede_the_result(tmp_path: Path) -> None:
    config = system({"default": mock(thinking=True)}, {"debug-http": debug_http()})
    with running(tmp_path, config) as daemon, daemon.chat().listening() as events:
        daemon.chat().say("hello")
        found = [*until(events, ("", "Echo: hello")), *until(events, ("", "Echo: hello"))]
        told = [event for event in found if event[0] in ("thought", "")]
        assert told == [*THOUGHTS, ("", "Echo: hello"), ("", "Echo: hello")]


def test_a_long_text_passes_untouched(tmp_path: Path) -> None:
    text = "x" * 2000 + "ü€\U0001f642"
    with running(tmp_path, system({"default": mock()}, {"debug-http": debug_http()})) as daemon:
        assert daemon.chat().converse(text, f"Echo: {text}")[-1] == ("", f"Echo: {text}")


def test_options_reach_agent_and_channel(tmp_path: Path) -> None:
    """`echo_prefix` in the agent's handshake, `api_key` in the channel's."""
    config = system({"default": mock(echo_prefix="Hi")}, {"debug-http": debug_http(api_key="k")})
    with running(tmp_path, config) as daemon:
        port = daemon.port_of()
        assert Chat(port).ask("POST", "/message", {"message": "a"})[0] == 401
        assert Chat(port, "k").converse("a", "Hi: a")[-1] == ("", "Hi: a")


@pytest.mark.parametrize("argument", ["hello", "-"])
def test_send_prints_the_answer(tmp_path: Path, argument: str) -> None:
    with running(tmp_path, system({"default": mock()})) as daemon:
        done = daemon.ctl("send", argument, stdin="hello\n")
        assert (done.returncode, done.stdout, done.stderr) == (0, "Echo: hello\n", "")

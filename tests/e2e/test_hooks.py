"""Hooks of a real daemon: real processes between a chat and its agent."""

import os
import re
import signal
from pathlib import Path

from anyclawd.model.value import Json
from tests.fakes.daemon import WAIT_S, contained, running, system, write_config
from tests.fakes.puppet import AgentPuppet, ChannelPuppet, HookPuppet, Stage

GUIDE = Path(__file__).parents[2] / "docs/how-to/write-a-hook.md"


def between(theatre: Stage, hook: Json, *uses: Json) -> Json:
    """A chat, its agent, and a hook between them, used as it is said.

    Where nothing else is said of it a question waits for its answer for as long as a test does.
    """
    hooks = [{"name": "guard", "timeout": WAIT_S, **use} for use in uses or ({},)]
    return system(
        {"default": theatre.agent("a", hooks=hooks)},
        {"web": theatre.channel("w")},
        services_manager={"services": {"guard": hook}},
    )


def accept(theatre: Stage) -> tuple[HookPuppet, AgentPuppet, ChannelPuppet]:
    return theatre.accept_hook("h"), theatre.accept_agent("a"), theatre.accept_channel("w")


def chunk(text: str) -> Json:
    content = {"type": "text", "text": text}
    return {"sessionUpdate": "agent_message_chunk", "content": content}


def test_a_hook_changes_what_is_said_both_ways(tmp_path: Path, theatre: Stage) -> None:
    with running(tmp_path, between(theatre, theatre.hook("h"))) as daemon:
        hook, agent, channel = accept(theatre)
        assert daemon.units()["guard.service"]["active"] == "active"
        channel.message("hello")
        agent.open()
        told = hook.decide("prompt", "change", prompt=[{"type": "text", "text": "HELLO"}])
        assert (told["session"], told["agent"]) == ("web:direct:ann", "default")
        request, asked = agent.prompted()
        assert asked == "HELLO"
        for text in ("Hi", "it is secret", "bye"):
            agent.chunk(text)
        agent.done(request)
        hook.decide("update")
        hook.decide("update", "change", update=chunk("it is ***"))
        hook.decide("update", "drop")
        assert channel.turn() == [
            ("agent_message_chunk", "Hi"),
            ("agent_message_chunk", "it is ***"),
            ("result", "end_turn"),
        ]


def test_a_hook_refuses_and_answers_in_the_agent_s_place(tmp_path: Path, theatre: Stage) -> None:
    with running(tmp_path, between(theatre, theatre.hook("h", "prompt"))):
        hook, agent, channel = accept(theatre)
        channel.message("may I?")
        agent.open()
        hook.decide("prompt", "refuse", reason="you may not")
        assert channel.turn() == [("result", "you may not")]
        channel.message("what time is it?")
        hook.decide("prompt", "answer", text="noon")
        assert channel.turn() == [("agent_message_chunk", "noon"), ("result", "end_turn")]
        channel.message("and now?")
        hook.decide("prompt")
        assert agent.reply("later") == "and now?"
        assert channel.turn()[0] == ("agent_message_chunk", "later")


def test_a_hook_answers_a_permission(tmp_path: Path, theatre: Stage) -> None:
    with running(tmp_path, between(theatre, theatre.hook("h", "permission"))):
        hook, agent, channel = accept(theatre)
        channel.message("do it")
        agent.open()
        request, _ = agent.prompted()
        agent.ask(900)
        asked = hook.decide("permission", "select", optionId="no")["request"]
        assert asked["toolCall"]["title"] == "Do it?"
        outcome = agent.expect_answer(900)["result"]["outcome"]
        assert outcome == {"outcome": "selected", "optionId": "no"}
        agent.ask(901)
        hook.decide("permission")
        prompt = channel.expect("channel/requestPermission")
        channel.answer(prompt, {"requestId": "901", "optionId": "yes"})
        outcome = agent.expect_answer(901)["result"]["outcome"]
        assert outcome == {"outcome": "selected", "optionId": "yes"}
        agent.done(request)


#: A question that it dies over, or that it never answers: how fast it is decides nothing.
DEAD, MUTE = "is not running", "did not answer within 0.05 seconds"


def test_a_turn_goes_on_without_a_hook_that_dies(tmp_path: Path, theatre: Stage) -> None:
    """Amid a turn: what the hook had been asked about, and what comes after it, is shown."""
    dying = theatre.hook("h", backoff={"initial": "1h", "max": "1h"})  # nobody takes its place
    with running(tmp_path, between(theatre, dying, {"on_failure": "skip"})):
        hook, agent, channel = accept(theatre)
        channel.message("hello")
        agent.open()
        hook.decide("prompt")
        request, _ = agent.prompted()
        agent.chunk("one ")
        hook.decide("update")
        agent.chunk("two ")
        hook.expect("hook/update")
        hook.kill()
        agent.chunk("three")
        agent.done(request)
        assert channel.turn() == said("one ", "two ", "three")


def test_a_turn_goes_on_without_a_hook_that_hangs(tmp_path: Path, theatre: Stage) -> None:
    use = {"on_failure": "skip", "timeout": "50ms"}
    with running(tmp_path, between(theatre, theatre.hook("h", "update"), use)):
        hook, agent, channel = accept(theatre)
        channel.message("hello")
        agent.open()
        request, _ = agent.prompted()
        for text in ("one ", "two ", "three"):
            agent.chunk(text)
        hook.expect("hook/update")
        agent.done(request)
        assert channel.turn() == said("one ", "two ", "three")


def test_what_a_dead_hook_cannot_look_at_is_left_out(tmp_path: Path, theatre: Stage) -> None:
    """It is said to be; the successor is asked about the next prompt."""
    with running(tmp_path, between(theatre, theatre.hook("h"))) as daemon:
        hook, agent, channel = accept(theatre)
        pid = hook.pid
        channel.message("hello")
        agent.open()
        hook.decide("prompt")
        request, _ = agent.prompted()
        agent.chunk("one ")
        hook.decide("update")
        agent.chunk("two ")
        hook.expect("hook/update")
        hook.kill()
        agent.done(request)
        assert channel.turn() == said("one ", left_out(DEAD))
        hook = theatre.accept_hook("h")
        daemon.wait_restarted("guard.service", pid)
        channel.message("once more")
        asked = hook.expect("hook/prompt")["params"]["prompt"]
        assert [block["text"] for block in asked] == ["once more"]
        channel.message("/cancel")
        assert channel.shown() == ("agent_message_chunk", "Operation cancelled.")
        assert channel.turn() == [("result", "cancelled")]


def test_what_a_hanging_hook_does_not_look_at_is_left_out(tmp_path: Path, theatre: Stage) -> None:
    config = between(theatre, theatre.hook("h", "update"), {"timeout": "50ms"})
    with running(tmp_path, config):
        hook, agent, channel = accept(theatre)
        channel.message("hello")
        agent.open()
        request, _ = agent.prompted()
        agent.chunk("one ")
        hook.expect("hook/update")
        agent.done(request)
        assert channel.turn() == said(left_out(MUTE))


def test_a_prompt_is_refused_where_a_hook_hangs(tmp_path: Path, theatre: Stage) -> None:
    """A process that stands still; when it goes on, it is asked about the next prompt."""
    config = between(theatre, theatre.hook("h", "prompt"), {"timeout": "50ms"})
    with running(tmp_path, config):
        hook, agent, channel = accept(theatre)
        os.kill(hook.pid, signal.SIGSTOP)
        channel.message("hello")
        agent.open()
        refusal = [("result", f"Message not passed on: hook guard {MUTE}")]
        assert channel.turn() == refusal
        os.kill(hook.pid, signal.SIGCONT)
        channel.message("once more")
        asked = [hook.expect("hook/prompt")["params"]["prompt"] for _ in range(2)]
        assert [block["text"] for [block] in asked] == ["hello", "once more"]
        assert channel.turn() == refusal


def said(*texts: str) -> list[tuple[str, str]]:
    """A turn in which the agent says these."""
    return [*(("agent_message_chunk", text) for text in texts), ("result", "end_turn")]


def left_out(why: str) -> str:
    return f"[Part of this was left out: hook guard {why}.]"


def test_a_reload_takes_a_hook_away(tmp_path: Path, theatre: Stage) -> None:
    config = between(theatre, theatre.hook("h"))
    with running(tmp_path, config) as daemon:
        hook, agent, channel = accept(theatre)
        channel.message("hello")
        agent.open()
        hook.decide("prompt", "refuse", reason="not yet")
        assert channel.turn() == [("result", "not yet")]
        del config["agents_manager"]["agents"]["default"]["hooks"]
        without = config | {"services_manager": {"services": {}}}
        write_config(daemon.config, contained(without))
        done = daemon.ctl("reload")
        assert done.returncode == 0, done.stderr
        hook.expect_end()
        successor = theatre.accept_agent("a")
        channel.message("and now?")
        successor.open("s2")
        request, asked = successor.prompted()
        assert asked == "and now?"
        successor.done(request)
        assert channel.turn() == [("result", "end_turn")]
        assert "guard.service" not in daemon.units()


def test_the_guide_s_hook_guards_an_agent(tmp_path: Path) -> None:
    """As it is shown there, in front of another agent."""
    [config], programs = shown("yaml"), shown("python")
    (tmp_path / "guard.py").write_text(programs[0])
    config = config.replace("/opt/guard", str(tmp_path))
    config = config.replace("[/opt/count/count.py]", '"@built-in/agents/mock"')
    with running(tmp_path, config + "supervisor: {admin_port: 0}\n") as daemon:
        assert daemon.answer("ping")["text"] == "pong"
        refused = daemon.answer("use sk-12345678")
        assert refused["isError"]
        assert refused["text"] == "There is a key in your message; it was not passed on."
        assert daemon.answer("hello")["text"] == "Echo: hello"


def shown(language: str) -> list[str]:
    """The blocks of the guide in a language."""
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(), re.DOTALL)

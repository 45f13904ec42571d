"""SIGKILL of an agent or a channel in every state of a turn (invariants I1, I2, I3).

The test plays both sides, so it knows the state; the processes, the pipes and the kill are real.
Each message that was accepted ends in one visible outcome, the next one is answered, the unit is
restarted, and the story tells of the kill.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from anyclawd.model.value import Json
from tests.chaos.bystander import beside, unharmed
from tests.fakes.daemon import Daemon
from tests.fakes.puppet import AgentPuppet, ChannelPuppet, Frame, Stage

CRASHED = ("result", "Agent crashed — restarting (default)")
SOON = {"backoff": {"initial": 0.01, "factor": 1, "max": 0.01, "jitter": 0}}
LOAD = {"protocolVersion": 1, "agentCapabilities": {"loadSession": True}}


def config_of(theatre: Stage, result: Json = None) -> Json:
    return beside(
        {"default": theatre.agent("a", result, history_replay=False, **SOON)},
        {"web": theatre.channel("w", **SOON)},
    )


class Turn:
    """Brings a turn into one state; afterwards `request` is the prompt that is unanswered."""

    def __init__(self, agent: AgentPuppet, channel: ChannelPuppet) -> None:
        self.agent, self.channel = agent, channel
        self.request: Frame = {}

    def idle(self) -> None:
        self.channel.message("before")
        self.agent.open()
        self.agent.reply("answer")
        assert self.channel.turn()[-1] == ("result", "end_turn")

    def opening(self) -> None:
        self.channel.message("first")
        self.agent.expect("session/new")

    def running(self) -> None:
        self.channel.message("first")
        self.agent.open()
        self.request, _ = self.agent.prompted()

    def streaming(self) -> None:
        self.running()
        self.agent.chunk("half an ans")
        assert self.channel.shown() == ("agent_message_chunk", "half an ans")

    def queued(self) -> None:
        """A second message waits behind the running one."""
        self.streaming()
        self.channel.message("second")
        self.agent.chunk("wer")
        assert self.channel.shown() == ("agent_message_chunk", "wer")

    def asking(self) -> None:
        self.running()
        self.agent.ask()
        self.channel.expect("channel/requestPermission")

    def answered(self) -> None:
        """The agent's answer is on its way when the process dies."""
        self.running()
        self.agent.chunk_and_done("all of it", self.request)
        assert self.channel.shown() == ("agent_message_chunk", "all of it")

    def cancelling(self) -> None:
        self.streaming()
        self.channel.message("/cancel")
        self.agent.expect("session/cancel")


#: State, and what the user is shown of it after the agent was killed.
AFTER_AGENT_DEATH: dict[str, tuple[Callable[[Turn], None], list[tuple[str, str]]]] = {
    "idle": (Turn.idle, []),
    "running": (Turn.running, [CRASHED]),
    "mid-stream": (Turn.streaming, [CRASHED]),
    "permission pending": (Turn.asking, [CRASHED]),
    "after the prompt was answered": (Turn.answered, [("result", "end_turn")]),
}


@pytest.mark.parametrize(("reach", "shown"), AFTER_AGENT_DEATH.values(), ids=AFTER_AGENT_DEATH)
def test_an_agent_is_killed(
    tmp_path: Path,
    theatre: Stage,
    reach: Callable[[Turn], None],
    shown: list[tuple[str, str]],
) -> None:
    with unharmed(tmp_path, config_of(theatre)) as daemon:
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        reach(Turn(agent, channel))
        agent.kill()
        if shown:
            assert channel.turn() == shown
        successor = theatre.accept_agent("a")
        channel.message("next")
        successor.open("s2")
        assert successor.reply("here again", "s2") == "next"
        assert channel.turn() == [("agent_message_chunk", "here again"), ("result", "end_turn")]
        check_story(daemon, "default.agent", agent.pid)


def test_an_agent_is_killed_while_messages_wait(tmp_path: Path, theatre: Stage) -> None:
    """The running message is reported as interrupted; the waiting one is asked of the successor."""
    with unharmed(tmp_path, config_of(theatre)) as daemon:
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        Turn(agent, channel).queued()
        agent.kill()
        assert channel.turn() == [CRASHED]
        successor = theatre.accept_agent("a")
        successor.open("s2")
        assert successor.reply("to the second", "s2") == "second"
        assert channel.turn() == [("agent_message_chunk", "to the second"), ("result", "end_turn")]
        check_story(daemon, "default.agent", agent.pid)


def test_an_agent_is_killed_while_it_opens_a_session(tmp_path: Path, theatre: Stage) -> None:
    """Nothing was asked yet, so nothing is lost: the message waits for the successor."""
    with unharmed(tmp_path, config_of(theatre)) as daemon:
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        Turn(agent, channel).opening()
        agent.kill()
        successor = theatre.accept_agent("a")
        successor.open()
        assert successor.reply("answer") == "first"
        assert channel.turn() == [("agent_message_chunk", "answer"), ("result", "end_turn")]
        check_story(daemon, "default.agent", agent.pid)


def test_an_agent_is_killed_while_it_is_being_cancelled(tmp_path: Path, theatre: Stage) -> None:
    with unharmed(tmp_path, config_of(theatre)):
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        Turn(agent, channel).cancelling()
        agent.kill()
        assert channel.shown() == ("agent_message_chunk", "Operation cancelled.")
        assert channel.shown()[0] == "result"
        successor = theatre.accept_agent("a")
        channel.message("next")
        successor.open("s2")
        assert successor.reply("here again", "s2") == "next"
        assert channel.turn()[0] == ("agent_message_chunk", "here again")


def test_an_agent_is_killed_during_its_recovery(tmp_path: Path, theatre: Stage) -> None:
    """`session/load` is under way when the successor dies as well; the attempt counts as made."""
    with unharmed(tmp_path, config_of(theatre, LOAD)):
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        Turn(agent, channel).running()
        agent.kill()
        assert channel.turn() == [CRASHED]
        second = theatre.accept_agent("a")
        channel.message("next")
        assert second.expect("session/load")["params"]["sessionId"] == "s1"
        second.kill()
        third = theatre.accept_agent("a")
        third.open("s3")
        assert third.reply("here at last", "s3") == "next"
        assert channel.turn() == [("agent_message_chunk", "here at last"), ("result", "end_turn")]


def test_an_agent_is_killed_while_another_of_its_chats_is_idle(
    tmp_path: Path, theatre: Stage
) -> None:
    with unharmed(tmp_path, config_of(theatre)):
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        channel.message("from ann", "ann")
        agent.open("ann")
        agent.reply("to ann", "ann")
        channel.turn()
        channel.message("from bob", "bob")
        agent.open("bob")
        agent.prompted()
        agent.kill()
        assert channel.turn() == [CRASHED]
        successor = theatre.accept_agent("a")
        channel.message("again from ann", "ann")
        successor.open("ann2")
        assert successor.reply("again to ann", "ann2") == "again from ann"


#: State, and how the agent ends the turn after its channel was killed.
CHANNEL_STATES: dict[str, Callable[[Turn], None]] = {
    "idle": Turn.idle,
    "running": Turn.running,
    "mid-stream": Turn.streaming,
    "messages waiting": Turn.queued,
    "after the prompt was answered": Turn.answered,
}


#: The end of a turn that a successor has not seen the beginning of: it says the answer once more.
WHOLE = {
    "mid-stream": "half an ansthe rest",
    "messages waiting": "half an answerthe rest",
}


@pytest.mark.parametrize("state", CHANNEL_STATES)
def test_a_channel_is_killed(tmp_path: Path, theatre: Stage, state: str) -> None:
    """The turn goes on; what was not delivered waits for the successor and comes in order."""
    with unharmed(tmp_path, config_of(theatre)) as daemon:
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        turn = Turn(agent, channel)
        CHANNEL_STATES[state](turn)
        channel.kill()
        successor = theatre.accept_channel("w")
        if state not in ("idle", "after the prompt was answered"):
            agent.chunk("the rest")
            agent.done(turn.request)
            assert successor.shown() == ("agent_message_chunk", "the rest")
            assert successor.shown() == ("result", WHOLE.get(state, "end_turn"))
        if state == "messages waiting":
            assert agent.reply("to the second") == "second"
            assert successor.turn()[0] == ("agent_message_chunk", "to the second")
        successor.message("next")
        assert agent.reply("answer to next") == "next"
        shown = successor.turn()
        while shown[-2:-1] != [("agent_message_chunk", "answer to next")]:
            shown = successor.turn()
        created = [
            frame["params"]["sessionId"]
            for frame in successor.read()
            if frame["method"] == "channel/sessionCreated"
        ]
        assert created == ["web:direct:ann"]
        check_story(daemon, "web.channel", channel.pid)


def test_a_channel_is_killed_while_a_permission_is_pending(tmp_path: Path, theatre: Stage) -> None:
    """Its successor is asked again, and its answer counts."""
    with unharmed(tmp_path, config_of(theatre)):
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        turn = Turn(agent, channel)
        turn.asking()
        channel.kill()
        successor = theatre.accept_channel("w")
        asked = successor.expect("channel/requestPermission")
        answer = {"requestId": asked["params"]["requestId"], "optionId": "yes"}
        successor.answer(asked, answer)
        outcome = agent.expect_answer(900)["result"]["outcome"]
        assert outcome == {"outcome": "selected", "optionId": "yes"}
        agent.chunk("done")
        agent.done(turn.request)
        assert successor.turn() == [("agent_message_chunk", "done"), ("result", "end_turn")]


def test_a_channel_is_killed_during_the_agents_recovery(tmp_path: Path, theatre: Stage) -> None:
    with unharmed(tmp_path, config_of(theatre, LOAD)):
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        Turn(agent, channel).running()
        agent.kill()
        assert channel.turn() == [CRASHED]
        second = theatre.accept_agent("a")
        channel.message("next")
        load = second.expect("session/load")
        channel.kill()
        successor = theatre.accept_channel("w")
        second.answer(load, {})
        assert second.reply("here again") == "next"
        assert successor.turn() == [("agent_message_chunk", "here again"), ("result", "end_turn")]


def test_agent_and_channel_are_killed_together(tmp_path: Path, theatre: Stage) -> None:
    with unharmed(tmp_path, config_of(theatre)):
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        Turn(agent, channel).streaming()
        agent.kill()
        channel.kill()
        successor = theatre.accept_channel("w")
        successor.message("next")
        second = theatre.accept_agent("a")
        second.open("s2")
        assert second.reply("both here", "s2") == "next"
        shown = successor.turn()
        if shown == [CRASHED]:  # else it was in the pipe of the channel that was killed
            shown = successor.turn()
        assert shown == [("agent_message_chunk", "both here"), ("result", "end_turn")]


def check_story(daemon: Daemon, name: str, killed: int) -> None:
    """Status tells that it was killed, and that it was restarted once."""
    pid = daemon.wait_restarted(name, killed)
    assert pid != killed
    unit = daemon.unit(name)
    assert unit["restarts"] == 1
    assert unit["result"] == "signal"
    assert unit["exit"] == {"code": None, "signal": "SIGKILL"}

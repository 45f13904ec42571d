"""Who may talk, and how much: from the configuration to what a chat is told, changed by reloads."""

import re
from pathlib import Path

from anyclawd.model.value import Json
from tests.fakes.daemon import Chat, Daemon, debug_http, mock, running, system, write_config
from tests.fakes.puppet import ChannelPuppet, Stage


def reload(daemon: Daemon, config: Json) -> None:
    write_config(daemon.config, config)
    done = daemon.ctl("reload")
    assert done.returncode == 0, done.stderr


def refused(chat: Chat, text: str) -> tuple[int, str]:
    """How a message is refused: status and reason."""
    status, body = chat.ask("POST", "/message", {"message": text})
    assert body["state"] == "refused"
    return status, body["reason"]


def said(channel: ChannelPuppet, text: str, peer: str) -> str:
    """What a peer is told after its message."""
    channel.message(text, peer)
    return " ".join(told for _, told in channel.turn())


def test_a_door_that_is_closed_opens_by_a_reload_and_the_first_rule_decides(
    tmp_path: Path, theatre: Stage
) -> None:
    config = system(
        {"default": mock()}, {"web": theatre.channel("w")}, access={"default": "closed"}
    )
    with running(tmp_path, config) as daemon:
        channel = theatre.accept_channel("w")
        assert "not allowed to talk" in said(channel, "hello", "ann")
        assert daemon.ctl_json("sessions")["sessions"] == []
        rules = [{"channel": "web", "peer": "bob", "allow": False}, {"channel": "web"}]
        config["access"] = {"default": "closed", "rules": rules}
        reload(daemon, config)
        assert "Echo: again" in said(channel, "again", "ann")
        assert "not allowed to talk" in said(channel, "hello", "bob")
        config["access"] = {"default": "open"}
        reload(daemon, config)
        assert "Echo: at last" in said(channel, "at last", "bob")


def test_a_stranger_is_given_a_code_that_lets_it_in(tmp_path: Path, theatre: Stage) -> None:
    access = {"pairing": {"enabled": True, "ttl": "10min", "max_pending": 1}}
    config = system({"default": mock()}, {"web": theatre.channel("w")}, access=access)
    with running(tmp_path, config) as daemon:
        channel = theatre.accept_channel("w")
        told = said(channel, "hello", "ann")
        assert "valid for 10 minutes" in told
        code = re.search(r": (\w{8}) ", told)
        assert code is not None
        assert "not allowed to talk" in said(channel, "hello", "bob")
        assert daemon.ctl("pair", "approve", code[1]).returncode == 0
        assert ("agent_message_chunk", "You have been admitted; go on.") in channel.turn()
        assert "Echo: now" in said(channel, "now", "ann")


def test_one_message_too_many_is_refused_and_a_reload_takes_the_limit_away(tmp_path: Path) -> None:
    channel = {**debug_http(), "rate_limits": {"session": {"messages_per_minute": 1}}}
    config = system({"default": mock()}, {"debug-http": channel})
    with running(tmp_path, config) as daemon:
        chat = daemon.chat()
        chat.say("one")
        assert refused(chat, "two") == (429, "rate-limit")
        del channel["rate_limits"]
        reload(daemon, config)
        chat.say("three")


def test_what_is_said_of_a_queue_holds_from_the_next_message_on(
    tmp_path: Path, theatre: Stage
) -> None:
    channel = {**debug_http(), "queue": {"cap": 1, "mode": "collect"}}
    config = system({"default": theatre.agent("a")}, {"debug-http": channel})
    with running(tmp_path, config) as daemon:
        agent, chat = theatre.accept_agent("a"), daemon.chat()
        chat.say("one")
        agent.open()
        first, _ = agent.prompted()
        chat.say("two")
        assert refused(chat, "three") == (429, "queue")
        channel["queue"] = {"cap": 2, "mode": "followup"}
        reload(daemon, config)
        chat.say("four")
        agent.done(first)
        assert agent.reply("to two") == "two"
        assert agent.reply("to four") == "four"

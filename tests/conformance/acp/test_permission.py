"""Requests for permission: who answers them, how often, and what becomes of the others."""

from pathlib import Path

import pytest

from anyclawd.model.value import Json
from tests.fakes.puppet import Stage
from tests.fakes.talk import Chat, Talk, misbehaving, talking


def outcomes(talk: Talk) -> list[Json]:
    """What the agent's requests for permission were answered with, in order."""
    return [
        line.frame["result"]["outcome"]
        for line in talk.transcript()
        if line.side == "client" and "outcome" in line.frame.get("result", {})
    ]


def asking(talk: Talk, steps: str) -> tuple[Chat, Json]:
    """A chat whose agent waits for permission, and what the channel was asked."""
    chat = talk.chat()
    chat.say(f"do {steps}")
    return chat, chat.asked()


def test_the_chosen_option_is_the_answer(plain: Talk) -> None:
    chat, asked = asking(plain, "ask execute")
    assert asked["params"]["description"] == "Run execute"
    assert [one["optionId"] for one in asked["params"]["options"]] == [
        *("yes", "always", "no", "never")
    ]
    chat.choose(asked, "yes")
    assert chat.turn()[0] == ("agent_message_chunk", "selected yes")


def test_the_official_sdk_asks_and_is_answered(sdk: Talk) -> None:
    chat, asked = asking(sdk, "ask")
    chat.choose(asked, "no")
    assert chat.turn()[0] == ("agent_message_chunk", "selected no")


def test_an_option_that_was_not_offered_is_no_consent(plain: Talk) -> None:
    chat, asked = asking(plain, "ask execute")
    chat.choose(asked, "sudo")
    assert chat.turn()[0] == ("agent_message_chunk", "selected no")


def test_a_cancelled_turn_cancels_its_requests(plain: Talk) -> None:
    chat, _ = asking(plain, "ask execute")
    chat.say("/cancel")
    assert chat.turn()[-1] == ("result", "cancelled")
    assert chat.ask("hello") == ["heard: hello"]  # all that was sent before is read
    assert outcomes(plain) == [{"outcome": "cancelled"}]


def test_a_request_without_options_is_denied(plain: Talk) -> None:
    assert plain.chat().ask("do ask-without") == ["cancelled"]


def test_a_request_that_nobody_answers_is_rejected_in_time(tmp_path: Path, theatre: Stage) -> None:
    supervisor = {"permission_timeout_secs": 1, "admin_port": 0}
    with talking(tmp_path, theatre, misbehaving(tmp_path, {}), supervisor=supervisor) as talk:
        chat, _ = asking(talk, "ask execute")
        assert chat.turn()[0] == ("agent_message_chunk", "selected no")


def test_a_second_answer_changes_nothing(plain: Talk) -> None:
    chat, asked = asking(plain, "ask execute; ask read")
    chat.choose(asked, "no")
    again = {"requestId": asked["params"]["requestId"], "optionId": "yes"}
    plain.channel.say({"method": "channel/respondPermission", "params": again})
    chat.choose(chat.asked(), "yes")
    assert chat.turn()[-1] == ("result", "end_turn")
    assert [one["optionId"] for one in outcomes(plain)] == ["no", "yes"]


def test_a_request_that_the_agent_takes_back_is_withdrawn(plain: Talk) -> None:
    """It is answered all the same, as every request is; the channel need not ask any more."""
    chat = plain.chat()
    assert chat.ask("do ask-and-leave") == ["error -32800"]
    assert chat.ask("hello") == ["heard: hello"]


def test_yes_is_a_message_like_any_other(plain: Talk) -> None:
    """Nobody consents by chance: not with nothing to consent to, and not by a word."""
    assert plain.chat().ask("yes") == ["heard: yes"]
    chat, asked = asking(plain, "ask execute")
    chat.say("yes")
    assert outcomes(plain) == []
    chat.choose(asked, "no")
    assert chat.turn()[0] == ("agent_message_chunk", "selected no")
    assert chat.turn()[0] == ("agent_message_chunk", "heard: yes")


@pytest.mark.parametrize("choice", ["always", "never"])
def test_a_lasting_choice_is_remembered_for_its_kind_of_tool(plain: Talk, choice: str) -> None:
    """In this conversation; another kind of tool, and another chat, are asked about anew."""
    chat, asked = asking(plain, "ask execute")
    chat.choose(asked, choice)
    chat.turn()
    assert chat.ask("do ask execute") == [f"selected {choice}"]
    chat.say("do ask delete")
    chat.choose(chat.asked(), "no")
    chat.turn()
    other = plain.chat("bob")
    other.say("do ask execute")
    other.choose(other.asked(), "yes")
    assert other.turn()[0] == ("agent_message_chunk", "selected yes")


def test_nobody_else_can_answer(plain: Talk) -> None:
    chat, asked = asking(plain, "ask execute")
    answer = {"requestId": asked["params"]["requestId"], "optionId": "yes"}
    bob = {"channelName": "web", "peerId": "bob", "kind": "direct"}
    ann = {**bob, "peerId": chat.peer}
    plain.channel.say(
        {"method": "channel/respondPermission", "params": {**answer, "peerInfo": bob}},
        {
            "method": "channel/respondPermission",
            "params": {**answer, "optionId": "no", "peerInfo": ann},
        },
    )
    assert chat.turn()[0] == ("agent_message_chunk", "selected no")

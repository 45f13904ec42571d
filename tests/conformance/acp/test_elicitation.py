"""Elicitations: a form or a link for the user, where the channel can show it, and elsewhere."""

import json
from pathlib import Path

import pytest

from anyclawd.model.value import Json
from tests.fakes.puppet import Frame, Stage
from tests.fakes.talk import Talk, misbehaving, official, talking

FORMS: Json = {"elicitation": True}


def elicited(talk: Talk) -> Frame:
    return talk.channel.expect("channel/elicit")


@pytest.mark.parametrize(
    "answer",
    [
        {"action": "accept", "content": {"name": "Ann", "really": True}},
        {"action": "decline"},
        {"action": "cancel"},
    ],
    ids=lambda answer: str(answer["action"]),
)
def test_a_form_is_shown_and_its_answer_passed_on(
    tmp_path: Path, theatre: Stage, answer: Json
) -> None:
    with talking(tmp_path, theatre, misbehaving(tmp_path, {}), capabilities=FORMS) as talk:
        chat = talk.chat()
        chat.say("do elicit form")
        request = elicited(talk)
        assert request["params"]["mode"] == "form"
        assert request["params"]["message"] == "Who are you?"
        assert request["params"]["requestedSchema"]["required"] == ["name"]
        talk.channel.answer(request, answer)
        [(_, said), _] = chat.turn()
        assert json.loads(said) == answer


def test_a_link_is_shown_in_full(tmp_path: Path, theatre: Stage) -> None:
    with talking(tmp_path, theatre, misbehaving(tmp_path, {}), capabilities=FORMS) as talk:
        chat = talk.chat()
        chat.say("do elicit url")
        request = elicited(talk)
        assert request["params"]["url"] == "https://example.org/login"
        talk.channel.answer(request, {"action": "accept"})
        [(_, said), _] = chat.turn()
        assert json.loads(said) == {"action": "accept"}


def test_a_cancelled_turn_cancels_its_elicitation(tmp_path: Path, theatre: Stage) -> None:
    with talking(tmp_path, theatre, misbehaving(tmp_path, {}), capabilities=FORMS) as talk:
        chat = talk.chat()
        chat.say("do elicit form")
        elicited(talk)
        chat.say("/cancel")
        assert chat.turn()[-1] == ("result", "cancelled")
        assert chat.ask("hello") == ["heard: hello"]  # all that was sent before is read
        answers = [
            line.frame["result"]
            for line in talk.transcript()
            if line.side == "client" and "action" in (line.frame.get("result") or {})
        ]
        assert answers == [{"action": "cancel"}]


def test_elicitation_is_advertised(tmp_path: Path, theatre: Stage) -> None:
    with talking(tmp_path, theatre, misbehaving(tmp_path, {})) as talk:
        [params] = talk.wait_sent("initialize")
        assert params["clientCapabilities"]["elicitation"] == {"form": {}, "url": {}}


def test_the_official_sdk_elicits(tmp_path: Path, theatre: Stage) -> None:
    with talking(tmp_path, theatre, official(tmp_path), capabilities=FORMS) as talk:
        chat = talk.chat()
        chat.say("do elicit")
        talk.channel.answer(elicited(talk), {"action": "accept", "content": {"name": "Ann"}})
        assert chat.turn()[0] == ("agent_message_chunk", 'accept {"name": "Ann"}')

"""What an agent asks of a user beyond permission."""

import pytest

from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.value import Json
from anyclawd.wire.acp_elicitation import elicitation_answer, read_completed, read_elicitation

FORM: Json = {"mode": "form", "message": "Who?", "requestedSchema": {}, "sessionId": "s"}
URL: Json = {"mode": "url", "message": "Log in", "url": "https://x/y", "elicitationId": "e"}


def test_all_that_a_form_says_is_kept() -> None:
    asked = read_elicitation(FORM | {"_meta": {"a": 1}, "new": 2})
    assert (asked.session_id, asked.request_id, asked.elicitation_id) == ("s", None, "")
    assert asked.params == FORM | {"_meta": {"a": 1}, "new": 2}


def test_one_by_address_may_belong_to_a_request() -> None:
    asked = read_elicitation(URL | {"requestId": 7})
    assert (asked.session_id, asked.request_id, asked.elicitation_id) == ("", 7, "e")


REFUSED = {  # behaviour: (parameters, reason)
    "no-map": (None, "expected a message"),
    "no-message": (FORM | {"message": 7}, "expected a message"),
    "no-schema": (FORM | {"requestedSchema": []}, "expected a requestedSchema"),
    "no-address": (URL | {"url": None}, "expected an http or https url"),
    "an-address-that-runs-something": (URL | {"url": "javascript:x"}, "expected an http or https"),
    "another-mode": (FORM | {"mode": "voice"}, "expected mode form or url, found 'voice'"),
}


@pytest.mark.parametrize(("params", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_shown_is_refused(params: Json, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match=reason):
        read_elicitation(params)


ANSWERS = {  # behaviour: (action, content, answer)
    "decline": ("decline", {"a": 1}, {"action": "decline"}),
    "cancel": ("cancel", None, {"action": "cancel"}),
    "accept-an-address": ("accept", None, {"action": "accept"}),
    "accept-a-form": (
        "accept",
        {"a": "x", "b": 1, "c": 1.5, "d": True, "e": ["x"], "f": {}, "g": None, "h": [1]},
        {
            "action": "accept",
            "content": {"a": "x", "b": 1, "c": 1.5, "d": True, "e": ["x"]},
        },
    ),
}


@pytest.mark.parametrize(("action", "content", "answer"), ANSWERS.values(), ids=ANSWERS)
def test_elicitation_answer(action: str, content: Json, answer: Json) -> None:
    assert elicitation_answer(action, content) == answer


@pytest.mark.parametrize(("params", "id_"), [({"elicitationId": "e"}, "e"), ({}, ""), (None, "")])
def test_read_completed(params: Json, id_: str) -> None:
    assert read_completed(params) == id_

"""Prompt turns: content, order, their ends, cancels, and updates at the wrong time."""

import json
from pathlib import Path

import pytest

from anyclawd.model.value import Json
from tests.conformance.acp.ways import CRASHED
from tests.fakes.puppet import Stage
from tests.fakes.talk import Talk, misbehaving, talking

# -- prompts --------------------------------------------------------------------------------------

PARTS: list[Json] = [
    {"type": "text", "text": "x"},
    {"type": "image", "url": "data:image/png;base64,QUJD"},
    {"type": "image", "url": "https://example.org/i.png"},
    {"type": "audio", "url": "data:audio/ogg;base64,QUJD"},
    {"type": "file", "url": "https://example.org/a.pdf", "mimeType": "application/pdf"},
]


#: What an agent takes beside text, and as what it gets the parts.
TAKEN: dict[str, tuple[Json, list[str]]] = {
    "baseline": ({}, ["text", "text", "resource_link", "text", "resource_link"]),
    "media": (
        {"image": True, "audio": True},
        ["text", "image", "image", "audio", "resource_link"],
    ),
    "all": (
        {"image": True, "audio": True, "embeddedContext": True},
        ["text", "image", "image", "audio", "resource"],
    ),
}


@pytest.mark.parametrize(("takes", "kinds"), TAKEN.values(), ids=TAKEN)
def test_every_kind_of_content_is_a_block(
    tmp_path: Path, theatre: Stage, takes: Json, kinds: list[str]
) -> None:
    capabilities = {"promptCapabilities": takes}
    with talking(tmp_path, theatre, misbehaving(tmp_path, {"capabilities": capabilities})) as talk:
        talk.chat().send(*PARTS)
        assert talk.chat().turn()[-1] == ("result", "end_turn")
        assert [block["type"] for block in talk.sent("session/prompt")[0]["prompt"]] == kinds


def test_the_official_sdk_takes_every_kind_of_content(sdk: Talk) -> None:
    sdk.chat().send(*PARTS)
    assert sdk.chat().turn()[-1] == ("result", "end_turn")
    assert sdk.notes()[-1]["kinds"] == ["text", "image", "image", "audio", "resource"]


def test_a_session_has_one_turn_at_a_time(plain: Talk) -> None:
    """What comes meanwhile waits, in its order, while another session has a turn of its own."""
    ann, bob = plain.chat("ann"), plain.chat("bob")
    ann.say("do linger done")
    plain.wait_sent("session/prompt")
    ann.say("one")
    ann.say("two")
    assert bob.ask("hello") == ["heard: hello"]
    assert len(plain.sent("session/prompt")) == 2
    ann.say("/cancel")
    assert ann.turn()[-1] == ("result", "cancelled")
    assert ann.turn() == [
        ("agent_message_chunk", "heard: one"),
        ("agent_message_chunk", "heard: two"),
        ("result", "end_turn"),
    ]


# -- the end of a turn ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason", ["end_turn", "max_tokens", "max_turn_requests", "refusal", "some_day"]
)
def test_every_stop_reason_ends_the_turn(plain: Talk, reason: str) -> None:
    plain.chat().say(f"do say so; stop {reason}")
    assert plain.chat().turn() == [("agent_message_chunk", "so"), ("result", reason)]
    assert plain.chat().ask("hello") == ["heard: hello"]


@pytest.mark.parametrize("code", [-32603, -32602, -32000, 500])
def test_an_error_of_the_agent_is_told_to_the_user(plain: Talk, code: int) -> None:
    plain.chat().say(f"do fail {code}")
    assert plain.chat().turn() == [("result", "it went wrong")]
    assert plain.chat().ask("hello") == ["heard: hello"]


def test_a_second_answer_means_nothing(plain: Talk) -> None:
    plain.chat().say("do again")
    assert plain.chat().turn() == [("result", "end_turn")]
    assert plain.chat().ask("hello") == ["heard: hello"]


def test_an_agent_that_dies_in_a_turn_ends_it(tmp_path: Path, theatre: Stage) -> None:
    with talking(tmp_path, theatre, misbehaving(tmp_path, {})) as talk:
        talk.chat().say("do say half an ans; crash")
        assert talk.chat().turn() == [("agent_message_chunk", "half an ans"), CRASHED]
        assert talk.chat().ask("hello")[-1].endswith("hello")


# -- cancel ---------------------------------------------------------------------------------------


def test_a_cancelled_turn_ends_when_the_agent_says_so(plain: Talk) -> None:
    """Updates are shown up to the answer; until then nothing else is prompted."""
    chat = plain.chat()
    chat.say("do linger last words")
    plain.wait_sent("session/prompt")
    chat.say("/cancel")
    chat.say("next")
    assert chat.turn() == [
        ("agent_message_chunk", "Operation cancelled."),
        ("agent_message_chunk", "last words"),
        ("result", "cancelled"),
    ]
    assert chat.turn()[0] == ("agent_message_chunk", "heard: next")
    methods = [method for method in plain.methods() if method.startswith("session/")]
    assert methods == ["session/new", "session/prompt", "session/cancel", "session/prompt"]


def test_a_stream_without_end_is_cancelled(plain: Talk) -> None:
    chat = plain.chat()
    chat.say("do stream on and ")
    for _ in range(100):
        assert chat.shown() == ("agent_message_chunk", "on and ")
    chat.say("/cancel")
    assert chat.turn()[-1] == ("result", "cancelled")
    assert chat.ask("hello") == ["heard: hello"]


def test_the_official_sdk_is_cancelled(sdk: Talk) -> None:
    chat = sdk.chat()
    assert chat.ask("hello") == ["heard: hello"]
    chat.say("do wait")
    chat.say("/cancel")
    assert chat.turn()[-1] == ("result", "cancelled")
    assert chat.ask("hello again") == ["heard: hello again"]


# -- updates --------------------------------------------------------------------------------------


def test_updates_after_the_answer_are_shown(plain: Talk) -> None:
    chat = plain.chat()
    chat.say("do say now; late and later; late and last")
    assert [chat.shown() for _ in range(4)] == [
        ("agent_message_chunk", "now"),
        ("result", "end_turn"),
        ("agent_message_chunk", "and later"),
        ("agent_message_chunk", "and last"),
    ]


def test_an_update_of_a_tool_call_needs_no_beginning(plain: Talk) -> None:
    chat = plain.chat()
    chat.say("do tool-update t completed; tool t read; tool-update t failed")
    updates = [chat.delivery()["content"]["update"] for _ in range(3)]
    assert [update["sessionUpdate"] for update in updates] == [
        "tool_call_update",
        "tool_call",
        "tool_call_update",
    ]
    assert {update["toolCallId"] for update in updates} == {"t"}


def test_what_is_unknown_is_passed_on_as_it_is(plain: Talk) -> None:
    plain.chat().say("do strange")
    assert plain.chat().delivery()["content"]["update"] == {
        "sessionUpdate": "unheard_of",
        "content": {"type": "smell", "data": 7},
        "_meta": {"own": True},
    }


def test_updates_keep_their_order(plain: Talk) -> None:
    words = [f"w{number}" for number in range(500)]
    steps = [f"{'think' if number % 3 else 'say'} {word}" for number, word in enumerate(words)]
    plain.chat().say("do " + "; ".join(steps))
    assert [text for _, text in plain.chat().turn()[:-1]] == words


def test_the_official_sdk_uses_a_tool(sdk: Talk) -> None:
    sdk.chat().say("do use a tool")
    kinds = [sdk.chat().delivery()["content"]["update"]["sessionUpdate"] for _ in range(6)]
    assert kinds == [
        *("tool_call", "agent_thought_chunk", "plan", "tool_call_update"),
        *("agent_message_chunk", "result"),
    ]


# -- reading what is wrong ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step", ["wrong", "array", "noise", "foreign", "notify _vendor/note", "flood 400000"]
)
def test_what_is_wrong_harms_nothing(plain: Talk, step: str) -> None:
    chat = plain.chat()
    chat.say(f"do say before; {step}; say after")
    found = []
    while ("agent_message_chunk", "after") not in found:
        found.append(chat.shown())
    assert found[0] == ("agent_message_chunk", "before")
    assert chat.turn()[-1] == ("result", "end_turn")
    assert chat.ask("hello") == ["heard: hello"]
    assert plain.daemon.units()["default.agent"]["restarts"] == 0


def test_ids_that_come_back_as_text_are_known(tmp_path: Path, theatre: Stage) -> None:
    with talking(tmp_path, theatre, misbehaving(tmp_path, {"id_as_text": True})) as talk:
        assert talk.chat().ask("hello") == ["heard: hello"]


def test_a_flood_on_stderr_before_the_handshake_is_drained(tmp_path: Path, theatre: Stage) -> None:
    with talking(tmp_path, theatre, misbehaving(tmp_path, {"stderr_flood": 400_000})) as talk:
        assert talk.chat().ask("hello") == ["heard: hello"]


def test_requests_that_are_unknown_are_refused(plain: Talk) -> None:
    steps = ["request _vendor/ask", "request session/new", "request mcp/message"]
    assert plain.chat().ask("do " + "; ".join(steps)) == ["error -32601"] * 3


def test_every_frame_is_one_line_of_its_own(plain: Talk) -> None:
    """What a user writes may hold any character; the agent reads by lines."""
    text = "one\ntwo\r\nthree\u2028four\u0085five\x00\ud83d\ude00 €"
    plain.chat().send({"type": "text", "text": text})
    plain.chat().turn()
    assert plain.sent("session/prompt")[0]["prompt"][0]["text"] == json.loads(json.dumps(text))


# -- the end of the agent -------------------------------------------------------------------------


def test_an_agent_that_ignores_every_request_to_stop_is_killed(
    tmp_path: Path, theatre: Stage
) -> None:
    """The end of its stdin, then SIGTERM, then SIGKILL."""
    agent = misbehaving(tmp_path, {"is_deaf": True}) | {"timeouts": {"stop": 0.2, "eof_grace": 0.2}}
    with talking(tmp_path, theatre, agent) as talk:
        assert talk.chat().ask("hello") == ["heard: hello"]
        [job] = talk.daemon.job("stop", "default.agent")
        assert job["result"] == "done"
        assert talk.daemon.unit("default.agent")["exit"]["signal"] == "SIGKILL"

"""What an administrator who sends a message reads."""

import asyncio

from anyclawd.gateway import caller as module
from anyclawd.gateway.caller import Caller
from anyclawd.model.value import Json
from anyclawd.route.commands import SessionKey


def events_of(caller: Caller) -> list[Json]:
    async def collect() -> list[Json]:
        return [event async for event in caller.events()]

    return asyncio.run(asyncio.wait_for(collect(), 10))


def chunk(text: str) -> Json:
    content = {"type": "text", "text": text}
    return {"update": {"sessionUpdate": "agent_message_chunk", "content": content}}


def test_the_final_event_repeats_the_text() -> None:
    caller = Caller(SessionKey("k"))
    for text in ("Hello ", "you"):
        caller.show(chunk(text))
    caller.end("end_turn", is_error=False)
    assert events_of(caller)[-1] == {
        "type": "result",
        "stopReason": "end_turn",
        "isError": False,
        "text": "Hello you",
    }


def test_a_result_of_the_agent_is_the_text() -> None:
    caller = Caller(SessionKey("k"))
    caller.show(chunk("Echo"))
    caller.show({"update": {"sessionUpdate": "result", "content": "Echo: x", "isError": True}})
    caller.end("end_turn", is_error=False)
    last = events_of(caller)[-1]
    assert (last["text"], last["isError"]) == ("Echo: x", True)


def test_a_caller_who_does_not_read_loses_updates_and_not_the_end() -> None:
    caller = Caller(SessionKey("k"))
    for _ in range(module.EVENTS_MAX + 10):
        caller.show(chunk("x"))
    caller.end("end_turn", is_error=False)
    events = events_of(caller)
    assert len(events) == module.EVENTS_MAX + 1
    assert len(events[-1]["text"]) == module.EVENTS_MAX + 10


def test_plain_text_is_shown_as_a_chunk() -> None:
    caller = Caller(SessionKey("k"))
    caller.show("⚠️ no session")
    caller.end("refusal", is_error=True, text="no session")
    events = events_of(caller)
    assert events[0]["update"]["content"] == "⚠️ no session"
    assert events[1]["text"] == "no session"

"""What an administrator who sends a message reads."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine

from anyclawd.gateway import caller as module
from anyclawd.gateway.caller import Caller, Callers
from anyclawd.model.value import Json
from anyclawd.route.commands import AskPermission, MessageId, Outcome, SessionKey

#: The longest that anything is waited for.
BOUND_S = 60.0


def events_of(caller: Caller) -> list[Json]:
    async def collect() -> list[Json]:
        return [event async for event in caller.events()]

    return asyncio.run(asyncio.wait_for(collect(), BOUND_S))


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


def run(steps: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(steps, BOUND_S))


async def following(callers: Callers) -> AsyncGenerator[dict[str, Json] | None, None]:
    """One who reads along in session `k` from now on."""
    told = callers.follow(SessionKey("k"))
    assert await anext(told) is None
    return told


def test_who_follows_is_shown_what_the_session_is_shown() -> None:
    async def steps() -> None:
        callers = Callers()
        told = await following(callers)
        [reader] = callers.reading(SessionKey("k"))
        reader.show(chunk("one"))
        event = await anext(told)
        assert event is not None
        assert event["update"] == chunk("one")["update"]
        await told.aclose()
        assert callers.reading(SessionKey("k")) == ()

    run(steps())


def test_who_follows_and_does_not_read_is_told_nothing_more() -> None:
    async def steps() -> None:
        callers = Callers()
        told = await following(callers)
        [reader] = callers.reading(SessionKey("k"))
        for _ in range(module.EVENTS_MAX + 10):
            reader.show(chunk("x"))
        assert len([event async for event in told]) == module.EVENTS_MAX
        assert callers.reading(SessionKey("k")) == ()

    run(steps())


def test_followers_end_and_those_who_wait_do_not() -> None:
    async def steps() -> None:
        callers = Callers()
        told = await following(callers)
        waits = Caller(SessionKey("k"), follows=True)
        callers.add(MessageId("m"), waits)
        callers.read_along(MessageId("m"))
        callers.end_followers()
        assert [event async for event in told] == []
        assert not waits.is_ended
        callers.settle(MessageId("m"), Outcome.ANSWERED, "end_turn", is_accepted=True)
        callers.end_followers()
        assert [event["type"] async for event in waits.events()] == ["result"]

    run(steps())


def test_who_reads_along_is_asked_and_it_is_known_whether_anybody_can_answer() -> None:
    callers = Callers()
    asked = AskPermission("web", SessionKey("k"), "r", "rm", (("yes", "Allow"),))
    assert not callers.ask(asked)
    for name, can_ask in (("m", False), ("n", True)):
        caller = Caller(SessionKey("k"), can_ask=can_ask)
        callers.add(MessageId(name), caller)
        callers.read_along(MessageId(name))
        assert callers.ask(asked) is can_ask
        callers.settle(MessageId(name), Outcome.ANSWERED, "end_turn", is_accepted=True)
        assert events_of(caller)[0] == {
            "type": "permission",
            "requestId": "r",
            "description": "rm",
            "options": [{"optionId": "yes", "label": "Allow"}],
        }

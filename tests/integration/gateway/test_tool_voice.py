"""What a tool says to those who listen: all of it, up to a rate; of a flood what counts."""

import asyncio
import logging

import pytest

from anyclawd.gateway import tool_voice
from anyclawd.gateway.tool_voice import Voice
from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.wire.mcp import Notification

MESSAGE, UPDATED = Notification.MESSAGE, Notification.RESOURCE_UPDATED


class Listener:
    def __init__(self) -> None:
        self.heard: list[tuple[Notification, Json]] = []
        self.has_five = asyncio.Event()
        self.voice = Voice(UnitName("clock.tool"), self._hear)

    def _hear(self, method: Notification, params: dict[str, Json]) -> None:
        self.heard.append((method, next(iter(params.values()))))
        if len(self.heard) == 5:
            self.has_five.set()

    def flood(self, count: int) -> None:
        for number in range(count):
            self.voice.say(MESSAGE, {"data": number})


@pytest.fixture(autouse=True)
def few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three in an hour, until a test says otherwise."""
    monkeypatch.setattr(tool_voice, "WORDS_MAX", 3)
    monkeypatch.setattr(tool_voice, "WINDOW_S", 3600.0)
    monkeypatch.setattr(tool_voice, "LATE_S", 0.0)


async def test_what_is_said_is_told_at_once() -> None:
    listener = Listener()
    listener.flood(3)
    assert listener.heard == [(MESSAGE, 0), (MESSAGE, 1), (MESSAGE, 2)]


async def test_messages_beyond_the_rate_are_dropped_which_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    listener = Listener()
    with caplog.at_level(logging.WARNING):
        listener.flood(100)
    assert len(listener.heard) == 3
    assert [one.getMessage() for one in caplog.records] == [
        "clock.tool: says more than 3 things a second; the rest is not passed on"
    ]


async def test_another_second_has_room_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_voice, "WINDOW_S", 0.0)
    listener = Listener()
    listener.flood(10)
    assert len(listener.heard) == 10


async def test_of_updates_beyond_the_rate_the_latest_of_each_is_told_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listener = Listener()
    listener.flood(3)
    for number in range(10):
        listener.voice.say(UPDATED, {"uri": f"a:{number % 2}"})
    assert len(listener.heard) == 3
    monkeypatch.setattr(tool_voice, "WINDOW_S", 0.0)
    await listener.has_five.wait()
    assert listener.heard[3:] == [(UPDATED, "a:0"), (UPDATED, "a:1")]


async def test_updates_that_wait_are_bounded_and_end_with_the_tool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tool_voice, "LATE_MAX", 2)
    listener = Listener()
    listener.flood(3)
    for number in range(10):
        listener.voice.say(UPDATED, {"uri": f"a:{number}"})
    assert list(listener.voice._late) == ["a:0", "a:1"]
    listener.voice.close()
    assert (listener.voice._late, listener.voice._timer) == ({}, None)
    listener.voice.close()

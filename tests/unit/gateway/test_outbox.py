"""What waits for a channel, and what is left out."""

import json
from collections.abc import Callable

import pytest

from anyclawd.gateway import outbox as module
from anyclawd.gateway.outbox import NOTICE, Outbox, Outboxes
from anyclawd.model.value import Json
from anyclawd.route.commands import SessionKey
from anyclawd.wire import channel

ANN, BOB = SessionKey("web:direct:ann"), SessionKey("web:direct:bob")


class Pipe:
    """Takes frames; pauses the outbox after so many writes."""

    def __init__(self) -> None:
        self.frames: list[Json] = []
        self.writes = 0
        self.after_write: Callable[[], None] = lambda: None

    def send(self, frames: bytes) -> None:
        self.writes += 1
        self.frames += [json.loads(line) for line in frames.splitlines()]
        self.after_write()

    def texts(self, session: SessionKey) -> list[str]:
        contents = [
            frame["params"]["content"]["update"]["content"]["text"]
            for frame in self.frames
            if frame["params"]["sessionId"] == session
        ]
        self.frames = []
        return contents


def chunk(text: str, session: SessionKey = ANN, **members: Json) -> bytes:
    content = {"type": "text", "text": text}
    update = {"sessionUpdate": "agent_message_chunk", "content": content, **members}
    return channel.deliver(session, {"sessionId": session, "update": update})


def connected() -> tuple[Outbox, Pipe]:
    outbox, pipe = Outbox(), Pipe()
    outbox.connect(pipe, list)
    return outbox, pipe


def test_frames_of_one_read_are_written_in_one_piece() -> None:
    outbox, pipe = connected()
    for text in "abc":
        outbox.stream(ANN, chunk(text))
    outbox.flush()
    assert (pipe.writes, pipe.texts(ANN)) == (1, ["a", "b", "c"])


@pytest.fixture
def _joins_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "JOIN_BYTES", -1)


@pytest.mark.usefixtures("_joins_at_once")
def test_text_that_waits_is_joined_per_session_and_kind() -> None:
    outbox, pipe = connected()
    outbox.pause()
    for text in "ab":
        outbox.stream(ANN, chunk(text))
        outbox.stream(BOB, chunk(text.upper(), BOB))
    outbox.stream(ANN, chunk("c", messageId="2"))
    outbox.stream(ANN, chunk("d", messageId="2"))
    outbox.resume()
    frames = list(pipe.frames)
    assert pipe.texts(ANN) == ["ab", "cd"]
    pipe.frames = frames
    assert pipe.texts(BOB) == ["AB"]


def test_what_is_no_text_keeps_its_place_between_text() -> None:
    outbox, pipe = connected()
    outbox.pause()
    plan = channel.deliver(ANN, {"update": {"sessionUpdate": "plan"}})
    for frame in (chunk("a"), plan, chunk("b")):
        outbox.stream(ANN, frame)
    outbox.resume()
    kinds = [frame["params"]["content"]["update"]["sessionUpdate"] for frame in pipe.frames]
    assert kinds == ["agent_message_chunk", "plan", "agent_message_chunk"]


def test_a_little_text_waits_as_it_came() -> None:
    outbox, pipe = connected()
    outbox.pause()
    for text in "ab":
        outbox.stream(ANN, chunk(text))
    outbox.resume()
    assert pipe.texts(ANN) == ["a", "b"]


def test_an_outbox_is_full_while_it_is_worth_waiting_for() -> None:
    outbox, _ = connected()
    outbox.pause()
    assert not outbox.is_full
    outbox.stream(ANN, chunk("x" * 200_000))
    assert outbox.is_full
    outbox.give_up_waiting()
    assert not outbox.is_full
    outbox.resume()
    outbox.pause()
    outbox.stream(ANN, chunk("x" * 200_000))
    assert outbox.is_full
    outbox.disconnect()
    assert not outbox.is_full


@pytest.mark.usefixtures("_joins_at_once")
def test_a_stream_that_is_too_long_ends_in_one_notice_and_the_next_turn_streams() -> None:
    outbox, pipe = connected()
    outbox.pause()
    for _ in range(5):
        outbox.stream(ANN, chunk("x" * 400_000))
    outbox.stream(BOB, chunk("short", BOB))
    outbox.resume()
    assert outbox.truncations == 1
    frames = list(pipe.frames)
    assert pipe.texts(ANN) == ["x" * 800_000, NOTICE]
    pipe.frames = frames
    assert pipe.texts(BOB) == ["short"]
    outbox.end_stream(ANN)
    outbox.pause()
    outbox.stream(ANN, chunk("again"))
    outbox.resume()
    assert pipe.texts(ANN) == ["again"]


def test_what_a_drain_has_written_leaves_room() -> None:
    """A channel that is slow and alive gets everything: only what waits counts."""
    outbox, pipe = connected()
    pipe.after_write = outbox.pause
    outbox.pause()
    for _ in range(20):
        outbox.stream(ANN, chunk("x" * 400_000))
        outbox.resume()
    while outbox.held_sessions():
        outbox.resume()
    assert outbox.truncations == 0
    assert sum(map(len, pipe.texts(ANN))) == 20 * 400_000


def test_all_streams_of_a_channel_have_one_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHANNEL_MAX_BYTES", 2000)
    outbox, pipe = connected()
    outbox.pause()
    for number in range(10):
        session = SessionKey(f"web:direct:{number}")
        outbox.stream(session, chunk("x" * 500, session))
    outbox.resume()
    assert outbox.truncations == 8
    assert len(pipe.frames) == 10


def test_ends_of_turns_have_room_of_their_own_within_a_bound() -> None:
    outbox, pipe = connected()
    outbox.pause()
    for _ in range(10):
        outbox.send(ANN, chunk("x" * 500_000))
    outbox.resume()
    texts = pipe.texts(ANN)
    assert texts[-1] == NOTICE
    assert 1 < len(texts) < 10


def test_the_next_process_gets_what_waited_after_its_introduction() -> None:
    outbox, _ = connected()
    outbox.disconnect()
    asked: list[str] = []
    outbox.stream(ANN, chunk("while it was away"))
    outbox.send(ANN, lambda: asked.append("old"))
    outbox.disconnect()
    assert outbox.held_sessions() == (ANN,)
    pipe = Pipe()
    outbox.connect(pipe, lambda: [chunk("hello")])
    assert pipe.texts(ANN) == ["hello", "while it was away"]
    assert asked == []
    assert outbox.held_sessions() == ()


def test_a_question_keeps_its_place() -> None:
    outbox, pipe = connected()
    outbox.pause()
    outbox.stream(ANN, chunk("a"))
    outbox.send(ANN, lambda: pipe.send(chunk("question")))
    outbox.stream(ANN, chunk("b"))
    outbox.resume()
    assert pipe.texts(ANN) == ["a", "question", "b"]


def test_channels_keep_their_outboxes_when_others_are_configured() -> None:
    outboxes = Outboxes(["one", "two"])
    one = outboxes["one"]
    outboxes.adopt(["two", "three"])
    assert outboxes["one"] is one
    outboxes.forget("one")
    assert list(outboxes) == ["two", "three"]


def test_what_is_for_a_channel_that_has_gone_is_dropped() -> None:
    outboxes, pipe = Outboxes(["one"]), Pipe()
    outboxes["one"].connect(pipe, list)
    outboxes.send("one", ANN, chunk("hello"))
    outboxes.send("gone", ANN, chunk("nobody reads this"))
    outboxes["one"].flush()
    assert pipe.texts(ANN) == ["hello"]


def test_only_channels_with_a_process_are_connected() -> None:
    outboxes = Outboxes(["one", "two"])
    outboxes["two"].connect(Pipe(), list)
    assert outboxes.connected == ["two"]
    outboxes["two"].disconnect()
    assert outboxes.connected == []


def test_what_was_cut_short_counts_for_as_long_as_the_daemon_lives() -> None:
    outboxes = Outboxes(["one", "two"])
    for outbox in outboxes.values():
        while not outbox.truncations:
            outbox.stream(ANN, chunk("x" * 100_000))
    assert outboxes.truncations == 2
    outboxes.forget("one")
    assert outboxes.truncations == 2

"""Whatever hooks do, and in whatever order they answer, each chat reads what its agent has said.

As the hooks have made it, in the order in which it was said, the end of a turn behind all of it.
"""

import asyncio
from enum import StrEnum
from typing import assert_never

from hypothesis import given, settings
from hypothesis import strategies as st

from anyclawd.model.conversation import HookEvent
from tests.integration.gateway.peers import Params
from tests.integration.gateway.test_hooks import (
    SKIP,
    HookProcess,
    Stand,
    chunk,
    hook_unit,
    use,
)

PEERS = ("ann", "bob", "cat")
NAMES = ("first", "second")


class Act(StrEnum):
    SAY = "say"  #: the agent streams a chunk in some chat
    END = "end"  #: it ends the turn there, or a message begins another
    PASS = "pass"  #: a hook gives a verdict on one of the questions that it has
    MARK = "mark"
    DROP = "drop"
    FAIL = "fail"
    DIE = "die"  #: a hook dies with all its questions, and is started again


ACTS = st.lists(
    st.tuples(st.sampled_from(Act), st.integers(0, 5), st.sampled_from(NAMES)), max_size=60
)


class Scene:
    """Real gateway, scripted peers, and what each chat should have read."""

    def __init__(self) -> None:
        uses = [use(name, HookEvent.UPDATE, on_failure=SKIP) for name in NAMES]
        self.stand = Stand(*uses)
        self.hooks: dict[str, HookProcess] = dict(zip(NAMES, self.stand.hooks, strict=True))
        self.open: dict[str, list[Params]] = {name: [] for name in NAMES}
        self.prompts: dict[str, Params] = {}
        self.said: dict[str, list[str]] = {peer: [] for peer in PEERS}  # the last of a turn: ""
        self.marks: dict[str, str] = {}  # by what was said
        self.dropped: set[str] = set()
        for peer in PEERS:
            self.stand.channel.message("hello", peer=peer)
            self.stand.agent.open(peer)
            self.prompts[peer] = self.stand.agent.expect("session/prompt")
        self.stand.channel.read()

    def act(self, act: Act, number: int, name: str) -> None:
        peer, hook = PEERS[number % len(PEERS)], self.hooks[name]
        match act:
            case Act.SAY:
                text = f"{peer}-{len(self.said[peer])}"
                self.said[peer].append(text)
                self.stand.agent.chunk(peer, text)
            case Act.END:
                self.end_or_begin(peer)
            case Act.DIE:
                hook.die()
                self.open[name] = []
                self.hooks[name] = HookProcess(self.stand.gateway, hook_unit(name))
                self.hooks[name].initialize()
            case Act.PASS | Act.MARK | Act.DROP | Act.FAIL:
                self.take_questions(name)
                if questions := self.open[name]:
                    self.decide(act, name, questions.pop(number % len(questions)))
            case _:
                assert_never(act)

    def end_or_begin(self, peer: str) -> None:
        if peer in self.prompts:
            self.said[peer].append("")
            self.stand.agent.answer(self.prompts.pop(peer), {"stopReason": "end_turn"})
            return
        self.stand.channel.message("more", peer=peer)
        self.note_prompts()

    def note_prompts(self) -> None:
        for message in self.stand.agent.read():
            if message.get("method") == "session/prompt":
                self.prompts[message["params"]["sessionId"]] = message

    def take_questions(self, name: str) -> None:
        found = self.hooks[name].read()
        asked = [one for one in found if one.get("method") == "hook/update"]
        for one in asked:
            sessions = [other["params"]["session"] for other in self.open[name]]
            assert one["params"]["session"] not in sessions, "asked about two things at a time"
            self.open[name].append(one)

    def decide(self, act: Act, name: str, question: Params) -> None:
        hook, update = self.hooks[name], question["params"]["update"]
        text: str = update["content"]["text"]
        base = text.partition(" ")[0]
        match act:
            case Act.MARK:
                self.marks[base] = self.marks.get(base, "") + f" {name}"
                hook.answer(question, {"action": "change", "update": chunk(f"{text} {name}")})
            case Act.DROP:
                self.dropped.add(base)
                hook.answer(question, {"action": "drop"})
            case Act.FAIL:
                hook.fail(question, -32000, "no")
            case _:
                hook.answer(question, {"action": "pass"})

    def settle(self) -> None:
        """Let every question be passed and every turn end."""
        while True:
            for name in NAMES:
                self.take_questions(name)
            if not any(self.open.values()):
                break
            for name in NAMES:
                while self.open[name]:
                    self.decide(Act.PASS, name, self.open[name].pop())
        self.note_prompts()
        for peer in tuple(self.prompts):
            self.end_or_begin(peer)

    def expected(self, peer: str) -> list[str]:
        kept = [text for text in self.said[peer] if text not in self.dropped]
        return [text + self.marks.get(text, "") for text in kept]

    def shown(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {peer: [] for peer in PEERS}
        for content in self.stand.channel.delivered():
            update, peer = content["update"], content["sessionId"].rpartition(":")[2]
            is_end = update["sessionUpdate"] == "result"
            found[peer].append("" if is_end else update["content"]["text"])
        return found


@settings(max_examples=150)
@given(ACTS)
def test_every_chat_reads_what_was_said_in_its_order(acts: list[tuple[Act, int, str]]) -> None:
    async def play() -> None:
        scene = Scene()
        for act in acts:
            scene.act(*act)
        scene.settle()
        assert scene.shown() == {peer: scene.expected(peer) for peer in PEERS}
        assert scene.stand.agent.wire.is_reading

    asyncio.run(play())

"""From messages to the blocks of a prompt."""

import pytest

from anyclawd.model.value import Json
from anyclawd.route import prompt
from anyclawd.wire.acp import PromptContent

CONTEXTS = {  # behaviour: (metadata, block)
    "nothing": ({}, ""),
    "thread": ({"threadId": "7"}, "[Context: thread 7]"),
    "reply-in-a-thread": (
        {"threadId": "7", "replyToText": "see you"},
        '[Context: thread 7, replying to: "see you"]',
    ),
    "reply-to-somebody": (
        {"replyToText": "see you", "replyToSender": "ann"},
        '[Context: replying to ann: "see you"]',
    ),
    "quote": (
        {"replyToText": "see", "replyToSender": "ann", "replyToIsQuote": True},
        '[Context: quoting ann: "see"]',
    ),
    "media": (
        {"replyToMediaType": "photo", "replyToMessageId": "5"},
        "[Context: replying to: <photo>]",
    ),
    "no-text": ({"replyToMessageId": "5"}, "[Context: reply to message 5]"),
    "no-text-of-somebody": (
        {"replyToMessageId": 5, "replyToSender": "ann"},
        "[Context: reply to message 5 of ann]",
    ),
    "nulls": ({"threadId": None, "replyToText": None}, ""),
}


@pytest.mark.parametrize(("metadata", "block"), CONTEXTS.values(), ids=CONTEXTS)
def test_reply_context(metadata: dict[str, Json], block: str) -> None:
    assert prompt.reply_context(metadata) == block


def test_the_blocks_of_a_prompt_come_in_their_order() -> None:
    text = {"type": "text", "text": "hello"}
    blocks = prompt.build(
        [text], {"threadId": "7"}, tools=[("clock", "tells the time")], takes=PromptContent()
    )
    tools, context, said = (block["text"] for block in blocks)
    assert "- clock: tells the time\n" in tools
    assert tools.startswith("[Platform context: ")
    assert tools.endswith("]\n")
    assert (context, said) == ("[Context: thread 7]", "hello")


def test_an_agent_without_tools_gets_no_block_of_them() -> None:
    text = {"type": "text", "text": "hello"}
    assert prompt.build([text], None, tools=(), takes=PromptContent()) == [text]


def test_a_tool_that_says_much_of_itself_leaves_room_for_the_others() -> None:
    text = prompt.tools_context([("n" * 5000, "d" * 10_000_000), ("clock", "tells the time")])
    assert len(text) < 1500
    assert "…\n- clock: tells the time\n" in text


def test_of_more_tools_than_there_is_room_for_the_rest_is_counted() -> None:
    text = prompt.tools_context([(f"tool-{number}", "x" * 500) for number in range(10_000)])
    told = text.count("- tool-")
    assert 10 < told < 100
    assert len(text) < prompt.TOOLS_MAX_CHARS + 200
    assert text.endswith(f"- and {10_000 - told} more, which the servers list\n]\n")

import pytest

from anyclaw_sdk.content import (
    Audio,
    AvailableCommands,
    ContentKind,
    File,
    Image,
    MessageChunk,
    Result,
    Thought,
    ToolCall,
    ToolCallUpdate,
    Unknown,
    Usage,
    UserMessageChunk,
    audio_part,
    content_kind,
    content_to_string,
    file_part,
    image_part,
    text_part,
)
from anyclaw_sdk.types import Json


def update(kind: str, **members: Json) -> Json:
    return {"update": {"sessionUpdate": kind, **members}}


def chunk(**content: Json) -> Json:
    return update("agent_message_chunk", content=content)


TEXT = {"type": "text", "text": "hi"}
KINDS: dict[str, tuple[Json, ContentKind]] = {
    "thought": (update("agent_thought_chunk", content=TEXT), Thought("hi")),
    "chunk": (update("agent_message_chunk", content=TEXT), MessageChunk("hi")),
    "bare-string-chunk": (update("agent_message_chunk", content="hi"), MessageChunk("hi")),
    "chunk-without-content": (update("agent_message_chunk"), MessageChunk("")),
    "chunk-of-another-shape": (update("agent_message_chunk", content=7), MessageChunk("")),
    "image-by-uri": (chunk(type="image", uri="a:1", url="a:2"), Image("a:1")),
    "image-at-an-address": (
        chunk(type="image", uri="http://a/1", data="QUJD", filename="f"),
        Image("http://a/1", "f"),
    ),
    "image-that-only-its-agent-can-read": (
        chunk(type="image", uri="file:///a", data="QUJD"),
        Image("data:image/png;base64,QUJD"),
    ),
    "image-by-url": (chunk(type="image", url="a:2"), Image("a:2")),
    "image-by-data": (
        chunk(type="image", data="QUJD", mimeType="image/gif"),
        Image("data:image/gif;base64,QUJD"),
    ),
    "file": (
        chunk(type="file", url="a:1", filename="f", mimeType="text/plain"),
        File("a:1", "f", "text/plain"),
    ),
    "file-by-uri-and-name": (chunk(type="file", uri="a:1", name="f"), File("a:1", "f", None)),
    "audio-by-data": (chunk(type="audio", data="a:1", url="a:2"), Audio("a:1", None)),
    "audio-by-url": (chunk(type="audio", url="a:2", mimeType="m"), Audio("a:2", "m")),
    "audio-of-acp": (
        chunk(type="audio", data="QUJD", mimeType="audio/ogg", name="f"),
        Audio("data:audio/ogg;base64,QUJD", "audio/ogg", "f"),
    ),
    "audio-without-anything": (chunk(type="audio"), Audio("", None)),
    "file-with-a-size": (
        chunk(type="file", url="a:1", sizeBytes=7),
        File("a:1", None, None, 7),
    ),
    "embedded-text": (
        chunk(type="resource", resource={"uri": "file:///a/b.txt", "text": "ABC"}),
        File("data:text/plain;base64,QUJD", "b.txt", None),
    ),
    "embedded-bytes": (
        chunk(type="resource", resource={"uri": "x:b", "mimeType": "image/gif", "blob": "QUJD"}),
        File("data:image/gif;base64,QUJD", "x:b", "image/gif"),
    ),
    "embedded-at-an-address": (
        chunk(type="resource", resource={"uri": "https://a/b", "text": "ABC"}),
        File("https://a/b", "b", None),
    ),
    "embedded-nothing": (chunk(type="resource"), File("", None, None)),
    "resource-link": (chunk(type="resource_link", uri="a:1", name="f"), File("a:1", "f", None)),
    "push": (update("push_message", content=[TEXT, TEXT]), MessageChunk("hihi")),
    "result": (update("result", content="all"), Result("all", is_error=False)),
    "result-without-text": (update("result", stopReason="end_turn"), Result("", is_error=False)),
    "result-that-failed": (update("result", content="no", isError=True), Result("no", True)),
    "result-that-failed-in-0.9": (
        {"error": "no", "update": {"sessionUpdate": "result"}},
        Result("no", is_error=True),
    ),
    "user": (update("user_message_chunk", content=TEXT), UserMessageChunk("hi")),
    "usage": (update("usage_update", inputTokens=3), Usage({"inputTokens": 3})),
    "tool-call": (
        update("tool_call", toolCallId="t", name="ls", title="List", input={"a": 1}),
        ToolCall("t", "ls", {"a": 1}),
    ),
    "tool-call-of-acp": (
        update("tool_call", toolCallId="t", title="List", rawInput={"a": 1}),
        ToolCall("t", "List", {"a": 1}),
    ),
    "tool-call-update": (
        update(
            "tool_call_update",
            toolCallId="t",
            status="completed",
            rawOutput={"output": "o", "metadata": {"exit": 2}},
        ),
        ToolCallUpdate("t", "", "completed", "o", None, 2),
    ),
    "commands": (
        update("available_commands_update", availableCommands=[{"name": "new"}]),
        AvailableCommands([{"name": "new"}]),
    ),
    "commands-of-the-mock": (
        update("available_commands_update", commands=[{"name": "help"}]),
        AvailableCommands([{"name": "help"}]),
    ),
    "string": ("hi", Unknown("hi")),
    "null": (None, Unknown(None)),
    "other-update": (update("plan", entries=[]), Unknown(update("plan", entries=[]))),
}


@pytest.mark.parametrize(("content", "kind"), KINDS.values(), ids=KINDS)
def test_content_kind(content: Json, kind: ContentKind) -> None:
    assert content_kind(content) == kind


STRINGS: dict[str, tuple[Json, str]] = {
    "string": ("hi", "hi"),
    "null": (None, ""),
    "chunk": (update("agent_message_chunk", content=TEXT), "hi"),
    "image": (chunk(type="image", url="a:1"), "a:1"),
    "tool": (update("tool_call", name="ls"), "ls"),
    "unknown-update-with-text": (update("notice", content=TEXT), "hi"),
    "bare-block": (TEXT, "hi"),
    "anything-else": ({"é": 1}, '{"é": 1}'),
}


@pytest.mark.parametrize(("content", "text"), STRINGS.values(), ids=STRINGS)
def test_content_to_string(content: Json, text: str) -> None:
    assert content_to_string(content) == text


def test_parts_hold_only_what_is_known() -> None:
    assert text_part("a") == {"type": "text", "text": "a"}
    assert image_part("u") == {"type": "image", "url": "u"}
    assert file_part("u") == {"type": "file", "url": "u"}
    assert file_part("u", "f", "m") == {
        "type": "file",
        "url": "u",
        "filename": "f",
        "mimeType": "m",
    }
    assert audio_part("u", "m") == {"type": "audio", "url": "u", "mimeType": "m"}

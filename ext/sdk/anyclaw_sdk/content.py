"""What a delivery shows: `content_kind` tells the kinds apart, `content_to_string` gives the text.

The discriminator is `content.update.sessionUpdate`; anything else is `Unknown`, never an error.
"""

import binascii
import json
from typing import NamedTuple, TypeAlias

from anyclaw_sdk.types import Json, Message, list_of, map_of, text_of

#: URLs that lead to the same thing for everybody who is given them.
_WITHIN_REACH = ("http", "https", "http+unix", "data")


def text_part(text: str) -> Message:
    return {"type": "text", "text": text}


def image_part(url: str) -> Message:
    return {"type": "image", "url": url}


def file_part(url: str, filename: str | None = None, mime_type: str | None = None) -> Message:
    named = {"type": "file", "url": url, "filename": filename, "mimeType": mime_type}
    return {key: value for key, value in named.items() if value is not None}


def audio_part(url: str, mime_type: str | None = None) -> Message:
    named = {"type": "audio", "url": url, "mimeType": mime_type}
    return {key: value for key, value in named.items() if value is not None}


class Thought(NamedTuple):
    text: str


class MessageChunk(NamedTuple):
    text: str


class UserMessageChunk(NamedTuple):
    text: str


class Result(NamedTuple):
    """The end of a turn; its text is the whole answer, or "" where the chunks were all of it."""

    text: str
    is_error: bool


class Image(NamedTuple):
    url: str
    filename: str | None = None


class File(NamedTuple):
    url: str
    filename: str | None
    mime_type: str | None
    size: int | None = None  #: in bytes


class Audio(NamedTuple):
    url: str
    mime_type: str | None
    filename: str | None = None


class ToolCall(NamedTuple):
    tool_call_id: str
    name: str
    input: Json


class ToolCallUpdate(NamedTuple):
    tool_call_id: str
    name: str
    status: str
    output: Json
    input: Json
    exit_code: int | None


class Usage(NamedTuple):
    counts: Message


class AvailableCommands(NamedTuple):
    commands: list[Json]


class Unknown(NamedTuple):
    content: Json


ContentKind: TypeAlias = (
    Thought
    | MessageChunk
    | UserMessageChunk
    | Result
    | Image
    | File
    | Audio
    | ToolCall
    | ToolCallUpdate
    | Usage
    | AvailableCommands
    | Unknown
)


def content_kind(content: Json) -> ContentKind:
    """Read the content of a delivery."""
    update = map_of(map_of(content).get("update"))
    match update.get("sessionUpdate"):
        case "agent_thought_chunk":
            return Thought(block_text(update.get("content")))
        case "agent_message_chunk" | "push_message":
            return _message_chunk(update.get("content"))
        case "user_message_chunk":
            return UserMessageChunk(block_text(update.get("content")))
        case "result":
            failure = text_of(map_of(content).get("error"))
            text = block_text(update.get("content")) or failure
            return Result(text, bool(failure) or update.get("isError") is True)
        case "tool_call":
            return ToolCall(
                text_of(update.get("toolCallId")), _tool_name(update), _tool_input(update)
            )
        case "tool_call_update":
            return _tool_call_update(update)
        case "usage_update":
            return Usage({key: update[key] for key in update if key != "sessionUpdate"})
        case "available_commands_update":
            commands = update.get("availableCommands", update.get("commands"))
            return AvailableCommands(list_of(commands))
        case _:
            return Unknown(content)


def content_to_string(content: Json) -> str:
    """The text of a delivery, whatever it is: a string as it is, other shapes by their text."""
    if isinstance(content, str):
        return content
    match content_kind(content):
        case Thought(text) | MessageChunk(text) | UserMessageChunk(text) | Result(text, _):
            return text
        case Image(url) | File(url) | Audio(url):
            return url
        case ToolCall(_, name, _) | ToolCallUpdate(_, name, _, _, _, _):
            return name
        case _:
            return _plain_text(content)


def block_text(content: Json) -> str:
    """The text of a content block, of a list of them, or of a bare string; "" without any."""
    if isinstance(content, list):
        return "".join(map(block_text, content))
    return text_of(content) or text_of(map_of(content).get("text"))


def _plain_text(content: Json) -> str:
    update = map_of(map_of(content).get("update"))
    text = block_text(update.get("content")) or block_text(content)
    return text or ("" if content is None else json.dumps(content, ensure_ascii=False))


def _message_chunk(content: Json) -> ContentKind:
    block = map_of(content)
    mime_type = text_of(block.get("mimeType")) or None
    filename = _first_text(block, "filename", "name") or None
    size = next((block[key] for key in ("sizeBytes", "size") if _is_count(block.get(key))), None)
    match block.get("type"):
        case "image":
            url = _first_text(block, "uri", "url")
            return Image(_shown_url(url, block, mime_type or "image/png"), filename)
        case "audio":
            url = _first_text(block, "data", "url")
            if ":" not in url:  # what ACP calls data is no URL, as it was to 0.9
                url = _data_url(url, mime_type or "audio/wav")
            return Audio(url, mime_type, filename)
        case "file" | "resource_link":
            return File(_first_text(block, "url", "uri"), filename, mime_type, size)
        case "resource":
            return _embedded(map_of(block.get("resource")))
        case _:
            return MessageChunk(block_text(content))


def _embedded(resource: Message) -> File:
    """A resource that comes with its content, text or bytes."""
    uri, mime_type = text_of(resource.get("uri")), text_of(resource.get("mimeType")) or None
    text, blob = resource.get("text"), text_of(resource.get("blob"))
    kind = mime_type or ("text/plain" if isinstance(text, str) else "application/octet-stream")
    if isinstance(text, str):
        blob = binascii.b2a_base64(text.encode(), newline=False).decode()
    filename = uri.rstrip("/").rpartition("/")[2] or None
    return File(_shown_url(uri, {"data": blob}, kind), filename, mime_type)


def _shown_url(url: str, block: Message, mime_type: str) -> str:
    """The URL, if a channel can show what is there; else the block's own bytes, if it has any."""
    data = text_of(block.get("data"))
    is_elsewhere = url.partition(":")[0] not in _WITHIN_REACH
    return _data_url(data, mime_type) if data and (not url or is_elsewhere) else url


def _data_url(data: str, mime_type: str) -> str:
    """What ACP carries as bytes is shown by its URL."""
    return f"data:{mime_type};base64,{data}" if data else ""


def _is_count(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _tool_call_update(update: Message) -> ToolCallUpdate:
    raw_output = map_of(update.get("rawOutput"))
    exit_code = map_of(raw_output.get("metadata")).get("exit")
    output = update.get("output")
    return ToolCallUpdate(
        tool_call_id=text_of(update.get("toolCallId")),
        name=_tool_name(update),
        status=text_of(update.get("status")),
        output=raw_output.get("output") if output is None else output,
        input=_tool_input(update),
        exit_code=exit_code if isinstance(exit_code, int) else None,
    )


def _tool_name(update: Message) -> str:
    return _first_text(update, "name", "title")


def _tool_input(update: Message) -> Json:
    found = update.get("input")
    return update.get("rawInput") if found is None else found


def _first_text(block: Message, *keys: str) -> str:
    return next((text for key in keys if (text := text_of(block.get(key)))), "")

"""What a delivery looks like as a server-sent event; None where there is nothing to show.

Source: WHATWG HTML, "Server-sent events".
"""

import json
from collections.abc import Callable
from typing import NamedTuple

from anyclaw_sdk.content import (
    Audio,
    AvailableCommands,
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
    content_kind,
)
from anyclaw_sdk.types import Json, Message


class Event(NamedTuple):
    name: str  #: "" for the default event
    data: str
    id: str = ""  #: of the delivery, where it has one: the same when it is sent again

    def encode(self) -> bytes:
        """The event's lines and the blank one that ends it."""
        head = [f"id: {self.id}"] if self.id.isprintable() and self.id else []
        head += [f"event: {self.name}"] if self.name else []
        lines = self.data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return ("\n".join([*head, *(f"data: {line}" for line in lines)]) + "\n\n").encode(
            errors="replace"  # a lone surrogate, which JSON can carry and UTF-8 cannot
        )


#: Where a client finds a file by its URL, name and type; empty where the URL says it all.
Place = Callable[[str, str, str], str]


def _nowhere(url: str, filename: str, mime_type: str) -> str:
    return ""


def event_of(content: Json, place: Place = _nowhere) -> Event | None:
    match content_kind(content):
        case Thought(text):
            return Event("thought", text)
        case MessageChunk(text) | Result(text, _):
            return Event("", text)
        case UserMessageChunk(text):
            return Event("user_message_chunk", text)
        case ToolCall(tool_call_id, name, tool_input):
            return _json("tool_call", toolCallId=tool_call_id, name=name, input=tool_input)
        case ToolCallUpdate() as call:
            return _json(
                "tool_call_update",
                toolCallId=call.tool_call_id,
                name=call.name,
                status=call.status,
                output=call.output,
            )
        case AvailableCommands(commands):
            return Event("available_commands", _dumps(commands))
        case Usage():
            return Event("usage", "")
        case Image(url, filename):
            at = _placed(place(url, filename or "", ""), filename)
            return _json("image", url=url, **at)
        case File(url, filename, mime_type):
            at = _placed(place(url, filename or "", mime_type or ""))
            return _json("file", url=url, filename=filename, mimeType=mime_type, **at)
        case Audio(url, mime_type, filename):
            at = _placed(place(url, filename or "", mime_type or ""), filename)
            return _json("audio", url=url, mimeType=mime_type, **at)
        case Unknown(str() as text):
            return Event("", text)
        case Unknown():  # a kind of update that has no event, such as a plan
            return None


def _placed(path: str, filename: str | None = None) -> Message:
    """What is told beyond the original, where there is anything."""
    told = {"path": path, "filename": filename}
    return {name: text for name, text in told.items() if text}


def _json(name: str, /, **members: Json) -> Event:
    return Event(name, _dumps(members))


def _dumps(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)

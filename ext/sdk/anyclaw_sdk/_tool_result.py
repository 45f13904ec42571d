"""What a tool has returned as the result of `tools/call`; no I/O.

str            one text block
a block        that block
list           its blocks, a string in it being a text block, if it holds nothing else
dict           structured content, and its JSON as a text block for clients that read no other
ToolResult     as it says
None           nothing
anything else  its JSON as a text block
"""

import json
from typing import NamedTuple

from anyclaw_sdk.blocks import is_block, text_block
from anyclaw_sdk.types import Json, Message, list_of, map_of, text_of

#: For the eyes of a model.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


class ToolResult(NamedTuple):
    """The result of a call, where more than one kind of value has to be told."""

    blocks: list[Json] = []  # noqa: RUF012 - a default of a named tuple, never changed
    structured: Json = None  #: an object; None where there is none
    is_error: bool = False  #: the blocks tell the model what went wrong

    @property
    def text(self) -> str:
        """The text of all text blocks, one a line."""
        texts = (map_of(block) for block in self.blocks)
        return "\n".join(text_of(one.get("text")) for one in texts if one.get("type") == "text")

    @classmethod
    def from_wire(cls, value: Json) -> "ToolResult":
        raw = map_of(value)
        blocks, structured = list_of(raw.get("content")), raw.get("structuredContent")
        return cls(blocks, structured, raw.get("isError") is True)

    def to_wire(self) -> Message:
        wire: Message = {"content": self.blocks}
        if self.structured is not None:
            wire["structuredContent"] = self.structured
        return wire | ({"isError": True} if self.is_error else {})


def error_result(text: str) -> ToolResult:
    return ToolResult([text_block(text)], is_error=True)


def result_of(value: Json) -> ToolResult:
    """Raises TypeError or ValueError for what is no JSON."""
    match value:
        case ToolResult():
            return value
        case None:
            return ToolResult()
        case str():
            return ToolResult([text_block(value)])
        case dict() if is_block(value):
            return ToolResult([value])
        case dict():
            return ToolResult([_json_block(value)], value)
        case list() if value and all(isinstance(one, str) or is_block(one) for one in value):
            return ToolResult([text_block(one) if isinstance(one, str) else one for one in value])
        case _:
            return ToolResult([_json_block(value)])


def _json_block(value: Json) -> Message:
    return text_block(_ENCODER.encode(value))

"""Content blocks of MCP: what the result of a tool is made of. Source: MCP "Tools", "Tool Result".

They are not the parts of a message to a chat, which are in `anyclaw_sdk.content`.
"""

import binascii

from anyclaw_sdk.types import Json, Message, map_of

#: What each kind of block needs beside its type.
_MEMBERS: dict[str, tuple[tuple[str, type], ...]] = {
    "text": (("text", str),),
    "image": (("data", str), ("mimeType", str)),
    "audio": (("data", str), ("mimeType", str)),
    "resource": (("resource", dict),),
    "resource_link": (("uri", str), ("name", str)),
}


def text_block(text: str) -> Message:
    return {"type": "text", "text": text}


def image_block(data: bytes, mime_type: str) -> Message:
    return {"type": "image", "data": _base64(data), "mimeType": mime_type}


def audio_block(data: bytes, mime_type: str) -> Message:
    return {"type": "audio", "data": _base64(data), "mimeType": mime_type}


def resource_block(uri: str, content: str | bytes, mime_type: str = "") -> Message:
    """A resource with its content: text, or bytes of any kind."""
    resource: Message = {"uri": uri}
    if mime_type:
        resource["mimeType"] = mime_type
    if isinstance(content, str):
        resource["text"] = content
    else:
        resource["blob"] = _base64(content)
    return {"type": "resource", "resource": resource}


def link_block(uri: str, name: str, mime_type: str = "", description: str = "") -> Message:
    """A resource by its address only."""
    link = {"type": "resource_link", "uri": uri, "name": name}
    more = {"mimeType": mime_type, "description": description}
    return link | {key: value for key, value in more.items() if value}


def is_block(value: Json) -> bool:
    """Whether this is a content block: of a known type, with what that type needs."""
    block = map_of(value)
    kind = block.get("type")
    members = _MEMBERS.get(kind) if isinstance(kind, str) else None
    return members is not None and all(isinstance(block.get(key), type_) for key, type_ in members)


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()

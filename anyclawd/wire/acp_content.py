"""What users say as the content blocks of ACP. Source: ACP "Content"."""

import re

from anyclawd.model.value import Json
from anyclawd.wire.acp import PromptContent
from anyclawd.wire.lenient import as_text

_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^,]*)?;base64,", re.IGNORECASE)


def block(part: Json, takes: PromptContent) -> Json:
    """A content part of the channel protocol as an ACP content block that the agent takes.

    An image by `data:` URL is sent both ways: `data` is what ACP asks for, `uri` is where agents
    of 0.9 look. What an agent does not take becomes a link, which all do, or where its content
    stands in the URL itself, a text that says so. Parts of an unknown type go through unchanged.
    """
    url, mime_type = as_text(part.get("url")), as_text(part.get("mimeType"))
    match part.get("type"):
        case "image" if takes.images:
            return _image(url, mime_type)
        case "audio" if takes.audio:
            return {"type": "audio", "data": url, "mimeType": mime_type or "audio/mpeg"}
        case "image" | "audio" as kind if url.startswith("data:"):
            return {
                "type": "text",
                "text": f"[The user sent {kind}, which this agent does not take.]",
            }
        case "image" | "audio":
            return _link(url, mime_type, "")
        case "file":
            return _file(url, mime_type, as_text(part.get("filename")), embeds=takes.embeds)
    return part


def _image(url: str, mime_type: str) -> dict[str, Json]:
    if found := _DATA_URL.match(url):
        data, mime_type = url[found.end() :], found[1] or mime_type
        return {"type": "image", "uri": url, "data": data, "mimeType": mime_type}
    return {"type": "image", "uri": url, "data": "", "mimeType": mime_type}


def _file(url: str, mime_type: str, filename: str, *, embeds: bool) -> dict[str, Json]:
    if embeds:
        resource = {"uri": url, "text": ""} | ({"mimeType": mime_type} if mime_type else {})
        return {"type": "resource", "resource": resource}
    return _link(url, mime_type, filename)


def _link(url: str, mime_type: str, filename: str) -> dict[str, Json]:
    name = filename or url.rstrip("/").rpartition("/")[2] or url
    link = {"type": "resource_link", "uri": url, "name": name}
    return link | ({"mimeType": mime_type} if mime_type else {})

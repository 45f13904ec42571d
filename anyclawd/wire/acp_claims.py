"""Claim checks in a prompt: which blocks refer to one, and what becomes of them.

A block comes from `wire.acp_content` with a URL and without content. Here it gets the content,
where that is of a kind that agents of all makers take; else it becomes a link that any agent takes,
and a note that says what it is, since a link alone is easily overlooked.
"""

from typing import NamedTuple

from anyclawd.model.value import Json
from anyclawd.wire import acp_content
from anyclawd.wire.acp_content import Attached
from anyclawd.wire.lenient import as_map, as_text

#: What models look at; an image of another type fails the turn it is in, and those after it.
_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
#: What is said of a file whose type is not told.
_UNKNOWN = "application/octet-stream"


class Reference(NamedTuple):
    """A block that has a URL in place of content."""

    url: str
    block: dict[str, Json]
    kind: str  #: image, audio or file, or link where content is not taken


class Found(NamedTuple):
    """What a claim turned out to be."""

    mime_type: str = ""
    filename: str = ""
    size: int | None = None


def reference(block: Json) -> Reference | None:
    """What a block refers to; None where it has its content, or needs none."""
    if not isinstance(block, dict):
        return None
    match block.get("type"):
        case "image" if not block.get("data"):
            return Reference(as_text(block.get("uri")), block, "image")
        case "resource":
            resource = as_map(block.get("resource"))
            if not resource.get("text") and not resource.get("blob"):
                return Reference(as_text(resource.get("uri")), block, "file")
        case "resource_link":
            is_audio = as_map(block.get("_meta")).get(acp_content.AUDIO) is True
            kind = "audio" if is_audio else "link"
            return Reference(as_text(block.get("uri")), block, kind)
    return None


def filled(found: Reference, content: bytes, claim: Found) -> dict[str, Json] | None:
    """The block with its content; None where that is not what it has to be."""
    mime_type = claim.mime_type.partition(";")[0].strip().lower()
    match found.kind:
        case "image" if mime_type in _IMAGES:
            data = acp_content.base64_of(content)
            return {"type": "image", "uri": found.url, "data": data, "mimeType": mime_type}
        case "audio" if mime_type.startswith("audio/"):
            data = acp_content.base64_of(content)
            return {"type": "audio", "data": data, "mimeType": mime_type}
        case "file":
            resource = as_map(found.block["resource"])
            told = as_text(resource.get("mimeType"))
            mime_type = told if mime_type in ("", _UNKNOWN) and told else mime_type
            text = acp_content.text_of(content, mime_type)
            if text is None and acp_content.is_text(mime_type):
                return None  # it is too long for a prompt, or is no text after all
            data = "" if text is not None else acp_content.base64_of(content)
            given = {"uri": found.url, "mimeType": mime_type or _UNKNOWN}
            embedded = acp_content.embedded(text, data)
            return {"type": "resource", "resource": given | embedded}
    return None


def linked(found: Reference, claim: Found) -> list[Json]:
    """A note and a link, in place of the block."""
    attached = _attached(found, claim)
    size = f", {attached.size} bytes" if attached.size is not None else ""
    kind = f" ({attached.mime_type or _UNKNOWN}{size})"
    note = (
        f"[The user sent {acp_content.told(attached)}{kind}. Its content is not in this message; "
        "until it expires it can be read by an HTTP GET of the link that follows.]"
    )
    return [{"type": "text", "text": note}, acp_content.link(attached)]


def _attached(found: Reference, claim: Found) -> Attached:
    """What is known of it: what the store says is stronger than what the channel did."""
    block = found.block
    about = as_map(block.get("resource")) if found.kind == "file" else block
    is_link = block.get("type") == "resource_link"
    known = block if is_link else as_map(as_map(block.get("_meta")).get(acp_content.FILE))
    told, name, size = as_text(about.get("mimeType")), as_text(known.get("name")), known.get("size")
    mime_type = told if claim.mime_type in ("", _UNKNOWN) and told else claim.mime_type
    return Attached(
        kind=_kind_of(mime_type) if found.kind == "link" else found.kind,
        url=found.url,
        mime_type=mime_type,
        filename=claim.filename or name,
        size=claim.size if claim.size is not None or not isinstance(size, int) else size,
    )


def _kind_of(mime_type: str) -> str:
    root = mime_type.partition("/")[0]
    return root if root in ("image", "audio") else "file"

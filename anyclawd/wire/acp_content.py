"""What users say as the content blocks of ACP. Source: ACP "Content"."""

import binascii
import re
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from anyclawd.model.value import Json
from anyclawd.wire.acp import PromptContent
from anyclawd.wire.lenient import as_text

#: In `_meta` of a link: the agent takes audio, so it may have the content instead.
AUDIO = "anyclaw/audio"
#: In `_meta` of a block that has no place for them: the name and the size of its file.
FILE = "anyclaw/file"
#: The longest text of a file that is put into a prompt; a token has some four characters.
TEXT_MAX_BYTES = 64 * 1024
#: Types that are text by another name.
_TEXTS = re.compile(r"text/.*|application/(.*\+)?(json|xml|yaml|x-yaml|toml|sql|javascript|x-sh)")
_DATA_URL = re.compile(r"data:([^;,]*)(;[^,]*)?,", re.IGNORECASE)
_KINDS = {"image": "an image", "audio": "audio", "file": "a file"}


class Attached(NamedTuple):
    """A content part that is no text."""

    kind: str  #: image, audio or file
    url: str
    mime_type: str
    filename: str
    size: int | None


def block(part: Json, takes: PromptContent) -> Json:
    """A content part of the channel protocol as an ACP content block that the agent takes.

    An image by `data:` URL is sent both ways: `data` is what ACP asks for, `uri` is where agents
    of 0.9 look; these look for the URL of audio in `data`. What an agent does not take becomes a
    link, which all do, or where its content stands in the URL itself, a text: its own, or one that
    says so. Parts of an unknown type go through unchanged.
    """
    if part.get("type") not in _KINDS:
        return part
    attached = _read(part)
    if _DATA_URL.match(attached.url):
        return _inline(attached, takes)
    match attached.kind:
        case "image" if takes.images:
            return _image(attached, data="") | _about(attached)
        case "audio" if takes.audio and not takes.reads_data:
            return _audio(attached, data=attached.url)
        case "audio" if takes.audio:
            return link(attached) | {"_meta": {AUDIO: True}}
        case "file" if takes.embeds:
            resource = _resource(attached) | {"text": ""}
            return {"type": "resource", "resource": resource} | _about(attached)
    return link(attached)


def _about(attached: Attached) -> dict[str, Json]:
    """What else is known of it, for whoever fetches it or not."""
    known: dict[str, Json] = {"name": attached.filename} if attached.filename else {}
    known |= {"size": attached.size} if attached.size is not None else {}
    return {"_meta": {FILE: known}} if known else {}


def _read(part: Json) -> Attached:
    size = part.get("sizeBytes")
    return Attached(
        part["type"],
        as_text(part.get("url")),
        as_text(part.get("mimeType")),
        as_text(part.get("filename")),
        size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None,
    )


def _inline(attached: Attached, takes: PromptContent) -> Json:
    """The block of what stands in its URL itself."""
    mime_type, data = _read_data_url(attached.url)
    attached = attached._replace(mime_type=mime_type or attached.mime_type)
    match attached.kind:
        case "image" if takes.images:
            return _image(attached, data=data)
        case "audio" if takes.audio:
            return _audio(attached, data=data if takes.reads_data else attached.url)
        case "file" if takes.embeds and not takes.reads_data:
            return {"type": "resource", "resource": _resource(attached) | {"text": ""}}
        case "file":
            return _inline_file(attached, data, takes)
    return untaken(attached)


def _inline_file(attached: Attached, data: str, takes: PromptContent) -> Json:
    text = _text_in(data, attached.mime_type)
    if takes.embeds:
        named = attached._replace(url=f"attachment:///{quote(attached.filename)}")
        return {"type": "resource", "resource": _resource(named) | embedded(text, data)}
    if text is None:
        return untaken(attached)
    return {"type": "text", "text": f"[The user sent {told(attached)}:]\n{text}\n"}


def _text_in(data: str, mime_type: str) -> str | None:
    if len(data) > 2 * TEXT_MAX_BYTES:
        return None
    try:
        return text_of(binascii.a2b_base64(data), mime_type)
    except ValueError:  # it is no base64
        return None


def _read_data_url(url: str) -> tuple[str, str]:
    """The type and the content, as base64."""
    found = _DATA_URL.match(url)
    if found is None:
        return "", ""
    content = url[found.end() :]
    is_base64 = (found[2] or "").lower().endswith(";base64")
    return found[1], content if is_base64 else base64_of(unquote_to_bytes(content))


def _image(attached: Attached, data: str) -> dict[str, Json]:
    mime_type = attached.mime_type
    return {"type": "image", "uri": attached.url, "data": data, "mimeType": mime_type}


def _audio(attached: Attached, data: str) -> dict[str, Json]:
    return {"type": "audio", "data": data, "mimeType": attached.mime_type or "audio/mpeg"}


def _resource(attached: Attached) -> dict[str, Json]:
    mime_type = {"mimeType": attached.mime_type} if attached.mime_type else {}
    return {"uri": attached.url} | mime_type


def link(attached: Attached) -> dict[str, Json]:
    """A link to it, which all agents take."""
    url = attached.url
    name = attached.filename or url.partition("?")[0].rstrip("/").rpartition("/")[2] or url
    found: dict[str, Json] = {"type": "resource_link", "uri": url, "name": name}
    found |= {"mimeType": attached.mime_type} if attached.mime_type else {}
    return found | ({"size": attached.size} if attached.size is not None else {})


def untaken(attached: Attached) -> dict[str, Json]:
    text = f"[The user sent {told(attached)}, which this agent does not take.]"
    return {"type": "text", "text": text}


def told(attached: Attached) -> str:
    """What it is, in the words of a note to the agent."""
    name = f" {attached.filename!r:.200}" if attached.filename else ""
    return _KINDS[attached.kind] + name


# --- content --------------------------------------------------------------------------------------


def base64_of(content: bytes) -> str:
    return binascii.b2a_base64(content, newline=False).decode()


def is_text(mime_type: str) -> bool:
    """Whether a type is text, by its own name or by another."""
    return _TEXTS.fullmatch(mime_type.partition(";")[0].strip().lower()) is not None


def text_of(content: bytes, mime_type: str) -> str | None:
    """The text of a file that is short and is text by its type and by its bytes; else None."""
    if len(content) > TEXT_MAX_BYTES or not is_text(mime_type) or b"\0" in content:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def embedded(text: str | None, data: str) -> dict[str, Json]:
    """What an embedded resource holds: text where it is some, else base64."""
    return {"blob": data} if text is None else {"text": text}

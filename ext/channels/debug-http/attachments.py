"""What a client sends with its message: a form with text and files, as content parts.

Files go to the media service as they come, where the channel lists one. Else small ones go into the
message itself, as `data:` URLs, and larger ones are refused. No file is ever held in memory that is
over `INLINE_MAX_BYTES`. What comes of no message is removed from the service again.
"""

import asyncio
import base64
from collections import deque
from collections.abc import AsyncIterator
from typing import NamedTuple

from aiohttp import web
from form_data import Began, Content, Event, FormData, FormError
from refusal import Refusal

from anyclaw_sdk.content import text_part
from anyclaw_sdk.media import Claim, Media, MediaError
from anyclaw_sdk.types import Message

#: All files that go into one message.
INLINE_MAX_BYTES = 256 * 1024
FILES_MAX = 16
#: Fields of text, and all of it together.
TEXTS_MAX = 16
TEXT_MAX_BYTES = 1024 * 1024
#: The longest that nothing may come of a form.
IDLE_S = 30.0
#: Images that agents take, by how they begin; what is called an image and is none stays a file.
_IMAGES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


class Received(NamedTuple):
    """A form that has come in."""

    parts: list[Message]
    claims: list[Claim]  #: what was handed to the media service for it


class Attachments:
    def __init__(self, media: Media | None) -> None:
        self._media = media

    async def read(self, request: web.Request) -> Received:
        """Take a form. Raises Refusal, and then nothing of it is left."""
        if "Content-Encoding" in request.headers:
            raise Refusal(415, "a form is not taken with a Content-Encoding; send it as it is")
        received = Received([], [])
        try:
            await self._read(_Form(request), received)
        except BaseException as error:
            await self.discard(received)
            if isinstance(error, FormError):
                raise Refusal(400, f"the body is no form: {error}") from error
            raise
        return received

    async def discard(self, received: Received) -> None:
        """Nothing comes of it; what cannot be removed now expires."""
        for claim in received.claims:
            try:
                assert self._media is not None
                await self._media.delete(claim.id)
            except MediaError:
                continue

    async def _read(self, form: "_Form", received: Received) -> None:
        room, text_room = INLINE_MAX_BYTES, TEXT_MAX_BYTES
        files = texts = 0
        while (part := await form.next_part()) is not None:
            if part.name == "message" and part.filename is None:
                if (texts := texts + 1) > TEXTS_MAX:
                    raise Refusal(413, f"a form takes 'message' {TEXTS_MAX} times at most")
                said, size = await _text(form, text_room)
                text_room -= size
                received.parts.append(text_part(said))
            elif part.name != "files":
                text = f"field {part.name!r:.80} is not known; expected message and files"
                raise Refusal(400, text)
            elif (files := files + 1) > FILES_MAX:
                raise Refusal(413, f"a message takes {FILES_MAX} files at most")
            elif self._media is not None:
                claim = await self._upload(self._media, part, form)
                received.claims.append(claim)
                received.parts.append(claim.part())
            else:
                content = await _content(part, form, room)
                room -= len(content)
                received.parts.append(_inline(part, content))
        if not received.parts:
            raise Refusal(400, "the form is empty; expected message, files, or both")

    async def _upload(self, media: Media, part: Began, form: "_Form") -> Claim:
        try:
            return await media.upload(form.pieces(), part.filename or "", part.mime_type)
        except MediaError as error:
            told = f"{_shown(part)}: {error}"
            match error.status:
                case 413 | 408:
                    raise Refusal(error.status, told) from error
                case 503 | 507:
                    raise Refusal(503, told, retry_after_s=1) from error
                case _:
                    raise Refusal(502, told) from error


class _Form:
    """The parts of a request's form, one after another."""

    def __init__(self, request: web.Request) -> None:
        self._content = request.content
        self._form = FormData(request.headers.get("Content-Type", ""))
        self._events: deque[Event] = deque()

    async def next_part(self) -> Began | None:
        """The next part, past what is left of the last one; None at the end of the form."""
        while (event := await self._next_event()) is not None:
            if isinstance(event, Began):
                return event
        return None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The content of the part that was given last."""
        while isinstance(event := await self._next_event(), Content):
            yield event.data

    async def _next_event(self) -> Event | None:
        while not self._events:
            if self._form.is_complete:
                return None
            try:
                async with asyncio.timeout(IDLE_S):
                    data = await self._content.readany()
            except TimeoutError as error:
                raise Refusal(408, f"nothing more of the form came for {IDLE_S:g} s") from error
            if not data:
                raise FormError("it ends before its last boundary")
            self._events += self._form.feed(data)
        return self._events.popleft()


async def _text(form: _Form, max_bytes: int) -> tuple[str, int]:
    """A field of text, and its size in bytes."""
    content = bytearray()
    async for piece in form.pieces():
        content += piece
        if len(content) > max_bytes:
            raise Refusal(413, f"'message' is larger than {TEXT_MAX_BYTES} bytes")
    try:
        return content.decode(), len(content)
    except UnicodeDecodeError as error:
        raise Refusal(400, "'message' is not UTF-8") from error


async def _content(part: Began, form: _Form, max_bytes: int) -> bytes:
    content = bytearray()
    async for piece in form.pieces():
        content += piece
        if len(content) > max_bytes:
            text = (
                f"{_shown(part)}: files of more than {INLINE_MAX_BYTES} bytes together do not fit "
                "into a message; set up a media service and list it in services of this channel"
            )
            raise Refusal(413, text)
    return bytes(content)


def _inline(part: Began, content: bytes) -> Message:
    """A file inside its message."""
    said = "" if part.mime_type.startswith("image/") else part.mime_type
    mime_type = _image_type(content) or said
    mime_type = mime_type or "application/octet-stream"
    root = mime_type.partition("/")[0]
    url = f"data:{mime_type};base64,{base64.b64encode(content).decode()}"
    inline: Message = {"type": root if root in ("image", "audio") else "file", "url": url}
    named = {"filename": part.filename} if part.filename else {}
    return inline | {"mimeType": mime_type} | named | {"sizeBytes": len(content)}


def _image_type(content: bytes) -> str:
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((type_ for magic, type_ in _IMAGES.items() if content.startswith(magic)), "")


def _shown(part: Began) -> str:
    return f"file {part.filename!r:.200}" if part.filename else "a file"

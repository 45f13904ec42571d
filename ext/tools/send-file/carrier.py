"""How the bytes of a file get to a chat: by the media service, or inside of the message.

With a media service the file is streamed there and told by its address. Without one it travels in
the message itself, as a `data:` URL, which everything on the way holds in memory: small files only.
"""

import asyncio
import base64
from typing import BinaryIO

from kind import part_type_of
from refusal import Refusal

from anyclaw_sdk.media import Media, MediaError
from anyclaw_sdk.types import Message

#: What a message may hold.
INLINE_MAX_BYTES = 256 * 1024


async def part_of(
    file: BinaryIO, *, size: int, name: str, kind: str, media: Media | None
) -> Message:
    """The part of a message that shows the file. Raises Refusal where it cannot be carried."""
    if media is None:
        url = await _data_url(file, size, kind)
        part = {"type": part_type_of(kind), "url": url, "mimeType": kind}
        return part | {"filename": name, "sizeBytes": size}
    try:
        claim = await media.upload(file, name, kind)
    except MediaError as error:
        raise Refusal(f"the file cannot be handed to the media service: {error}") from error
    return claim.part(part_type_of(claim.mime_type)) | {"filename": claim.filename or name}


async def _data_url(file: BinaryIO, size: int, kind: str) -> str:
    if size > INLINE_MAX_BYTES:
        raise Refusal(
            f"the file has {size} bytes, more than the {INLINE_MAX_BYTES} that a message can hold; "
            "for larger ones the tool needs a media service: list one in its `services`"
        )
    content = await asyncio.to_thread(file.read, size + 1)
    if len(content) != size:
        raise Refusal("the file is being written to; send it when it is whole")
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"

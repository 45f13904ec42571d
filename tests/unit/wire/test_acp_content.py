"""What users say as content blocks."""

import pytest

from anyclawd.model.value import Json
from anyclawd.wire import acp_content

BLOCKS = {  # behaviour: (part, embeds, block)
    "text": ({"type": "text", "text": "x"}, True, {"type": "text", "text": "x"}),
    "image-by-url": (
        {"type": "image", "url": "https://x/i.png"},
        True,
        {"type": "image", "uri": "https://x/i.png", "data": "", "mimeType": ""},
    ),
    "image-by-data-url": (
        {"type": "image", "url": "data:image/jpeg;base64,QUJD"},
        True,
        {
            "type": "image",
            "uri": "data:image/jpeg;base64,QUJD",
            "data": "QUJD",
            "mimeType": "image/jpeg",
        },
    ),
    "audio": (
        {"type": "audio", "url": "u"},
        True,
        {"type": "audio", "data": "u", "mimeType": "audio/mpeg"},
    ),
    "file-embedded": (
        {"type": "file", "url": "u", "mimeType": "a/b"},
        True,
        {"type": "resource", "resource": {"uri": "u", "text": "", "mimeType": "a/b"}},
    ),
    "file-linked": (
        {"type": "file", "url": "https://x/a.pdf", "filename": "b.pdf"},
        False,
        {"type": "resource_link", "uri": "https://x/a.pdf", "name": "b.pdf"},
    ),
    "file-linked-without-a-name": (
        {"type": "file", "url": "https://x/a.pdf"},
        False,
        {"type": "resource_link", "uri": "https://x/a.pdf", "name": "a.pdf"},
    ),
    "unknown": ({"type": "new", "x": 1}, True, {"type": "new", "x": 1}),
}


@pytest.mark.parametrize(("part", "embeds", "block"), BLOCKS.values(), ids=BLOCKS)
def test_block(part: Json, embeds: bool, block: Json) -> None:
    assert acp_content.block(part, embeds=embeds) == block

"""What users say as content blocks."""

import pytest

from anyclawd.model.value import Json
from anyclawd.wire import acp_content
from anyclawd.wire.acp import PromptContent

ALL = PromptContent()
NONE = PromptContent(embeds=False, images=False, audio=False)
BLOCKS = {  # behaviour: (part, what the agent takes, block)
    "text": ({"type": "text", "text": "x"}, ALL, {"type": "text", "text": "x"}),
    "image-by-url": (
        {"type": "image", "url": "https://x/i.png"},
        ALL,
        {"type": "image", "uri": "https://x/i.png", "data": "", "mimeType": ""},
    ),
    "image-by-data-url": (
        {"type": "image", "url": "data:image/jpeg;base64,QUJD"},
        ALL,
        {
            "type": "image",
            "uri": "data:image/jpeg;base64,QUJD",
            "data": "QUJD",
            "mimeType": "image/jpeg",
        },
    ),
    "audio": (
        {"type": "audio", "url": "u"},
        ALL,
        {"type": "audio", "data": "u", "mimeType": "audio/mpeg"},
    ),
    "file-embedded": (
        {"type": "file", "url": "u", "mimeType": "a/b"},
        ALL,
        {"type": "resource", "resource": {"uri": "u", "text": "", "mimeType": "a/b"}},
    ),
    "file-linked": (
        {"type": "file", "url": "https://x/a.pdf", "filename": "b.pdf"},
        NONE,
        {"type": "resource_link", "uri": "https://x/a.pdf", "name": "b.pdf"},
    ),
    "file-linked-without-a-name": (
        {"type": "file", "url": "https://x/a.pdf"},
        NONE,
        {"type": "resource_link", "uri": "https://x/a.pdf", "name": "a.pdf"},
    ),
    "image-linked": (
        {"type": "image", "url": "https://x/i.png", "mimeType": "image/png"},
        NONE,
        {
            "type": "resource_link",
            "uri": "https://x/i.png",
            "name": "i.png",
            "mimeType": "image/png",
        },
    ),
    "audio-that-is-not-taken": (
        {"type": "audio", "url": "data:audio/ogg;base64,QUJD"},
        NONE,
        {"type": "text", "text": "[The user sent audio, which this agent does not take.]"},
    ),
    "unknown": ({"type": "new", "x": 1}, ALL, {"type": "new", "x": 1}),
}


@pytest.mark.parametrize(("part", "takes", "block"), BLOCKS.values(), ids=BLOCKS)
def test_block(part: Json, takes: PromptContent, block: Json) -> None:
    assert acp_content.block(part, takes) == block

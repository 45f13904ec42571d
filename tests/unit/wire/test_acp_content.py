"""What users say as content blocks."""

import pytest

from anyclawd.model.value import Json
from anyclawd.wire import acp_content
from anyclawd.wire.acp import PromptContent

ALL = PromptContent()
NONE = PromptContent(embeds=False, images=False, audio=False)
STRICT = PromptContent(reads_data=True)  #: has said itself that it takes all of it
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
    "image-that-is-not-taken": (
        {"type": "image", "url": "data:image/png;base64,QUJD", "filename": "a.png"},
        NONE,
        {
            "type": "text",
            "text": "[The user sent an image 'a.png', which this agent does not take.]",
        },
    ),
    "audio-by-data-url": (
        {"type": "audio", "url": "data:audio/ogg;base64,QUJD"},
        STRICT,
        {"type": "audio", "data": "QUJD", "mimeType": "audio/ogg"},
    ),
    "audio-by-data-url-as-of-0.9": (
        {"type": "audio", "url": "data:audio/ogg;base64,QUJD"},
        ALL,
        {"type": "audio", "data": "data:audio/ogg;base64,QUJD", "mimeType": "audio/ogg"},
    ),
    "audio-by-url": (
        {"type": "audio", "url": "https://x/a.ogg?k=v", "mimeType": "audio/ogg", "sizeBytes": 7},
        STRICT,
        {
            "type": "resource_link",
            "uri": "https://x/a.ogg?k=v",
            "name": "a.ogg",
            "mimeType": "audio/ogg",
            "size": 7,
            "_meta": {"anyclaw/audio": True},
        },
    ),
    "text-file-by-data-url": (
        {"type": "file", "url": "data:text/plain;base64,aGk=", "filename": "a b.txt"},
        STRICT,
        {
            "type": "resource",
            "resource": {"uri": "attachment:///a%20b.txt", "mimeType": "text/plain", "text": "hi"},
        },
    ),
    "text-file-by-plain-data-url": (
        {"type": "file", "url": "data:text/plain;charset=utf-8,h%C3%A4", "filename": "a"},
        STRICT,
        {
            "type": "resource",
            "resource": {"uri": "attachment:///a", "mimeType": "text/plain", "text": "hä"},
        },
    ),
    "text-file-that-is-not-embedded": (
        {"type": "file", "url": "data:text/plain;base64,aGk=", "filename": "a.txt"},
        NONE,
        {"type": "text", "text": "[The user sent a file 'a.txt':]\nhi\n"},
    ),
    "binary-file-by-data-url": (
        {"type": "file", "url": "data:application/pdf;base64,JVBERg=="},
        STRICT,
        {
            "type": "resource",
            "resource": {
                "uri": "attachment:///",
                "mimeType": "application/pdf",
                "blob": "JVBERg==",
            },
        },
    ),
    "binary-file-that-is-not-embedded": (
        {"type": "file", "url": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"},
        NONE,
        {"type": "text", "text": "[The user sent a file 'a.pdf', which this agent does not take.]"},
    ),
    "long-text-that-is-not-embedded": (
        {"type": "file", "url": "data:text/plain," + "x" * 70_000},
        NONE,
        {"type": "text", "text": "[The user sent a file, which this agent does not take.]"},
    ),
    "text-that-is-none": (
        {"type": "file", "url": "data:text/plain;base64,/w=="},
        NONE,
        {"type": "text", "text": "[The user sent a file, which this agent does not take.]"},
    ),
    "file-by-data-url-as-of-0.9": (
        {"type": "file", "url": "data:text/plain,hi"},
        ALL,
        {
            "type": "resource",
            "resource": {"uri": "data:text/plain,hi", "text": "", "mimeType": "text/plain"},
        },
    ),
    "image-with-what-is-known": (
        {"type": "image", "url": "https://x/i", "filename": "a.png", "sizeBytes": 5},
        ALL,
        {
            "type": "image",
            "uri": "https://x/i",
            "data": "",
            "mimeType": "",
            "_meta": {"anyclaw/file": {"name": "a.png", "size": 5}},
        },
    ),
    "image-linked-with-what-is-known": (
        {"type": "image", "url": "http://m/media/x?e=1", "filename": "a.png", "sizeBytes": 5},
        NONE,
        {"type": "resource_link", "uri": "http://m/media/x?e=1", "name": "a.png", "size": 5},
    ),
    "size-that-is-none": (
        {"type": "file", "url": "https://x/a", "sizeBytes": -1},
        NONE,
        {"type": "resource_link", "uri": "https://x/a", "name": "a"},
    ),
    "unknown": ({"type": "new", "x": 1}, ALL, {"type": "new", "x": 1}),
}


@pytest.mark.parametrize(("part", "takes", "block"), BLOCKS.values(), ids=BLOCKS)
def test_block(part: Json, takes: PromptContent, block: Json) -> None:
    assert acp_content.block(part, takes) == block

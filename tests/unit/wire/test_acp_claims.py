"""What becomes of a block that refers to a claim check."""

import pytest

from anyclawd.model.value import Json
from anyclawd.wire import acp_claims, acp_content
from anyclawd.wire.acp import PromptContent
from anyclawd.wire.acp_claims import Found

URL = "http://m/media/x?expires=1&signature=2"
ALL = PromptContent(reads_data=True)
NONE = PromptContent(embeds=False, images=False, audio=False, reads_data=True)
CONTENT = b"\0\1\2"


def block(kind: str, takes: PromptContent = ALL, **more: Json) -> Json:
    return acp_content.block({"type": kind, "url": URL, **more}, takes)


REFERENCES = {  # behaviour: (block, kind)
    "image": (block("image"), "image"),
    "image-for-0.9": (block("image", PromptContent()), "image"),
    "image-not-taken": (block("image", NONE), "link"),
    "audio": (block("audio"), "audio"),
    "audio-not-taken": (block("audio", NONE), "link"),
    "file": (block("file"), "file"),
    "file-not-taken": (block("file", NONE), "link"),
}


@pytest.mark.parametrize(("given", "kind"), REFERENCES.values(), ids=REFERENCES)
def test_what_a_block_refers_to(given: Json, kind: str) -> None:
    found = acp_claims.reference(given)
    assert found is not None
    assert (found.url, found.kind) == (URL, kind)


@pytest.mark.parametrize(
    "given",
    [
        "text",
        {"type": "text", "text": URL},
        {"type": "image", "uri": URL, "data": "QUJD", "mimeType": "image/png"},
        {"type": "resource", "resource": {"uri": URL, "text": "x"}},
        {"type": "resource", "resource": {"uri": URL, "blob": "QUJD"}},
        acp_content.block({"type": "audio", "url": URL}, PromptContent()),  # 0.9 reads the URL
        {"type": "new", "uri": URL},
    ],
)
def test_a_block_that_needs_no_content(given: Json) -> None:
    assert acp_claims.reference(given) is None


FILLED = {  # behaviour: (block, content, type in the store, block)
    "image": (
        block("image", mimeType="image/x", filename="a.png"),
        CONTENT,
        "image/png",
        {"type": "image", "uri": URL, "data": "AAEC", "mimeType": "image/png"},
    ),
    "audio": (
        block("audio"),
        CONTENT,
        "audio/ogg",
        {"type": "audio", "data": "AAEC", "mimeType": "audio/ogg"},
    ),
    "text": (
        block("file"),
        "hä".encode(),
        "text/plain; charset=utf-8",
        {"type": "resource", "resource": {"uri": URL, "mimeType": "text/plain", "text": "hä"}},
    ),
    "text-by-the-channel's-word": (
        block("file", mimeType="text/html"),
        b"<p>",
        "application/octet-stream",
        {"type": "resource", "resource": {"uri": URL, "mimeType": "text/html", "text": "<p>"}},
    ),
    "blob": (
        block("file", mimeType="text/plain"),
        CONTENT,
        "application/pdf",
        {
            "type": "resource",
            "resource": {"uri": URL, "mimeType": "application/pdf", "blob": "AAEC"},
        },
    ),
    "long-text": (
        block("file"),
        b"x" * (acp_content.TEXT_MAX_BYTES + 1),
        "text/plain",
        None,
    ),
    "image-of-a-kind-that-fails-turns": (block("image"), CONTENT, "image/bmp", None),
    "image-that-is-none": (block("image"), CONTENT, "application/octet-stream", None),
    "audio-that-is-none": (block("audio"), CONTENT, "text/plain", None),
    "link": (block("image", NONE), CONTENT, "image/png", None),
}


@pytest.mark.parametrize(("given", "content", "mime_type", "filled"), FILLED.values(), ids=FILLED)
def test_a_block_with_its_content(
    given: Json, content: bytes, mime_type: str, filled: Json
) -> None:
    found = acp_claims.reference(given)
    assert found is not None
    assert acp_claims.filled(found, content, Found(mime_type)) == filled


LINKED = {  # behaviour: (block, what the store says, what the note says, the link)
    "image": (
        block("image"),
        Found("image/png", "a.png", 5),
        "an image 'a.png' (image/png, 5 bytes)",
        {"name": "a.png", "mimeType": "image/png", "size": 5},
    ),
    "nothing-known": (
        block("file"),
        Found(),
        "a file (application/octet-stream)",
        {"name": "x"},
    ),
    "what-the-channel-said": (
        block("file", NONE, filename="a.txt", mimeType="text/plain", sizeBytes=7),
        Found(),
        "a file 'a.txt' (text/plain, 7 bytes)",
        {"name": "a.txt", "mimeType": "text/plain", "size": 7},
    ),
    "image-of-which-the-store-says-nothing": (
        block("image", filename="a.png", sizeBytes=7),
        Found(),
        "an image 'a.png' (application/octet-stream, 7 bytes)",
        {"name": "a.png", "size": 7},
    ),
    "file-of-which-the-store-says-nothing": (
        block("file", filename="a.txt", mimeType="text/plain", sizeBytes=7),
        Found(),
        "a file 'a.txt' (text/plain, 7 bytes)",
        {"name": "a.txt", "mimeType": "text/plain", "size": 7},
    ),
    "what-the-store-says-is-stronger": (
        block("audio", filename="a.ogg", mimeType="audio/x", sizeBytes=7),
        Found("audio/ogg", "b.ogg", 8),
        "audio 'b.ogg' (audio/ogg, 8 bytes)",
        {"name": "b.ogg", "mimeType": "audio/ogg", "size": 8},
    ),
}


@pytest.mark.parametrize(("given", "claim", "told", "link"), LINKED.values(), ids=LINKED)
def test_a_link_and_a_note(given: Json, claim: Found, told: str, link: Json) -> None:
    found = acp_claims.reference(given)
    assert found is not None
    note, linked = acp_claims.linked(found, claim)
    assert note["text"].startswith(f"[The user sent {told}. Its content is not in this message;")
    assert linked == {"type": "resource_link", "uri": URL, **link}

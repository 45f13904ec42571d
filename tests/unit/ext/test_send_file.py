"""What kind of file a chat is told of: by how it begins, else by its name."""

import pytest

from tests.fakes.extension import load_extension

kind = load_extension("tools/send-file").kind

PNG = b"\x89PNG\r\n\x1a\n"
KINDS = {
    "png": (PNG, "a.png", "image/png"),
    "png-by-another-name": (PNG, "a.txt", "image/png"),
    "jpeg": (b"\xff\xd8\xff\xe0", "a", "image/jpeg"),
    "gif": (b"GIF89a", "a.gif", "image/gif"),
    "webp": (b"RIFF\x10\0\0\0WEBPVP8 ", "a.webp", "image/webp"),
    "wave": (b"RIFF\x10\0\0\0WAVEfmt ", "a.wav", "audio/wav"),
    "webp-without-its-beginning": (b"XIFF\x10\0\0\0WEBPVP8 ", "a.webp", kind.UNKNOWN),
    "avif": (b"\0\0\0\x20ftypavif", "a.avif", "image/avif"),
    "mp4": (b"\0\0\0\x20ftypisom", "a.mp4", "video/mp4"),
    "sound-in-mp4": (b"\0\0\0\x20ftypM4A ", "a.m4a", "audio/mp4"),
    "ogg": (b"OggS\0\2", "a.ogg", "audio/ogg"),
    "video-in-ogg": (b"OggS\0\2", "a.ogv", "video/ogg"),
    "mp3": (b"ID3\4", "a.mp3", "audio/mpeg"),
    "flac": (b"fLaC\0", "a.flac", "audio/flac"),
    "webm": (b"\x1aE\xdf\xa3", "a.webm", "video/webm"),
    "pdf": (b"%PDF-1.7", "a.pdf", "application/pdf"),
    "gzip": (b"\x1f\x8b\x08", "a.tar.gz", "application/gzip"),
    "zip": (b"PK\3\4", "a.zip", "application/zip"),
    "page-called-image": (b"<html>", "a.png", "text/plain"),
    "page": (b"<html>", "a.html", "text/html"),
    "picture-of-text": (b"<svg>", "a.svg", "image/svg+xml"),
    "json": (b"{}", "a.json", "application/json"),
    "text-without-a-name": ("größe\n".encode(), "README", "text/plain"),
    "text-cut-in-a-letter": (b"x" * 511 + "ü".encode()[:1], "README", "text/plain"),
    "bytes": (b"\x00\x01", "a", kind.UNKNOWN),
    "bytes-that-are-no-text": (b"a\xff\xff", "a", kind.UNKNOWN),
    "bytes-called-image": (b"\x00\x01", "a.jpg", kind.UNKNOWN),
    "nothing": (b"", "a", kind.UNKNOWN),
    "nothing-with-a-name": (b"", "a.csv", "text/csv"),
}


@pytest.mark.parametrize(("head", "name", "expected"), KINDS.values(), ids=KINDS)
def test_a_file_is_what_it_begins_with(head: bytes, name: str, expected: str) -> None:
    assert kind.kind_of(head, name) == expected


PARTS = {
    "image/png": "image",
    "audio/ogg": "audio",
    "video/mp4": "file",
    "text/plain": "file",
    "image/svg+xml": "file",  # it may hold a program
}


@pytest.mark.parametrize(("media_type", "part"), PARTS.items())
def test_what_a_chat_shows_in_place(media_type: str, part: str) -> None:
    assert kind.part_type_of(media_type) == part

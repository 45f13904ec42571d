"""What a file is: by how it begins, and by its name where its beginning tells nothing.

A name is believed for what has no signature of its own. What begins otherwise than its name says is
not what it says: a page called `photo.png` is no image to anybody.
"""

import mimetypes

#: How many bytes tell what a file is.
HEAD_BYTES = 512
UNKNOWN = "application/octet-stream"

#: What a file begins with, from which byte on, and what it is then.
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"BM", "image/bmp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftyp", "video/mp4"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (8, b"WAVE", "audio/wav"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"\x1f\x8b", "application/gzip"),
)  # fmt: skip
#: Kinds that are known by how they begin: a name alone does not make a file one of them.
_SIGNED = {kind for _, _, kind in _SIGNATURES}
#: Signatures that say which container it is; the name says what is in it.
_CONTAINERS = {
    "video/webm": ("audio/webm", "video/x-matroska", "audio/x-matroska"),
    "audio/ogg": ("video/ogg", "audio/opus"),
    "video/mp4": ("audio/mp4", "video/x-m4v", "image/heif", "video/3gpp"),
}
#: Images that may hold a program; they are sent as files, which nobody shows in place.
_ACTIVE_IMAGES = ("image/svg+xml",)


def kind_of(head: bytes, name: str) -> str:
    """The media type of a file, by its first bytes and its name."""
    named, encoding = mimetypes.guess_type(name, strict=False)
    signed = _signed(head)
    if signed is not None:
        return named if named in _CONTAINERS.get(signed, ()) else signed
    if named is not None and encoding is None and named not in _SIGNED:
        return named
    return "text/plain" if _is_text(head) else UNKNOWN


def part_type_of(kind: str) -> str:
    """How a chat is handed it: as an image, as audio, or as a file."""
    root = kind.partition("/")[0]
    return root if root in ("image", "audio") and kind not in _ACTIVE_IMAGES else "file"


def _signed(head: bytes) -> str | None:
    if head[8:12] in (b"WEBP", b"WAVE") and not head.startswith(b"RIFF"):
        return None
    for at, signature, kind in _SIGNATURES:
        if head.startswith(signature, at):
            return kind
    return None


def _is_text(head: bytes) -> bool:
    """Whether this can be the beginning of a text in UTF-8."""
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if len(head) < HEAD_BYTES or error.start < len(head) - 3:
            return False
        text = head[: error.start].decode()  # the last letter is cut in two
    return bool(text) and all(letter.isprintable() or letter in "\t\n\r\f\x1b" for letter in text)

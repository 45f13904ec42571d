"""What a file is, by its first bytes; what it says of itself counts only where these leave it open.

A type that is shown or played by browsers is never taken on somebody's word: what is no PNG is not
called one. Source: WHATWG "MIME Sniffing", IANA media types, and the formats' own descriptions.
"""

import re

#: So many bytes of a file are looked at.
HEAD_BYTES = 4096
UNKNOWN = "application/octet-stream"
PLAIN = "text/plain"

#: (offset, bytes, type), the first that fits holds.
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"\0\0\1\0", "image/x-icon"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"OggS", "audio/ogg"),  # unless it has pictures, see `_ogg`
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (0, b"\xff\xf1", "audio/aac"),
    (0, b"\xff\xf9", "audio/aac"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"MThd", "audio/midi"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"\x1f\x8b\x08", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"(\xb5/\xfd", "application/zstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3"),
    (0, b"\x7fELF", UNKNOWN),
    (0, b"\0asm", "application/wasm"),
    (257, b"ustar", "application/x-tar"),
)
#: By the form type of a RIFF file.
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
#: By the brand of an ISO base media file, else it is a video.
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"qt  ": "video/quicktime",
}
#: Types that are zip archives inside; which one it is, is known to whoever made it.
_ZIPPED = re.compile(
    r"application/(vnd\.openxmlformats-officedocument\.[\w.]+|vnd\.oasis\.opendocument\.[\w-]+"
    r"|epub\+zip|java-archive|vnd\.android\.package-archive|zip)"
)
#: Text by another name. Nothing that a browser would run.
_TEXTS = re.compile(
    r"text/(plain|csv|markdown|tab-separated-values|calendar|vcard|x-[\w.+-]+)"
    r"|application/(json|ld\+json|geo\+json|x-ndjson|yaml|x-yaml|toml|sql|x-sh)"
)
#: What may be taken on somebody's word where nothing is known of the bytes.
_OPAQUE = re.compile(r"(application|font|model|chemical)/[a-z0-9][a-z0-9!#$&^_.+-]{0,80}")
_KNOWN = frozenset(type_ for _, _, type_ in _MAGIC)
#: How a document begins that a browser would take for a page. Source: "MIME Sniffing" 7.1.
_PAGE = frozenset(
    b"html head body script iframe title style meta table h1 div font b a br p img".split()
)
_TAG = re.compile(rb"<(!doctype\s+)?([a-z][a-z0-9:]*)", re.IGNORECASE)
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def sniff(head: bytes, given: str = "") -> str:
    """The type of a file that begins so; `given` is what its sender calls it."""
    given = given.partition(";")[0].strip().lower()
    if (found := _binary(head)) is not None:
        return given if found == "application/zip" and _ZIPPED.fullmatch(given) else found
    if is_text(head):
        return _text(head, given)
    return given if _OPAQUE.fullmatch(given) and _is_free(given) else UNKNOWN


def is_text(head: bytes) -> bool:
    """Whether it reads as UTF-8 without control characters; it may be cut in a character."""
    if _NO_TEXT.search(head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.end == len(head) >= HEAD_BYTES and error.reason == "unexpected end of data"
    return True


def _binary(head: bytes) -> str | None:
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], UNKNOWN)
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head[:4] == b"\x1aE\xdf\xa3":
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "image/bmp"
    for offset, magic, type_ in _MAGIC:
        if head.startswith(magic, offset):
            return "video/ogg" if magic == b"OggS" and b"theora" in head[:256] else type_
    return None


def _text(head: bytes, given: str) -> str:
    return _markup(head) or (given if _TEXTS.fullmatch(given) else PLAIN)


def _markup(head: bytes) -> str:
    """Which kind of markup it is, past declarations and comments; empty where it is none."""
    rest, is_xml = head.removeprefix(b"\xef\xbb\xbf").lstrip(), False
    while rest.startswith((b"<?", b"<!--")):
        is_xml = is_xml or rest.startswith(b"<?xml")
        rest = rest.partition(b"-->" if rest.startswith(b"<!--") else b"?>")[2].lstrip()
    found = _TAG.match(rest)
    tag = found[2].lower() if found else b""
    if tag in (b"svg", b"svg:svg"):
        return "image/svg+xml"
    if tag in _PAGE and (found is None or found[1] or not is_xml or tag == b"html"):
        return "text/html"
    return "text/xml" if is_xml else ""


def _is_free(given: str) -> bool:
    """Whether it is no type that the bytes would have told, or that means text."""
    return not (given in _KNOWN or _ZIPPED.fullmatch(given) or is_active(given))


# --- how it is served -----------------------------------------------------------------------------

#: What a browser may show in its place: pictures and sound that run nothing.
_SHOWN = frozenset(
    f"{root}/{name}"
    for root, names in {
        "image": ("png", "jpeg", "gif", "webp", "bmp", "avif"),
        "audio": ("ogg", "mpeg", "flac", "wav", "aac", "mp4"),
        "video": ("mp4", "webm", "ogg"),
    }.items()
    for name in names
)
_ACTIVE = re.compile(
    r"text/(html|xml|javascript|css|ecmascript|vbscript|x-component|cache-manifest|event-stream)"
    r"|application/(xml|javascript|ecmascript|x-javascript|xhtml|x-shockwave-flash|hta|x-ms-.*)"
    r"|.*\+xml|multipart/.*|message/.*|image/svg.*"
)


def is_active(type_: str) -> bool:
    """Whether a browser might run something in it."""
    return _ACTIVE.fullmatch(type_) is not None


def is_shown(type_: str) -> bool:
    """Whether a browser may show it in place; all else is only saved."""
    return type_ in _SHOWN


def served_type(type_: str) -> str:
    """What it is called towards browsers."""
    if is_active(type_):
        return UNKNOWN
    return f"{type_}; charset=utf-8" if type_.startswith("text/") else type_

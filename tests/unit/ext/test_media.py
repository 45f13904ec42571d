"""The decisions of the media service: types, links, ranges, quotas, names, options."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from anyclaw_sdk.types import Json, RpcError

Load = Callable[[str, str], ModuleType]


@pytest.fixture
def module(load: Load) -> Callable[[str], Any]:
    return lambda name: load("services/media", name)


UNKNOWN = "application/octet-stream"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
TYPES = {  # behaviour: (first bytes, what the sender says, type)
    "png": (b"\x89PNG\r\n\x1a\n....", "text/plain", "image/png"),
    "jpeg": (b"\xff\xd8\xff\xe0..", "", "image/jpeg"),
    "gif": (b"GIF89a....", "image/png", "image/gif"),
    "webp": (b"RIFF\0\0\0\0WEBPVP8 ", "", "image/webp"),
    "bmp": (b"BM....\0\0\0\0....", "", "image/bmp"),
    "tiff": (b"II*\0....", "", "image/tiff"),
    "avif": (b"\0\0\0\x20ftypavif", "", "image/avif"),
    "pdf": (b"%PDF-1.7\n", "image/png", "application/pdf"),
    "wav": (b"RIFF\0\0\0\0WAVE", "", "audio/wav"),
    "riff-of-some-kind": (b"RIFF\0\0\0\0XXXX", "image/webp", UNKNOWN),
    "mp3-with-tags": (b"ID3\x03\0\0", "", "audio/mpeg"),
    "m4a": (b"\0\0\0\x20ftypM4A ", "", "audio/mp4"),
    "mp4": (b"\0\0\0\x20ftypisom", "", "video/mp4"),
    "opus": (b"OggS\0" + bytes(23) + b"OpusHead", "", "audio/ogg"),
    "theora": (b"OggS\0" + bytes(23) + b"\x80theora", "", "video/ogg"),
    "webm": (b"\x1aE\xdf\xa3....B\x82\x84webm", "", "video/webm"),
    "zip": (b"PK\x03\x04....", "image/png", "application/zip"),
    "zip-that-is-a-document": (b"PK\x03\x04....", DOCX, DOCX),
    "document-that-is-no-zip": (b"\x01\x02....", DOCX, UNKNOWN),
    "program": (b"\x7fELF....", "image/png", UNKNOWN),
    "text": (b"hello\n", "", "text/plain"),
    "text-said-to-be-markdown": (b"# hello", "text/markdown; charset=utf-8", "text/markdown"),
    "text-said-to-be-json": (b"{}", "application/json", "application/json"),
    "text-said-to-be-an-image": (b"hello", "image/png", "text/plain"),
    "text-said-to-be-a-page": (b"hello", "text/html", "text/plain"),
    "text-said-to-be-a-script": (b"alert(1)", "text/javascript", "text/plain"),
    "text-cut-in-a-character": (b"a" * 4095 + b"\xc3", "", "text/plain"),
    "text-that-ends-in-a-character": (b"a\xc3", "", UNKNOWN),
    "empty": (b"", "", "text/plain"),
    "page": (b"<!-- x -->\n<!DOCTYPE html><p>", "text/plain", "text/html"),
    "page-without-a-head": (b"  <script>alert(1)</script>", "image/png", "text/html"),
    "page-behind-a-mark": (b"\xef\xbb\xbf<HTML>", "", "text/html"),
    "drawing": (b'<svg xmlns="">', "image/png", "image/svg+xml"),
    "drawing-with-a-prologue": (
        b'<?xml version="1.0"?><!-- x --><!DOCTYPE svg PUBLIC "">',
        "",
        "image/svg+xml",
    ),
    "xml": (b"<?xml version='1.0'?><feed>", "application/json", "text/xml"),
    "comments-without-end": (b"<!--" * 1000, "", "text/plain"),
    "said-to-be-something-unknown": (b"\x01\x02\x03", "application/x-thing", "application/x-thing"),
    "said-to-be-a-known-thing": (b"\x01\x02\x03", "application/pdf", UNKNOWN),
    "said-to-be-an-image": (b"\x01\x02\x03", "image/png", UNKNOWN),
    "said-to-be-text": (b"\x01\x02\x03", "text/plain", UNKNOWN),
    "said-to-be-nonsense": (b"\x01\x02\x03", "a b/c\r\nd", UNKNOWN),
}


@pytest.mark.parametrize(("head", "given", "type_"), TYPES.values(), ids=TYPES)
def test_a_type_is_found_and_not_believed(
    module: Callable[[str], Any], head: bytes, given: str, type_: str
) -> None:
    assert module("sniff").sniff(head, given) == type_


@pytest.mark.parametrize(
    ("type_", "served", "is_shown"),
    [
        ("image/png", "image/png", True),
        ("audio/ogg", "audio/ogg", True),
        ("text/plain", "text/plain; charset=utf-8", False),
        ("application/pdf", "application/pdf", False),
        ("text/html", UNKNOWN, False),
        ("image/svg+xml", UNKNOWN, False),
        ("text/xml", UNKNOWN, False),
        ("application/xhtml+xml", UNKNOWN, False),
    ],
)
def test_nothing_is_served_that_a_browser_would_run(
    module: Callable[[str], Any], type_: str, served: str, is_shown: bool
) -> None:
    sniff = module("sniff")
    assert (sniff.served_type(type_), sniff.is_shown(type_)) == (served, is_shown)


KEY = b"k" * 32


@pytest.mark.parametrize(
    ("change", "now", "verdict"),
    [
        ({}, 99.9, "valid"),
        ({}, 100.0, "expired"),
        ({"item": "b"}, 0, "forged"),
        ({"expires": "101"}, 0, "forged"),
        ({"expires": "0100"}, 0, "valid"),
        ({"expires": "\u0661\u0660\u0660"}, 0, "forged"),
        ({"expires": "1" * 5000}, 0, "forged"),
        ({"expires": ""}, 0, "forged"),
        ({"signature": ""}, 0, "forged"),
        ({"signature": "f" * 64}, 0, "forged"),
        ({"signature": "f" * 64}, 1000, "forged"),
        ({"signature": "é\udcff"}, 0, "forged"),
        ({"key": b"x" * 32}, 0, "forged"),
    ],
)
def test_a_link_holds_for_one_item_until_it_expires(
    module: Callable[[str], Any], change: dict[str, Any], now: float, verdict: str
) -> None:
    links = module("links")
    link = {"key": KEY, "item": "a", "expires": "100", "signature": links.sign(KEY, "a", 100)}
    assert links.judge(**{**link, **change}, now=now) == verdict


RANGES = {  # header: (of 10 bytes: start and size, or None for all of it, or no such part)
    None: None,
    "": None,
    "bytes=0-": (0, 10),
    "bytes=2-4": (2, 3),
    "bytes=2-99": (2, 8),
    "bytes=9-9": (9, 1),
    "bytes=-3": (7, 3),
    "bytes=-99": (0, 10),
    "Bytes = 1-1 ": (1, 1),
    "bytes=10-": "none",
    "bytes=99-100": "none",
    "bytes=-0": "none",
    "bytes=4-2": None,
    "bytes=1-2,4-5": None,
    "bytes=a-b": None,
    "bytes=-": None,
    "bytes=" + "9" * 5000 + "-": None,
    "lines=1-2": None,
}


@pytest.mark.parametrize(("header", "expected"), RANGES.items(), ids=[str(r)[:20] for r in RANGES])
def test_a_part_of_a_file(
    module: Callable[[str], Any], header: str | None, expected: tuple[int, int] | str | None
) -> None:
    ranges = module("ranges")
    if expected == "none":
        with pytest.raises(ranges.Unsatisfiable):
            ranges.read(header, 10)
    else:
        assert ranges.read(header, 10) == expected


def test_an_empty_file_has_no_parts(module: Callable[[str], Any]) -> None:
    ranges = module("ranges")
    assert ranges.read(None, 0) is None
    with pytest.raises(ranges.Unsatisfiable):
        ranges.read("bytes=0-", 0)


def test_what_is_on_its_way_counts_like_what_is_there(module: Callable[[str], Any]) -> None:
    quota = module("quota")
    room = quota.Quota(quota.Limits(total_bytes=100, item_bytes=60, items=2))
    first, second = room.reserve(50), room.reserve()
    with pytest.raises(quota.Full):
        room.reserve()  # a third item
    with pytest.raises(quota.TooLarge):
        second.hold(61)
    second.hold(40)
    second.hold(30)  # which it holds already
    with pytest.raises(quota.Full):
        second.hold(51)
    assert (room.used_bytes, room.used_items) == (90, 2)
    first.settle(10)  # it became smaller
    second.release()
    assert (room.used_bytes, room.used_items) == (10, 1)
    room.release(10)
    assert (room.used_bytes, room.used_items) == (0, 0)


def test_a_refused_reservation_takes_nothing(module: Callable[[str], Any]) -> None:
    quota = module("quota")
    room = quota.Quota(quota.Limits(total_bytes=100, item_bytes=200, items=2))
    with pytest.raises(quota.Full):
        room.reserve(101)
    assert (room.used_bytes, room.used_items, room.is_nearly_full) == (0, 0, False)


@pytest.mark.parametrize(("size", "items"), [(90, 1), (1, 9)])
def test_it_is_told_before_all_is_full(module: Callable[[str], Any], size: int, items: int) -> None:
    quota = module("quota")
    room = quota.Quota(quota.Limits(total_bytes=100, item_bytes=100, items=10))
    for _ in range(items):
        room.count(size)
    assert room.is_nearly_full


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\docs\\a.txt", "a.txt"),
        ("a\r\nb\0c.txt", "abc.txt"),
        (" ..", ""),
        ("größe 1.txt", "größe 1.txt"),
        ("x" * 200 + ".jpeg", "x" * 115 + ".jpeg"),
        ("x" * 200, "x" * 120),
    ],
)
def test_a_name_is_a_name_and_no_path(module: Callable[[str], Any], given: str, clean: str) -> None:
    assert module("names").clean(given) == clean


@pytest.mark.parametrize(
    ("name", "is_shown", "header"),
    [
        ("", True, "inline"),
        ("a b.txt", False, 'attachment; filename="a b.txt"'),
        ('a"b.txt', False, "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"),
        ("ä.png", True, "inline; filename=\"_.png\"; filename*=UTF-8''%C3%A4.png"),
    ],
)
def test_a_name_in_a_header(
    module: Callable[[str], Any], name: str, is_shown: bool, header: str
) -> None:
    assert module("names").disposition(name, is_shown=is_shown) == header


def test_options_are_read(module: Callable[[str], Any]) -> None:
    options = module("options")
    assert options.read_options({}) == options.Options()
    read = options.read_options(
        {"port": "8080", "total_size": "1.5 GiB", "item_size": 10, "ttl": "36h", "image_edge": 0}
    )
    assert (read.port, read.limits.total_bytes, read.limits.item_bytes) == (8080, 1610612736, 10)
    assert (read.ttl_s, read.images.edge_max) == (36 * 3600.0, 0)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("port", 65536, "65536 is no whole number from 0 to 65535"),
        ("port", True, "True is no whole number from 0 to 65535"),
        (
            "total_size",
            "1 parsec",
            "'1 parsec' is no size; expected a number of bytes, or text such as 512MiB",
        ),
        ("ttl", 0, "0 is no duration of 1 s to 10 years; expected seconds, or 36h"),
        (
            "ttl",
            "x" * 1000,
            "'" + "x" * 79 + " is no duration of 1 s to 10 years; expected seconds, or 36h",
        ),
        ("host", 1, "1 is no text"),
        ("socket", "run/media", "'run/media' is no absolute path"),
        ("public_url", "ftp://x", "'ftp://x' is no URL of scheme http, https or http+unix"),
        ("image_workers", 3, "3 is no whole number from 1 to 2"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused(
    module: Callable[[str], Any], name: str, value: Json, text: str
) -> None:
    with pytest.raises(RpcError) as refused:
        module("options").read_options({name: value})
    assert str(refused.value) == f"option {name}: {text}"

"""Forms as bytes: which parts they have, however they are cut, and what is no form."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

Load = Callable[[str, str], ModuleType]
Parts = list[tuple[str, str | None, str, bytes]]
TYPE = 'multipart/form-data; boundary="b"'


@pytest.fixture
def module(load: Load) -> ModuleType:
    return load("channels/debug-http", "form_data")


def read(module: Any, body: bytes, cuts: list[int] | None = None, type_: str = TYPE) -> Parts:  # noqa: ANN401 - loaded
    """The parts of a form that comes in these pieces; each has to be complete."""
    form, parts = module.FormData(type_), []
    for start, end in zip([0, *(cuts or [])], [*(cuts or []), len(body)], strict=True):
        for event in form.feed(body[start:end]):
            match event:
                case module.Began():
                    parts.append([*event, b""])
                case module.Content(data):
                    assert data
                    parts[-1][-1] += data
                case module.Ended():
                    parts[-1] = tuple(parts[-1])
    assert form.is_complete
    assert all(isinstance(part, tuple) for part in parts)
    return parts


def part(content: bytes, head: str = 'Content-Disposition: form-data; name="a"') -> bytes:
    return b"--b\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n"


END = b"--b--\r\n"
GOOD: dict[str, tuple[bytes, Parts]] = {
    "nothing": (END, []),
    "text": (part(b"x") + END, [("a", None, "", b"x")]),
    "empty": (part(b"") + END, [("a", None, "", b"")]),
    "two": (part(b"x") + part(b"y") + END, [("a", None, "", b"x"), ("a", None, "", b"y")]),
    "almost-a-boundary": (
        part(b"\r\n--\r\n--c--b\r\n-") + END,
        [("a", None, "", b"\r\n--\r\n--c--b\r\n-")],
    ),
    "preamble-and-epilogue": (b"hi\r\n" + part(b"x") + END + b"--b\r\nx", [("a", None, "", b"x")]),
    "padding": (part(b"x").replace(b"--b", b"--b \t") + END, [("a", None, "", b"x")]),
    "no-head": (b"--b\r\n\r\nx\r\n" + END, [("", None, "", b"x")]),
    "file": (
        part(
            b"\0\xff",
            'content-disposition: form-data; name="f"; filename="a \\"b\\".txt"\r\n'
            "CONTENT-TYPE: Text/Plain; charset=utf-8",
        )
        + END,
        [("f", 'a "b".txt', "text/plain", b"\0\xff")],
    ),
    "unquoted": (
        part(b"x", "Content-Disposition: form-data; name=f; filename=a.txt") + END,
        [("f", "a.txt", "", b"x")],
    ),
    "name-in-utf-8": (
        part(b"x", 'Content-Disposition: form-data; name="f"; filename="ä;b=c.txt"') + END,
        [("f", "ä;b=c.txt", "", b"x")],
    ),
    "extended-name": (
        part(b"x", "Content-Disposition: form-data; name=f; filename*=UTF-8''%C3%A4.txt") + END,
        [("f", "ä.txt", "", b"x")],
    ),
    "empty-name": (
        part(b"x", 'Content-Disposition: form-data; name="f"; filename=""') + END,
        [("f", "", "", b"x")],
    ),
    "length-that-lies": (
        part(b"x", 'Content-Disposition: form-data; name="a"\r\nContent-Length: 9999') + END,
        [("a", None, "", b"x")],
    ),
    "twice": (
        part(b"x", 'Content-Disposition: form-data; name="a"; name="b"') + END,
        [("a", None, "", b"x")],
    ),
}


@pytest.mark.parametrize(("body", "parts"), GOOD.values(), ids=GOOD)
def test_the_parts_of_a_form(module: ModuleType, body: bytes, parts: Parts) -> None:
    assert read(module, body) == parts
    assert read(module, body, list(range(1, len(body)))) == parts  # byte by byte


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    contents=st.lists(
        st.lists(st.sampled_from([b"\r", b"\n", b"-", b"b", b"--b", b"x"])), max_size=3
    ),
    data=st.data(),
)
def test_any_chunking_gives_the_same_parts(
    module: ModuleType, contents: list[list[bytes]], data: st.DataObject
) -> None:
    joined = [b"".join(pieces) for pieces in contents]
    assume(not any(b"\r\n--b" in content for content in joined))
    body = b"".join(map(part, joined)) + END
    cuts = sorted(data.draw(st.sets(st.integers(1, len(body) - 1))))
    assert read(module, body, cuts) == [("a", None, "", content) for content in joined]


BAD = {
    "no-boundary": ("multipart/form-data", b"", "its boundary is ''"),
    "long-boundary": (f"multipart/form-data; boundary={'b' * 71}", b"", "its boundary is 'bbb"),
    "foreign-boundary": ("multipart/form-data; boundary=ä", b"", "its boundary is"),
    "long-head": (TYPE, b"--b\r\n" + b"X: y\r\n" * 2000, "the head of a part is over 8192 bytes"),
    "no-end-of-a-head": (TYPE, b"--b\r\n" + b"x" * 9000, "the head of a part is over 8192 bytes"),
    "more-than-a-boundary": (TYPE, b"--bx\r\n", "a boundary is followed by something else"),
    "endless-padding": (TYPE, b"--b" + b" " * 100, "a boundary is followed by something else"),
}


@pytest.mark.parametrize(("type_", "body", "text"), BAD.values(), ids=BAD)
def test_what_is_no_form(module: Any, type_: str, body: bytes, text: str) -> None:  # noqa: ANN401 - loaded
    with pytest.raises(module.FormError, match=text):
        module.FormData(type_).feed(body)


def test_content_is_not_held_back(module: Any) -> None:  # noqa: ANN401 - loaded
    form = module.FormData(TYPE)
    form.feed(part(b"")[:-2])
    events = form.feed(b"x" * 1000)
    assert len(events[0].data) >= 1000 - len(b"\r\n--b")
    assert not form.is_complete

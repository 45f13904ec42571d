import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyclaw_sdk._frames import LineFramer, LineTooLong, decode, encode


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line)), st.data())
def test_any_chunking_yields_the_same_lines(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    framer, seen, start = LineFramer(), [], 0
    while start < len(stream):
        end = data.draw(st.integers(start + 1, len(stream)))
        seen += framer.feed(stream[start:end])
        start = end
    assert seen == lines


def test_an_unfinished_line_is_kept_back() -> None:
    framer = LineFramer()
    assert framer.feed(b'{"a":') == []
    assert framer.feed(b'1}\n{"b"') == [b'{"a":1}']


def test_a_line_over_the_limit_is_refused() -> None:
    framer = LineFramer(limit_bytes=4)
    assert framer.feed(b"1234\n") == [b"1234"]
    with pytest.raises(LineTooLong):
        framer.feed(b"12345")


def test_a_finished_line_over_the_limit_is_refused() -> None:
    with pytest.raises(LineTooLong):
        LineFramer(limit_bytes=4).feed(b"12345\n")


@pytest.mark.parametrize(
    "noise", [b"", b"  ", b"hello", b"[1]", b"7", b"null", b"\xff\xfe", b'{"a":', b"[" * 100_000]
)
def test_noise_is_no_message(noise: bytes) -> None:
    assert decode(noise) is None


@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
        max_size=4,
    )
)
def test_a_message_round_trips_as_one_line(message: dict[str, object]) -> None:
    line = encode(message)
    assert line.count(b"\n") == 1
    assert decode(line) == message


def test_what_json_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        encode({"value": float("nan")})

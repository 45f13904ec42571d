"""Framing and the two ways of an update, over any input."""

import json

from hypothesis import given
from hypothesis import strategies as st

from anyclawd.wire import acp, channel, jsonrpc
from anyclawd.wire.framing import FrameTooLong, LineFramer

BYTES = st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"x", b"\n")), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


def frames_of(reads: list[bytes], limit: int) -> tuple[list[bytes], bool]:
    framer, frames = LineFramer(limit), []
    try:
        for read in [*reads, b"", b""]:
            frames += framer.feed(read)
    except FrameTooLong:
        return frames, True
    return frames, False


@given(BYTES, st.integers(1, 20))
def test_any_chunking_gives_the_same_frames(reads: list[bytes], limit: int) -> None:
    whole = b"".join(reads)
    assert frames_of(reads, limit) == frames_of([whole], limit)
    assert frames_of(reads, limit) == frames_of(
        [whole[i : i + 1] for i in range(len(whole))], limit
    )


@given(st.binary(max_size=200))
def test_no_bytes_escape_as_a_traceback(frame: bytes) -> None:
    jsonrpc.read(frame)
    acp.read_update(frame)


@given(VALUES)
def test_no_answer_escapes_as_a_traceback(value: object) -> None:
    acp.read_permission(value)
    acp.read_session_id(value)
    acp.read_stop_reason(value)
    channel.read_permission_answer(value, "web")
    channel.read_elicitation_answer(value, "web")
    channel.read_handshake({"capabilities": value})


@given(
    st.text().map(lambda text: "".join(filter(str.isalnum, text))),
    st.sampled_from(sorted(acp.PLAIN_KINDS)),
    st.dictionaries(st.text(max_size=6), VALUES, max_size=4),
    st.booleans(),
)
def test_what_is_spliced_says_what_would_be_encoded(
    session_id: str, kind: str, members: dict[str, object], is_ascii: bool
) -> None:
    update = {**members, "sessionUpdate": kind}
    params = {"sessionId": session_id, "update": update}
    message = {"jsonrpc": "2.0", "method": "session/update", "params": params}
    frame = json.dumps(message, ensure_ascii=is_ascii).encode("utf-8", "replace")
    found = acp.read_update(frame)
    if found is None:  # a long number, a lone surrogate: the long way decides
        return
    line = f'{channel.deliver_head("x:y:z")}{found.rest},"_received_at_ms":1}}}}}}'
    spliced = json.loads(line)
    content = {"sessionId": "x:y:z", "update": update, "_received_at_ms": 1}
    assert spliced == json.loads(channel.deliver("x:y:z", content))

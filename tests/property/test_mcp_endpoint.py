"""The pure parts of the tools' endpoint, whatever is sent to them."""

import json

from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from anyclawd.mcp import mirrored, modern, shim
from anyclawd.mcp.checks import Door, Entrant, Refusal
from anyclawd.mcp.feed import WAITING_BYTES_MAX, WAITING_MAX, Feed
from anyclawd.mcp.posted import Posted, read
from anyclawd.model.value import Json
from anyclawd.wire.mcp import HEADER_MISMATCH

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(["resultType", "_meta", "ttlMs", "cacheScope", "tools", "x"])
METHODS = st.sampled_from(["tools/list", "tools/call", "server/discover"])


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_messages_or_refused(body: bytes) -> None:
    found = read(body)
    assert isinstance(found, Posted | Refusal)
    if isinstance(found, Posted):
        assert found.items


@given(st.text(), st.text(), st.dictionaries(st.text(), st.text(), max_size=5))
def test_any_head_is_judged(method: str, path: str, head: dict[str, str]) -> None:
    assert isinstance(Door().admit(method, path, CIMultiDict(head)), Entrant | Refusal)


@given(st.sampled_from(["Host", "Origin", "Authorization", "Accept", "Content-Type"]), st.text())
def test_any_header_is_judged(name: str, value: str) -> None:
    good = {"Host": "localhost", "Authorization": "Bearer x", "Content-Type": "application/json"}
    head = CIMultiDict({**good, name: value})
    assert isinstance(Door().admit("POST", "/mcp", head), Entrant | Refusal)


@given(METHODS, st.dictionaries(NAMES, JSON), st.integers(0, 3))
def test_dressing_keeps_what_was_said(method: str, said: dict[str, Json], indent: int) -> None:
    text = json.dumps(said, indent=indent or None)
    pairs = json.loads(
        modern.dress(method, text.encode(), {"name": "s"}), object_pairs_hook=lambda found: found
    )
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names))
    dressed = json.loads(modern.dress(method, text.encode(), {"name": "s"}))
    assert {name: dressed[name] for name in said} == said
    assert {"resultType", "_meta"} <= set(dressed)


@given(st.text())
def test_what_the_shim_puts_into_a_header_is_read_back(text: str) -> None:
    try:
        sent = shim.encoded(text)
    except UnicodeEncodeError:  # half of a surrogate pair, which no header can hold
        return
    assert sent.isascii()
    assert sent.isprintable()
    assert sent == sent.strip()
    assert modern.decode_value(sent) == text


@given(JSON, JSON)
def test_any_schema_can_be_looked_at(schema: Json, arguments: Json) -> None:
    tool = json.dumps({"inputSchema": schema, "x-mcp-header": 1}).encode()
    error = mirrored.check(tool, arguments, CIMultiDict())
    assert error is None or error.code == HEADER_MISMATCH


@given(st.lists(st.tuples(st.integers(0, 400), st.none() | st.integers(0, 3)), max_size=600))
def test_a_feed_is_bounded_and_keeps_the_order_of_what_it_keeps(
    told: list[tuple[int, int | None]],
) -> None:
    feed = Feed()
    for number, (size, about) in enumerate(told):
        feed.push(b"%06d" % number + b"x" * size * 100, about)
    taken = feed.take()
    assert len(taken) <= WAITING_MAX
    assert sum(map(len, taken)) <= WAITING_BYTES_MAX
    numbers = [int(message[:6]) for message in taken]
    assert numbers == sorted(numbers)
    if told:
        assert numbers[-1] == len(told) - 1

"""A result is found as it was written, whatever is around it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from anyclawd.wire import json_text
from anyclawd.wire.jsonrpc import Response

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON), JSON, st.sampled_from([None, 1, 2]))
def test_a_result_stands_where_it_stands(
    others: dict[str, object], result: object, indent: int | None
) -> None:
    """Whatever is around it, and however it is spread out."""
    text = json.dumps({**others, "method": None, "error": None, "id": 1, "result": result})
    spread = json.dumps(json.loads(text), indent=indent, ensure_ascii=False)
    try:
        frame = spread.encode()
    except UnicodeEncodeError:  # a lone surrogate, which only an escape can say
        frame = text.encode()
    found = json_text.read(frame)
    assert isinstance(found, Response)
    assert found.result.value == result
    assert json.loads(found.result.text) == result
    assert b"\n" not in found.result.text

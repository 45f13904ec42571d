"""What is kept of a terminal's output."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from anyclawd.gateway.terminal import Output


@given(
    text=st.text(max_size=60),
    limit=st.integers(0, 40),
    cuts=st.lists(st.integers(0, 240), max_size=6),
)
def test_kept_output_is_the_longest_end_that_fits(text: str, limit: int, cuts: list[int]) -> None:
    """However it comes in: whole characters, no more than the limit, none more would fit."""
    data, output = text.encode("utf-8", "replace"), Output(limit)
    text = data.decode()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        output.add(data[start:end])
    kept = output.text(is_whole=True)
    assert text.endswith(kept)
    assert len(kept.encode()) <= limit
    if kept != text:
        assert output.is_truncated
        assert len(text[-len(kept) - 1 :].encode()) > limit

"""Merging layers of settings: maps deep, everything else replaced by the later layer.

Merging is associative, and an empty map is its neutral element; so layers may be put together in
any grouping, but not in any order.
"""

from collections.abc import Iterable
from functools import reduce

from anyclawd.compile.tree import Node


def merge(low: Node, high: Node) -> Node:
    """Both layers as one; where they disagree `high` wins, and so does its place."""
    below, above = low.value, high.value
    if not isinstance(below, dict) or not isinstance(above, dict):
        return high
    if not below or not above:
        return high if above else low
    merged = dict(below)
    for name, node in above.items():
        merged[name] = merge(merged[name], node) if name in merged else node
    return high._replace(value=merged)


def merge_all(layers: Iterable[Node]) -> Node:
    """All layers, lowest first, as one; there is at least one."""
    return reduce(merge, layers)

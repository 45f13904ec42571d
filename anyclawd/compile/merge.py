"""Merging layers of settings: maps deep, everything else replaced by the later layer.

The empty map is the neutral element. Merging is associative for layers that agree on what is a
map, as typed ones do; inside of `options`, whose content is free, a value hides a map below it.
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

"""Merging layers of settings: maps deep, everything else replaced by the later layer.

The empty map is the neutral element. Merging is associative for layers that agree on what is a
map, as typed ones do; inside of `options`, whose content is free, a value hides a map below it. A
map that begins anew hides the one below it, too, and takes in what lies above.
"""

from collections.abc import Iterable
from functools import reduce

from anyclawd.compile.tree import Node


class Anew(dict[str, Node]):
    """A map that begins anew: what it says makes no sense together with what lies below it."""


def merge(low: Node, high: Node) -> Node:
    """Both layers as one; where they disagree `high` wins, and so does its place."""
    below, above = low.value, high.value
    if not isinstance(below, dict) or not isinstance(above, dict) or isinstance(above, Anew):
        return high
    if not below or not above:
        return high if above else low
    merged = type(below)(below)
    for name, node in above.items():
        merged[name] = merge(merged[name], node) if name in merged else node
    return high._replace(value=merged)


def merge_all(layers: Iterable[Node]) -> Node:
    """All layers, lowest first, as one; there is at least one."""
    return reduce(merge, layers)

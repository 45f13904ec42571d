"""Values whose shape is decided outside of our code: what YAML, JSON and extensions hold."""

from typing import Any, TypeAlias

#: None, bool, int, float, str, or a list or a string-keyed map of these. Any stands here alone.
Json: TypeAlias = Any

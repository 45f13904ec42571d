"""Texts inside XML and HTML: what must be escaped, and what these languages cannot hold."""

from collections.abc import Iterable

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}


def escaped(text: str) -> str:
    """A text for content and attributes; what XML 1.0 cannot hold at all becomes U+FFFD."""
    return "".join(_ENTITIES.get(char, char if _is_xml(ord(char)) else "�") for char in text)


def element(tag: str, attributes: Iterable[tuple[str, object]] = (), content: str = "") -> str:
    """One element; the values are escaped here, `content` is markup already."""
    listed = "".join(f' {name}="{_value(value)}"' for name, value in attributes)
    return f"<{tag}{listed}>{content}</{tag}>" if content else f"<{tag}{listed}/>"


def number(value: float) -> str:
    """A coordinate with one decimal, without a needless `.0`."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def _value(value: object) -> str:
    return number(value) if isinstance(value, float) else escaped(str(value))


def _is_xml(code: int) -> bool:
    """Source: XML 1.0, production Char."""
    return (
        code in (0x9, 0xA, 0xD)
        or 0x20 <= code <= 0xD7FF
        or 0xE000 <= code <= 0xFFFD
        or code >= 0x10000
    )

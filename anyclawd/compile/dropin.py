"""The text of drop-ins: settings put in and taken out by their dotted keys.

Text in, text out. What the settings mean is not known here: the compiler judges the drop-in as it
judges any other. Of a text that was written by hand the comments are lost, and nothing else.
"""

import re
from collections.abc import Iterable, Iterator

from anyclawd.compile.diagnose import Report
from anyclawd.compile.origin import Origin, Source
from anyclawd.compile.tree import Node, parse, resolve
from anyclawd.model.span import Span
from anyclawd.model.value import Json

#: Text that needs no quotes, whoever reads it.
_PLAIN = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_./@%+-]*")
#: Words that readers of YAML 1.1 take for something else.
_WORDS_OF_OLD = frozenset({"y", "n", "yes", "no", "on", "off"})


def with_settings(
    content: bytes, file: str, assignments: Iterable[tuple[str, str]], report: Report
) -> str:
    """A drop-in with `KEY`, `VALUE` pairs put into it; an empty value takes its key out.

    Values are YAML: scalars, or lists and maps in braces. What cannot be read, in the drop-in or
    in a value, goes to the report. Without any setting left the text is empty.
    """
    tree = parse(content, file, report, _anything) if has_settings(content) else None
    root: dict[str, Node] = {}
    if tree is not None and isinstance(tree.value, dict):
        root = dict(tree.value)
    elif tree is not None:
        report.error(tree.span, "", "expected a map of settings")
    for key, text in assignments:
        _assign(root, key, text, report)
    return "".join(f"{line}\n" for line in _lines(root, ""))


def has_settings(content: bytes) -> bool:
    """Whether a drop-in holds more than comments and empty lines."""
    lines = (line.strip() for line in content.splitlines())
    return any(line and not line.startswith(b"#") for line in lines)


def as_text(settings: dict[str, Json]) -> str:
    """Plain values as the text of a drop-in."""
    return "".join(f"{line}\n" for line in _lines(_nodes(settings).value, ""))


def _anything(source: Source, name: str, default: str | None, _where: Span, _key: str) -> Origin:
    """Whether a tag finds what it names is for the compiler to say."""
    return Origin(source, name, default, "")


def _assign(root: dict[str, Node], key: str, text: str, report: Report) -> None:
    """Put one value into the map, which is made new along the way, or take it out."""
    value = _value_of(key, text, report) if text else None
    if text and value is None:
        return  # the report says why
    *path, last = key.split(".")
    holders = [root]
    for depth, name in enumerate(path, 1):
        found = holders[-1].get(name)
        if found is not None and not isinstance(found.value, dict):
            if value is not None:
                whole = ".".join(path[:depth])
                report.error(Span(f"{key}={text}"), whole, "it is set already, and is no map")
            return
        if found is None and value is None:
            return
        inner: dict[str, Node] = {} if found is None else dict(found.value)
        holders[-1][name] = Node(inner, "", 0, 0)
        holders.append(inner)
    if value is not None:
        holders[-1][last] = value
        return
    holders[-1].pop(last, None)
    for holder, name in zip(reversed(holders[:-1]), reversed(path), strict=True):
        if not holder[name].value:
            del holder[name]


def _value_of(key: str, text: str, report: Report) -> Node | None:
    place = Span(f"{key}={text}")
    if not all(key.split(".")):
        report.error(place, "", "expected a key such as restart or backoff.max")
        return None
    if resolve(text.strip()) is None:
        report.error(place, "", f"null is no value; write {key}= to take the setting out")
        return None
    return parse(text.encode(), place.file, report, _anything)


def _lines(settings: dict[str, Node], indent: str) -> Iterator[str]:
    for name, node in settings.items():
        if isinstance(node.value, dict) and node.value:
            yield f"{indent}{_text(name)}:"
            yield from _lines(node.value, indent + "  ")
        else:
            yield f"{indent}{_text(name)}: {_inline(node)}"


def _inline(node: Node) -> str:
    if node.origin is not None:
        source, name, default, *_ = node.origin
        return f"!{source} {_quoted(name if default is None else f'{name}:{default}')}"
    match node.value:
        case dict():
            pairs = (f"{_text(name)}: {_inline(inner)}" for name, inner in node.value.items())
            return "{" + ", ".join(pairs) + "}"
        case list():
            return "[" + ", ".join(map(_inline, node.value)) + "]"
        case str():
            return _text(node.value)
        case None:
            return "null"
        case bool():
            return "true" if node.value else "false"
        case float() if node.value - node.value != 0:
            return {"inf": ".inf", "-inf": "-.inf"}.get(str(node.value), ".nan")
        case _:
            return repr(node.value)


def _text(text: str) -> str:
    """A text as a scalar that is read as the same text, with quotes where it needs them."""
    is_plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS_OF_OLD
    return text if is_plain and resolve(text) == text else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + "".join(map(_spelled, text)) + '"'


def _spelled(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def _nodes(value: Json) -> Node:
    if isinstance(value, dict):
        value = {str(name): _nodes(inner) for name, inner in value.items()}
    elif isinstance(value, list):
        value = [_nodes(inner) for inner in value]
    return Node(value, "", 0, 0)

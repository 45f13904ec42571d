import json
from collections.abc import Mapping

import pytest
from multidict import CIMultiDict

from anyclawd.mcp.mirrored import Mirrored, check, read_schema
from anyclawd.model.value import Json
from anyclawd.wire.mcp import HEADER_MISMATCH

SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "dry": {"type": "boolean", "x-mcp-header": "Dry"},
        "deep": {"type": "object", "properties": {"er": {"type": "string", "x-mcp-header": "E"}}},
    },
}
TOOL = json.dumps({"name": "routed", "inputSchema": SCHEMA}).encode()

AGREE: Mapping[str, tuple[Json, list[tuple[str, str]]]] = {
    "nothing": ({}, []),
    "no-arguments": (None, []),
    "null-is-nothing": ({"region": None}, []),
    "a-text": ({"region": "eu"}, [("mcp-param-region", "eu")]),
    "a-text-that-is-encoded": ({"region": "ü"}, [("Mcp-Param-Region", "=?base64?w7w=?=")]),
    "a-number": ({"count": 42}, [("Mcp-Param-Count", "42")]),
    "a-number-with-a-point": ({"count": 42}, [("Mcp-Param-Count", "42.0")]),
    "a-number-with-a-point-in-the-body": ({"count": 42.0}, [("Mcp-Param-Count", "42")]),
    "a-number-below-zero": ({"count": -7}, [("Mcp-Param-Count", "-7")]),
    "a-truth": ({"dry": True}, [("Mcp-Param-Dry", "true")]),
    "what-is-further-down": ({"deep": {"er": "x"}}, [("Mcp-Param-E", "x")]),
    "a-header-of-nobody": ({}, [("Mcp-Param-Other", "x")]),
}


@pytest.mark.parametrize(("arguments", "head"), AGREE.values(), ids=AGREE)
def test_agree(arguments: Json, head: list[tuple[str, str]]) -> None:
    assert check(TOOL, arguments, CIMultiDict(head)) is None


DISAGREE: Mapping[str, tuple[Json, list[tuple[str, str]], str]] = {
    "missing": ({"region": "eu"}, [], "is missing"),
    "another": ({"region": "eu"}, [("Mcp-Param-Region", "us")], "disagree"),
    "for-nothing": ({}, [("Mcp-Param-Region", "eu")], "not there"),
    "twice": ({"region": "eu"}, [("Mcp-Param-Region", "eu")] * 2, "2 times"),
    "broken": ({"region": "eu"}, [("Mcp-Param-Region", "=?base64?!?=")], "disagree"),
    "another-number": ({"count": 42}, [("Mcp-Param-Count", "42.5")], "disagree"),
    "a-number-in-words": ({"count": 42}, [("Mcp-Param-Count", "4.2e1")], "disagree"),
    "a-truth-in-capitals": ({"dry": True}, [("Mcp-Param-Dry", "True")], "disagree"),
    "one-is-no-truth": ({"dry": True}, [("Mcp-Param-Dry", "1")], "disagree"),
    "what-has-no-text": ({"region": ["eu"]}, [("Mcp-Param-Region", "['eu']")], "disagree"),
}


@pytest.mark.parametrize(("arguments", "head", "text"), DISAGREE.values(), ids=DISAGREE)
def test_disagree(arguments: Json, head: list[tuple[str, str]], text: str) -> None:
    error = check(TOOL, arguments, CIMultiDict(head))
    assert error is not None
    assert error.code == HEADER_MISMATCH
    assert text in error.message


def of(**properties: Json) -> Json:
    return {"type": "object", "properties": properties}


def marked(header: Json, **more: Json) -> dict[str, Json]:
    return {"type": "string", **more, "x-mcp-header": header}


WRONG: Mapping[str, Json] = {
    "no-schema": None,
    "no-token": of(a=marked("a b")),
    "no-text": of(a=marked(5)),
    "an-empty-name": of(a=marked("")),
    "a-number-with-a-fraction": of(a=marked("A", type="number")),
    "several-types": of(a=marked("A", type=["string", "null"])),
    "the-same-twice": of(a=marked("A"), b=marked("a")),
    "the-whole": marked("A"),
    "in-a-list": of(a={"type": "array", "items": marked("A")}),
    "in-a-choice": {"anyOf": [of(a=marked("A"))]},
    "in-a-definition": {"$defs": {"x": of(a=marked("A"))}},
    "one-wrong-among-good-ones": of(a=marked("A"), b={"not": marked("B")}),
}


@pytest.mark.parametrize("schema", WRONG.values(), ids=WRONG)
def test_a_schema_that_is_wrong_says_nothing(schema: Json) -> None:
    assert read_schema(schema) == ()


def test_what_only_looks_like_a_mark_is_none() -> None:
    plain = of(a={"type": "object", "default": marked("A"), "examples": [marked("B")]})
    assert read_schema(plain) == ()
    assert read_schema(of(b=marked("B"), **plain["properties"])) == (
        Mirrored(("b",), "B", "string"),
    )


def test_a_schema_without_the_word_is_not_even_read() -> None:
    assert check(b"no json at all", {}, CIMultiDict()) is None
    assert check(None, {}, CIMultiDict()) is None

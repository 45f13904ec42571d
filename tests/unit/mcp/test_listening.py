from collections.abc import Mapping

import pytest

from anyclawd.mcp.listening import Wanted, is_below, kinds_of, read_filter
from anyclawd.model.value import Json
from anyclawd.wire.mcp import Notification

OFFERED = {
    "tools": {"listChanged": True},
    "prompts": {},
    "resources": {"listChanged": True, "subscribe": True},
}
TOOLS = {"toolsListChanged": Notification.TOOLS_CHANGED}

FILTERS: Mapping[str, tuple[Mapping[str, Json], Mapping[str, Json], Wanted]] = {
    "nothing": ({}, OFFERED, Wanted({})),
    "tools": ({"toolsListChanged": True}, OFFERED, Wanted(TOOLS)),
    "what-is-not-offered": ({"promptsListChanged": True}, OFFERED, Wanted({})),
    "what-is-refused": ({"toolsListChanged": False}, OFFERED, Wanted({})),
    "what-is-not-quite-true": ({"toolsListChanged": "yes"}, OFFERED, Wanted({})),
    "resources-each-once": (
        {"resourceSubscriptions": ["a", "b", "a", 5, ""]},
        OFFERED,
        Wanted({}, ("a", "b")),
    ),
    "resources-that-cannot-be-watched": (
        {"resourceSubscriptions": ["a"]},
        {"resources": {}},
        Wanted({}),
    ),
    "resources-that-are-no-list": ({"resourceSubscriptions": "a"}, OFFERED, Wanted({})),
}


@pytest.mark.parametrize(("filter_", "offered", "wanted"), FILTERS.values(), ids=FILTERS)
def test_read_filter(
    filter_: Mapping[str, Json], offered: Mapping[str, Json], wanted: Wanted
) -> None:
    assert read_filter(filter_, offered) == wanted


def test_nothing_is_told_that_was_not_offered() -> None:
    assert kinds_of(OFFERED) == {
        Notification.TOOLS_CHANGED,
        Notification.RESOURCES_CHANGED,
        Notification.RESOURCE_UPDATED,
    }
    assert kinds_of({"logging": {}, "prompts": {"listChanged": True}}) == {
        Notification.MESSAGE,
        Notification.PROMPTS_CHANGED,
    }
    assert kinds_of({}) == frozenset()


BELOW = {
    "itself": ("file:///a", True),
    "within": ("file:///a/b", True),
    "beside": ("file:///ab", False),
    "above": ("file:///", False),
}


@pytest.mark.parametrize(("uri", "is_told"), BELOW.values(), ids=BELOW)
def test_is_below(uri: str, *, is_told: bool) -> None:
    assert is_below(uri, {"file:///a"}) is is_told
    assert is_below(uri, {"file:///a/"}) is (is_told and uri != "file:///a")

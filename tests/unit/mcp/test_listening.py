import json
from collections.abc import Mapping
from typing import cast

import pytest

from anyclawd.mcp.feed import Feed
from anyclawd.mcp.listening import Listening, Wanted, is_below, kinds_of, read_filter
from anyclawd.mcp.session import Holder, Session
from anyclawd.model.value import Json
from anyclawd.route.grants import Grant
from anyclawd.route.record import SessionKey
from anyclawd.wire.mcp import Notification
from tests.fakes.mcp_host import GRANT, TOKEN, ToolsOfTest

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


def test_who_watches_a_resource_is_known_by_its_token_whatever_its_chat_is_called_now() -> None:
    host = ToolsOfTest()
    listening, asked = Listening(host), []
    host.ask = lambda grant, *_, **__: asked.append(grant)  # type: ignore[method-assign] # who asks
    session = Session(id="s", holder=Holder(TOKEN, None, GRANT), revision="2025-11-25")
    listening.watched(session.holder, "test://a", session)
    moved = Grant(SessionKey("chat:direct:fork"), GRANT.agent)
    host.grants.end(GRANT)
    host.grants.begin(TOKEN, moved)
    listening.forget(session)
    assert asked == [moved]


def test_what_is_told_to_all_is_told_to_each() -> None:
    host = ToolsOfTest()
    listening = Listening(host)
    kinds = frozenset({Notification.MESSAGE, Notification.TOOLS_CHANGED})
    sessions = [
        Session(id=id_, holder=Holder(TOKEN, None, GRANT), revision="2025-11-25", kinds=kinds)
        for id_ in "ab"
    ]
    feeds = [cast("Feed", listening.open(session.holder, session)) for session in sessions]
    for method, data in ((Notification.MESSAGE, 1), (Notification.TOOLS_CHANGED, 2)):
        host.tell(method, {"data": data})
    host.tell(Notification.MESSAGE, {"data": 3})
    told = [json.loads(message)["params"]["data"] for feed in feeds for message in feed.take()]
    assert told == [1, 2, 3] * 2

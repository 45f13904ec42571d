"""What all tools offer, merged: names, owners, pages."""

import json
from collections.abc import Iterator

import pytest

from anyclawd.gateway import catalogue
from anyclawd.gateway.catalogue import Catalogue, Shown, fit, offered, page
from anyclawd.model.deps import UnitName
from anyclawd.model.tool import ToolAccess, ToolNames
from anyclawd.route.toolbox import Found, Scope, Toolbox
from anyclawd.wire.mcp_client import Server
from anyclawd.wire.mcp_lists import Item, Offer

A, B = UnitName("a.tool"), UnitName("b.tool")
BOTH = Scope((A, B))
ALL = Server(offers=frozenset(Offer))


def item(key: str) -> Item:
    text = f'{{"key":"{key}"}}'.encode()
    return Item(key, text, f"does {key}", 7, len(text) - 1)


def filled(**lists: tuple[str, ...]) -> tuple[Catalogue, Toolbox]:
    """Units `a` and `b`, which offer these of every kind."""
    toolbox = Toolbox()
    made = Catalogue(toolbox)
    for name, keys in lists.items():
        unit = UnitName(f"{name}.tool")
        made.greet(unit, ALL)
        items = tuple(map(item, keys))
        toolbox.listed(unit, offered(items))
        for offer in Offer:
            made.learn(unit, offer, items)
    return made, toolbox


def keys(made: Catalogue, offer: Offer, scope: Scope = BOTH) -> list[str]:
    return [one.key for one in made.shown(scope, offer)]


# --- what is seen ---------------------------------------------------------------------------------


@pytest.mark.parametrize("offer", Offer)
def test_a_list_has_what_all_units_offer_in_their_order(offer: Offer) -> None:
    made, _ = filled(b=("y",), a=("x",))
    assert keys(made, offer) == ["x", "y"]
    assert keys(made, offer, Scope((B,))) == ["y"]


@pytest.mark.parametrize("offer", [Offer.TOOLS, Offer.PROMPTS])
def test_names_that_meet_are_shown_with_their_units(offer: Offer) -> None:
    made, _ = filled(a=("x", "z"), b=("x",))
    assert keys(made, offer) == ["a__x", "z", "b__x"]
    assert [one.text for one in made.shown(BOTH, offer)] == [
        b'{"key":"a__x"}',
        b'{"key":"z"}',
        b'{"key":"b__x"}',
    ]
    assert keys(made, offer, Scope((A,), names=ToolNames.PREFIXED)) == ["a__x", "a__z"]


@pytest.mark.parametrize("offer", [Offer.RESOURCES, Offer.TEMPLATES])
def test_an_address_that_two_units_list_is_shown_once(offer: Offer) -> None:
    made, _ = filled(a=("x", "z"), b=("x", "y"))
    assert keys(made, offer) == ["x", "z", "y"]


def test_rules_about_tools_are_rules_about_tools_only() -> None:
    made, _ = filled(a=("x",))
    scope = Scope((A,), ToolAccess(deny=("*",)))
    assert [keys(made, offer, scope) for offer in Offer] == [[], ["x"], ["x"], ["x"]]
    assert made.tool(scope, "x") is None
    assert made.prompt(scope, "x") == Found(A, "x")


def test_lists_of_one_unit_are_kept_apart() -> None:
    made, _ = filled(a=("x",))
    made.learn(A, Offer.PROMPTS, (item("ask"),))
    made.learn(A, Offer.RESOURCES, (item("r:1"),))
    assert [keys(made, offer) for offer in Offer] == [["x"], ["ask"], ["r:1"], ["x"]]
    assert made.prompt(BOTH, "ask") == Found(A, "ask")
    assert made.prompt(BOTH, "x") is None


def test_what_a_unit_offers_no_more_after_it_has_begun_anew_is_forgotten() -> None:
    made, _ = filled(a=("x",))
    made.greet(A, Server(offers=frozenset({Offer.TOOLS})))
    assert [keys(made, offer) for offer in Offer] == [["x"], [], [], []]
    assert made.prompt(BOTH, "x") is None
    assert made.template_owner(BOTH, "x") is None


def test_what_does_not_run_is_not_shown_but_found() -> None:
    made, toolbox = filled(a=("x",), b=("y",))
    toolbox.gone(A)
    made.gone(A)
    assert [keys(made, offer) for offer in Offer] == [["y"]] * 4
    assert made.tool(BOTH, "x") == made.prompt(BOTH, "x") == Found(A, "x")
    assert made.owners(BOTH, "x") == (A,)


def test_a_tool_describes_itself_by_any_name_that_finds_it() -> None:
    made, _ = filled(a=("x",), b=("x", "y"))
    texts = [made.tool_text(BOTH, name) for name in ("a__x", "y", "b__y", "x", "z")]
    assert texts == [b'{"key":"x"}', b'{"key":"y"}', b'{"key":"y"}', None, None]


def test_what_has_left_the_configuration_is_forgotten() -> None:
    made, toolbox = filled(a=("x",), b=())
    toolbox.forget(A)
    made.forget(A)
    assert made.tool(BOTH, "x") is made.prompt(BOTH, "x") is None
    assert made.server(A) is None
    assert not made.has_any(A, Offer.TOOLS)


def test_what_a_unit_does_not_offer_any_more_after_its_restart_is_forgotten() -> None:
    made, _ = filled(a=("x",))
    made.greet(A, Server(offers=frozenset({Offer.TOOLS})))
    assert [keys(made, offer) for offer in Offer] == [["x"], [], [], []]


# --- whose a resource is --------------------------------------------------------------------------


def test_a_resource_belongs_to_whoever_lists_it_before_all_templates() -> None:
    made, _ = filled(a=("file:///{path}",), b=("file:///etc",))
    assert made.owners(BOTH, "file:///etc") == (B,)
    assert made.owners(BOTH, "file:///tmp") == (A,)


def test_of_two_templates_the_one_that_fixes_more_counts() -> None:
    made, _ = filled(a=("file:///{path}",), b=("file:///etc/{name}",))
    assert made.owners(BOTH, "file:///etc/passwd") == (B,)


def test_a_resource_that_nobody_knows_may_be_anybodys_who_has_some() -> None:
    made, _ = filled(a=("x",), b=("y",))
    assert made.owners(BOTH, "z") == (A, B)
    made.greet(A, Server())
    assert made.owners(BOTH, "z") == (B,)
    assert made.owners(Scope(()), "z") == ()


def test_a_template_has_an_owner() -> None:
    made, _ = filled(a=("x:{y}",), b=())
    assert made.template_owner(BOTH, "x:{y}") == A
    assert made.template_owner(BOTH, "x:{z}") is None


FITS = {  # (template, uri): the characters that are fixed
    ("a:b", "a:b"): 3,
    ("a:b", "a:bc"): None,
    ("a:{x}", "a:b/c"): 2,
    ("a:{x}", "a:"): 2,
    ("a:{x}", "b:c"): None,
    ("a:{x}/b", "a:1/b"): 4,
    ("a:{x}/b", "a:/b"): 4,
    ("a:{x}/b", "a:b"): None,
    ("a:{x}/b/{y}.txt", "a:1/b/2.txt"): 9,
    ("a:{x}/b/{y}.txt", "a:1/c/2.txt"): None,
    ("ab{x}bc", "abc"): None,
    ("{+all}", "anything"): 0,
    ("a:{?q,r}", "a:?q=1"): 2,
    ("a:{open", "a:b"): 2,
}


@pytest.mark.parametrize(("template", "uri"), FITS, ids=map(str, FITS))
def test_fit(template: str, uri: str) -> None:
    assert fit(template, uri) == FITS[template, uri]


def test_no_template_takes_long() -> None:
    """One that a regular expression would try in more ways than there are atoms."""
    assert fit("{a}x" * 2000 + "y", "x" * 4000) is None


# --- pages ----------------------------------------------------------------------------------------


def shown(*keys: str) -> Iterator[Shown]:
    return (Shown(key, json.dumps(key).encode()) for key in keys)


def read(found: bytes | None) -> tuple[list[str], str]:
    assert found is not None
    members = json.loads(found)
    return members["tools"], members.get("nextCursor", "")


def test_a_list_is_one_page_where_it_fits() -> None:
    assert read(page(Offer.TOOLS, shown("a", "b"), "")) == (["a", "b"], "")
    assert read(page(Offer.TOOLS, shown(), "")) == ([], "")


def test_a_page_goes_on_where_the_one_before_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "PAGE_ITEMS", 2)
    found, cursor = read(page(Offer.TOOLS, shown("a", "é", "c"), ""))
    assert found == ["a", "é"]
    assert read(page(Offer.TOOLS, shown("a", "é", "c"), cursor)) == (["c"], "")
    assert read(page(Offer.TOOLS, shown("é", "new", "c", "d"), cursor))[0] == ["new", "c"]


def test_a_page_ends_before_it_is_too_large_and_has_one_item_at_least(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catalogue, "PAGE_BYTES", 5)
    found, cursor = read(page(Offer.TOOLS, shown("a" * 10, "b", "c"), ""))
    assert found == ["a" * 10]
    assert read(page(Offer.TOOLS, shown("a" * 10, "b"), cursor)) == (["b"], "")


@pytest.mark.parametrize("cursor", ["x", "YQ", "4piD", "/w==", "é", "Yg=="])
def test_a_cursor_that_is_of_no_page_is_refused(cursor: str) -> None:
    assert page(Offer.TOOLS, shown("a"), cursor) is None

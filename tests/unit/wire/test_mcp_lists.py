"""What tools offer: read in part, kept as it was written, and shown under other names."""

import json

import pytest

from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.value import Json
from anyclawd.wire import mcp_lists
from anyclawd.wire.json_text import JsonText
from anyclawd.wire.mcp_lists import Offer

TOOL = '{ "inputSchema" : {"type":"object", "x":1.0} , "name":"caf\\u00e9","description":"é" }'


def answer(text: str) -> JsonText:
    return JsonText(json.loads(text), text.encode())


def page(offer: Offer, **members: Json) -> mcp_lists.Page:
    return mcp_lists.read_page(offer, answer(json.dumps(members)))


def test_an_item_is_kept_as_it_was_written() -> None:
    found = mcp_lists.read_page(Offer.TOOLS, answer(f'{{"x":[1], "tools" : [ {TOOL} ] }}'))
    [item] = found.items
    assert (item.key, item.description) == ("café", "é")
    assert item.text.decode() == item.shown("café").decode() == TOOL


def test_only_the_name_of_an_item_is_replaced() -> None:
    [item] = mcp_lists.read_page(Offer.TOOLS, answer(f'{{"tools":[{TOOL}]}}')).items
    assert item.shown("a__x").decode() == TOOL.replace('"caf\\u00e9"', '"a__x"')


def test_of_two_names_the_one_that_counts_is_replaced() -> None:
    text = '{"é":"é","name":"a","inputSchema":{"name":"a"},"name":"b"}'
    [item] = mcp_lists.read_page(Offer.TOOLS, answer(f'{{"tools":[{text}]}}')).items
    assert item.shown("c").decode() == text.replace('"b"', '"c"')


def test_a_page_says_where_the_next_one_is_and_how_long_it_holds() -> None:
    found = page(Offer.PROMPTS, prompts=[], nextCursor="2", ttlMs=1500, cacheScope="private")
    assert (found.cursor, found.ttl_s) == ("2", 1.5)
    last = page(Offer.PROMPTS, prompts=[])
    assert (last.cursor, last.ttl_s) == (None, None)


def test_any_text_is_a_cursor_and_nothing_else_is() -> None:
    assert page(Offer.TOOLS, tools=[], nextCursor="").cursor == ""
    assert page(Offer.TOOLS, tools=[], nextCursor=None).cursor is None
    assert page(Offer.TOOLS, tools=[], nextCursor=2).cursor is None


KEYS = {
    Offer.TOOLS: {"name": "a", "inputSchema": {}},
    Offer.PROMPTS: {"name": "a"},
    Offer.RESOURCES: {"uri": "a", "name": "x"},
    Offer.TEMPLATES: {"uriTemplate": "a", "name": "x"},
}


@pytest.mark.parametrize("offer", Offer)
def test_each_list_has_its_own_key(offer: Offer) -> None:
    assert [item.key for item in page(offer, **{offer: [KEYS[offer]]}).items] == ["a"]


FAULTS = {
    "no-name": ({"inputSchema": {}}, "tools: item 1 has no 'name'"),
    "empty-name": ({"name": "", "inputSchema": {}}, "tools: item 1 has no 'name'"),
    "name-is-no-text": ({"name": 1, "inputSchema": {}}, "tools: item 1 has no 'name'"),
    "no-object": ("now", "tools: item 1 has no 'name'"),
    "half-a-character": (
        {"name": "\ud800x", "inputSchema": {}},
        "tools: the name '\\ud800x' is no Unicode text",
    ),
    "no-schema": ({"name": "bad"}, "tool 'bad': its inputSchema is no object"),
    "schema-is-a-list": ({"name": "bad", "inputSchema": []}, "tool 'bad': its inputSchema is"),
}


@pytest.mark.parametrize(("item", "fault"), FAULTS.values(), ids=FAULTS)
def test_what_nobody_could_use_is_left_out_and_named(item: Json, fault: str) -> None:
    found = page(Offer.TOOLS, tools=[item, {"name": "good", "inputSchema": {}}])
    assert [one.key for one in found.items] == ["good"]
    [told] = found.faults
    assert told.startswith(fault)


@pytest.mark.parametrize("members", [{}, {"tools": None}, {"tools": {}}, {"prompts": []}])
def test_an_answer_without_the_list_is_refused(members: dict[str, Json]) -> None:
    with pytest.raises(RemoteProtocolError, match="answered tools/list without a list 'tools'"):
        page(Offer.TOOLS, **members)


def test_a_page_that_is_too_long_is_none() -> None:
    text = '{"tools":[],"x":"' + "x" * mcp_lists.PAGE_BYTES_MAX + '"}'
    with pytest.raises(RemoteProtocolError, match=r"with \d+ bytes; a page may have 4194304"):
        mcp_lists.read_page(Offer.TOOLS, answer(text))


def test_of_too_many_items_the_first_are_read() -> None:
    most = mcp_lists.PAGE_ITEMS_MAX
    found = page(Offer.PROMPTS, prompts=[1, *({"name": f"p{n}"} for n in range(most))])
    assert len(found.items) == most - 1
    assert found.faults == (
        "prompts: item 1 has no 'name'",
        f"prompts: a page has more than {most} items; the rest",
    )
    assert len(page(Offer.PROMPTS, prompts=[1] * (most + 1)).faults) == mcp_lists.FAULTS_MAX + 1


def test_an_answer_that_is_no_object_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        mcp_lists.read_page(Offer.TOOLS, answer("[]"))


def test_a_page_is_made_of_texts() -> None:
    assert mcp_lists.write_page(Offer.TOOLS, [b'{"a": 1}', b"{}"], 'x"') == (
        b'{"tools":[{"a": 1},{}],"nextCursor":"x\\""}'
    )
    assert mcp_lists.write_page(Offer.TEMPLATES, [], "") == b'{"resourceTemplates":[]}'

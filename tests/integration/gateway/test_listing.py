"""An agent that says that there is one more page: where that ends, and that it is said."""

import asyncio
from collections.abc import Callable
from itertools import count

import pytest

from anyclawd.gateway.listing import CHARS_MAX, PAGES_MAX, ROWS_MAX, Listing, list_all
from anyclawd.wire.acp import SessionEntry, SessionList


def page(numbers: range, cursor: str = "", title: str = "") -> SessionList:
    return SessionList(tuple(SessionEntry(f"s{one}", "", title, "") for one in numbers), cursor)


def listing(pages: Callable[[str], SessionList]) -> tuple[Listing, list[str]]:
    """What comes of it, and the cursors that were asked for."""
    asked: list[str] = []

    async def ask(cursor: str) -> SessionList:
        asked.append(cursor)
        return pages(cursor)

    return asyncio.run(list_all(ask)), asked


def test_an_agent_that_has_none_is_asked_once() -> None:
    assert listing(lambda _: page(range(0))) == (Listing((), is_complete=True), [""])


def test_all_pages_are_one_list_in_their_order() -> None:
    pages = {"": page(range(2), "b"), "b": page(range(2, 3), "c"), "c": page(range(0))}
    found, asked = listing(pages.__getitem__)
    assert [one.session_id for one in found.sessions] == ["s0", "s1", "s2"]
    assert (found.is_complete, asked) == (True, ["", "b", "c"])


def test_a_session_that_has_moved_counts_once_as_it_was_told_last() -> None:
    pages = {"": page(range(3), "b", "old"), "b": page(range(2, 4), title="new")}
    found, _ = listing(pages.__getitem__)
    told = [(one.session_id, one.title) for one in found.sessions]
    assert told == [("s0", "old"), ("s1", "old"), ("s2", "new"), ("s3", "new")]


@pytest.mark.parametrize("turn", [["b", "b"], ["b", "c", "b"]])
def test_a_cursor_that_repeats_ends_it(turn: list[str]) -> None:
    cursors = iter(turn)
    found, asked = listing(lambda _: page(range(1), next(cursors)))
    assert (len(found.sessions), found.is_complete) == (1, False)
    assert asked == ["", *turn[:-1]]


def test_pages_without_an_end_are_cut_off() -> None:
    numbers = count()
    found, asked = listing(lambda _: page(range(0), str(next(numbers))))
    assert (found, len(asked)) == (Listing((), is_complete=False), PAGES_MAX)


@pytest.mark.parametrize(("rows", "is_complete"), [(ROWS_MAX, True), (ROWS_MAX + 1, False)])
def test_rows_are_cut_off_where_there_are_too_many(rows: int, is_complete: bool) -> None:
    found, _ = listing(lambda _: page(range(rows)))
    assert (len(found.sessions), found.is_complete) == (ROWS_MAX, is_complete)


def test_words_are_cut_off_where_there_are_too_many() -> None:
    half = "x" * (CHARS_MAX // 2)
    found, asked = listing(lambda cursor: page(range(3), cursor + "b", half))
    assert (len(found.sessions), found.is_complete, asked) == (1, False, [""])
    found, asked = listing(lambda cursor: page(range(1), cursor + half))
    assert (len(found.sessions), found.is_complete, asked) == (1, False, ["", half])

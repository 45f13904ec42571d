"""What each entry does to the rows, as statements; text as it stands in its column."""

import re
from typing import get_args

import pytest

from anyclawd.model.value import Json
from anyclawd.route.record import (
    AddDelivery,
    AddMessage,
    AddTurn,
    CloseAsk,
    CloseDelivery,
    CopyTurns,
    DeliveryId,
    DropCode,
    DropGrant,
    EndConversation,
    Entry,
    EraseSession,
    ForgetChoices,
    Grant,
    MarkMessages,
    MessageId,
    MessageState,
    PairingCode,
    RememberChoice,
    SaveAsk,
    SaveCode,
    SaveConversation,
    SaveGrant,
    SessionKey,
    StoredAsk,
)
from anyclawd.store.entries import TABLES_OF_A_CHAT, encoded, is_erasure, statements
from anyclawd.store.rows import text_of
from tests.fakes.kept import CHAT, PEER, conversation, delivery, message

GRANT = Grant(channel="web", kind="dm", peer_id="ann")
ASK = StoredAsk(
    request_id="r", session=CHAT, channel="web", description="", options=(), fingerprint=""
)
ENTRIES: dict[type, tuple[Entry, int]] = {  # kind: an example, and how many statements it makes
    AddMessage: (AddMessage(message(1)), 1),
    MarkMessages: (MarkMessages((MessageId("a"), MessageId("b")), MessageState.RUNNING), 2),
    SaveConversation: (SaveConversation(conversation()), 2),
    EndConversation: (EndConversation(CHAT, 1), 1),
    AddTurn: (AddTurn(CHAT, 1, "q", "a", "end_turn"), 2),
    CopyTurns: (CopyTurns(CHAT, 1, SessionKey("web:fork:s2")), 1),
    AddDelivery: (AddDelivery(delivery(1)), 1),
    CloseDelivery: (CloseDelivery(DeliveryId("d1")), 1),
    SaveAsk: (SaveAsk(ASK), 1),
    CloseAsk: (CloseAsk("r"), 1),
    RememberChoice: (RememberChoice(CHAT, "edit", allows=True), 1),
    ForgetChoices: (ForgetChoices(CHAT), 1),
    SaveGrant: (SaveGrant(GRANT), 1),
    DropGrant: (DropGrant(GRANT), 1),
    SaveCode: (SaveCode(PairingCode(code="1", grant=GRANT, session=CHAT, peer=PEER)), 1),
    DropCode: (DropCode("1"), 1),
    EraseSession: (EraseSession(CHAT), len(TABLES_OF_A_CHAT)),
}


def test_every_entry_is_here() -> None:
    assert set(get_args(Entry)) == ENTRIES.keys()


@pytest.mark.parametrize(("entry", "count"), ENTRIES.values(), ids=lambda one: type(one).__name__)
def test_an_entry_has_a_value_for_each_place_of_its_statements(entry: Entry, count: int) -> None:
    made = list(statements(entry, 1000))
    assert len(made) == count
    for sql, values in made:
        places = {int(place) for place in re.findall(r"\?(\d+)", sql)}
        assert places == set(range(1, len(values) + 1))


def test_only_an_erasure_is_one() -> None:
    erasures = [
        kind
        for kind, (entry, _) in ENTRIES.items()
        if any(is_erasure(statement) for statement in statements(entry, 0))
    ]
    assert erasures == [EraseSession]


TEXTS = {
    "plain": ("hello", "hello"),
    "any script": ("ä😀", "ä😀"),
    "half a pair": ("a\ud83d", "a\\ud83d"),
    "both halves apart": ("\ude00\ud83d", "\\ude00\\ud83d"),
    "nothing": ("a\0b", "a\0b"),
}


@pytest.mark.parametrize(("text", "column"), TEXTS.values(), ids=TEXTS)
def test_a_text_becomes_what_a_column_can_hold(text: str, column: str) -> None:
    assert encoded(text) == column
    column.encode()


CONTENTS: dict[str, tuple[Json, str]] = {
    "a text": ("hi", "hi"),
    "a part": ({"type": "text", "text": "hi"}, "hi"),
    "parts": ([{"text": "h"}, {"type": "image"}, {"text": "i"}], "hi"),
    "content": ({"content": [{"text": "hi"}]}, "hi"),
    "an update": ({"update": {"sessionUpdate": "result", "content": {"text": "hi"}}}, "hi"),
    "nothing": ({"type": "image"}, ""),
    "no content": (None, ""),
}


@pytest.mark.parametrize(("content", "text"), CONTENTS.values(), ids=CONTENTS)
def test_a_delivery_has_its_text_wherever_it_stands(content: Json, text: str) -> None:
    assert text_of(content) == text

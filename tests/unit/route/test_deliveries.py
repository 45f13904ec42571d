"""Answers on their way: written, confirmed, sent again, given up, whole where a part is missing."""

import pytest

from anyclawd.model.conversation import Overflow, QueuePolicy
from anyclawd.model.unit import ChannelRole
from anyclawd.route import commands, events, texts
from anyclawd.route.chat import HELD_MAX
from anyclawd.route.commands import Deliver, DeliveryId, SessionKey
from anyclawd.route.delivery import Deliveries
from anyclawd.route.record import CloseDelivery, MessageState, StoredDelivery
from anyclawd.route.table import Limits
from tests.fakes.desk import AGENT, ANN, BOB, KEY, Desk, only, outcomes, routes, shown, words

BOBS = SessionKey("web:direct:bob")


def ends(decided: list[commands.Command]) -> list[tuple[str, str, bool]]:
    """Id, text and mark of every answer that is on its way now."""
    return [
        (one.delivery, words(one.content), one.is_repeat)
        for one in only(decided, Deliver)
        if one.delivery is not None
    ]


def written(desk: Desk, delivery: str) -> list[commands.Command]:
    return desk.step(events.DeliveryWritten(DeliveryId(delivery)))


def confirmed(desk: Desk, delivery: str, channel: str = "web") -> list[commands.Command]:
    return desk.step(events.DeliveryConfirmed(channel, DeliveryId(delivery)))


def answered(desk: Desk, text: str = "hi") -> list[commands.Command]:
    desk.chunk(text)
    return desk.answer()


# --- until it has arrived -------------------------------------------------------------------------


def test_without_receipts_an_answer_has_arrived_when_it_is_written() -> None:
    desk = Desk().prompting()
    answered(desk)
    assert desk.state("1") is MessageState.ANSWERED
    written(desk, "1")
    assert (desk.state("1"), len(desk.router.deliveries)) == (MessageState.DELIVERED, 0)


def test_with_receipts_it_has_arrived_when_its_channel_says_so() -> None:
    desk = Desk().prompting()
    desk.channel_ready(receipts=True)
    answered(desk)
    written(desk, "1")
    assert desk.state("1") is MessageState.ANSWERED
    confirmed(desk, "1", "another channel")
    assert desk.state("1") is MessageState.ANSWERED
    confirmed(desk, "1")
    assert (desk.state("1"), len(desk.router.deliveries)) == (MessageState.DELIVERED, 0)


@pytest.mark.parametrize("report", [written, confirmed])
def test_reports_of_answers_that_are_not_on_their_way_mean_nothing(report: object) -> None:
    desk = Desk().rested()
    written(desk, "1")
    assert report(desk, "1") == []  # type: ignore[operator] # one of the two
    assert report(desk, "unknown") == []  # type: ignore[operator]


def test_all_messages_of_a_turn_have_one_delivery() -> None:
    desk = Desk().prompting()
    desk.say("two")
    desk.say("three")
    desk.answer()
    assert [end[0] for end in ends(desk.answer())] == ["2"]
    written(desk, "2")
    assert {desk.state("2"), desk.state("3")} == {MessageState.DELIVERED}


def test_an_interruption_is_a_delivery_too() -> None:
    desk = Desk().prompting()
    assert ends(desk.step(events.AgentLost(AGENT))) == [("1", texts.crashed("a"), False)]


# --- again ----------------------------------------------------------------------------------------


def unconfirmed() -> Desk:
    """A channel with receipts that has been written an answer and has not confirmed it."""
    desk = Desk().prompting()
    desk.channel_ready(receipts=True)
    answered(desk)
    written(desk, "1")
    return desk


def test_the_next_process_of_the_channel_is_sent_it_again_whole_and_marked() -> None:
    desk = unconfirmed()
    decided = desk.channel_ready(receipts=True)
    assert ends(decided) == [("1", "hi", True)]
    assert decided.index(only(decided, commands.Announce)[0]) == 0


def test_it_is_sent_again_until_it_is_confirmed_and_then_no_more() -> None:
    desk = unconfirmed()
    for _ in range(3):
        assert ends(desk.channel_ready(receipts=True)) == [("1", "hi", True)]
        written(desk, "1")
    confirmed(desk, "1")
    assert ends(desk.channel_ready(receipts=True)) == []


def test_it_is_sent_again_where_something_newer_of_the_same_chat_waits() -> None:
    desk = unconfirmed()
    desk.say("two")
    answered(desk, "ho")
    assert ends(desk.channel_ready(KEY, receipts=True)) == [("1", "hi", True)]


def test_what_waits_to_be_written_is_not_sent_twice() -> None:
    desk = Desk().prompting()
    desk.channel_ready(receipts=True)
    answered(desk)
    assert ends(desk.channel_ready(KEY, receipts=True)) == []


def test_answers_are_sent_again_in_the_order_of_their_making() -> None:
    desk = unconfirmed()
    desk.say("two")
    answered(desk, "ho")
    written(desk, "2")
    assert [end[0] for end in ends(desk.channel_ready(receipts=True))] == ["1", "2"]


def test_an_answer_of_a_chat_that_was_put_away_is_sent_again() -> None:
    desk = Desk(routes(limits=Limits(lanes=1))).prompting(load=True)
    desk.channel_ready(receipts=True)
    answered(desk)
    written(desk, "1")
    desk.say("hello", BOB)
    assert KEY in desk.router.put_away
    assert ends(desk.channel_ready(receipts=True)) == [("1", "hi", True)]


# --- whole ----------------------------------------------------------------------------------------


def test_an_answer_whose_beginning_went_to_another_process_is_sent_whole() -> None:
    desk = Desk().prompting()
    desk.chunk("first ")
    desk.step(events.ChannelLost("web"))
    desk.channel_ready()
    desk.chunk("second")
    assert ends(desk.answer()) == [("1", "first second", False)]


def test_so_is_one_that_ends_while_its_channel_is_away() -> None:
    desk = Desk().prompting()
    desk.chunk("first ")
    desk.step(events.ChannelLost("web"))
    desk.chunk("second")
    assert ends(desk.answer()) == [("1", "first second", False)]


def test_one_that_has_begun_while_its_channel_was_away_has_lost_nothing() -> None:
    desk = Desk().prompting()
    desk.step(events.ChannelLost("web"))
    desk.chunk("all of it")
    desk.channel_ready(KEY)
    assert ends(desk.answer()) == [("1", "", False)]


def test_a_result_that_says_something_itself_is_left_as_it_is() -> None:
    desk = Desk().prompting()
    desk.chunk("first ")
    desk.step(events.ChannelLost("web"))
    desk.channel_ready()
    desk.update("result", content="in short")
    assert ends(desk.answer()) == [("1", "in short", False)]


# --- given up -------------------------------------------------------------------------------------


def given_up(decided: list[commands.Command]) -> list[str]:
    return [
        entry.id
        for one in only(decided, commands.Record)
        for entry in one.entries
        if isinstance(entry, CloseDelivery) and not entry.has_arrived
    ]


def test_what_nobody_confirms_in_time_is_given_up() -> None:
    desk = unconfirmed()
    desk.now += 3600.0
    decided = desk.channel_ready(receipts=True)
    assert (ends(decided), given_up(decided)) == ([], ["1"])
    assert desk.state("1") is MessageState.ANSWERED


def test_of_too_many_the_oldest_is_given_up() -> None:
    desk = Desk(routes(limits=Limits(deliveries=1))).prompting()
    desk.channel_ready(receipts=True)
    answered(desk)
    desk.say("two")
    assert given_up(answered(desk)) == ["1"]


def test_a_channel_that_is_removed_gives_up_all_of_it() -> None:
    desk = unconfirmed()
    desk.step(events.RoutesReplaced(routes("other")))
    assert given_up(desk.step(events.ChannelRemoved("web"))) == ["1"]
    assert (len(desk.router.deliveries), desk.router.manners) == (0, {})


def test_looking_for_what_is_overdue_looks_at_no_more_than_that() -> None:
    deliveries = Deliveries()
    for number in range(1000):
        row = StoredDelivery(
            id=DeliveryId(str(number)),
            session=KEY,
            channel="web",
            peer=ANN,
            messages=(),
            content={},
        )
        deliveries.add(row, float(number))
    assert list(deliveries.overdue("web", 10_000, 2.0)) == ["0", "1", "2"]
    assert list(deliveries.overdue("web", 998, -1.0)) == ["0", "1"]
    assert list(deliveries.overdue("nobody", 0, 0.0)) == []


# --- notices --------------------------------------------------------------------------------------


def test_notices_of_a_long_turn_are_bounded_and_none_is_lost() -> None:
    queue = QueuePolicy(cap=1, overflow=Overflow.DROP_OLDEST)
    desk = Desk(routes(role=ChannelRole(agent=AGENT, queue=queue))).prompting()
    told = [text for number in range(3 * HELD_MAX) for text in shown(desk.say(str(number)))]
    assert len(told) >= 2 * HELD_MAX
    told += [text for text in shown(desk.answer()) if text]
    assert told == [texts.dropped(1)] * (3 * HELD_MAX - 1)


def test_a_dropped_message_is_told_so_in_a_delivery_of_its_own() -> None:
    queue = QueuePolicy(cap=1, overflow=Overflow.DROP_OLDEST)
    desk = Desk(routes(role=ChannelRole(agent=AGENT, queue=queue))).prompting()
    desk.say("two")
    assert outcomes(desk.say("three")) == {"2": "refused"}
    assert ends(desk.answer())[:2] == [("1", "", False), ("2", texts.dropped(1), False)]


def test_a_channel_that_is_about_to_go_may_come_back_once_more() -> None:
    desk = Desk(routes(limits=Limits(lanes=1, put_away=0))).prompting(load=True)
    desk.channel_ready(receipts=True)
    answered(desk)
    written(desk, "1")
    desk.say("hello", BOB)  # nothing is remembered of ann
    desk.step(events.RoutesReplaced(routes("other")))
    assert ends(desk.channel_ready(receipts=True)) == []

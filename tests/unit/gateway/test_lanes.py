"""Lanes: in order, behind what is being written, and bounded."""

from anyclawd.gateway.lanes import LANE_MAX, Lanes
from anyclawd.route.commands import Command, CompleteResponse, Deliver, DeliveryId, SessionKey

KEY, OTHER = SessionKey("web:direct:ann"), SessionKey("web:direct:bob")


def update(text: str) -> Deliver:
    return Deliver("web", KEY, {"update": {"sessionUpdate": "plan", "text": text}})


def test_a_session_nothing_of_which_is_written_waits_for_nothing() -> None:
    lanes = Lanes(lambda _: None)
    lanes.shut(OTHER)
    assert not lanes.wait(KEY, update("x"))


def test_what_waits_is_done_in_its_order_once_all_before_it_is_written() -> None:
    done: list[Command] = []
    lanes = Lanes(done.append)
    first = lanes.shut(KEY)
    lanes.wait(KEY, update("1"))
    second = lanes.shut(KEY)
    lanes.wait(KEY, update("2"))
    lanes.open(KEY, second)
    assert done == []
    lanes.open(KEY, first)
    assert done == [update("1"), update("2")]
    assert KEY not in lanes


def test_what_is_decided_while_a_lane_moves_comes_behind_it() -> None:
    done: list[Command] = []

    def perform(command: Command) -> None:
        done.append(command)
        if command == update("1"):
            inner = lanes.shut(KEY)
            lanes.wait(KEY, update("3"))
            lanes.open(KEY, inner)

    lanes = Lanes(perform)
    barrier = lanes.shut(KEY)
    lanes.wait(KEY, update("1"))
    lanes.wait(KEY, update("2"))
    lanes.open(KEY, barrier)
    assert done == [update("1"), update("2"), update("3")]
    assert len(lanes) == 0


def test_a_lane_is_bounded_and_keeps_what_ends_a_turn() -> None:
    done: list[Command] = []
    lanes = Lanes(done.append)
    barrier = lanes.shut(KEY)
    for number in range(2 * LANE_MAX):
        assert lanes.wait(KEY, update(str(number)))
    end = Deliver("web", KEY, {}, DeliveryId("1"))
    over = CompleteResponse("web", KEY, "end_turn")
    assert lanes.wait(KEY, end)
    assert lanes.wait(KEY, over)
    lanes.open(KEY, barrier)
    assert len(done) == LANE_MAX - 1 + 2
    assert done[-2:] == [end, over]

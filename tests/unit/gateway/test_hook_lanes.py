from typing import NamedTuple

from anyclawd.gateway.hook_lanes import HOLD_BYTES, HOLD_ENTRIES, HookLanes


class Said(NamedTuple):
    number: int
    size_bytes: int = 1


def test_lanes_keep_the_order_of_each_session() -> None:
    lanes: HookLanes[Said] = HookLanes()
    for number in range(4):
        lanes.append("odd" if number % 2 else "even", Said(number))
    assert lanes.head("even") == Said(0)
    lanes.remove("even", Said(0))
    assert (lanes.of("even"), lanes.of("odd")) == ((Said(2),), (Said(1), Said(3)))
    lanes.remove("even", Said(2))
    assert (lanes.head("even"), lanes.of("even"), len(lanes)) == (None, (), 2)
    assert lanes.entries() == (("odd", Said(1)), ("odd", Said(3)))


def test_lanes_are_full_by_number_until_half_has_left() -> None:
    lanes: HookLanes[Said] = HookLanes()
    for number in range(HOLD_ENTRIES):
        lanes.append(str(number % 7), Said(number))
    assert not lanes.is_full
    lanes.append("one more", Said(HOLD_ENTRIES))
    for number in range(HOLD_ENTRIES // 2):
        assert lanes.is_full
        lanes.remove(str(number % 7), Said(number))
    assert lanes.is_full
    lanes.remove("one more", Said(HOLD_ENTRIES))
    assert not lanes.is_full


def test_lanes_are_full_by_size() -> None:
    lanes: HookLanes[Said] = HookLanes()
    lanes.append("s", Said(0, HOLD_BYTES + 1))
    assert lanes.is_full
    lanes.remove("s", Said(0, HOLD_BYTES + 1))
    assert not lanes.is_full


def test_drained_lanes_are_empty() -> None:
    lanes: HookLanes[Said] = HookLanes()
    lanes.append("s", Said(0, HOLD_BYTES + 1))
    lanes.append("t", Said(1))
    assert list(lanes.drain()) == [Said(0, HOLD_BYTES + 1), Said(1)]
    assert (len(lanes), lanes.is_full, lanes.head("s")) == (0, False, None)

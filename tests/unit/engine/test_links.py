"""The relations of a plan from both ends."""

from dataclasses import replace

from anyclawd.engine.links import Links
from anyclawd.model.deps import Dependencies, Ref, UnitName, Until
from anyclawd.model.unit import Unit
from tests.fakes.world import link, make_unit

A, B, C = (UnitName(f"{letter}.service") for letter in "abc")


def links(*units: Unit) -> Links:
    return Links({unit.name: unit for unit in units})


def test_requirements_and_bindings_are_requirements_and_known_at_both_ends() -> None:
    known = links(
        make_unit(A), link(make_unit(B), requires=[A]), link(make_unit(C), binds_to=[A, B])
    )
    assert known.requires == {B: (A,), C: (A, B)}
    assert known.required_by == {A: (B, C), B: (C,)}
    assert known.bound_by == {A: (C,), B: (C,)}


def test_parts_are_listed_at_the_whole() -> None:
    assert links(make_unit(A), link(make_unit(B), part_of=[A])).parts == {A: (B,)}


def test_conflicts_go_both_ways_and_are_listed_once() -> None:
    known = links(
        link(make_unit(A), conflicts=[B]), link(make_unit(B), conflicts=[A]), make_unit(C)
    )
    assert known.conflicts == {A: (B,), B: (A,)}
    assert links(make_unit(A), link(make_unit(B), conflicts=[A])).conflicts == {A: (B,), B: (A,)}


def test_before_is_after_from_the_other_end() -> None:
    known = links(link(make_unit(A), before=[B]), make_unit(B))
    assert known.after == {B: ((A, Until.READY),)}
    assert known.followers == {A: (B,)}


def test_what_is_written_out_stands_before_what_is_implied() -> None:
    unit = link(make_unit(B), requires=[A], after=[A], until=Until.STARTED)
    assert links(make_unit(A), unit).after == {B: ((A, Until.STARTED),)}
    unit = link(make_unit(B), after=[A], until=Until.EXITED)
    assert links(link(make_unit(A), before=[B]), unit).after == {B: ((A, Until.EXITED),)}


def test_a_success_that_is_waited_for_is_needed_without_being_required() -> None:
    known = links(make_unit(A), link(make_unit(B), after=[A], until=Until.SUCCEEDED), make_unit(C))
    assert known.requires == {}
    assert known.needs == {B: (A,)}
    assert known.needed_by == {A: (B,)}


def test_units_outside_the_plan_do_not_exist() -> None:
    gone = (Ref(unit=UnitName("gone.service")),)
    unit = replace(
        make_unit(A),
        deps=Dependencies(
            requires=gone, wants=gone, after=gone, before=gone, conflicts=gone, part_of=gone
        ),
    )
    known = links(unit)
    assert not any(
        (known.requires, known.wants, known.after, known.followers, known.conflicts, known.parts)
    )


def test_order_is_kept_as_it_was_written() -> None:
    known = links(make_unit(A), make_unit(B), link(make_unit(C), wants=[B, A], after=[B, A]))
    assert known.wants[C] == (B, A)
    assert [name for name, _ in known.after[C]] == [B, A]


def test_what_is_leaving_knows_who_stays_and_is_not_known_by_them() -> None:
    stays = link(make_unit(A), requires=[B], wants=[B], part_of=[B], conflicts=[B], before=[B])
    leaves = link(make_unit(B), after=[C], binds_to=[C], before=[A])
    units = {unit.name: unit for unit in (stays, leaves, make_unit(C))}
    known = Links(units, leaving={B})
    assert (known.requires, known.wants, known.parts) == ({B: (C,)}, {}, {})
    assert known.bound_by == {C: (B,)}
    assert known.conflicts == {}
    assert known.after == {B: ((C, Until.READY), (A, Until.READY))}


def test_those_that_are_leaving_know_each_other() -> None:
    units = {A: link(make_unit(A), before=[B]), B: link(make_unit(B), part_of=[A])}
    known = Links(units, leaving=units)
    assert known.parts == {A: (B,)}
    assert known.followers == {A: (B,)}

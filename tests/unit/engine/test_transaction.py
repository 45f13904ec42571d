"""From a request to its jobs. A world here is a table of sub states."""

from collections.abc import Mapping

import pytest

from anyclawd.engine.links import Links
from anyclawd.engine.transaction import Transaction, Wanted, build, build_mixed
from anyclawd.model.deps import Relation, UnitName
from anyclawd.model.errors import RequestError
from anyclawd.model.state import COMING_UP, UP, JobType, Sub
from anyclawd.model.unit import Unit
from tests.fakes.world import link, make_unit

A, B, C, D = (UnitName(f"{letter}.service") for letter in "abcd")
START, STOP, RESTART = JobType.START, JobType.STOP, JobType.RESTART
RUNNING, DEAD = Sub.RUNNING, Sub.DEAD


def jobs(
    type_: JobType,
    anchors: list[UnitName],
    *units: Unit,
    subs: Mapping[UnitName, Sub] | None = None,
    busy: tuple[UnitName, ...] = (),
    left_out: tuple[UnitName, ...] = (),
    alone: bool = False,
) -> Transaction:
    links = Links({unit.name: unit for unit in units})
    return build(
        anchors,
        type_,
        links,
        lambda name: (subs or {}).get(name, DEAD),
        busy=busy,
        left_out=left_out,
        alone=alone,
    )


def types(transaction: Transaction) -> dict[UnitName, JobType]:
    return {name: wanted.type for name, wanted in transaction.items()}


a, b, c = make_unit(A), make_unit(B), make_unit(C)


@pytest.mark.parametrize("relation", ["requires", "wants", "binds_to"])
def test_a_start_pulls_in_starts(relation: str) -> None:
    found = jobs(START, [B], a, link(b, **{relation: [A]}))
    assert types(found) == {B: START, A: START}
    assert found[A].cause == B
    assert found[A].matters is (relation != "wants")


@pytest.mark.parametrize("relation", ["part_of", "after", "before"])
def test_a_start_pulls_nothing_in_by(relation: str) -> None:
    assert types(jobs(START, [B], a, link(b, **{relation: [A]}))) == {B: START}


@pytest.mark.parametrize("relation", ["requires", "binds_to", "part_of"])
def test_a_stop_pulls_in_the_stop_of_who(relation: str) -> None:
    found = jobs(STOP, [A], a, link(b, **{relation: [A]}), subs={A: RUNNING, B: RUNNING})
    assert types(found) == {A: STOP, B: STOP}
    assert found[B].cause == A


def test_a_stop_leaves_who_only_wants_alone() -> None:
    found = jobs(STOP, [A], a, link(b, wants=[A]), subs={A: RUNNING, B: RUNNING})
    assert types(found) == {A: STOP}


@pytest.mark.parametrize("sub", Sub)
@pytest.mark.parametrize("relation", ["requires", "binds_to", "part_of"])
def test_a_restart_pulls_in_the_restart_of_who_is_up_or_coming(relation: str, sub: Sub) -> None:
    found = jobs(RESTART, [A], a, link(b, **{relation: [A]}), subs={A: RUNNING, B: sub})
    is_pulled = sub in UP | COMING_UP
    assert types(found) == ({A: RESTART, B: RESTART} if is_pulled else {A: RESTART})


def test_a_restart_pulls_in_what_it_requires_as_a_start() -> None:
    assert types(jobs(RESTART, [B], a, link(b, requires=[A]))) == {B: RESTART, A: START}


def test_conflicts_pull_in_a_stop_from_either_end() -> None:
    subs = {A: RUNNING}
    assert types(jobs(START, [B], a, link(b, conflicts=[A]), subs=subs)) == {B: START, A: STOP}
    assert types(jobs(START, [B], link(a, conflicts=[B]), b, subs=subs)) == {B: START, A: STOP}


def test_a_conflict_stops_also_who_requires_the_other() -> None:
    units = (a, link(b, requires=[A]), link(c, conflicts=[A]))
    found = jobs(START, [C], *units, subs={A: RUNNING, B: RUNNING})
    assert types(found) == {C: START, A: STOP, B: STOP}
    assert (found[B].cause, found[B].relation) == (A, Relation.REQUIRES)


def test_relations_reach_through() -> None:
    found = jobs(START, [C], a, link(b, requires=[A]), link(c, wants=[B]))
    assert types(found) == {C: START, B: START, A: START}
    assert not found[A].matters, "nobody depends on b, nor on what b requires"


def test_a_ring_of_relations_ends() -> None:
    assert types(jobs(START, [A], link(a, wants=[B]), link(b, wants=[A]))) == {A: START, B: START}


def test_mattering_reaches_a_unit_by_any_way() -> None:
    """It is wanted first, and required by another way: what it requires matters then, too."""
    units = (link(a, wants=[B, D]), link(b, requires=[C]), c, link(make_unit(D), requires=[B]))
    assert not jobs(START, [A], *units)[C].matters
    assert jobs(START, [D, A], *units)[C].matters


@pytest.mark.parametrize("sub", Sub)
def test_a_pulled_in_start_of_what_is_up_is_no_job(sub: Sub) -> None:
    found = jobs(START, [B], a, link(b, requires=[A]), subs={A: sub})
    assert (A in found) is (sub not in UP)


@pytest.mark.parametrize("sub", Sub)
def test_a_pulled_in_stop_of_what_rests_for_good_is_no_job(sub: Sub) -> None:
    found = jobs(STOP, [A], a, link(b, requires=[A]), subs={A: RUNNING, B: sub})
    assert (B in found) is (sub not in (Sub.DEAD, Sub.FAILED))


def test_what_has_a_job_does_not_stay_where_it_is() -> None:
    units = (a, link(b, requires=[A]))
    assert A in jobs(START, [B], *units, subs={A: RUNNING}, busy=(A,))
    assert B in jobs(STOP, [A], *units, busy=(B,))


def test_an_anchor_is_a_job_also_where_it_changes_nothing() -> None:
    assert types(jobs(START, [A], a, subs={A: RUNNING})) == {A: START}
    assert types(jobs(STOP, [A], a)) == {A: STOP}


def test_what_is_left_out_is_started_for_a_requirement_and_by_name_only() -> None:
    assert types(jobs(START, [B], a, link(b, wants=[A]), left_out=(A,))) == {B: START}
    assert A in jobs(START, [B], a, link(b, requires=[A]), left_out=(A,))
    assert A in jobs(START, [A], a, left_out=(A,))


def test_alone_means_alone() -> None:
    units = (a, link(b, requires=[A], conflicts=[C]), c)
    assert types(jobs(START, [B], *units, subs={C: RUNNING}, alone=True)) == {B: START}
    assert types(jobs(STOP, [A], *units, subs={B: RUNNING}, alone=True)) == {A: STOP}


# -- contradictions ----------------------------------------------------------------------------


def test_what_matters_wins_over_what_does_not() -> None:
    """b wants a, and conflicts with it: the conflict is what it cannot do without."""
    found = jobs(START, [B], a, link(b, wants=[A], conflicts=[A]), subs={A: RUNNING})
    assert types(found) == {B: START, A: STOP}


def test_a_requirement_that_conflicts_is_refused() -> None:
    with pytest.raises(RequestError) as refusal:
        jobs(START, [B], a, link(b, requires=[A], conflicts=[A]))
    assert str(refusal.value) == (
        "cannot both start a.service (requires of b.service) "
        "and stop a.service (conflicts of b.service)"
    )


def test_anchors_that_conflict_are_refused_by_their_names() -> None:
    with pytest.raises(RequestError) as refusal:
        jobs(START, [A, B], a, link(b, conflicts=[A]))
    assert str(refusal.value) == (
        "cannot both start b.service and stop b.service (conflicts of a.service)"
    )


def test_a_restart_of_what_a_conflict_stops_is_refused() -> None:
    with pytest.raises(RequestError, match=r"cannot both restart b\.service and stop b\.service"):
        jobs(RESTART, [A, B], a, link(b, conflicts=[A]))


def test_of_two_that_conflict_and_do_not_matter_the_first_is_started() -> None:
    target = link(make_unit("x.target"), wants=[A, B])
    found = jobs(START, [target.name], target, a, link(b, conflicts=[A]))
    assert types(found) == {target.name: START, A: START}
    target = link(make_unit("x.target"), wants=[B, A])
    found = jobs(START, [target.name], target, a, link(b, conflicts=[A]))
    assert types(found) == {target.name: START, B: START}


def test_of_three_that_conflict_in_a_row_both_ends_are_started() -> None:
    target = link(make_unit("x.target"), wants=[A, B, C])
    found = jobs(START, [target.name], target, a, link(b, conflicts=[A]), link(c, conflicts=[B]))
    assert types(found) == {target.name: START, A: START, C: START}


# -- anchors of several types ------------------------------------------------------------------


def mixed(anchors: dict[UnitName, Wanted], *units: Unit, **subs: Sub) -> dict[UnitName, JobType]:
    links = Links({unit.name: unit for unit in units})
    by_name = {UnitName(f"{letter}.service"): sub for letter, sub in subs.items()}
    found = build_mixed(anchors, links, lambda name: by_name.get(name, DEAD), spares_requirers=True)
    return types(found)


def test_a_changed_unit_takes_along_what_is_bound_to_it_and_spares_who_requires_it() -> None:
    units = (a, link(b, requires=[A]), link(c, binds_to=[A]))
    found = mixed({A: Wanted(RESTART, matters=False)}, *units, a=RUNNING, b=RUNNING, c=RUNNING)
    assert found == {A: RESTART, C: RESTART}


def test_of_two_restarts_that_conflict_and_do_not_matter_the_first_is_one() -> None:
    wishes = {A: Wanted(RESTART, matters=False), B: Wanted(RESTART, matters=False)}
    found = mixed(wishes, a, link(b, conflicts=[A]), a=RUNNING, b=RUNNING)
    assert found == {A: RESTART, B: STOP}


def test_a_stop_that_matters_wins_over_a_restart_that_does_not() -> None:
    wishes = {B: Wanted(STOP), A: Wanted(RESTART, matters=False)}
    found = mixed(wishes, a, link(b, part_of=[A]), a=RUNNING, b=RUNNING)
    assert found == {A: RESTART, B: STOP}


def test_a_restart_leaves_a_part_alone_that_is_left_out() -> None:
    found = jobs(
        RESTART, [A], a, link(b, part_of=[A]), subs={A: RUNNING, B: RUNNING}, left_out=(B,)
    )
    assert types(found) == {A: RESTART}


def test_a_reload_and_a_start_that_meet_are_what_the_unit_needs() -> None:
    """Of a unit that is coming up the reload would have been asked, and its start is pulled in."""
    both = JobType.RELOAD_OR_START
    found = jobs(both, [A, B], a, link(b, requires=[A]), subs={A: Sub.START})
    assert types(found) == {A: JobType.RELOAD, B: START}

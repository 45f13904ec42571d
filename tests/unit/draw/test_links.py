"""Which links are drawn, in what direction, and which follow from others."""

from anyclawd.draw.graph import Edge, Graph, Node
from anyclawd.draw.links import Link, links_of, sequence
from anyclawd.model.deps import Relation as R


def graph(names: str, *said: tuple[str, R, str]) -> Graph:
    """Units in start order, and what they say of each other."""
    found: dict[tuple[str, str], list[R]] = {}
    for unit, relation, other in said:
        found.setdefault((unit, other), []).append(relation)
    return Graph(
        nodes=tuple(Node(name=name, kind="service") for name in names),
        edges=tuple(
            Edge(unit=unit, other=other, relations=tuple(relations))
            for (unit, other), relations in found.items()
        ),
    )


def drawn(one: Graph) -> set[tuple[str, R]]:
    names = [node.name for node in one.nodes]
    return {(names[link.source] + names[link.target], link.strongest) for link in links_of(one)[0]}


def test_a_link_leads_to_what_depends() -> None:
    said = (
        ("b", R.AFTER, "a"),
        ("a", R.BEFORE, "c"),
        ("d", R.REQUIRES, "a"),
        ("a", R.ON_FAILURE, "e"),
        ("f", R.PART_OF, "a"),
    )
    assert drawn(graph("abcdef", *said)) == {
        ("ab", R.AFTER),
        ("ac", R.BEFORE),
        ("ad", R.REQUIRES),
        ("ae", R.ON_FAILURE),
        ("af", R.PART_OF),
    }


def test_order_that_follows_from_order_is_left_out_and_counted() -> None:
    one = graph("abc", ("b", R.AFTER, "a"), ("c", R.AFTER, "b"), ("c", R.AFTER, "a"))
    assert drawn(one) == {("ab", R.AFTER), ("bc", R.AFTER)}
    assert links_of(one)[1] == 1


def test_a_want_goes_with_the_order_that_it_comes_with() -> None:
    chain = (("b", R.AFTER, "a"), ("c", R.AFTER, "b"))
    ordered = graph("abc", *chain, ("c", R.WANTS, "a"), ("c", R.AFTER, "a"))
    assert drawn(ordered) == {("ab", R.AFTER), ("bc", R.AFTER)}
    unordered = graph("abc", *chain, ("c", R.WANTS, "a"))
    assert ("ac", R.WANTS) in drawn(unordered)


def test_what_is_required_is_always_drawn() -> None:
    chain = (("b", R.AFTER, "a"), ("c", R.AFTER, "b"), ("c", R.AFTER, "a"))
    for relation in (R.REQUIRES, R.BINDS_TO, R.PART_OF):
        assert ("ac", relation) in drawn(graph("abc", *chain, ("c", relation, "a")))


def test_both_directions_between_two_units_are_two_links() -> None:
    one = graph("ab", ("b", R.AFTER, "a"), ("a", R.REQUIRES, "b"))
    assert drawn(one) == {("ab", R.AFTER), ("ba", R.REQUIRES)}


def test_units_are_put_in_the_order_of_all_links() -> None:
    """A handler of failures stands behind what it is for, though it might start before it."""
    links = [Link(source=1, target=0, relations=(R.ON_FAILURE,))]
    assert sequence(links, 3) == [1, 0, 2]


def test_a_circle_leaves_the_order_as_it_is() -> None:
    links = [
        Link(source=1, target=0, relations=(R.ON_FAILURE,)),
        Link(source=0, target=1, relations=(R.AFTER,)),
    ]
    assert sequence(links, 2) == [0, 1]

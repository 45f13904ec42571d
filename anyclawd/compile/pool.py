"""Pools: one agent as several units that are alike, its workers.

An agent whose `max_workers` is more than 1 is no unit: in its place stand `name@1.agent`,
`name@2.agent` and so on, each with all that was said of `name.agent`. Routes go on to name the
agent. The first `min_workers` are wanted like any other unit; the rest are in the plan, wanted by
nobody, and start when the router asks for them.

Where a relation names the agent it means its workers: those that are always up where it would
start them, all of them where it is about order. What a pool says is not a template: a percent sign
is a percent sign.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from anyclawd.compile.anyclaw import Declaration
from anyclawd.compile.conversations import pool_of
from anyclawd.compile.diagnose import Report
from anyclawd.compile.merge import merge_all
from anyclawd.compile.read import Reference
from anyclawd.compile.supervision import check_least
from anyclawd.compile.tree import Node
from anyclawd.model.conversation import Pool
from anyclawd.model.deps import Relation, UnitName
from anyclawd.model.unit import Kind

#: The relations that start what they name, so that they mean the workers that are always up.
_STARTING = frozenset({Relation.REQUIRES, Relation.WANTS, Relation.BINDS_TO, Relation.ON_FAILURE})
#: The relations that nothing satisfies if there is no such worker.
_NEEDING = frozenset({Relation.REQUIRES, Relation.BINDS_TO})
#: A worker that is sent away sooner than it can be started helps nobody.
_LEAST_IDLE_S = 0.1


class Pools:
    """All pools of one configuration; `declared` has their workers in place of the agents."""

    def __init__(
        self,
        declared: Mapping[UnitName, Declaration],
        take_waiting: Callable[[UnitName], list[Node]],
        report: Report,
    ) -> None:
        """`take_waiting` gives the drop-ins of a unit that nobody has declared."""
        self._report = report
        self.workers: dict[UnitName, tuple[UnitName, ...]] = {}  #: by the name of the agent
        self.of: dict[UnitName, Pool] = {}  #: by the name of the worker
        self.resting: set[UnitName] = set()  #: the workers that start on demand
        self.declared: dict[UnitName, Declaration] = {}
        for name, one in declared.items():
            pool = self._pool(one)
            if pool is None:
                self.declared[name] = one
                continue
            workers = tuple(_workers(pool))
            self.workers[name] = workers
            self.resting.update(workers[pool.min_workers :])
            self.of.update(dict.fromkeys(workers, pool))
        if self.workers:
            self._refuse_namesakes()
            self._refuse_dropins(take_waiting)
        for name, workers in self.workers.items():
            self.declared.update((worker, _worker(declared[name], worker)) for worker in workers)

    def meant(self, settings: Node, one: Declaration) -> Node:
        """Settings whose relations name workers where they have named agents with a pool."""
        if not self.workers:
            return settings
        changed = {
            relation.value: self._references(node, relation, one)
            for relation in Relation
            if (node := settings.value.get(relation)) is not None
        }
        held = {**settings.value, **changed}
        if one.name in self.resting:
            held.pop("required", None)  # a boot cannot fail without what it does not start
        return settings._replace(value=held)

    def _pool(self, one: Declaration) -> Pool | None:
        if one.kind is not Kind.AGENT or not any(_is_about(layer) for layer in one.layers):
            return None
        settings: Mapping[str, Node] = merge_all(one.layers).value
        pool = pool_of(one.name, settings)
        if pool.min_workers > pool.max_workers:
            text = f"min_workers {pool.min_workers} is more than max_workers"
            key = "min_workers"
            self._report.error(settings[key].span, one.key_of(key), text)
        check_least(
            settings.get("worker_idle"), _LEAST_IDLE_S, one.key_of("worker_idle"), self._report
        )
        enabled = settings.get("enabled")
        if pool.max_workers == 1 or (enabled is not None and not enabled.value):
            return None
        if "@" in one.name:
            text = "an agent with an @ in its name cannot be a pool, whose workers have one too"
            self._report.error(settings["max_workers"].span, one.key_of("max_workers"), text)
            return None
        return pool

    def _refuse_namesakes(self) -> None:
        """A worker, and a template that would have workers as its instances, say nothing."""
        for name, one in list(self.declared.items()):
            agent = UnitName(f"{name.partition('@')[0]}.{one.kind}")
            if "@" in name and agent in self.workers:
                self._report.error(one.span, one.key, _alike(agent))
                del self.declared[name]

    def _refuse_dropins(self, take_waiting: Callable[[UnitName], list[Node]]) -> None:
        for worker, pool in self.of.items():
            for node in take_waiting(worker):
                self._report.error(node.span, worker, _alike(pool.agent))

    def _references(self, node: Node, relation: Relation, one: Declaration) -> Node:
        found: tuple[Reference, ...] = node.value
        if not any(reference.unit in self.workers for reference in found):
            return node
        workers = tuple(
            worker for reference in found for worker in self._named(reference, relation, one)
        )
        return node._replace(value=workers)

    def _named(
        self, reference: Reference, relation: Relation, one: Declaration
    ) -> Iterator[Reference]:
        agent = UnitName(reference.unit)
        if agent not in self.workers:
            yield reference
            return
        workers = self.workers[agent]
        if relation in _STARTING:
            workers = tuple(worker for worker in workers if worker not in self.resting)
        if relation in _NEEDING and not workers:
            text = f"{agent} has min_workers 0, so nothing starts what this unit cannot do without"
            self._report.error(reference.node.span, reference.key, text)
        for worker in workers:
            if worker != one.name:
                yield reference._replace(unit=worker)


def _is_about(layer: Node) -> bool:
    return "max_workers" in layer.value or "min_workers" in layer.value


def _workers(pool: Pool) -> Iterator[UnitName]:
    prefix = pool.agent.removesuffix(f".{Kind.AGENT}")
    for number in range(1, pool.max_workers + 1):
        yield UnitName(f"{prefix}@{number}.{Kind.AGENT}")


def _worker(agent: Declaration, name: UnitName) -> Declaration:
    return replace(
        agent, name=name, layers=list(agent.layers), problems=list(agent.problems), is_worker=True
    )


def _alike(agent: UnitName) -> str:
    return f"the workers of the pool {agent} are alike; say it of {agent}, which means them all"

"""From names to relations: what each unit says of others, and what its kind says for it.

The default graph is here and in the shipped unit files: every unit is wanted by its kind's target
and waits for what its kind waits for, unless it says `after` itself. A reference to a unit that
is switched off is left out, except where the unit cannot do without it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType

from anyclawd.compile.diagnose import Report
from anyclawd.compile.draft import Draft
from anyclawd.compile.kinds import PROCESSES
from anyclawd.compile.read import Reference, named
from anyclawd.compile.template import Instances
from anyclawd.compile.tree import Node
from anyclawd.model.deps import Dependencies, Ref, Relation, UnitName, Until
from anyclawd.model.plan import DEFAULT_TARGET
from anyclawd.model.unit import Kind, Unit, kind_of, template_of

ORCHESTRATOR = UnitName("orchestrator.core")
#: The target that wants every unit of a kind.
TARGET_OF: Mapping[Kind, UnitName] = MappingProxyType(
    {
        Kind.SERVICE: UnitName("services.target"),
        Kind.TOOL: UnitName("tools.target"),
        Kind.CHANNEL: UnitName("channels.target"),
        Kind.AGENT: UnitName("agents.target"),
        Kind.CORE: DEFAULT_TARGET,
    }
)
#: What the units of a kind wait for where they do not say it themselves.
DEFAULT_AFTER: Mapping[Kind, tuple[UnitName, ...]] = MappingProxyType(
    {
        Kind.TOOL: (ORCHESTRATOR,),
        Kind.CHANNEL: (ORCHESTRATOR,),
        Kind.AGENT: (TARGET_OF[Kind.TOOL], TARGET_OF[Kind.CHANNEL]),
    }
)
#: The relations that a unit cannot do without: their unit has to be switched on.
_NEEDED = frozenset({Relation.REQUIRES, Relation.BINDS_TO})
#: The relations by which a unit has others started with it.
_PULLING = (Relation.REQUIRES, Relation.BINDS_TO, Relation.WANTS)
_MOST_TEMPLATES_COMPARED = 100


class Linker:
    """Works out the relations of all units; `drafts` are those that are switched on.

    `unwanted` are those that their kind's target does not want: somebody else says when they start.
    """

    def __init__(
        self,
        drafts: Mapping[UnitName, Draft],
        disabled: Collection[UnitName],
        unwanted: frozenset[UnitName],
        instances: Instances,
        report: Report,
    ) -> None:
        self._drafts, self._disabled, self._report = drafts, disabled, report
        self._instances, self._unwanted = instances, unwanted
        self._rescuers = self._units_that_rescue()
        self._contradictory: set[frozenset[UnitName]] = set()
        self._implied_after: dict[UnitName, list[Ref]] = {}
        self._implied_wants: dict[UnitName, list[Ref]] = {}
        self._implied_requires: dict[UnitName, list[Ref]] = {}
        for name, draft in drafts.items():
            self._imply(name, draft)

    def relations_of(self, draft: Draft, services: tuple[Ref, ...] = ()) -> Dependencies:
        """The relations of one unit; what is wrong with a reference goes to the report.

        What it gets of the `services` is known once they are ready, so it waits for them too.
        """
        name = draft.declaration.name
        found = {
            relation: self._refs(draft, relation)
            for relation in Relation
            if relation.value in draft.settings
        }
        self._check_contradiction(draft, found)
        requires = [
            *found.get(Relation.REQUIRES, ()),
            *services,
            *self._implied_requires.get(name, ()),
        ]
        wants = [*found.get(Relation.WANTS, ()), *self._implied_wants.get(name, ())]
        after = [
            *found.get(Relation.AFTER, self._default_after(draft)),
            *self._ordered_requirements(draft),
            *services,
            *self._implied_after.get(name, ()),
        ]
        return Dependencies(
            requires=_once(requires),
            wants=_once(wants),
            binds_to=_once(found.get(Relation.BINDS_TO, ())),
            part_of=_once(found.get(Relation.PART_OF, ())),
            conflicts=_once(found.get(Relation.CONFLICTS, ())),
            on_failure=_once(found.get(Relation.ON_FAILURE, ())),
            after=_once(after),
            before=_once(found.get(Relation.BEFORE, ())),
        )

    def _units_that_rescue(self) -> frozenset[UnitName]:
        """The processes that are started when another fails, and that no other unit wants.

        What a rescuer wants is no wish of a boot either, so it takes a unit that is none.
        """
        rescuers = {
            name
            for draft in self._drafts.values()
            for name in self._names_in(draft, Relation.ON_FAILURE)
            if kind_of(name) in PROCESSES
        }
        others = [name for name in self._drafts if name not in rescuers] if rescuers else []
        while others:
            draft = self._drafts[others.pop()]
            wanted = rescuers.intersection(self._names_in(draft, *_PULLING))
            rescuers -= wanted
            others += wanted & self._drafts.keys()
        return frozenset(rescuers)

    def _names_in(self, draft: Draft, *relations: Relation) -> Iterator[UnitName]:
        for relation in relations:
            if relation in draft.settings:
                yield from (UnitName(one.unit) for one in draft.settings[relation].value)

    def _imply(self, name: UnitName, draft: Draft) -> None:
        """Note what targets have to say of this unit."""
        ref = Ref(unit=name, span=draft.declaration.span)
        target = TARGET_OF.get(draft.declaration.kind)
        if target is not None and name not in self._rescuers:
            if name not in self._unwanted:
                self._implied_wants.setdefault(target, []).append(ref)
            self._implied_after.setdefault(target, []).append(ref)
        required = draft.settings.get("required")
        if required is not None and required.value and name != DEFAULT_TARGET:
            self._implied_requires.setdefault(DEFAULT_TARGET, []).append(ref)
            self._implied_after.setdefault(DEFAULT_TARGET, []).append(ref)

    def _check_contradiction(self, draft: Draft, found: Mapping[Relation, list[Ref]]) -> None:
        """No start could ever satisfy a unit that needs what it conflicts with."""
        for ref in found.get(Relation.CONFLICTS, ()):
            for relation in (Relation.REQUIRES, Relation.BINDS_TO):
                if any(needed.unit == ref.unit for needed in found.get(relation, ())):
                    self._contradictory.add(frozenset((draft.declaration.name, ref.unit)))
                    text = f"conflicts with {ref.unit}, which is in {relation} too"
                    self._report.error(ref.span, draft.key(Relation.CONFLICTS), text)

    def _default_after(self, draft: Draft) -> Iterable[Ref]:
        span = draft.declaration.span
        return [Ref(unit=name, span=span) for name in DEFAULT_AFTER.get(draft.declaration.kind, ())]

    def _ordered_requirements(self, draft: Draft) -> Iterable[Ref]:
        """`requires` implies `after`, unless the reference says `order: false`."""
        node = draft.settings.get(Relation.REQUIRES)
        for reference in node.value if node is not None else ():
            name = UnitName(reference.unit)
            if reference.order and name in self._drafts and name != draft.declaration.name:
                yield Ref(unit=name, span=reference.node.span)

    def _refs(self, draft: Draft, relation: Relation) -> list[Ref]:
        node: Node = draft.settings[relation]
        refs = []
        for reference in node.value:
            if self._stands(draft, relation, reference):
                until = Until(reference.until)
                refs.append(
                    Ref(unit=UnitName(reference.unit), until=until, span=reference.node.span)
                )
        return refs

    def _stands(self, draft: Draft, relation: Relation, reference: Reference) -> bool:
        """Whether the reference holds; reports it where its unit does not exist."""
        name = UnitName(reference.unit)
        span, key = reference.node.span, reference.key
        if name in self._drafts:
            if name == draft.declaration.name and relation is not Relation.AFTER:
                self._report.error(span, key, f"a unit cannot name itself in {relation}")
                return False
            if reference.until == Until.HEALTHY and "health" not in self._drafts[name].settings:
                text = f"until: healthy needs a health check, and {name} has none"
                self._report.error(span, key, text)
            return True
        if name in self._instances.templates:
            example = name.replace("@.", "@argument.")
            text = f"{name} is a template, expected one of its instances, {example}"
            self._report.error(span, key, text)
            return False
        if template_of(name) in self._instances.templates and not self._makes_instances(draft):
            return False  # nobody has asked for it to be made
        if name in self._disabled:
            if relation in _NEEDED and draft.is_enabled:
                text = f"{name} is disabled, and this unit cannot do without it"
                self._report.error(span, key, text)
            return False
        text = f"no unit {named(reference.node, name)}"
        self._report.error(span, key, text, word=name, among=self._alike(reference))
        return False

    def _makes_instances(self, draft: Draft) -> bool:
        """Whether there is an instance of a template for every name that this unit mentions."""
        return draft.is_enabled and not draft.is_template and not self._instances.is_full

    def _alike(self, reference: Reference) -> Collection[UnitName]:
        """Names among which to look for what was meant: for an instance, with its argument."""
        is_written = reference.node.origin is None
        if not is_written or template_of(reference.unit) is None or not self._instances.templates:
            return self._drafts
        argument = reference.unit.partition("@")[2].rpartition(".")[0]
        templates = islice(self._instances.templates, _MOST_TEMPLATES_COMPARED)
        return [UnitName(one.replace("@.", f"@{argument}.")) for one in templates]

    def warn_of_conflicts(self, units: Mapping[UnitName, Unit]) -> None:
        """Warn of units that a boot wants both, though only one of them can run."""
        rivals = [unit for unit in units.values() if unit.deps.conflicts]
        if not rivals:
            return
        wanted, told = _wanted_at_boot(units), set(self._contradictory)
        for unit in rivals:
            for ref in unit.deps.conflicts:
                pair = frozenset((unit.name, ref.unit))
                if pair <= wanted and pair not in told:
                    told.add(pair)
                    text = (
                        f"{unit.name} and {ref.unit} cannot run together, and a boot wants both;"
                        " disable one of them"
                    )
                    key = self._drafts[unit.name].key(Relation.CONFLICTS)
                    self._report.warning(ref.span, key, text)


def _wanted_at_boot(units: Mapping[UnitName, Unit]) -> frozenset[UnitName]:
    """All that is started with the default target."""
    found = {DEFAULT_TARGET} & units.keys()
    queue = list(found)
    while queue:
        deps = units[queue.pop()].deps
        for ref in (*deps.requires, *deps.wants, *deps.binds_to):
            if ref.unit not in found and ref.unit in units:
                found.add(ref.unit)
                queue.append(ref.unit)
    return frozenset(found)


def _once(refs: Iterable[Ref]) -> tuple[Ref, ...]:
    """References without repetitions; the first of equal ones stays."""
    seen: dict[tuple[UnitName, Until], Ref] = {}
    for ref in refs:
        seen.setdefault((ref.unit, ref.until), ref)
    return tuple(seen.values())

"""A unit on its way from its settings to the graph, and what its kind says for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from anyclawd.compile.anyclaw import Declaration
from anyclawd.compile.command import NONE, Beside
from anyclawd.compile.program import Resolved
from anyclawd.compile.tree import Node
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import ReadinessType
from anyclawd.model.span import Span
from anyclawd.model.unit import Kind, Protocol, kind_of, template_of

#: What the units of a kind speak where nothing else is said, and all they can speak.
PROTOCOLS: Mapping[Kind, tuple[Protocol, ...]] = MappingProxyType(
    {
        Kind.SERVICE: (Protocol.SERVICE, Protocol.HOOK, Protocol.NONE),
        Kind.TOOL: (Protocol.MCP,),
        Kind.CHANNEL: (Protocol.CHANNEL,),
        Kind.AGENT: (Protocol.ACP,),
        Kind.CORE: (Protocol.NONE,),
        Kind.TARGET: (Protocol.NONE,),
    }
)
#: The one part of the daemon whose start takes input and output.
ADMIN = UnitName("admin.core")


def is_template(name: str) -> bool:
    """Whether this is the name of a template, `name@.kind`."""
    return "@" in name and kind_of(name) is not None and template_of(name) is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A unit on its way: what it says, merged, and what it will execute."""

    declaration: Declaration
    settings: Mapping[str, Node]
    program: Resolved | None
    beside: Beside = NONE  #: its other programs
    is_template: bool = False

    @property
    def is_enabled(self) -> bool:
        node = self.settings.get("enabled")
        return True if node is None else bool(node.value)

    def key(self, name: str) -> str:
        """The dotted path by which a finding names a setting of this unit."""
        return self.declaration.key_of(name)

    def span(self, name: str) -> Span:
        """Where a setting was made, or the unit where it was not."""
        node = self.settings.get(name)
        return self.declaration.span if node is None else node.span


def protocol_of(draft: Draft) -> Protocol:
    node = draft.settings.get("protocol")
    default = PROTOCOLS[draft.declaration.kind][0]
    return default if node is None else Protocol(node.value)


def readiness_of(draft: Draft) -> ReadinessType:
    node = draft.settings.get("readiness")
    if node is not None:
        return ReadinessType(node.value["type"].value)
    if draft.declaration.name == ADMIN:
        return ReadinessType.STARTED  # a boot has not settled before its socket can be talked to
    if draft.declaration.kind in (Kind.CORE, Kind.TARGET):
        return ReadinessType.NONE
    if protocol_of(draft) is Protocol.NONE:
        return ReadinessType.STARTED
    return ReadinessType.INITIALIZE


def problem_of(draft: Draft) -> str:
    """Why this version cannot start the unit, or nothing."""
    declaration = draft.declaration
    problems = list(declaration.problems)
    if draft.program is not None and draft.program.problem:
        problems.append(draft.program.problem)
    problems += draft.beside.problems
    return "; ".join(problems)

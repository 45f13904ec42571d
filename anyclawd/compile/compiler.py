"""The compiler as a whole: from the path of `anyclaw.yaml` to a plan and what there is to say.

Stages run in order and each goes on after what the one before has reported, so one run tells
everything; a plan comes out if and only if there was no error.
"""

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from anyclawd.compile.anyclaw import (
    Declaration,
    daemon_settings,
    declarations,
    escape,
    extensions_dir,
)
from anyclawd.compile.build import Builder, Draft, read_ack
from anyclawd.compile.check import Checker
from anyclawd.compile.diagnose import Report
from anyclawd.compile.graph import start_graph, start_order, unit_graph
from anyclawd.compile.link import Linker
from anyclawd.compile.merge import merge_all
from anyclawd.compile.program import Programs
from anyclawd.compile.read import Reader, show
from anyclawd.compile.settings import ACK, ANYCLAW
from anyclawd.compile.shipped import Shipped
from anyclawd.compile.tree import Input, Node, Sources, World
from anyclawd.compile.world import world_findings
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import Finding
from anyclawd.model.plan import Plan, StoreType
from anyclawd.model.span import Span
from anyclawd.model.unit import Ack, AgentRole, ChannelRole, Kind, Unit, kind_of

__all__ = ["Outcome", "compile_config", "world_findings"]

STORE = UnitName("store.core")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run of the compiler has come to."""

    plan: Plan | None  #: None if and only if a finding is an error
    findings: tuple[Finding, ...]
    inputs: tuple[Input, ...]  #: all that the plan depends on


def compile_config(
    path: str,
    environ: Mapping[str, str],
    machine: World,
    *,
    strict: bool = False,
    dropins: str = "",
) -> Outcome:
    """Compile one configuration. `dropins` is a further directory of drop-ins, the last to win."""
    report = Report()
    sources = Sources(machine, report, environ)
    plan = _Compilation(path, sources, strict=strict, dropins=dropins).run()
    return Outcome(plan=plan, findings=report.findings(), inputs=sources.inputs())


class _Compilation:
    """One run; holds what the stages share."""

    def __init__(self, path: str, sources: Sources, *, strict: bool, dropins: str) -> None:
        self._sources, self._report = sources, sources.report
        self._cwd = sources.world.working_directory()
        self._path = posixpath.normpath(posixpath.join(self._cwd, path))
        self._reader = Reader(sources.report, sources.shown, strict=strict)
        self._directories = [posixpath.dirname(self._path), *([dropins] if dropins else [])]
        self._declared: dict[UnitName, Declaration] = {}

    def run(self) -> Plan | None:
        data = self._sources.world.data_directory()
        if data is None:
            text = "cannot find the shipped unit files; install anyclawd again"
            self._report.error(Span(self._path), "", text)
            return None
        tree = self._sources.document(self._path)
        document = self._reader.read(tree, ANYCLAW, "") if tree is not None else None
        if document is None:
            return None
        shipped = Shipped(posixpath.join(data, "units"), self._sources, self._reader)
        settings = daemon_settings(document)
        self._declare_shipped(shipped, with_store=settings.session_store.type is not StoreType.NONE)
        for declaration in declarations(document, self._report):
            self._declare(declaration)
        self._apply_units(document.value.get("units"), "units")
        self._apply_dropins()

        directory, is_set = extensions_dir(document)
        programs = Programs(self._sources, self._report, data, directory, is_set, self._cwd)
        drafts = [self._draft(one, programs, shipped) for one in self._declared.values()]
        checker = Checker(self._sources)
        for draft in drafts:
            checker.check(draft)
        units, disabled = self._units(drafts)
        graph = unit_graph(units)
        order = start_order(start_graph(graph), self._report, shipped=shipped.directory)
        if self._report.has_errors:
            return None
        return Plan(
            units={name: units[name] for name in sorted(units)},
            order=order,
            settings=settings,
            config=self._path,
            disabled=disabled,
            warnings=self._report.findings(),
        )

    def _declare_shipped(self, shipped: Shipped, *, with_store: bool) -> None:
        for name, node in shipped.parts.items():
            if name == STORE and not with_store:
                continue
            kind = kind_of(name)
            if kind is None:
                raise ValueError(f"{name} is no unit name")
            one = Declaration(
                name=name, kind=kind, span=node.span, key=f"units.{name}", layers=[node]
            )
            if name == STORE:
                one.problems.append("session_store type sqlite is not supported by this version")
            self._declared[name] = one

    def _declare(self, declaration: Declaration) -> None:
        other = self._declared.setdefault(declaration.name, declaration)
        if other is not declaration:
            text = f"two units of one name: {declaration.name} stands at {other.span} already"
            self._report.error(declaration.span, declaration.key, text)

    def _apply_units(self, units: Node | None, key: str) -> None:
        """Add the layers of a map from unit names to settings; declares what is new."""
        if units is None:
            return
        for text, node in units.value.items():
            name = UnitName(text)
            if name in self._declared:
                self._declared[name].layers.append(node)
                continue
            kind = kind_of(name)
            if kind is Kind.CORE:
                cores = [one for one in self._declared if kind_of(one) is Kind.CORE]
                self._report.error(
                    node.key_span,
                    f"{key}.{name}",
                    f"no core unit {name!r}",
                    word=name,
                    among=cores,
                )
            elif kind is not None:
                self._declared[name] = Declaration(
                    name=name, kind=kind, span=node.key_span, key=f"{key}.{name}", layers=[node]
                )

    def _apply_dropins(self) -> None:
        for directory in self._directories:
            self._apply_general_dropins(posixpath.join(directory, "units.d"))
            self._apply_unit_dropins(directory)

    def _apply_general_dropins(self, directory: str) -> None:
        """`units.d/*.yaml`: each a map from unit names to settings."""
        for path in self._yaml_files(directory):
            tree = self._sources.document(path)
            if tree is None:
                continue
            if not isinstance(tree.value, dict):
                text = f"expected a map from unit names to settings, found {show(tree)}"
                self._report.error(tree.span, "", text)
                continue
            for name, node in tree.value.items():
                typed = self._reader.unit(name, node, name)
                if typed is not None:
                    one = tree._replace(value={name: typed})
                    self._apply_units(one, "units")

    def _apply_unit_dropins(self, directory: str) -> None:
        """`<unit>.d/*.yaml`: each the settings of the one unit."""
        for entry in self._sources.names_in(directory):
            name = UnitName(entry.removesuffix(".d"))
            if not entry.endswith(".d") or kind_of(name) is None:
                continue
            paths = self._yaml_files(posixpath.join(directory, entry))
            if name not in self._declared:
                for path in paths:
                    text = f"no unit {name!r} to apply this to"
                    self._report.warning(Span(path), "", text, word=name, among=self._declared)
                continue
            for path in paths:
                tree = self._sources.document(path)
                typed = self._reader.unit(name, tree, name) if tree is not None else None
                if typed is not None:
                    self._declared[name].layers.append(typed)

    def _yaml_files(self, directory: str) -> list[str]:
        names = self._sources.names_in(directory)
        return [posixpath.join(directory, name) for name in names if name.endswith(".yaml")]

    def _draft(self, declaration: Declaration, programs: Programs, shipped: Shipped) -> Draft:
        merged = merge_all(declaration.layers)
        node = merged.value.get("exec")
        program = programs.resolve(node.value) if node is not None and node.value.nodes else None
        if program is not None and program.extension:
            defaults = shipped.defaults(program.extension)
            if defaults is not None:
                below = {key: value for key, value in defaults.value.items() if key != "exec"}
                merged = merge_all([defaults._replace(value=below), merged])
        return Draft(declaration=declaration, settings=merged.value, program=program)

    def _units(self, drafts: Iterable[Draft]) -> tuple[dict[UnitName, Unit], tuple[UnitName, ...]]:
        enabled = {draft.declaration.name: draft for draft in drafts if draft.is_enabled}
        disabled = [draft for draft in drafts if not draft.is_enabled]
        names = frozenset(draft.declaration.name for draft in disabled)
        linker = Linker(enabled, names, self._report)
        roles = _Roles(self._reader, self._report, enabled, names, self._cwd)
        builder = Builder(self._cwd, self._sources.shown)
        units: dict[UnitName, Unit] = {}
        for draft in (*enabled.values(), *disabled):
            deps = linker.relations_of(draft)
            channel, agent = roles.channel(draft), roles.agent(draft, builder)
            if draft.program is None and not draft.declaration.problems and _runs(draft):
                continue  # it has no program, which has been reported
            unit = builder.build(draft, deps, channel=channel, agent=agent)
            if draft.is_enabled:
                units[unit.name] = unit
        return units, tuple(sorted(names))


def _runs(draft: Draft) -> bool:
    return draft.declaration.kind not in (Kind.CORE, Kind.TARGET)


class _Roles:
    """Works out what the gateway has to know of channels and agents."""

    def __init__(
        self,
        reader: Reader,
        report: Report,
        enabled: Mapping[UnitName, Draft],
        disabled: frozenset[UnitName],
        working_directory: str,
    ) -> None:
        self._reader, self._report = reader, report
        self._enabled, self._disabled = enabled, disabled
        self._working_directory = working_directory
        self._tools = tuple(name for name in enabled if kind_of(name) is Kind.TOOL)
        self._agents = tuple(name for name in enabled if kind_of(name) is Kind.AGENT)

    def channel(self, draft: Draft) -> ChannelRole | None:
        if draft.declaration.kind is not Kind.CHANNEL:
            return None
        node = draft.settings.get("agent")
        agent = UnitName(f"{escape(node.value if node is not None else 'default')}.agent")
        span, key = draft.span("agent"), draft.key("agent")
        if agent in self._disabled:
            if draft.is_enabled:
                text = f"the agent {agent} is disabled, so messages of this channel are refused"
                self._report.warning(span, key, text)
        elif agent not in self._enabled:
            say = self._report.warning if node is None else self._report.error
            among = [name.removesuffix(".agent") for name in self._agents]
            say(span, key, f"no agent {agent!r}", word=agent.removesuffix(".agent"), among=among)
        return ChannelRole(agent=agent, ack=self._ack(draft))

    def _ack(self, draft: Draft) -> Ack | None:
        options = draft.settings.get("options")
        node = options.value.get("ack") if options is not None else None
        if node is None:
            return None
        typed = self._reader.read(node, ACK, draft.key("options.ack"))
        return None if typed is None else read_ack(typed)

    def agent(self, draft: Draft, builder: Builder) -> AgentRole | None:
        if draft.declaration.kind is not Kind.AGENT:
            return None
        idle = draft.settings.get("prompt_idle_timeout")
        role = AgentRole(cwd=builder.session_directory(draft), tools=self._granted(draft))
        return role if idle is None else replace(role, prompt_idle_timeout_s=idle.value)

    def _granted(self, draft: Draft) -> tuple[UnitName, ...]:
        """The tools an agent may use, in the order of the configuration."""
        node = draft.settings.get("tools")
        if node is None or not node.value.nodes or "*" in node.value.values:
            return self._tools
        granted = set()
        for index, item in enumerate(node.value.nodes):
            name = UnitName(f"{escape(item.value)}.tool")
            granted.add(name)
            if name not in self._enabled and name not in self._disabled:
                among = [tool.removesuffix(".tool") for tool in self._tools]
                self._report.error(
                    item.span,
                    f"{node.value.key}[{index}]",
                    f"no tool {item.value!r}",
                    word=item.value,
                    among=among,
                )
        return tuple(name for name in self._tools if name in granted)

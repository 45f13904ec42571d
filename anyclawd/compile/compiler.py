"""The compiler as a whole: from the path of `anyclaw.yaml` to a plan and what there is to say.

Stages run in order and each goes on after what the one before has reported, so one run tells
everything; a plan comes out if and only if there was no error.
"""

import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from anyclawd.compile.anyclaw import (
    Declaration,
    daemon_settings,
    extensions_dir,
    health_interval_s,
)
from anyclawd.compile.build import Builder
from anyclawd.compile.check import Checker
from anyclawd.compile.command import NONE, resolve_all, words_of
from anyclawd.compile.diagnose import Report
from anyclawd.compile.draft import Draft, is_template
from anyclawd.compile.graph import start_graph, start_order, unit_graph
from anyclawd.compile.layers import MCP, STORE, Layers
from anyclawd.compile.link import Linker
from anyclawd.compile.merge import merge_all
from anyclawd.compile.openness import check_endpoint, check_media, check_openness
from anyclawd.compile.origin import Taken
from anyclawd.compile.pool import Pools
from anyclawd.compile.program import Programs
from anyclawd.compile.read import Items, Reader
from anyclawd.compile.role import Roles
from anyclawd.compile.settings import ANYCLAW
from anyclawd.compile.shipped import Shipped
from anyclawd.compile.sources import Input, Sources
from anyclawd.compile.template import Instances, specified
from anyclawd.compile.tree import World
from anyclawd.compile.workspace import check_workspace
from anyclawd.compile.world import Place, Places, world_findings
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import Finding
from anyclawd.model.plan import Plan, Settings, StoreType
from anyclawd.model.span import Span
from anyclawd.model.unit import Kind, Unit

__all__ = ["Outcome", "compile_config", "world_findings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run of the compiler has come to."""

    plan: Plan | None  #: None if and only if a finding is an error
    findings: tuple[Finding, ...]
    inputs: tuple[Input, ...]  #: all that the plan depends on
    places: Places  #: where things were written that the machine may lack
    taken: tuple[Taken, ...] = ()  #: what `!env` and `!credential` have asked for


def compile_config(
    path: str,
    environ: Mapping[str, str],
    machine: World,
    *,
    strict: bool = False,
    dropins: str = "",
    has_credentials: bool = True,
) -> Outcome:
    """Compile one configuration. `dropins` is a further directory of drop-ins, the last to win.

    Without `has_credentials` who asks is not the service that is given them: those that it cannot
    find are warned of, and stay unknown.
    """
    report = Report()
    sources = Sources(machine, report, environ, has_credentials=has_credentials)
    compilation = _Compilation(path, sources, strict=strict, dropins=dropins)
    plan = compilation.run()
    return Outcome(
        plan=plan,
        findings=report.findings(),
        inputs=sources.inputs(),
        places=compilation.places,
        taken=sources.taken,
    )


class _Compilation:
    """One run; holds what the stages share."""

    def __init__(self, path: str, sources: Sources, *, strict: bool, dropins: str) -> None:
        self._sources, self._report = sources, sources.report
        self._cwd = sources.world.working_directory()
        self._path = posixpath.normpath(posixpath.join(self._cwd, path))
        self._reader = Reader(sources.report, sources.shown, strict=strict)
        self.places: dict[tuple[UnitName, str], Place] = {}
        self._directories = [posixpath.dirname(self._path), *([dropins] if dropins else [])]

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
        settings = daemon_settings(document, self._cwd)
        layers = Layers(self._sources, self._reader)
        layers.add_shipped(shipped.parts)
        layers.add_document(document)
        for directory in self._directories:
            layers.add_dropins(directory)

        directory, is_set = extensions_dir(document)
        programs = Programs(self._sources, self._report, data, directory, is_set, self._cwd)
        pools = Pools(layers.declared, layers.take_waiting, self._report)
        instances = Instances(pools.declared, layers.take_waiting, self._report)
        drafts = []
        for one in instances:
            draft = self._draft(one, programs, shipped, pools)
            instances.discover(draft)
            drafts.append(draft)
        templates = [
            self._draft(one, programs, shipped, pools) for one in instances.templates.values()
        ]
        layers.report_waiting()
        checker = Checker(self._sources, settings.cgroup, health_interval_s(document))
        for draft in (*drafts, *templates):
            checker.check(draft)
        builder = Builder(self._cwd, self._sources.shown, health_interval_s(document))
        enabled = {draft.declaration.name: draft for draft in drafts if draft.is_enabled}
        disabled = {draft.declaration.name: draft for draft in drafts if not draft.is_enabled}
        for core in _unneeded(enabled, settings):
            del enabled[core]
        absent = frozenset((*disabled, STORE, MCP)) - enabled.keys()
        roles = Roles(self._reader, self._report, enabled, absent, pools)
        settings = replace(settings, access=roles.access(document))
        unwanted = frozenset((*instances.referred, *pools.resting))
        linker = Linker(enabled, absent, unwanted, instances, self._report)
        units = dict(self._units((*enabled.values(), *disabled.values()), linker, roles, builder))
        for name, draft in enabled.items():
            if name not in units:
                continue
            if (channel := units[name].channel) is not None:
                check_openness(draft, channel, settings.access, self._report)
            if (agent := units[name].agent) is not None:
                check_workspace(draft, agent, self._report)
            check_media(draft, self._report)
        if MCP in units:
            check_endpoint(document, self._report)
        _judge(templates, linker, roles, builder)
        linker.warn_of_conflicts(units)
        graph = unit_graph(units)
        order = start_order(start_graph(graph), self._report, shipped=shipped.directory)
        if self._report.has_errors:
            return None
        return Plan(
            units={name: units[name] for name in sorted(units)},
            order=order,
            settings=settings,
            config=self._path,
            disabled=tuple(sorted(disabled)),
            templates=tuple(sorted(instances.templates)),
            warnings=self._report.findings(),
        )

    def _draft(
        self, declaration: Declaration, programs: Programs, shipped: Shipped, pools: Pools
    ) -> Draft:
        merged = merge_all(declaration.layers)
        if "@" in declaration.name and not declaration.is_worker:
            merged = specified(declaration, merged, self._report)
        node = merged.value.get("exec")
        program = programs.resolve(node.value) if node is not None and node.value.nodes else None
        if program is not None and program.extension:
            defaults = shipped.defaults(program.extension)
            if defaults is not None:
                below = {key: value for key, value in defaults.value.items() if key != "exec"}
                merged = merge_all([defaults._replace(value=below), merged])
        merged = pools.meant(merged, declaration)
        settings = self._reader.complete(merged.value, declaration.key_of)
        return Draft(
            declaration=declaration,
            settings=settings,
            program=program,
            beside=resolve_all(settings, programs),
            is_template=is_template(declaration.name),
        )

    def _units(
        self, drafts: Iterable[Draft], linker: Linker, roles: Roles, builder: Builder
    ) -> Iterator[tuple[UnitName, Unit]]:
        """The units that are switched on; the others are judged all the same."""
        for draft in drafts:
            services = roles.services(draft)
            deps = linker.relations_of(draft, services)
            channel, agent = roles.channel(draft), roles.agent(draft, builder)
            tool = roles.tool(draft)
            if draft.program is None and not draft.declaration.problems and _runs(draft):
                continue  # it has no program, which has been reported
            unit = builder.build(
                draft, deps, services=services, channel=channel, agent=agent, tool=tool
            )
            if draft.is_enabled:
                self.places.update(_places(draft))
                yield unit.name, unit


def _unneeded(drafts: Mapping[UnitName, Draft], settings: Settings) -> Iterator[UnitName]:
    """The parts of the daemon that would have nothing to do.

    The store has where there is a file to keep, or somebody who has conversations; the endpoint of
    tools where there is one.
    """
    kinds = {draft.declaration.kind for draft in drafts.values()}
    has_file = settings.session_store.type is StoreType.SQLITE
    if not has_file and kinds.isdisjoint((Kind.CHANNEL, Kind.AGENT)):
        yield STORE
    if Kind.TOOL not in kinds:
        yield MCP


def _judge(templates: Iterable[Draft], linker: Linker, roles: Roles, builder: Builder) -> None:
    """Report what is wrong with templates, of which no unit is built."""
    for draft in templates:
        linker.relations_of(draft, roles.services(draft))
        if "agent" in draft.settings:
            roles.channel(draft)
        roles.agent(draft, builder)
        roles.tool(draft)


def _places(draft: Draft) -> Iterator[tuple[tuple[UnitName, str], Place]]:
    """Where a unit, and those of its settings that the machine may fail, were written."""
    name = draft.declaration.name
    yield (name, ""), Place(draft.declaration.span, draft.declaration.key)
    for setting in ("working_dir", "user", "isolate"):
        if setting in draft.settings:
            yield (name, setting), Place(draft.span(setting), draft.key(setting))
    if draft.program is not None:
        program: Items = draft.settings["exec"].value
        yield (name, "exec"), Place(program.nodes[0].span, program.key)
    if draft.beside is not NONE:
        several: Counter[str] = Counter()
        for setting, words in words_of(draft.settings):
            place = Place(words.nodes[0].span, words.key)
            yield (name, f"{setting}[{several[setting]}]"), place
            several[setting] += 1


def _runs(draft: Draft) -> bool:
    return draft.declaration.kind not in (Kind.CORE, Kind.TARGET)

"""The world pass: what the machine lacks for a plan that is right in itself.

A missing program is a matter of the machine and never of the text: `validate` and `doctor` call
it an error, and at start it fails the one unit, with the same words, and stops no other.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from anyclawd.compile.diagnose import Report
from anyclawd.compile.tree import World
from anyclawd.model import world
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import Finding, Scope
from anyclawd.model.plan import Plan
from anyclawd.model.policy import HookCommand, Isolation, Probe
from anyclawd.model.span import Span
from anyclawd.model.unit import Kind, Unit


class Place(NamedTuple):
    """Where something was written, and the dotted path of its key."""

    span: Span
    key: str


#: By unit and setting; the empty setting is the unit as a whole.
Places = Mapping[tuple[UnitName, str], Place]


def world_findings(
    plan: Plan, machine: World, places: Places = MappingProxyType({})
) -> tuple[Finding, ...]:
    """What the machine lacks for this plan, by place; the texts are those of a failed start.

    A plan knows where its units stand; `places` tells where their settings do.
    """
    report = Report(scope=Scope.WORLD)
    inherited = sorted(name for name in machine.environ if name.endswith("_API_KEY"))
    for unit in plan.units.values():
        where = _Where(unit, places)
        if unit.problem:
            report.warning(*where(""), f"cannot be started: {unit.problem}")
        elif unit.is_process:
            _check_world(unit, machine, where, report)
            for setting, command in _commands(unit):
                say = report.warning if command.may_fail else report.error
                _check_program(command.argv[0], machine, where(setting), say)
            _check_inherited(unit, inherited, where, report)
    return report.findings()


class _Where:
    """Places of one unit: that of a setting, else the unit's own."""

    def __init__(self, unit: Unit, places: Places) -> None:
        self._unit, self._places = unit, places

    def __call__(self, setting: str) -> Place:
        whole = self._places.get((self._unit.name, ""), Place(self._unit.span, self._unit.name))
        return self._places.get((self._unit.name, setting), whole)


def _commands(unit: Unit) -> Iterator[tuple[str, HookCommand]]:
    """The programs beside the main one, each with the name of its place."""
    hooks, condition = unit.hooks, unit.condition
    for setting, commands in (
        ("exec_start_pre", hooks.start_pre),
        ("exec_start_post", hooks.start_post),
        ("exec_reload", hooks.reload),
        ("exec_stop_post", hooks.stop_post),
        ("condition.command", condition.commands),
        ("readiness.exec", _probe_command(unit.readiness_probe)),
        ("health.exec", _probe_command(unit.health.probe if unit.health else None)),
    ):
        for index, command in enumerate(commands):
            yield f"{setting}[{index}]", command


def _probe_command(probe: Probe | None) -> tuple[HookCommand, ...]:
    return (HookCommand(argv=probe.argv),) if probe is not None and probe.argv else ()


def _check_program(program: str, machine: World, place: Place, say: Callable[..., None]) -> None:
    found = program if "/" in program else machine.which(program)
    if found is None or not machine.is_file(found):
        say(*place, world.no_program(program))
    elif not machine.is_executable(found):
        say(*place, world.not_executable(program))


def _check_world(unit: Unit, machine: World, where: _Where, report: Report) -> None:
    _check_program(unit.argv[0], machine, where("exec"), report.error)
    if unit.isolate is Isolation.PID and not machine.is_root():
        report.error(*where("isolate"), world.CANNOT_ISOLATE)
    if unit.working_dir and not machine.is_dir(unit.working_dir):
        report.error(*where("working_dir"), world.no_working_dir(unit.working_dir))
    if unit.user and not machine.has_user(unit.user):
        report.error(*where("user"), world.no_user(unit.user))


def _check_inherited(unit: Unit, inherited: list[str], where: _Where, report: Report) -> None:
    """Warn where an agent of the original's would have found a key that it does not get here."""
    missed = [
        name
        for name in inherited
        if name not in unit.environment and name not in unit.pass_environment
    ]
    if unit.kind is Kind.AGENT and missed:
        names = ", ".join(missed)
        text = f"does not inherit {names}; list in pass_environment what it needs"
        report.warning(*where(""), text)

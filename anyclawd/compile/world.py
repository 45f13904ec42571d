"""The world pass: what the machine lacks for a plan that is right in itself.

A missing program is a matter of the machine and never of the text: `validate` and `doctor` call
it an error, and at start it fails the one unit, with the same words, and stops no other.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from anyclawd.compile.diagnose import Report
from anyclawd.compile.tree import World
from anyclawd.model import world
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import Finding, Scope, Severity
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


class Lack(NamedTuple):
    """What a unit misses on this machine."""

    unit: UnitName
    setting: str  #: the setting that asks for it, as `Places` has it; empty for the whole unit
    severity: Severity
    text: str
    remedy: str = ""  #: the next move, where one is known

    def __str__(self) -> str:
        return f"{self.text}; {self.remedy}" if self.remedy else self.text


def world_findings(
    plan: Plan, machine: World, places: Places = MappingProxyType({})
) -> tuple[Finding, ...]:
    """What the machine lacks for this plan, by place; the texts are those of a failed start.

    A plan knows where its units stand; `places` tells where their settings do.
    """
    report = Report(scope=Scope.WORLD)
    for lack in world_lacks(plan, machine):
        say = report.error if lack.severity is Severity.ERROR else report.warning
        say(*place_of(lack, plan, places), str(lack))
    return report.findings()


def world_lacks(plan: Plan, machine: World) -> Iterator[Lack]:
    """What the machine lacks for this plan, unit by unit."""
    inherited = sorted(name for name in machine.environ if name.endswith("_API_KEY"))
    for unit in plan.units.values():
        if unit.problem:
            yield Lack(unit.name, "", Severity.WARNING, f"cannot be started: {unit.problem}")
        elif unit.is_process:
            yield from _settings(unit, machine)
            for setting, command in commands_of(unit):
                severity = Severity.WARNING if command.may_fail else Severity.ERROR
                for said in _program(command.argv[0], unit, machine):
                    yield Lack(unit.name, setting, severity, *world.halves(said))
            yield from _inherited(unit, inherited)


def place_of(lack: Lack, plan: Plan, places: Places) -> Place:
    """Where the setting was written, else the unit."""
    whole = places.get((lack.unit, ""), Place(plan.units[lack.unit].span, lack.unit))
    return places.get((lack.unit, lack.setting), whole)


def commands_of(unit: Unit) -> Iterator[tuple[str, HookCommand]]:
    """Every program that a unit executes, its own first, each with the setting that names it."""
    yield "exec", HookCommand(argv=unit.argv)
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


def interpreter_of(program: str, machine: World) -> tuple[str, str]:
    """What a program that is a script asks for, as `model.world` says."""
    try:
        return world.interpreter_of(machine.head(program))
    except OSError:
        return "", ""  # that it may be executed does not mean that it may be read


def _probe_command(probe: Probe | None) -> tuple[HookCommand, ...]:
    return (HookCommand(argv=probe.argv),) if probe is not None and probe.argv else ()


def _program(program: str, unit: Unit, machine: World) -> Iterator[str]:
    """What is missing for one program to be executed; of several things the first."""
    found = program if "/" in program else machine.which(program)
    if found is None or not machine.is_file(found):
        yield world.no_program(program)
        return
    if not machine.is_executable(found):
        yield world.not_executable(program)
        return
    interpreter, looked_up = interpreter_of(found, machine)
    if interpreter.startswith("/") and not machine.is_file(interpreter):
        yield world.no_interpreter(program, interpreter)
    elif looked_up and "PATH" not in unit.environment and machine.which(looked_up) is None:
        yield world.no_interpreter(program, looked_up)


def _settings(unit: Unit, machine: World) -> Iterator[Lack]:
    def lack(setting: str, said: str, severity: Severity = Severity.ERROR) -> Lack:
        return Lack(unit.name, setting, severity, *world.halves(said))

    if unit.isolate is Isolation.PID and not machine.is_root():
        yield lack("isolate", world.CANNOT_ISOLATE)
    if unit.working_dir and not machine.is_dir(unit.working_dir):
        yield lack("working_dir", world.no_working_dir(unit.working_dir))
    if unit.user and not machine.has_user(unit.user):
        yield lack("user", world.no_user(unit.user))
    elif unit.user and not machine.is_root() and not machine.is_self(unit.user):
        yield lack("user", world.not_root(unit.user), Severity.WARNING)


def _inherited(unit: Unit, inherited: list[str]) -> Iterator[Lack]:
    """Warn where an agent of the original's would have found a key that it does not get here."""
    missed = [
        name
        for name in inherited
        if name not in unit.environment and name not in unit.pass_environment
    ]
    if unit.kind is Kind.AGENT and missed:
        text = f"does not inherit {', '.join(missed)}"
        remedy = "list in pass_environment what it needs"
        yield Lack(unit.name, "", Severity.WARNING, text, remedy)

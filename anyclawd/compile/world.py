"""The world pass: what the machine lacks for a plan that is right in itself.

A missing program is a matter of the machine and never of the text: `validate` and `doctor` call
it an error, and at start it fails the one unit, with the same words, and stops no other.
"""

from anyclawd.compile.diagnose import Report
from anyclawd.compile.tree import World
from anyclawd.model import world
from anyclawd.model.errors import Finding, Scope
from anyclawd.model.plan import Plan
from anyclawd.model.unit import Kind, Unit


def world_findings(plan: Plan, machine: World) -> tuple[Finding, ...]:
    """What the machine lacks for this plan, by place; the texts are those of a failed start."""
    report = Report(scope=Scope.WORLD)
    inherited = sorted(name for name in machine.environ if name.endswith("_API_KEY"))
    for unit in plan.units.values():
        if unit.problem:
            report.warning(unit.span, unit.name, f"cannot be started: {unit.problem}")
        elif unit.is_process:
            _check_world(unit, machine, report)
            _check_inherited(unit, inherited, report)
    return report.findings()


def _check_world(unit: Unit, machine: World, report: Report) -> None:
    program = unit.argv[0]
    found = program if "/" in program else machine.which(program)
    if found is None or not machine.is_file(found):
        report.error(unit.span, unit.name, world.no_program(program))
    elif not machine.is_executable(found):
        report.error(unit.span, unit.name, world.not_executable(program))
    if unit.working_dir and not machine.is_dir(unit.working_dir):
        report.error(unit.span, unit.name, world.no_working_dir(unit.working_dir))


def _check_inherited(unit: Unit, inherited: list[str], report: Report) -> None:
    """Warn where an agent of the original's would have found a key that it does not get here."""
    missed = [
        name
        for name in inherited
        if name not in unit.environment and name not in unit.pass_environment
    ]
    if unit.kind is Kind.AGENT and missed:
        names = ", ".join(missed)
        text = f"does not inherit {names}; list in pass_environment what it needs"
        report.warning(unit.span, unit.name, text)

"""What is allowed in a plan, and most likely not meant: `analyze verify`.

The compiler refuses what cannot be; this looks at what can, with the engine's own eyes: what a boot
would start is the engine's transaction, what waits for what are its links. Each lint has in `LINTS`
a sentence, which the reference page repeats, and a function that finds its cases. There is a lint
only where the plan alone decides: whether a program feeds its watchdog does not show here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from anyclawd.engine import transaction
from anyclawd.engine.links import Links
from anyclawd.model.deps import UnitName, Until
from anyclawd.model.errors import Finding, RequestError, Severity
from anyclawd.model.plan import DEFAULT_TARGET, Plan
from anyclawd.model.policy import OnLimit, ReadinessType, Restart
from anyclawd.model.span import BUILT_IN, Span
from anyclawd.model.state import JobType, Sub
from anyclawd.model.unit import Protocol, Unit
from anyclawd.model.value import Json


class LintId(StrEnum):
    """The name of a lint, for those who look for one."""

    CONTRADICTION = "contradiction"
    UNSUPPORTED = "unsupported"
    NEVER_STARTED = "never-started"
    IDLE_ORDER = "idle-order"
    WAITS_FOR_AN_END = "waits-for-an-end"
    WANTED_AND_IN_CONFLICT = "wanted-and-in-conflict"
    CIRCULAR_ON_FAILURE = "circular-on-failure"
    CONDITION_OF_A_REQUIREMENT = "condition-of-a-requirement"
    STOP_TIMEOUT = "stop-timeout"
    ENDLESS_START = "endless-start"
    SLOW_PROBE = "slow-probe"
    SLOW_HEALTH_CHECK = "slow-health-check"
    LIMIT_NEVER_HIT = "limit-never-hit"
    LIMIT_WITHOUT_RESTART = "limit-without-restart"
    BACKOFF_ABOVE_ITS_MAXIMUM = "backoff-above-its-maximum"
    EXIT_CODE_TWICE = "exit-code-twice"
    TEMPLATE_WITHOUT_INSTANCE = "template-without-instance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lint:
    """One finding of `lint`."""

    id: LintId
    unit: UnitName
    finding: Finding  #: its key is the unit


@dataclass(frozen=True, slots=True)
class Case:
    """Where a lint has found something, and what; the text says what to do."""

    unit: UnitName
    span: Span
    text: str


class _Look:
    """A plan, and what of the engine's view of it several lints need."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.links = plan, Links(plan.units)

    @cached_property
    def boot(self) -> frozenset[UnitName]:
        """What a boot starts; nothing where it contradicts itself."""
        if DEFAULT_TARGET not in self.plan.units:
            return frozenset()
        try:
            jobs = self.start_of(DEFAULT_TARGET)
        except RequestError:
            return frozenset()
        return frozenset(name for name, job in jobs.items() if job.type is JobType.START)

    def start_of(self, name: UnitName) -> transaction.Transaction:
        """The jobs of a start while nothing is up. Raises RequestError where it is refused."""
        return transaction.build((name,), JobType.START, self.links, lambda _: Sub.DEAD)

    def pulls_in(self, name: UnitName, other: UnitName) -> bool:
        """Whether a unit asks for the other one, or what its start pulls in does."""
        if other in self.links.wants.get(name, ()):
            return True  # and does not get it where that would be in conflict
        try:
            return other in self.start_of(name)
        except RequestError:
            return False

    def closure(
        self, name: UnitName, table: Mapping[UnitName, Iterable[UnitName]]
    ) -> set[UnitName]:
        """All that is reached by a table of links, without the unit itself unless in a circle."""
        found: set[UnitName] = set()
        agenda = list(table.get(name, ()))
        while agenda:
            if (other := agenda.pop()) not in found:
                found.add(other)
                agenda += table.get(other, ())
        return found


def lint(plan: Plan) -> list[Lint]:
    """Everything to be said of a plan, by place."""
    look = _Look(plan)
    found = [
        Lint(
            id=identity,
            unit=case.unit,
            finding=Finding(
                span=case.span, severity=rule.severity, key=str(case.unit), text=case.text
            ),
        )
        for identity, rule in LINTS.items()
        for case in rule.cases(look)
    ]
    return sorted(found, key=lambda one: (one.finding.span, one.unit, one.id))


def rows(plan: Plan) -> list[Json]:
    """The same as plain values, in the shape of `GET /v1/verify`."""
    return [
        {
            "lint": str(one.id),
            "severity": str(one.finding.severity),
            "unit": str(one.unit),
            "span": str(one.finding.span),
            "text": one.finding.text,
        }
        for one in lint(plan)
    ]


def _contradictions(look: _Look) -> Iterator[Case]:
    if not look.links.conflicts:
        return
    for name, unit in look.plan.units.items():
        needed = {name} | look.closure(name, look.links.requires)
        if needed.isdisjoint(look.links.conflicts):
            continue
        try:
            look.start_of(name)
        except RequestError as error:
            text = f"can never be started: {error}; take one of the relations out"
            yield Case(name, unit.span, text)


def _unsupported(look: _Look) -> Iterator[Case]:
    for name, unit in look.plan.units.items():
        if unit.problem:
            yield Case(name, unit.span, f"cannot be started by this version: {unit.problem}")


def _never_started(look: _Look) -> Iterator[Case]:
    handlers = {other for others in look.links.on_failure.values() for other in others}
    for name, unit in look.plan.units.items():
        if not look.boot or name in look.boot or name in handlers or unit.is_worker:
            continue
        if losers := [other for other in look.links.conflicts.get(name, ()) if other in look.boot]:
            text = f"no boot starts it, since {losers[0]} is started, with which it conflicts"
            yield Case(name, unit.span, f"{text}; require it, or start it by hand")
        else:
            text = "nothing starts it: no unit that a boot starts wants or requires it"
            yield Case(name, unit.span, f"{text}; name it in wants, or start it by hand")


def _idle_orders(look: _Look) -> Iterator[Case]:
    for name, unit in look.plan.units.items():
        for ref in unit.deps.after:
            if name not in look.boot or ref.unit in look.boot or ref.unit not in look.plan.units:
                continue
            if look.plan.units[ref.unit].is_worker or look.pulls_in(name, ref.unit):
                continue
            text = f"is ordered after {ref.unit}, which neither a boot nor its own start starts"
            place = unit.span if ref.span == BUILT_IN else ref.span
            yield Case(name, place, f"{text}; want or require it too, or drop the order")


def _waits_for_ends(look: _Look) -> Iterator[Case]:
    for name, unit in look.plan.units.items():
        for ref in unit.deps.after:
            other = look.plan.units.get(ref.unit)
            is_end = ref.until in (Until.EXITED, Until.SUCCEEDED)
            if other is None or not is_end or other.readiness is ReadinessType.EXITED:
                continue
            text = f"waits until {ref.unit} has {_ENDS[ref.until]}, which is meant to go on running"
            yield Case(
                name, ref.span, f"{text}; give {ref.unit} readiness exited, or wait for ready"
            )


_ENDS = {Until.EXITED: "ended", Until.SUCCEEDED: "succeeded"}


def _wanted_conflicts(look: _Look) -> Iterator[Case]:
    for name, unit in look.plan.units.items():
        against = set(look.links.conflicts.get(name, ()))
        for ref in unit.deps.wants:
            if ref.unit in against:
                text = f"wants {ref.unit} and conflicts with it, so that one stops the other"
                yield Case(name, ref.span, f"{text}; take one of the two out")


def _circular_handlers(look: _Look) -> Iterator[Case]:
    for name, unit in look.plan.units.items():
        for ref in unit.deps.on_failure:
            if ref.unit == name:
                text = "is to be started by its own failure; leave that to restart"
                yield Case(name, ref.span, text)
            elif name in look.closure(ref.unit, look.links.requires):
                text = f"on_failure names {ref.unit}, which requires this very unit"
                yield Case(name, ref.span, f"{text} and is blocked then; let it want it instead")


def _conditions(look: _Look) -> Iterator[Case]:
    for name, unit in look.plan.units.items():
        if unit.condition.is_empty:
            continue
        if unit.required:
            text = "is required and has a condition: where that does not hold, the boot succeeds"
            yield Case(name, unit.span, f"{text} without it; drop required, or the condition")
        for other in look.links.required_by.get(name, ()):
            if other == DEFAULT_TARGET and unit.required:
                continue
            text = f"has a condition, and {other} requires it: where the condition does not hold"
            text += f", {other} is started without it; give {other} the same condition"
            yield Case(name, unit.span, text)


def _stop_timeouts(look: _Look) -> Iterator[Case]:
    ceiling = look.plan.settings.shutdown_timeout_s
    for name, unit in look.plan.units.items():
        if not unit.is_process:
            continue
        grace = unit.timeouts.eof_grace_s if unit.protocol is not Protocol.NONE else 0.0
        patience = grace + unit.timeouts.stop_s
        if patience > ceiling:
            text = f"may take {patience:g}s to stop, but everything is killed {ceiling:g}s after a"
            text += " shutdown begins; lower its timeouts, or raise shutdown_timeout_secs"
            yield Case(name, unit.span, text)


def _endless_starts(look: _Look) -> Iterator[Case]:
    for name, unit in look.plan.units.items():
        if unit.timeouts.start_s == 0 and unit.has_to_answer and name in look.boot:
            text = "is waited for without end, and the boot with it; set timeouts.start"
            yield Case(name, unit.span, text)


def _slow_probes(look: _Look) -> Iterator[Case]:
    for name, unit in look.plan.units.items():
        probe, limit = unit.readiness_probe, unit.timeouts.start_s
        if probe is not None and 0 < limit < probe.timeout_s:
            text = f"one look at its readiness may take {probe.timeout_s:g}s, the whole start only"
            yield Case(name, unit.span, f"{text} {limit:g}s; lower readiness.timeout")


def _slow_checks(look: _Look) -> Iterator[Case]:
    for name, unit in look.plan.units.items():
        if unit.health is None or unit.health.probe.timeout_s <= unit.health.probe.interval_s:
            continue
        probe = unit.health.probe
        text = (
            f"a health check may take {probe.timeout_s:g}s and is due every {probe.interval_s:g}s"
        )
        yield Case(name, unit.span, f"{text}; lower health.timeout, or raise health.interval")


def _limits_never_hit(look: _Look) -> Iterator[Case]:
    for name, unit in look.plan.units.items():
        limit, fastest = unit.start_limit, _fastest_s(unit)
        if unit.restart is Restart.NEVER or limit.burst < 2 or fastest <= limit.interval_s:
            continue
        text = (
            f"cannot hit its start limit: {limit.burst} ends take at least {fastest:g}s with this"
        )
        text += f" backoff, and {limit.interval_s:g}s are looked at; raise start_limit.interval"
        yield Case(name, unit.span, text)


def _fastest_s(unit: Unit) -> float:
    """From the first to the `burst`-th end of a unit that ends as soon as it is started."""
    backoff, delay, total = unit.backoff, unit.backoff.initial_s, 0.0
    for _ in range(min(unit.start_limit.burst, _MOST_ENDS) - 1):
        total += min(delay, backoff.max_s)
        delay *= backoff.factor
    return total


#: Further ends of a series are not looked at: no interval is as long as so many delays.
_MOST_ENDS = 1000


def _limits_without_restart(look: _Look) -> Iterator[Case]:
    for name, unit in look.plan.units.items():
        if unit.restart is Restart.NEVER and unit.start_limit.on_limit is not OnLimit.COOLDOWN:
            text = f"on_limit: {unit.start_limit.on_limit} has no effect with restart: never"
            yield Case(name, unit.span, f"{text}; set restart, or take on_limit out")


def _backoffs(look: _Look) -> Iterator[Case]:
    for name, unit in look.plan.units.items():
        backoff = unit.backoff
        if backoff.initial_s > backoff.max_s and unit.restart is not Restart.NEVER:
            text = f"backoff.initial is {backoff.initial_s:g}s and never more than backoff.max,"
            yield Case(name, unit.span, f"{text} {backoff.max_s:g}s; raise backoff.max")


def _ambiguous_codes(look: _Look) -> Iterator[Case]:
    for name, unit in look.plan.units.items():
        codes = unit.exit_codes
        lists = (codes.success, codes.permanent, codes.temporary)
        twice = {code for one in lists for code in one if sum(code in other for other in lists) > 1}
        for code in sorted(twice):
            text = f"exit code {code} is in more than one list of exit_codes; leave it in one"
            yield Case(name, unit.span, text)


def _templates(look: _Look) -> Iterator[Case]:
    used = {unit.template for unit in look.plan.units.values()}
    for name in look.plan.templates:
        if name not in used:
            example = str(name).replace("@.", "@one.", 1)
            text = f"is a template without instances; declare one, for instance {example}"
            yield Case(name, Span(look.plan.config or BUILT_IN.file), text)


@dataclass(frozen=True, slots=True)
class Rule:
    """One lint: how bad it is, what it is about, and where it holds."""

    severity: Severity
    sentence: str
    cases: Callable[[_Look], Iterator[Case]]


_E, _W = Severity.ERROR, Severity.WARNING

#: Every lint, what makes a unit useless first.
LINTS: Mapping[LintId, Rule] = {
    LintId.CONTRADICTION: Rule(
        _E, "What the unit requires conflicts with it, or with each other.", _contradictions
    ),
    LintId.UNSUPPORTED: Rule(_E, "This version cannot start the unit.", _unsupported),
    LintId.CIRCULAR_ON_FAILURE: Rule(
        _E, "What `on_failure` names is the unit itself, or requires it.", _circular_handlers
    ),
    LintId.NEVER_STARTED: Rule(
        _W,
        "No boot starts the unit, and neither a failure of another one nor a pool does.",
        _never_started,
    ),
    LintId.IDLE_ORDER: Rule(
        _W, "The unit is ordered after one that is never started with it.", _idle_orders
    ),
    LintId.WAITS_FOR_AN_END: Rule(
        _W, "The unit waits for the end of one that is meant to go on running.", _waits_for_ends
    ),
    LintId.WANTED_AND_IN_CONFLICT: Rule(
        _W, "The unit wants what it conflicts with.", _wanted_conflicts
    ),
    LintId.CONDITION_OF_A_REQUIREMENT: Rule(
        _W,
        "A required unit has a condition; where that does not hold it is skipped, not missed.",
        _conditions,
    ),
    LintId.STOP_TIMEOUT: Rule(
        _W, "The unit may take longer to stop than the whole shutdown may.", _stop_timeouts
    ),
    LintId.ENDLESS_START: Rule(_W, "A boot waits for the unit without a timeout.", _endless_starts),
    LintId.SLOW_PROBE: Rule(
        _W, "One look at the readiness may take longer than the whole start.", _slow_probes
    ),
    LintId.SLOW_HEALTH_CHECK: Rule(
        _W, "A health check may take longer than the pause between two.", _slow_checks
    ),
    LintId.LIMIT_NEVER_HIT: Rule(
        _W, "The backoff is so slow that the start limit cannot be hit.", _limits_never_hit
    ),
    LintId.LIMIT_WITHOUT_RESTART: Rule(
        _W, "`on_limit` is set, but the unit is never restarted.", _limits_without_restart
    ),
    LintId.BACKOFF_ABOVE_ITS_MAXIMUM: Rule(
        _W, "`backoff.initial` is above `backoff.max`.", _backoffs
    ),
    LintId.EXIT_CODE_TWICE: Rule(
        _W, "An exit code is in more than one list of `exit_codes`.", _ambiguous_codes
    ),
    LintId.TEMPLATE_WITHOUT_INSTANCE: Rule(_W, "Nothing is made from the template.", _templates),
}

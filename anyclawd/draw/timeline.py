"""Where the time of a boot went, from its record (`GET /v1/boot`).

A unit's life in a boot has these instants, in seconds since the daemon's exec, each None where it
did not happen: its job was *queued*; nothing it was ordered after was pending any more
(*unblocked*); its process was *spawned*; it was *ready*; its job had ended, with any result
(*settled*). What a unit did itself is the time from unblocked to settled; before, it waited for
others. The first wave of a cached boot is spawned before there is an engine to queue it; until that
is there nothing can settle, so that time is the daemon's own and not the unit's.

The critical chain starts at what the boot waited for last and goes from each unit to the dependency
that settled last before it began, failed ones included, since those were waited for too: shortening
anything else would not have made the boot shorter. Each link accounts for the time between the end
of the link before it and its own; the first one's begins with the daemon's exec, so that the shares
of a chain add up to the boot. What settled after the boot had is no part of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from anyclawd.model.value import Json

#: The unit whose start is the boot.
_GOAL = "default.target"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootUnit:
    """One unit's instants."""

    name: str
    kind: str
    queued_s: float | None
    unblocked_s: float | None
    spawned_s: float | None
    ready_s: float | None
    settled_s: float | None
    result: str
    reason: str = ""  #: why it did not come up, for people
    after: tuple[str, ...] = ()

    @property
    def begun_s(self) -> float | None:
        """When nothing held it back any more, or it was spawned, whichever came first."""
        begun = [at for at in (self.unblocked_s, self.spawned_s) if at is not None]
        return min(begun, default=self.settled_s)

    @property
    def went_on_s(self) -> float | None:
        """From when on it was itself that was waited for, and not the daemon or another unit."""
        return None if self.begun_s is None else max(self.begun_s, self.queued_s or 0.0)

    @property
    def took_s(self) -> float | None:
        """How long it took once nothing held it back; None while it has not settled."""
        if self.settled_s is None or self.went_on_s is None:
            return None
        return max(0.0, self.settled_s - self.went_on_s)

    @property
    def has_failed(self) -> bool:
        """Whether it did not come up, though it should have; a skipped unit should not have."""
        return self.result not in ("", "done", "skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """One boot; `settled_s` is None while it goes on."""

    settled_s: float | None
    units: tuple[BootUnit, ...]
    started_at: str = ""  #: ISO 8601
    failure: str = ""  #: why the boot was given up

    @property
    def counted(self) -> tuple[BootUnit, ...]:
        """The units that had settled when the boot had, or have by now while it goes on."""
        end = float("inf") if self.settled_s is None else self.settled_s
        return tuple(
            unit for unit in self.units if unit.settled_s is not None and unit.settled_s <= end
        )


def moment(started_at: str) -> str:
    """An instant of ISO 8601 in UTC as people read it; any other text as it is."""
    day, letter, time = started_at.partition("T")
    if not (letter and time.endswith("Z")):
        return started_at
    return f"{day} {time.partition('.')[0].removesuffix('Z')} UTC"


def boot_of(record: Json) -> Boot:
    """The boot that a record tells of."""
    units = (
        BootUnit(
            name=unit["name"],
            kind=unit["kind"],
            queued_s=unit["queued_s"],
            unblocked_s=unit["unblocked_s"],
            spawned_s=unit["spawned_s"],
            ready_s=unit["ready_s"],
            settled_s=unit["settled_s"],
            result=unit["result"] or "",
            reason=unit["reason"],
            after=tuple(unit["after"]),
        )
        for unit in record["units"]
    )
    return Boot(
        settled_s=record["settled_s"],
        units=tuple(units),
        started_at=record["started_at"],
        failure=record["failure"],
    )


def time_values(boot: Boot) -> Json:
    """When the boot settled, and how much of that passed before the first process was there."""
    spawned = [unit.spawned_s for unit in boot.units if unit.spawned_s is not None]
    settled = boot.counted
    return {
        "started_at": boot.started_at,
        "settled_s": boot.settled_s,
        "first_spawn_s": min(spawned, default=None),
        "last_spawn_s": max(spawned, default=None),
        "units": len(boot.units),
        "settled_units": len(settled),
        "failed_units": [
            {"unit": unit.name, "result": unit.result, "reason": unit.reason}
            for unit in sorted(settled, key=lambda unit: unit.name)
            if unit.has_failed
        ],
        "failure": boot.failure,
    }


def time_text(boot: Boot) -> str:
    values = time_values(boot)
    first, settled = values["first_spawn_s"], values["settled_s"]
    lines = []
    if settled is None:
        done = f"{values['settled_units']} of {values['units']} units have settled"
        lines.append(f"the boot goes on: {done}")
    elif first is None or first > settled:
        lines.append(f"the boot settled in {milliseconds(settled)}; it started no process")
    else:
        parts = f"{milliseconds(first)} (daemon) + {milliseconds(settled - first)} (units)"
        lines.append(f"the boot settled in {parts} = {milliseconds(settled)}")
        last = milliseconds(values["last_spawn_s"])
        lines.append(f"first process after {milliseconds(first)}, last one after {last}")
    if boot.failure:
        lines.append(f"the boot was given up: {boot.failure}")
    lines += [f"without success: {row['unit']}{_said(row)}" for row in values["failed_units"]]
    return "\n".join(lines)


def blame_values(boot: Boot) -> list[Json]:
    """Units that did something, slowest first; targets only wait and are left out."""
    took = [
        {"unit": unit.name, "took_s": unit.took_s, "result": unit.result, "reason": unit.reason}
        for unit in boot.counted
        if unit.kind != "target"
    ]
    return sorted(took, key=lambda row: (-row["took_s"], row["unit"]))


def blame_text(boot: Boot) -> str:
    return "\n".join(
        f"{milliseconds(row['took_s']):>10} {row['unit']}{_said(row)}" for row in blame_values(boot)
    )


def critical_chain(boot: Boot) -> list[BootUnit]:
    """What the boot waited for: what settled last first, the cause of all the rest last."""
    units = {unit.name: unit for unit in boot.counted}
    last = units.get(_GOAL) or max(units.values(), key=_settled_last, default=None)
    chain: list[BootUnit] = []
    while last is not None:
        chain.append(units.pop(last.name))
        last = _waited_for(last, units)
    return chain


def _waited_for(unit: BootUnit, units: Mapping[str, BootUnit]) -> BootUnit | None:
    """The dependency that let the unit go on last, of those that had when it did."""
    candidates = [
        (let_go_s, *_settled_last(units[name])[1:])
        for name in unit.after
        if name in units and (let_go_s := _let_go(units[name], unit)) is not None
    ]
    return units[max(candidates)[-1]] if candidates else None


def _let_go(unit: BootUnit, later: BootUnit) -> float | None:
    """When a unit let a later one go on: it had settled, or was there at least.

    The latter is what `until: started` waits for. None where it was no matter for the later one.
    """
    went_on = later.went_on_s or 0.0
    instants = (_end(unit), unit.spawned_s)
    return next((at for at in instants if at is not None and at <= went_on), None)


def _end(unit: BootUnit) -> float:
    return unit.settled_s or 0.0


def _settled_last(unit: BootUnit) -> tuple[float, bool, str]:
    """Orders by instant; of those at one instant, a target comes after what it waits for."""
    return (_end(unit), unit.kind == "target", unit.name)


def critical_chain_values(boot: Boot) -> list[Json]:
    """The chain; its `share_s` add up to the last unit's `settled_s`.

    A unit of the chain is told of until it let the next one go on.
    """
    chain = critical_chain(boot)
    let_go = [_end(unit) for unit in chain[:1]]
    let_go += [_let_go(earlier, later) or 0.0 for later, earlier in pairwise(chain)]
    return [
        {
            "unit": unit.name,
            "settled_s": unit.settled_s,
            "took_s": round(max(0.0, until - (unit.went_on_s or 0.0)), 6),
            "share_s": round(until - before, 6),
            "result": unit.result,
            "reason": unit.reason,
        }
        for unit, until, before in zip(chain, let_go, [*let_go[1:], 0.0], strict=True)
    ]


def critical_chain_text(boot: Boot) -> str:
    """A line a unit: when it had settled, and after the `+` what it took itself.

    The last line is the time before the first unit of the chain, so that all `+` make the boot.
    """
    rows = critical_chain_values(boot)
    lines = ["unit @settled +took"]
    for depth, row in enumerate(rows):
        indent = "  " * (depth - 1) + "└─" if depth else ""
        instants = f"@{milliseconds(row['settled_s'])} +{milliseconds(row['took_s'])}"
        held = row["share_s"] - row["took_s"]
        is_first = depth == len(rows) - 1
        text = "" if is_first or held < 0.0005 else f", held back {milliseconds(held)}"
        lines.append(f"{indent}{row['unit']} {instants}{text}{_said(row)}")
    if rows:
        before = rows[-1]["share_s"] - rows[-1]["took_s"]
        indent = "  " * (len(rows) - 1) + "└─"
        lines.append(f"{indent}the daemon itself +{milliseconds(before)}")
    return "\n".join(lines)


def parallel_values(boot: Boot) -> Json:
    """How many processes were starting at once at most, and when that was first so."""
    steps = []
    for unit in boot.counted:
        if unit.spawned_s is not None and _end(unit) > unit.spawned_s:
            steps += [(unit.spawned_s, 1), (_end(unit), -1)]
    most, at_s, now = 0, None, 0
    for instant, step in sorted(steps):
        now += step
        if now > most:
            most, at_s = now, instant
    return {"most": most, "at_s": at_s}


def dump_values(record: Json) -> Json:
    """The record as it is kept, with what is worked out from it."""
    boot = boot_of(record)
    return {
        **record,
        "time": time_values(boot),
        "blame": blame_values(boot),
        "critical-chain": critical_chain_values(boot),
        "parallel": parallel_values(boot),
    }


def _said(row: Json) -> str:
    """What is to be said of a unit that has not simply come up."""
    if row["result"] == "done":
        return ""
    reason = f": {row['reason']}" if row["reason"] else ""
    return f" ({row['result'] or 'no result'}{reason})"


def milliseconds(seconds: float) -> str:
    """A duration as `12.3ms`, from ten seconds on as `12.34s`."""
    return f"{seconds:.2f}s" if seconds >= 10 else f"{seconds * 1000:.1f}ms"

"""Where the time of a boot went, from its record (`GET /v1/boot`).

A unit's life in a boot has these instants, in seconds since the daemon's exec, each None where it
did not happen: its job was *queued*; nothing it was ordered after was pending any more
(*unblocked*); its process was *spawned*; it was *ready*; its job had ended, with any result
(*settled*). What a unit did itself is the time from unblocked to settled; before, it waited for
others. The critical chain starts at the unit that settled last and goes from each unit to the
dependency that settled last before it was unblocked, failed ones included, since those were
waited for too: shortening anything else would not have made the boot shorter.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from anyclawd.model.value import Json


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
    after: tuple[str, ...]

    @property
    def took_s(self) -> float | None:
        """How long it took once nothing held it back; None while it has not settled."""
        if self.settled_s is None:
            return None
        begun = [at for at in (self.unblocked_s, self.spawned_s) if at is not None]
        return max(0.0, self.settled_s - min(begun, default=self.settled_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """One boot; `settled_s` is None while it goes on."""

    settled_s: float | None
    units: tuple[BootUnit, ...]


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
            after=tuple(unit["after"]),
        )
        for unit in record["units"]
    )
    return Boot(settled_s=record["settled_s"], units=tuple(units))


def time_values(boot: Boot) -> Json:
    """When the boot settled, and how much of that passed before the first process was there."""
    spawned = [unit.spawned_s for unit in boot.units if unit.spawned_s is not None]
    settled = [unit for unit in boot.units if unit.settled_s is not None]
    return {
        "settled_s": boot.settled_s,
        "first_spawn_s": min(spawned, default=None),
        "last_spawn_s": max(spawned, default=None),
        "units": len(boot.units),
        "settled_units": len(settled),
        "failed_units": sorted(unit.name for unit in settled if unit.result != "done"),
    }


def time_text(boot: Boot) -> str:
    values = time_values(boot)
    first, settled = values["first_spawn_s"], values["settled_s"]
    lines = []
    if settled is None:
        done = f"{values['settled_units']} of {values['units']} units have settled"
        lines.append(f"the boot goes on: {done}")
    elif first is None:
        lines.append(f"the boot settled in {milliseconds(settled)}; it started no process")
    else:
        parts = f"{milliseconds(first)} (daemon) + {milliseconds(settled - first)} (units)"
        lines.append(f"the boot settled in {parts} = {milliseconds(settled)}")
        last = milliseconds(values["last_spawn_s"])
        lines.append(f"first process after {milliseconds(first)}, last one after {last}")
    lines += [f"without success: {name}" for name in values["failed_units"]]
    return "\n".join(lines)


def blame_values(boot: Boot) -> list[Json]:
    """Units that did something, slowest first; targets only wait and are left out."""
    took = [
        {"unit": unit.name, "took_s": unit.took_s, "result": unit.result}
        for unit in boot.units
        if unit.took_s is not None and unit.kind != "target"
    ]
    return sorted(took, key=lambda row: (-row["took_s"], row["unit"]))


def blame_text(boot: Boot) -> str:
    return "\n".join(
        f"{milliseconds(row['took_s']):>10} {row['unit']}{_said(row['result'])}"
        for row in blame_values(boot)
    )


def critical_chain(boot: Boot) -> list[BootUnit]:
    """What the boot waited for: the last unit to settle first, the cause of all the rest last."""
    units = {unit.name: unit for unit in boot.units if unit.settled_s is not None}
    last = max(units.values(), key=_settled_last, default=None)
    chain: list[BootUnit] = []
    while last is not None:
        chain.append(units.pop(last.name))
        last = _waited_for(last, units)
    return chain


def _waited_for(unit: BootUnit, units: Mapping[str, BootUnit]) -> BootUnit | None:
    """The dependency that settled last, of those that had settled when the unit went on."""
    begun = unit.unblocked_s if unit.unblocked_s is not None else unit.settled_s
    candidates = [
        units[name]
        for name in unit.after
        if name in units and (units[name].settled_s or 0.0) <= (begun or 0.0)
    ]
    return max(candidates, key=_settled_last, default=None)


def _settled_last(unit: BootUnit) -> tuple[float, bool, str]:
    """Orders by instant; of those at one instant, a target comes after what it waits for."""
    return (unit.settled_s or 0.0, unit.kind == "target", unit.name)


def critical_chain_values(boot: Boot) -> list[Json]:
    return [
        {
            "unit": unit.name,
            "settled_s": unit.settled_s,
            "took_s": unit.took_s,
            "result": unit.result,
        }
        for unit in critical_chain(boot)
    ]


def critical_chain_text(boot: Boot) -> str:
    """A line a unit: when it had settled, and after the `+` what it took itself."""
    lines = ["unit @settled +took"]
    for depth, row in enumerate(critical_chain_values(boot)):
        indent = "  " * (depth - 1) + "└─" if depth else ""
        instants = f"@{milliseconds(row['settled_s'])} +{milliseconds(row['took_s'])}"
        lines.append(f"{indent}{row['unit']} {instants}{_said(row['result'])}")
    return "\n".join(lines)


def _said(result: str) -> str:
    return "" if result == "done" else f" ({result or 'no result'})"


def milliseconds(seconds: float) -> str:
    """A duration as `12.3ms`, from ten seconds on as `12.34s`."""
    return f"{seconds:.2f}s" if seconds >= 10 else f"{seconds * 1000:.1f}ms"

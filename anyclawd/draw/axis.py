"""The instants that are written at the axis of a boot."""

from math import floor, log10

#: The least distance of two ticks.
_TICK_ROOM = 84.0


def tick_step(end_s: float, field: float) -> float:
    """The least of 1, 2 and 5 times a power of ten that leaves room for the words of each tick."""
    least = end_s * _TICK_ROOM / field
    power = 10.0 ** floor(log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)


def ticks(end_s: float, step_s: float) -> list[float]:
    return [step_s * count for count in range(floor(end_s / step_s + 1e-9) + 1)]


def tick_text(at_s: float, step_s: float) -> str:
    """An instant with as many digits as tell it from its neighbours."""
    if step_s >= 1:
        return f"{at_s:.0f} s"
    if at_s >= 1 or step_s >= 0.1:
        return f"{at_s:.{max(1, -floor(log10(step_s) + 1e-9))}f} s"
    return f"{at_s * 1000:.{max(0, -floor(log10(step_s * 1000) + 1e-9))}f} ms"

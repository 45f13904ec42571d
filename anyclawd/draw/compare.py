"""A predicted boot beside a real one."""

from anyclawd.draw.timeline import Boot, milliseconds, moment
from anyclawd.model.value import Json


def comparison_values(predicted: Boot, real: Boot) -> Json:
    """What a prediction says of each unit, beside what was; the largest difference first."""
    ours = {unit.name: unit.took_s for unit in predicted.counted}
    theirs = {unit.name: unit.took_s for unit in real.counted}
    rows = [
        {
            "unit": name,
            "predicted_s": ours.get(name),
            "took_s": theirs.get(name),
        }
        for name in {**ours, **theirs}
    ]
    return {
        "predicted_s": predicted.settled_s,
        "settled_s": real.settled_s,
        "started_at": real.started_at,
        "units": sorted(rows, key=lambda row: (-_difference(row), row["unit"])),
    }


def comparison_text(values: Json, most: int) -> str:
    """Two totals, and the `most` units in which they differ most, if by a millisecond at least."""
    real, ours = _time(values["settled_s"]), _time(values["predicted_s"])
    lines = [f"the boot of {moment(values['started_at'])} settled in {real}, predicted {ours}"]
    for row in values["units"][:most]:
        if _difference(row) >= 0.001:
            told = f"took {_time(row['took_s'])}, predicted {_time(row['predicted_s'])}"
            lines.append(f"  {row['unit']} {told}")
    return "\n".join(lines)


def _difference(row: Json) -> float:
    """A unit that only one of two boots has differs by all that it took there."""
    ours: float = row["predicted_s"] or 0.0
    theirs: float = row["took_s"] or 0.0
    return abs(ours - theirs)


def _time(seconds: float | None) -> str:
    return "nothing" if seconds is None else milliseconds(seconds)

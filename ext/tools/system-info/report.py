"""What is known of the machine as text: sizes and times as people say them."""

from collections.abc import Mapping

from anyclaw_sdk.types import Json, Message

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def report_of(found: Message) -> str:
    return "\n".join(line for name in found for line in _lines(name, found[name]))


def size(bytes_: int) -> str:
    """A number of bytes in the unit that suits it."""
    value, unit = float(bytes_), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit else f"{bytes_} {_UNITS[0]}"


def duration(seconds: int) -> str:
    """Days, hours and minutes, from the first that is not zero."""
    minutes = seconds // 60
    parts = ((minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min"))
    first = next((index for index, (value, _) in enumerate(parts) if value), len(parts) - 1)
    return " ".join(f"{value} {unit}" for value, unit in parts[first:])


def _lines(name: str, section: Json) -> list[str]:
    match name:
        case "system":
            return [
                f"system: {section['name']}, {section['kernel']} on {section['architecture']}",
                f"hostname: {section['hostname']}",
            ]
        case "cpu":
            model = f", {section['model']}" if "model" in section else ""
            load = " ".join(f"{value:.2f}" for value in section["load"])
            return [f"cpu: {section['usable']} of {section['count']} usable{model}; load {load}"]
        case "memory":
            return [f"memory: {_share(section, 'available', 'total')}", *_swap(section)]
        case "disk":
            return [f"disk {one['path']}: {_disk(one)}" for one in section]
        case "uptime":
            return [f"uptime: {duration(section['seconds'])}, since {section['since']}"]
        case _:
            return [f"time: {section['now']}, zone {section['zone']}"]


def _disk(one: Message) -> str:
    return str(one["error"]) if "error" in one else _share(one, "free", "total")


def _swap(section: Message) -> list[str]:
    if not section.get("swap_total"):
        return []
    return [f"swap: {_share(section, 'swap_free', 'swap_total').replace('available', 'free')}"]


def _share(section: Mapping[str, Json], part: str, whole: str) -> str:
    if whole not in section or part not in section:
        return "not known"
    word = "available" if part == "available" else "free"
    return f"{size(section[part])} of {size(section[whole])} {word}"

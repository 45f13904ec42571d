"""Whether a unit's conditions hold: paths, variables of the daemon, and programs.

The first that does not hold is told, and what comes after it is not looked at.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from anyclawd.engine.events import Exit
from anyclawd.model.policy import Condition
from anyclawd.model.unit import Unit
from anyclawd.runtime.program import Programs, Sequence


def check(
    unit: Unit,
    invocation: str,
    programs: Programs,
    environ: Mapping[str, str],
    checked: Callable[[str], None],
) -> Sequence | None:
    """Call `checked` once with what does not hold, in words, or with nothing; maybe at once.

    The sequence of its programs is there to be killed; None where it is over already.
    """
    condition = unit.condition
    text = unmet_path(condition) or unmet_variable(condition, environ)
    if text or not condition.commands:
        checked(text)
        return None

    def ended(failure: str, _end: Exit | None) -> None:
        checked(failure and f"condition: {failure}")

    sequence = Sequence(
        programs, unit, f"{invocation}/condition", condition.commands, variables=(), ended=ended
    )
    sequence.run()
    return sequence


def unmet_path(condition: Condition) -> str:
    for wish in condition.paths:
        path = wish.removeprefix("!")
        is_there = _exists(path)
        if is_there and path != wish:
            return f"condition: {path!r} exists"
        if not is_there and path == wish:
            return f"condition: {path!r} does not exist"
    return ""


def unmet_variable(condition: Condition, environ: Mapping[str, str]) -> str:
    """Values are not told: they may be secret."""
    for wish in condition.environment:
        text = wish.removeprefix("!")
        name, equals, value = text.partition("=")
        is_so = environ.get(name) == value if equals else name in environ
        if is_so and text != wish:
            return f"condition: variable {name!r} {'has the value' if equals else 'is set'}"
        if not is_so and text == wish:
            return f"condition: variable {name!r} {'has another value' if equals else 'is not set'}"
    return ""


def _exists(path: str) -> bool:
    """Whether it is there for us; what we may not, or cannot, look into is not."""
    try:
        return Path(path).exists()
    except OSError:  # which of them it raises at all differs between versions of Python
        return False

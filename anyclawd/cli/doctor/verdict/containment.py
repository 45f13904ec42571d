"""Whether nothing that a unit has started can be left behind."""

from collections.abc import Iterator
from dataclasses import dataclass

from anyclawd.cli.doctor.finding import Finding, error, note, ok, warning

_DELEGATE = "run it as a systemd unit with Delegate=yes"
#: How a daemon that has cgroups says it; see `runtime.cgroup.containment`.
_GUARANTEED = "guaranteed"
#: What limits take.
_CONTROLLERS = ("memory", "pids", "cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainmentFacts:
    """What a daemon says, or what one would find that is started from here or by its unit."""

    said: str = ""  #: by the daemon that runs
    why_none: str = ""  #: started from here, it would have no cgroups
    unit: str = ""  #: of systemd, that would start it
    is_delegated: bool = False  #: to that unit
    controllers: tuple[str, ...] = ()  #: of cgroup v2
    is_required: bool = False  #: `supervisor.cgroup: required`
    is_refused: bool = False  #: `supervisor.cgroup: never`
    is_boxed: bool = False  #: in a container that ends with what it runs, and no system is in it


def findings(facts: ContainmentFacts) -> Iterator[Finding]:
    if facts.said:
        yield from _running(facts)
    elif facts.is_refused:
        yield note("", "best effort: supervisor.cgroup is never", "set it to auto")
    elif facts.unit:
        yield from _by_unit(facts)
    elif facts.why_none and facts.is_boxed and not facts.is_required:
        yield note("", f"best effort: {facts.why_none}; nothing outlives the container")
    elif facts.why_none:
        say = error if facts.is_required else note
        yield say("", f"started from here it would be best effort: {facts.why_none}", _DELEGATE)
    else:
        yield ok("", "started from here it would be guaranteed: a cgroup for each unit")
    missing = [name for name in _CONTROLLERS if name not in facts.controllers]
    if missing and not (facts.said or facts.is_boxed):
        text = f"cgroup v2 has no {', '.join(missing)} here, so those limits are of one process"
        yield note("", text, "boot without cgroup v1 (systemd.unified_cgroup_hierarchy=1)")


def _running(facts: ContainmentFacts) -> Iterator[Finding]:
    if facts.said.startswith(_GUARANTEED):
        yield ok("", facts.said)
    elif facts.is_boxed:
        yield note("", f"{facts.said}; nothing outlives the container")
    elif facts.is_refused:
        yield note("", facts.said, "set supervisor.cgroup to auto")
    else:
        yield warning("", facts.said, _DELEGATE)


def _by_unit(facts: ContainmentFacts) -> Iterator[Finding]:
    if facts.is_delegated:
        yield ok(facts.unit, "has Delegate=yes: a cgroup for each unit is guaranteed")
        return
    say = error if facts.is_required else warning
    remedy = f"systemctl edit {facts.unit}: [Service] Delegate=yes"
    yield say(facts.unit, "has no Delegate=yes, so units are held by best effort", remedy)

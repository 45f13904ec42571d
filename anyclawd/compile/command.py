"""The programs of a unit beside its main one: hooks, conditions and probes."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from anyclawd.compile.program import Programs
from anyclawd.compile.read import Commands, Items
from anyclawd.compile.tree import Node
from anyclawd.model.policy import HookCommand

HOOKS = ("exec_start_pre", "exec_start_post", "exec_reload", "exec_stop_post")
_PROBES = ("readiness", "health")
_SETTINGS = frozenset({*HOOKS, *_PROBES, "condition"})
_MAY_FAIL = "-"


class Beside(NamedTuple):
    """The programs by the path of their setting, and why this version lacks one of them."""

    commands: Mapping[str, tuple[HookCommand, ...]]
    problems: tuple[str, ...] = ()


NONE = Beside(MappingProxyType({}))


def words_of(settings: Mapping[str, Node]) -> Iterator[tuple[str, Items]]:
    """Every program beside the main one: the path of its setting, and its words."""
    for name in HOOKS:
        if name in settings:
            yield from _each(name, settings[name])
    if "condition" in settings and "command" in settings["condition"].value:
        yield from _each("condition.command", settings["condition"].value["command"])
    for name in _PROBES:
        program = settings[name].value.get("exec") if name in settings else None
        if program is not None and program.value.nodes:
            yield f"{name}.exec", program.value


def _each(name: str, node: Node) -> Iterator[tuple[str, Items]]:
    programs: Commands = node.value
    for program in programs.programs:
        yield name, program


def resolve_all(settings: Mapping[str, Node], programs: Programs) -> Beside:
    """What to execute for each of them."""
    if _SETTINGS.isdisjoint(settings):
        return NONE
    commands: dict[str, list[HookCommand]] = {}
    problems = []
    for name, words in words_of(settings):
        first: Node = words.nodes[0]
        may_fail = not name.endswith(".exec") and first.value.startswith(_MAY_FAIL)
        if may_fail:
            first = first._replace(value=first.value.removeprefix(_MAY_FAIL))
        resolved = programs.resolve(words._replace(nodes=(first, *words.nodes[1:])))
        commands.setdefault(name, []).append(HookCommand(argv=resolved.argv, may_fail=may_fail))
        if resolved.problem:
            problems.append(resolved.problem)
    found = {name: tuple(several) for name, several in commands.items()}
    return Beside(MappingProxyType(found), tuple(problems))

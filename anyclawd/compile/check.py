"""Checks of one unit's content beyond the form of its values.

Whether its settings fit together, whether `options` satisfy the extension's schema, and whether
it would show a secret, which its author may not have meant.
"""

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from anyclawd.compile.anyclaw import SECTION_OF
from anyclawd.compile.command import words_of
from anyclawd.compile.diagnose import quote
from anyclawd.compile.draft import PROTOCOLS, Draft, protocol_of, readiness_of
from anyclawd.compile.origin import Source
from anyclawd.compile.policies import value_of
from anyclawd.compile.read import Schema, one_of, show
from anyclawd.compile.secret import is_secret_origin, looks_secret
from anyclawd.compile.sources import Sources
from anyclawd.compile.supervision import check_supervision
from anyclawd.compile.tree import Node
from anyclawd.model.policy import CgroupUse, ReadinessType
from anyclawd.model.unit import Kind, Protocol
from anyclawd.model.value import Json

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator


class Checker:
    """Judges drafts; every schema is compiled once, and jsonschema imported only for one."""

    def __init__(self, sources: Sources, cgroup: CgroupUse, health_interval_s: float) -> None:
        self._report = sources.report
        self._cgroup, self._health_interval_s = cgroup, health_interval_s
        self._validators: dict[int, Validator | None] = {}

    def check(self, draft: Draft) -> None:
        """Report what does not fit together in one unit."""
        kind = draft.declaration.kind
        if "instances" in draft.settings and not draft.is_template:
            name = draft.declaration.name.removesuffix(f".{kind}").partition("@")[0]
            text = f"only a template has instances; declare them for {name}@.{kind}"
            node = draft.settings["instances"]
            self._report.error(node.key_span, draft.key("instances"), text)
        if kind in (Kind.CORE, Kind.TARGET):
            return
        if not draft.is_template:
            self._check_program(draft)
        self._check_protocol(draft)
        self._check_arguments(draft)
        check_supervision(draft, self._health_interval_s, self._report)
        self._check_resources(draft)
        self._check_options(draft)

    def _check_program(self, draft: Draft) -> None:
        declaration = draft.declaration
        is_entry = not declaration.key.startswith("units.")  # its section's table demands one
        if "exec" in draft.settings or declaration.problems or is_entry:
            return
        name, at, _ = declaration.name.partition("@")
        if at:
            other = f"a template {name}@.{declaration.kind} that has it"
        else:
            entry = declaration.name.rpartition(".")[0]
            other = f"an entry {entry!r} in {SECTION_OF[declaration.kind]}"
        text = f"needs the key 'exec', or {other}"
        self._report.error(declaration.span, declaration.key, text)

    def _check_protocol(self, draft: Draft) -> None:
        kind, protocol = draft.declaration.kind, protocol_of(draft)
        if protocol not in PROTOCOLS[kind]:
            expected = one_of(PROTOCOLS[kind])
            text = f"expected {expected} for this kind of unit, found {protocol.value!r}"
            self._report.error(draft.span("protocol"), draft.key("protocol"), text)
            return
        readiness = readiness_of(draft)
        if readiness is ReadinessType.INITIALIZE and protocol is Protocol.NONE:
            text = "a unit with protocol none answers no initialize, expected another type"
            self._report.error(draft.span("readiness"), draft.key("readiness.type"), text)
        if readiness is ReadinessType.EXITED and protocol is not Protocol.NONE:
            text = f"a unit with protocol {protocol} is ready while it runs, expected another type"
            self._report.error(draft.span("readiness"), draft.key("readiness.type"), text)

    def _check_arguments(self, draft: Draft) -> None:
        programs = [program for _, program in words_of(draft.settings)]
        if draft.program is not None:
            programs.append(draft.settings["exec"].value)
        for program in programs:
            for node in program.nodes[1:]:
                if node.origin is not None and is_secret_origin(node.origin):
                    text = (
                        f"the secret {node.origin.name} on a command line can be read by everybody"
                        " on this machine; hand it over in options or environment"
                    )
                    self._report.warning(node.span, program.key, text)

    def _check_resources(self, draft: Draft) -> None:
        resources = draft.settings.get("resources")
        weight = resources.value.get("cpu_weight") if resources is not None else None
        if weight is not None and self._cgroup is CgroupUse.NEVER:
            text = "has no effect: supervisor.cgroup is never, and only a control group has weight"
            self._report.warning(weight.key_span, draft.key("resources.cpu_weight"), text)

    def _check_options(self, draft: Draft) -> None:
        self._check_variables(draft)
        node = draft.settings.get("options_schema")
        if node is None or (draft.is_template and "options" not in draft.settings):
            return  # a template may leave its options to its instances
        schema: Schema = node.value
        if id(schema.value) not in self._validators:
            self._validators[id(schema.value)] = self._validator(draft, node, schema.value)
        validator = self._validators[id(schema.value)]
        if validator is None:
            return
        options = draft.settings.get("options")
        if options is None:
            options = node._replace(value={}, line=0, column=0)
        try:
            errors = list(validator.iter_errors(_as_handed_over(options)))
        except RecursionError:
            text = "the references of the schema have no end"
            self._report.error(node.span, draft.key("options_schema"), text)
            return
        for error in errors:
            self._report_option(draft, options, error)
        if "additionalProperties" not in schema.value and "properties" in schema.value:
            known = schema.value["properties"]
            self._unknown_options(options, draft.key("options"), known, self._report.warning)

    def _check_variables(self, draft: Draft) -> None:
        """Report options that cannot be handed over as variables, where they are."""
        options = draft.settings.get("options")
        is_told = value_of(draft.settings, "trusted", default=False)
        if options is None or draft.declaration.kind not in (Kind.CHANNEL, Kind.TOOL) or is_told:
            return
        for name, child in options.value.items():
            text = child.value if child.origin is None else child.origin.text
            if isinstance(text, str) and "\0" in text:
                reason = "a variable cannot hold a NUL character, and the options of this unit are"
                self._report.error(
                    child.span, draft.key(f"options.{name}"), f"{reason} variables too"
                )

    def _validator(self, draft: Draft, node: Node, schema: Json) -> "Validator | None":
        from jsonschema import Draft202012Validator  # 80 ms, so only where there is a schema
        from jsonschema.exceptions import SchemaError

        for flaw in _flaws(schema, schema):
            self._report.error(node.span, draft.key("options_schema"), flaw)
            return None
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            where = ".".join(map(str, error.absolute_path))
            text = f"not a JSON Schema: {where or 'it'}: {error.message}"
            self._report.error(node.span, draft.key("options_schema"), text)
            return None
        return Draft202012Validator(schema)

    def _report_option(self, draft: Draft, options: Node, error: "ValidationError") -> None:
        """Say in our words, at the option's own place, what the schema has against it."""
        at, path = options, "options"
        hidden = False
        for step in error.absolute_path:
            child = _step(at, step)
            if child is None:
                break
            at = child
            path = f"{path}[{step}]" if isinstance(step, int) else f"{path}.{step}"
            hidden = hidden or looks_secret(str(step))
        if at.is_unknown or (error.validator in _JUDGES_INSIDE and _has_unknown(at)):
            return
        span = at.span if at.line else draft.declaration.span
        key = draft.key(path)
        rule: Json = error.validator_value
        schema: Json = error.schema
        found = "a secret" if hidden else show(at)
        match error.validator:
            case "required":
                found_options: Json = error.instance
                missing = [name for name in rule if name not in found_options]
                for name in missing:
                    self._report.error(span, key, f"needs the option {name!r}")
                return
            case "additionalProperties" if isinstance(at.value, dict):
                self._unknown_options(at, key, schema.get("properties", {}), self._report.error)
                return
            case "type":
                expected = _a(rule)
            case "enum":
                expected = one_of([str(word) for word in rule])
            case "minimum":
                expected = f"at least {rule}"
            case "maximum":
                expected = f"at most {rule}"
            case _:
                says = schema.get("description") or f"{error.validator}: {rule}"
                expected = f"what its schema says ({says})"
        self._report.error(span, key, f"expected {expected}, found {found}")

    def _unknown_options(
        self, options: Node, key: str, known: Json, say: Callable[..., None]
    ) -> None:
        for name, child in options.value.items():
            if name not in known:
                path = f"{key}.{name}"
                say(child.key_span, path, "unknown option", word=name, among=known)


#: Rules of a schema that may refuse a map or a list for what is in it.
_JUDGES_INSIDE = frozenset({"anyOf", "oneOf", "allOf", "not", "if", "const", "enum"})


def _as_handed_over(node: Node) -> Json:
    """A free value as its process gets it; what is not known is the text that stands for it."""
    match node.value:
        case dict():
            return {name: _as_handed_over(child) for name, child in node.value.items()}
        case list():
            return [_as_handed_over(child) for child in node.value]
    origin = node.origin
    if origin is not None and (origin.source is Source.CREDENTIAL or not origin.is_known):
        return origin.text
    return node.value


def _has_unknown(node: Node) -> bool:
    match node.value:
        case dict():
            return any(map(_has_unknown, node.value.values()))
        case list():
            return any(map(_has_unknown, node.value))
    return node.is_unknown


def _flaws(part: Json, schema: Json) -> Iterator[str]:
    """What jsonschema would stumble over, or fetch from a file or a host."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                if not _leads_somewhere(value, schema):
                    yield f"the reference {value!r} leads nowhere, expected '#/...' inside of it"
            elif key == "pattern" and isinstance(value, str):
                yield from _flaws_of_pattern(value)
            elif key == "patternProperties" and isinstance(value, dict):
                for pattern in value:
                    yield from _flaws_of_pattern(pattern)
                yield from _flaws(value, schema)
            else:
                yield from _flaws(value, schema)
    elif isinstance(part, list):
        for item in part:
            yield from _flaws(item, schema)


def _flaws_of_pattern(pattern: str) -> Iterator[str]:
    try:
        re.compile(pattern)
    except re.error as error:
        yield f"the pattern {quote(pattern)} is no regular expression: {error}"


def _leads_somewhere(reference: str, schema: Json) -> bool:
    """Whether a reference is a JSON Pointer to a part of the schema itself."""
    if reference != "#" and not reference.startswith("#/"):
        return False
    at = schema
    for step in reference.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(at, dict) or name not in at:
            return False
        at = at[name]
    return True


def _step(node: Node, step: str | int) -> Node | None:
    value = node.value
    if isinstance(value, dict) and isinstance(step, str):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        child: Node = value[step]
        return child
    return None


_WORD_OF = {
    "object": "a map",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


def _a(types: str | list[str]) -> str:
    names = [types] if isinstance(types, str) else types
    return " or ".join(_WORD_OF.get(name, name) for name in names)

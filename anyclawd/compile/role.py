"""What the gateway has to know of channels, agents and tools beyond their processes."""

from collections.abc import Iterator, Mapping

from anyclawd.compile.anyclaw import escape
from anyclawd.compile.build import Builder, read_ack
from anyclawd.compile.conversations import (
    access_of,
    files_of,
    history_replay_of,
    hook_of,
    queue_of,
    rate_limits_of,
)
from anyclawd.compile.diagnose import Report
from anyclawd.compile.draft import Draft, protocol_of
from anyclawd.compile.policies import value_of
from anyclawd.compile.pool import Pools
from anyclawd.compile.read import Items, Reader, named
from anyclawd.compile.settings import ACK
from anyclawd.compile.supervision import check_least
from anyclawd.compile.tools import tool_of
from anyclawd.compile.tree import Node
from anyclawd.model.conversation import ANY, Access, AccessRule, HookFailure, HookUse, Recovery
from anyclawd.model.deps import Ref, UnitName
from anyclawd.model.tool import ToolAccess, ToolRole
from anyclawd.model.unit import Ack, AgentRole, ChannelRole, Kind, Protocol, kind_of

#: The least that a hook has to be given to answer at all.
_LEAST_ANSWER_S = 0.01
#: A call that may take less has no time to be answered in.
_LEAST_CALL_S = 1.0
#: What is given up sooner than this might as well not be kept.
_LEAST_LIFE_S = 1.0


class Roles:
    """Works out what the gateway has to know of channels, agents and tools."""

    def __init__(
        self,
        reader: Reader,
        report: Report,
        enabled: Mapping[UnitName, Draft],
        disabled: frozenset[UnitName],
        pools: Pools,
    ) -> None:
        self._reader, self._report = reader, report
        self._enabled, self._disabled, self._pools = enabled, disabled, pools
        self._tools = self._of(Kind.TOOL)
        #: all that can be named: pools in place of their workers
        self._known = {*enabled, *disabled, *pools.workers} - pools.of.keys()
        self._keys: dict[Kind, list[str]] = {}

    def _of(self, kind: Kind) -> tuple[UnitName, ...]:
        enabled = self._enabled.items()
        return tuple(name for name, draft in enabled if draft.declaration.kind is kind)

    def channel(self, draft: Draft) -> ChannelRole | None:
        if draft.declaration.kind is not Kind.CHANNEL:
            return None
        node = draft.settings.get("agent")
        agent = self._named(node.value if node is not None else "default", Kind.AGENT)
        span, key = draft.span("agent"), draft.key("agent")
        if agent in self._disabled:
            if draft.is_enabled:
                text = f"the agent {agent} is disabled, so messages of this channel are refused"
                self._report.warning(span, key, text)
        elif (pool := self._pools.of.get(agent)) is not None:
            text = f"{agent} is one worker of {pool.agent}; name the pool"
            self._report.error(span, key, text)
        elif agent not in self._known:
            say = self._report.warning if node is None else self._report.error
            among = self._keys_of(Kind.AGENT)
            shown = (
                "'default', which is taken where none is named"
                if node is None
                else (named(node, node.value))
            )
            say(span, key, f"no agent {shown}", word=agent.removesuffix(".agent"), among=among)
        default, settings = ChannelRole(agent=agent), draft.settings
        key = draft.key("delivery_ttl")
        check_least(settings.get("delivery_ttl"), _LEAST_LIFE_S, key, self._report)
        return ChannelRole(
            agent=agent,
            ack=self._ack(draft),
            queue=queue_of(settings),
            recovery=Recovery(value_of(settings, "recovery", default.recovery)),
            delivery_ttl_s=value_of(settings, "delivery_ttl", default.delivery_ttl_s),
            rate_limits=rate_limits_of(settings),
        )

    def _keys_of(self, kind: Kind) -> list[str]:
        """The keys of all entries of a kind, to look for what was meant; one list for all."""
        if kind not in self._keys:
            units = (name for name in self._known if kind_of(name) is kind)
            self._keys[kind] = [name.removesuffix(f".{kind}") for name in units]
        return self._keys[kind]

    def _named(self, key: str, kind: Kind) -> UnitName:
        """The unit of an entry's key, or the instance `template@argument` of that name."""
        instance = UnitName(f"{key}.{kind}")
        if "@" in key and (instance in self._known or instance in self._pools.of):
            return instance
        return UnitName(f"{escape(key)}.{kind}")

    def _ack(self, draft: Draft) -> Ack | None:
        options = draft.settings.get("options")
        node = options.value.get("ack") if options is not None else None
        if node is None:
            return None
        typed = self._reader.read(node, ACK, draft.key("options.ack"))
        return None if typed is None else read_ack(typed)

    def agent(self, draft: Draft, builder: Builder) -> AgentRole | None:
        if draft.declaration.kind is not Kind.AGENT:
            return None
        settings, default = draft.settings, AgentRole(cwd="/")
        return AgentRole(
            cwd=builder.session_directory(draft),
            tools=self._granted(draft),
            tool_access=self._tool_access(draft),
            prompt_idle_timeout_s=value_of(
                settings, "prompt_idle_timeout", default.prompt_idle_timeout_s
            ),
            fs=files_of(settings),
            terminal=value_of(settings, "terminal", default=default.terminal),
            history_replay=history_replay_of(settings),
            hooks=tuple(self._hooks(draft)),
            pool=self._pools.of.get(draft.declaration.name),
        )

    def tool(self, draft: Draft) -> ToolRole | None:
        if draft.declaration.kind is not Kind.TOOL:
            return None
        key = draft.key("call_timeout")
        check_least(draft.settings.get("call_timeout"), _LEAST_CALL_S, key, self._report)
        return tool_of(draft.settings)

    def services(self, draft: Draft) -> tuple[Ref, ...]:
        """The services whose installations the process of a unit gets, each once."""
        node = draft.settings.get("services")
        listed = Items((), "") if node is None else node.value
        found: dict[UnitName, Ref] = {}
        for index, item in enumerate(listed.nodes):
            unit, key = self._service(item.value), f"{listed.key}[{index}]"
            if unit == draft.declaration.name:
                self._report.error(item.span, key, "a unit cannot name itself in services")
            elif unit in self._disabled:
                if draft.is_enabled:
                    text = f"{unit} is disabled, and this unit cannot do without it"
                    self._report.error(item.span, key, text)
            elif unit not in self._enabled:
                among = self._keys_of(Kind.SERVICE)
                text = f"no service {named(item, item.value)}"
                self._report.error(item.span, key, text, word=item.value, among=among)
            elif protocol_of(self._enabled[unit]) is Protocol.NONE:
                text = f"{unit} speaks protocol none, expected service or hook"
                self._report.error(item.span, key, text)
            else:
                found.setdefault(unit, Ref(unit=unit, span=item.span))
        return tuple(found.values())

    def _service(self, name: str) -> UnitName:
        """The unit of an entry's key, or that of this full name."""
        is_full = kind_of(name) is Kind.SERVICE and name in self._known
        return UnitName(name) if is_full else self._named(name, Kind.SERVICE)

    def _hooks(self, draft: Draft) -> Iterator[HookUse]:
        """What stands before an agent; a hook that it can do without may be switched off."""
        node = draft.settings.get("hooks")
        for index, item in enumerate(node.value.nodes if node is not None else ()):
            key = f"{draft.key('hooks')}[{index}]"
            said: Mapping[str, Node] = item.value
            if "unit" in said and "name" in said:
                self._report.error(item.span, key, "names its service twice, expected unit or name")
            by = "unit" if "unit" in said else "name"
            if by not in said:
                continue  # which has been reported
            place = said[by]
            unit = UnitName(place.value)
            if by == "name":
                unit = self._named(place.value, Kind.SERVICE)
            use = hook_of(unit, said)
            check_least(said.get("timeout"), _LEAST_ANSWER_S, f"{key}.timeout", self._report)
            if unit in self._disabled:
                if draft.is_enabled and use.on_failure is HookFailure.REFUSE:
                    text = (
                        f"{unit} is disabled, and this unit cannot do without it; enable it, or"
                        " say on_failure: skip"
                    )
                    self._report.error(place.span, f"{key}.{by}", text)
            elif unit not in self._enabled:
                among = self._keys_of(Kind.SERVICE) if by == "name" else self._enabled
                text = f"no {'service' if by == 'name' else 'unit'} {named(place, place.value)}"
                self._report.error(place.span, f"{key}.{by}", text, word=place.value, among=among)
            elif (protocol := protocol_of(self._enabled[unit])) is not Protocol.HOOK:
                text = f"{unit} speaks protocol {protocol}, expected hook"
                self._report.error(place.span, f"{key}.{by}", text)
            else:
                yield use

    def access(self, document: Node) -> Access | None:
        """`access:` of the file; None where it has none."""
        node: Node | None = document.value.get("access")
        if node is None:
            return None
        pairing = node.value.get("pairing")
        if pairing is not None:
            ttl: Node | None = pairing.value.get("ttl")
            check_least(ttl, _LEAST_LIFE_S, "access.pairing.ttl", self._report)
        listed = node.value.get("rules")
        items = listed.value.nodes if listed is not None else ()
        rules = (self._rule(item, f"access.rules[{index}]") for index, item in enumerate(items))
        return access_of(node.value, tuple(rules))

    def _rule(self, node: Node, key: str) -> AccessRule:
        said: Mapping[str, Node] = node.value
        default = AccessRule()
        return AccessRule(
            channel=self._entry(said, Kind.CHANNEL, key),
            peer=value_of(said, "peer", default.peer),
            kind=value_of(said, "kind", default.kind),
            agent=self._entry(said, Kind.AGENT, key),
            allow=value_of(said, "allow", default=default.allow),
        )

    def _entry(self, said: Mapping[str, Node], kind: Kind, key: str) -> str:
        """The entry that a rule names, as the daemon spells it; which has to be there."""
        node = said.get(kind)
        if node is None or node.value == ANY:
            return ANY
        unit = self._named(node.value, kind)
        if unit not in self._known:
            text = f"no {kind} {named(node, node.value)}"
            among = self._keys_of(kind)
            self._report.error(node.span, f"{key}.{kind}", text, word=node.value, among=among)
        return unit.removesuffix(f".{kind}")

    def _tool_access(self, draft: Draft) -> ToolAccess:
        node = draft.settings.get("tool_access")
        said: Mapping[str, Node] = {} if node is None else node.value
        default = ToolAccess()
        return ToolAccess(
            allow=tuple(self._patterns(said["allow"])) if "allow" in said else default.allow,
            deny=tuple(self._patterns(said["deny"])) if "deny" in said else default.deny,
        )

    def _patterns(self, node: Node) -> Iterator[str]:
        """Patterns with entries as the daemon spells them; one without a joker has to be there."""
        listed: Items = node.value
        for index, item in enumerate(listed.nodes):
            key, slash, rest = item.value.partition("/")
            if not slash or "*" in key or "?" in key:
                yield item.value
                continue
            unit = self._named(key, Kind.TOOL)
            if unit not in self._known:
                text, among = f"no tool {named(item, key)}", self._keys_of(Kind.TOOL)
                self._report.error(item.span, f"{listed.key}[{index}]", text, word=key, among=among)
            yield f"{unit.removesuffix(f'.{Kind.TOOL}')}/{rest}"

    def _granted(self, draft: Draft) -> tuple[UnitName, ...]:
        """The tools an agent may use, in the order of the configuration."""
        node = draft.settings.get("tools")
        if node is None or not node.value.nodes or "*" in node.value.values:
            return self._tools
        granted = set()
        for index, item in enumerate(node.value.nodes):
            name = self._named(item.value, Kind.TOOL)
            granted.add(name)
            if name not in self._enabled and name not in self._disabled:
                among = [tool.removesuffix(".tool") for tool in self._tools]
                self._report.error(
                    item.span,
                    f"{node.value.key}[{index}]",
                    f"no tool {named(item, item.value)}",
                    word=item.value,
                    among=among,
                )
        return tuple(name for name in self._tools if name in granted)

"""What the gateway has to know of channels and agents beyond their processes."""

from collections.abc import Mapping
from dataclasses import replace

from anyclawd.compile.anyclaw import escape
from anyclawd.compile.build import Builder, read_ack
from anyclawd.compile.diagnose import Report
from anyclawd.compile.draft import Draft
from anyclawd.compile.read import Reader, named
from anyclawd.compile.settings import ACK
from anyclawd.model.deps import UnitName
from anyclawd.model.unit import Ack, AgentRole, ChannelRole, Kind


class Roles:
    """Works out what the gateway has to know of channels and agents."""

    def __init__(
        self,
        reader: Reader,
        report: Report,
        enabled: Mapping[UnitName, Draft],
        disabled: frozenset[UnitName],
    ) -> None:
        self._reader, self._report = reader, report
        self._enabled, self._disabled = enabled, disabled
        self._tools, self._agents = self._of(Kind.TOOL), self._of(Kind.AGENT)

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
        elif agent not in self._enabled:
            say = self._report.warning if node is None else self._report.error
            among = [name.removesuffix(".agent") for name in self._agents]
            shown = (
                "'default', which is taken where none is named"
                if node is None
                else (named(node, node.value))
            )
            say(span, key, f"no agent {shown}", word=agent.removesuffix(".agent"), among=among)
        return ChannelRole(agent=agent, ack=self._ack(draft))

    def _named(self, key: str, kind: Kind) -> UnitName:
        """The unit of an entry's key, or the instance `template@argument` of that name."""
        instance = UnitName(f"{key}.{kind}")
        if "@" in key and (instance in self._enabled or instance in self._disabled):
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
        idle = draft.settings.get("prompt_idle_timeout")
        role = AgentRole(cwd=builder.session_directory(draft), tools=self._granted(draft))
        return role if idle is None else replace(role, prompt_idle_timeout_s=idle.value)

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

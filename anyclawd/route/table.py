"""Routes: which agent answers a channel, and what of a plan the router has to know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan
from anyclawd.model.unit import Kind, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRoute:
    """What the router knows of one agent."""

    unit: UnitName
    name: str  #: as users see it
    prompt_idle_timeout_s: float = 120.0  #: 0 waits for ever
    answer_timeout_s: float = 30.0  #: for opening a session and for ending a cancelled prompt
    tools: tuple[tuple[str, str], ...] = ()  #: (name, description) of the tools that run for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Where waiting ends; each overflow of messages is a visible refusal."""

    queue_messages: int = 1000  #: per session
    queue_bytes: int = 64 * 2**20  #: per channel
    burst_bytes: int = 2**20  #: of prompts that begin together when an agent takes work again
    early_bytes: int = 4 * 2**20  #: per agent: updates that overtake the answer to session/new
    asks: int = 100  #: per session: permission requests that wait; one more is rejected at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """The whole table. A channel is named by its configuration key."""

    agents: Mapping[UnitName, AgentRoute] = field(default_factory=lambda: MappingProxyType({}))
    channels: Mapping[str, UnitName] = field(default_factory=lambda: MappingProxyType({}))
    permission_timeout_s: float = 300.0
    limits: Limits = Limits()


def entry_name(unit: str) -> str:
    """The configuration key of an entry: its unit's name without the kind."""
    return unit.rpartition(".")[0]


def compile_routes(plan: Plan) -> Routes:
    units = plan.units.values()
    agents = {unit.name: _agent_route(unit) for unit in units if unit.kind is Kind.AGENT}
    channels = {entry_name(unit.name): unit.channel.agent for unit in units if unit.channel}
    return Routes(
        agents=MappingProxyType(agents),
        channels=MappingProxyType(channels),
        permission_timeout_s=plan.settings.permission_timeout_s,
    )


def _agent_route(unit: Unit) -> AgentRoute:
    silence_s = unit.agent.prompt_idle_timeout_s if unit.agent else 0.0
    return AgentRoute(
        unit=unit.name,
        name=entry_name(unit.name),
        prompt_idle_timeout_s=silence_s,
        answer_timeout_s=unit.timeouts.start_s,
    )

"""Routes: which agent answers a channel, and what of a plan the router has to know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from anyclawd.model.conversation import Access, HistoryReplay, Pool, Unroutable
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan
from anyclawd.model.tool import ToolAccess, ToolNames
from anyclawd.model.unit import ChannelRole, Kind, Unit

#: The channel of those who send through the admin API; no unit can have this name.
VIRTUAL = "@anyclawctl"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRoute:
    """What the router knows of one agent."""

    unit: UnitName
    name: str  #: as users see it
    prompt_idle_timeout_s: float = 120.0  #: 0 waits for ever
    answer_timeout_s: float = 30.0  #: for opening a session and for ending a cancelled prompt
    granted: tuple[UnitName, ...] = ()  #: the tool units it may use, in configuration order
    tool_access: ToolAccess = ToolAccess()
    history: HistoryReplay = HistoryReplay()  #: what a session that is begun anew is told
    pool: Pool | None = None  #: set if and only if it is a worker of a pool

    @property
    def is_spare(self) -> bool:
        """Whether nothing starts it but the want of it: a worker above its pool's minimum."""
        return self.pool is not None and _worker_number(self.unit) > self.pool.min_workers

    @property
    def answers_for(self) -> UnitName:
        """What the routes call it: its own name, or its pool's."""
        return self.unit if self.pool is None else self.pool.agent


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Where waiting ends; each overflow of messages is a visible refusal."""

    queue_bytes: int = 64 * 2**20  #: per channel
    burst_bytes: int = 2**20  #: of prompts that begin together when an agent takes work again
    early_bytes: int = 4 * 2**20  #: per agent: updates that overtake the answer to session/new
    asks: int = 100  #: per session: permission requests that wait; one more is rejected at once
    lanes: int = 1000  #: sessions in memory; one more, and the one that rests longest is put away
    put_away: int = 100_000  #: of those, how many are remembered; older ones begin anew
    deliveries: int = 10_000  #: per channel: answers that nobody has confirmed


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """The whole table. A channel is named by its configuration key."""

    agents: Mapping[UnitName, AgentRoute] = field(default_factory=lambda: MappingProxyType({}))
    channels: Mapping[str, UnitName] = field(default_factory=lambda: MappingProxyType({}))
    roles: Mapping[str, ChannelRole] = field(default_factory=lambda: MappingProxyType({}))
    pools: Mapping[UnitName, tuple[UnitName, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )  #: the workers, in the order of their numbers
    permission_timeout_s: float = 300.0
    unroutable: Unroutable = Unroutable.DENY
    access: Access | None = None  #: None leaves it to the channels
    tool_names: ToolNames = ToolNames.PLAIN
    limits: Limits = Limits()

    def role_of(self, channel: str) -> ChannelRole:
        """The policies of a channel; those of one that is configured no more are the defaults."""
        return self.roles.get(channel) or _NO_ROLE

    def answering(self, name: UnitName) -> tuple[UnitName, ...]:
        """The units behind what a route names."""
        return self.pools.get(name) or (name,)

    def names(self) -> tuple[UnitName, ...]:
        """What routes can name: agents, and pools in place of their workers."""
        return tuple(dict.fromkeys(route.answers_for for route in self.agents.values()))


_NO_ROLE = ChannelRole(agent=UnitName("default.agent"))


def entry_name(unit: str) -> str:
    """The configuration key of an entry: its unit's name without the kind."""
    return unit.rpartition(".")[0]


def compile_routes(plan: Plan) -> Routes:
    units, settings = plan.units.values(), plan.settings
    agents = {unit.name: _agent_route(unit) for unit in units if unit.kind is Kind.AGENT}
    roles = {entry_name(unit.name): unit.channel for unit in units if unit.channel}
    return Routes(
        agents=MappingProxyType(agents),
        channels=MappingProxyType({name: role.agent for name, role in roles.items()}),
        roles=MappingProxyType(roles),
        pools=plan.pools,
        permission_timeout_s=settings.permission_timeout_s,
        unroutable=settings.unroutable_permissions,
        access=settings.access,
        tool_names=settings.tool_names,
    )


def _worker_number(unit: UnitName) -> int:
    number = unit.rpartition("@")[2].removesuffix(".agent")
    return int(number) if number.isdecimal() else 0


def _agent_route(unit: Unit) -> AgentRoute:
    assert unit.agent is not None
    pool = unit.agent.pool
    return AgentRoute(
        unit=unit.name,
        name=entry_name(unit.name if pool is None else pool.agent),
        prompt_idle_timeout_s=unit.agent.prompt_idle_timeout_s,
        answer_timeout_s=unit.timeouts.start_s,
        granted=unit.agent.tools,
        tool_access=unit.agent.tool_access,
        history=unit.agent.history_replay,
        pool=pool,
    )

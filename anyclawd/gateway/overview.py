"""What administrators see of agents, channels and units beside chats: names, counts, options."""

from collections import Counter
from collections.abc import Callable

from anyclawd.gateway.outbox import Outboxes
from anyclawd.gateway.processes import Processes
from anyclawd.model import secret
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan
from anyclawd.model.unit import Kind
from anyclawd.model.value import Json
from anyclawd.route.router import Router
from anyclawd.route.table import entry_name


class Overview:
    """Of one gateway; `plan` gives the one that holds."""

    def __init__(
        self,
        plan: Callable[[], Plan],
        router: Router,
        outboxes: Outboxes,
        processes: Processes,
    ) -> None:
        self._plan, self._router = plan, router
        self._outboxes, self._processes = outboxes, processes

    def agents(self) -> list[dict[str, Json]]:
        """What users know as agents; of a pool all workers together, but for those that rest."""
        routes, rows = self._router.routes, []
        for name in routes.names():
            workers = [self._router.agents[unit] for unit in routes.answering(name)]
            rows.append(
                {
                    "name": entry_name(name),
                    "connected": all(one.is_connected for one in workers if not one.is_resting),
                    "session_count": sum(len(one.sessions) for one in workers),
                }
            )
        return rows

    def channels(self) -> list[str]:
        return self._outboxes.connected

    def tool_servers(self) -> list[str]:
        """The tools that have said what they offer and are up, by their names as entries."""
        is_up = self._router.toolbox.is_up
        return [
            entry_name(unit.name)
            for unit in self._plan().units.values()
            if unit.kind is Kind.TOOL and is_up(unit.name)
        ]

    def queue_depths(self) -> dict[str, int]:
        """Messages that wait for their turn, by agent as users see it."""
        waiting, depths = self.waiting_messages(), Counter[str]()
        for unit, agent in self._router.agents.items():
            depths[entry_name(agent.route.answers_for)] += waiting[unit]
        return dict(depths)

    def waiting_messages(self) -> dict[UnitName, int]:
        """Messages that wait for their turn, by the unit of their agent."""
        return {
            unit: sum(len(session.queue) for session in agent.members)
            for unit, agent in self._router.agents.items()
        }

    def noise(self, unit: UnitName) -> int:
        """Lines on the unit's stdout that were no message, over all its runs."""
        return self._processes.noise(unit)

    @property
    def truncations(self) -> int:
        """Answers that were cut short because their channel did not keep up."""
        return self._outboxes.truncations

    def offers(self, unit: UnitName) -> list[str]:
        """The names of the tools that a unit offers just now."""
        return [one.name for one in self._router.toolbox.offered(unit)]

    def effective_options(self, unit: UnitName) -> dict[str, Json]:
        """The unit's options over the defaults of its last handshake, secrets redacted."""
        known = self._plan().units.get(unit)
        own = {} if known is None else secret.redact(known.options)
        return {**self._processes.defaults(unit), **own}

"""Systems of any size to draw: services, cores, tools, channels and agents, and a boot of them."""

from functools import cached_property
from itertools import cycle
from random import Random

from anyclawd.draw.graph import Graph, graph_of
from anyclawd.draw.timeline import Boot, boot_of
from anyclawd.model.deps import Relation
from anyclawd.model.value import Json

R = Relation
_STEMS = {
    "service": ("redis", "vector-store", "media", "proxy", "local-model", "billing-gateway"),
    "tool": ("search", "files", "github", "calendar", "browser"),
    "channel": ("telegram", "slack", "debug-http", "discord"),
    "agent": ("claude", "researcher", "support", "gemini", "reviewer"),
}
_LONG = "a-name-as-long-as-somebody-may-write-it-who-has-much-to-say-about-what-it-is-for"
_STATES = (
    ("active", "running", "success"),
    ("failed", "failed", "exit-code"),
    ("activating", "auto-restart", "signal"),
    ("inactive", "blocked", "dependency"),
    ("deactivating", "stop-sigterm", "success"),
)


class System:
    """`count` units at least, with relations as configurations have them; always the same ones."""

    def __init__(self, count: int, seed: int = 1) -> None:
        self._draw = Random(seed)
        self._units: dict[str, list[tuple[Relation, str]]] = {}
        few = max(1, count // 4)
        services = self._many("service", few)
        self._target("services", services)
        self._add("orchestrator.core", after=["services.target"])
        tools = self._many("tool", max(1, count - 2 * few - count // 6 - 8), services)
        channels = self._many("channel", max(1, count // 6))
        for name in (*tools, *channels):
            self._units[name].append((R.AFTER, "orchestrator.core"))
        self._target("tools", tools, "orchestrator.core")
        self._target("channels", channels, "orchestrator.core")
        agents = self._many("agent", few, services)
        for name in agents:
            self._units[name] += [(R.AFTER, "tools.target"), (R.AFTER, "channels.target")]
        self._target("agents", agents, "tools.target", "channels.target")
        for core in ("admin.core", "store.core"):
            self._add(core)
        everything = [f"{kind}.target" for kind in ("services", "tools", "channels", "agents")]
        self._target("default", [*everything, "admin.core", "store.core", "orchestrator.core"])

    def _many(self, kind: str, count: int, needed: list[str] | None = None) -> list[str]:
        names: list[str] = []
        for number, stem in zip(range(count), cycle(_STEMS[kind]), strict=False):
            name = f"{_LONG if number == 3 else stem}-{number}.{kind}"
            self._add(name)
            candidates = names if needed is None else needed
            if candidates and self._draw.random() < 0.3:
                other = self._draw.choice(candidates[-8:])
                relation = self._draw.choice((R.REQUIRES, R.REQUIRES, R.BINDS_TO, R.WANTS))
                self._units[name] += [(relation, other), (R.AFTER, other)]
            if names and self._draw.random() < 0.04:
                relation = self._draw.choice((R.CONFLICTS, R.ON_FAILURE, R.PART_OF))
                self._units[name].append((relation, names[0]))
            names.append(name)
        return names

    def _target(self, stem: str, members: list[str], *after: str) -> None:
        self._add(f"{stem}.target", wants=members, after=[*members, *after])

    def _add(
        self, name: str, *, wants: list[str] | None = None, after: list[str] | None = None
    ) -> None:
        wanted = [(R.WANTS, other) for other in wants or ()]
        self._units[name] = [*wanted, *((R.AFTER, other) for other in after or ())]

    @property
    def view(self) -> Json:
        """As `GET /v1/plan` has it, as far as pictures look at it."""
        units = {
            name: {
                "kind": name.rpartition(".")[2],
                "description": f"what {name} is for",
                **{relation: [] for relation in R},
            }
            for name in self._units
        }
        for name, relations in self._units.items():
            for relation, other in relations:
                units[name][relation].append({"unit": other})
        return {"order": list(self._units), "units": units}

    def graph(self, *, has_states: bool = False) -> Graph:
        rows = [
            dict(zip(("name", "active", "sub", "result"), (name, *state), strict=True))
            for name, state in zip(self._units, cycle(_STATES), strict=False)
        ]
        return graph_of(self.view, rows if has_states else ())

    @cached_property
    def record(self) -> Json:
        """A boot as `GET /v1/boot` tells of it; some units fail, some are skipped."""
        ends: dict[str, float] = {}
        units = []
        for number, (name, relations) in enumerate(self._units.items()):
            kind = name.rpartition(".")[2]
            after = [other for relation, other in relations if relation is R.AFTER]
            begun = max([0.09, *(ends[other] for other in after)])
            spawned = None if kind == "target" else begun + self._draw.choice((0.0004, 0.02))
            takes = 0.0 if kind in ("target", "core") else self._draw.random() ** 3
            ends[name] = (begun if spawned is None else spawned) + takes
            result, reason = "done", ""
            if kind not in ("target", "core") and number % 13 == 5:
                result, reason = "failed", "exited with code 1"
            elif kind not in ("target", "core") and number % 29 == 7:
                result, reason = "skipped", "/etc/thing does not exist"
            units.append(
                {
                    "name": name,
                    "kind": kind,
                    "queued_s": 0.09,
                    "unblocked_s": begun,
                    "spawned_s": spawned,
                    "ready_s": ends[name] if result == "done" else None,
                    "settled_s": ends[name],
                    "result": result,
                    "reason": reason,
                    "after": after,
                }
            )
        return {
            "state": "degraded",
            "started_at": "2026-01-02T03:04:05.678Z",
            "settled_s": ends["default.target"],
            "failure": "",
            "units": units,
        }

    @property
    def boot(self) -> Boot:
        return boot_of(self.record)

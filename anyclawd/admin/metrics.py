"""The numbers of `/metrics` as text; they are read when they are asked for and kept nowhere here.

The `anyclaw_` names are the original's, the `anyclawd_` ones are ours; all of them, with their
labels, stand in `docs/reference/metrics.md`.
"""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from anyclawd.admin.control import Measures, StoreMeasure, Timing, UnitMeasure
from anyclawd.model.state import Active, Health

#: Prometheus' text format 0.0.4, as the original has it, whatever the library calls its latest.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(measures: Measures) -> bytes:
    """The text of `/metrics`, in a registry of its own, so that nothing else appears in it.

    It takes its time for thousands of units and touches nothing else: run it in a thread.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Measured(measures))
    return generate_latest(registry)


class _Measured(Collector):
    def __init__(self, measures: Measures) -> None:
        self._measures = measures

    def collect(self) -> Iterable[Metric]:
        measures = self._measures
        yield from _original(measures)
        yield from _units(measures.units)
        yield from _conversations(measures)
        yield from _store(measures.store)
        yield from _gateway(measures)
        yield from _loop(measures)


def _original(measures: Measures) -> Iterable[Metric]:
    yield _counter(
        "anyclaw_manager_restarts",
        "Automatic restarts, by manager.",
        ["manager"],
        (((name,), count) for name, count in measures.manager_restarts.items()),
    )
    yield GaugeMetricFamily(
        "anyclaw_agents_connected",
        "Agents that have answered initialize.",
        value=measures.agents_connected,
    )
    yield GaugeMetricFamily(
        "anyclaw_channels_running",
        "Channels that have answered initialize.",
        value=measures.channels_running,
    )
    yield _counter(
        "anyclaw_tool_invocations",
        "Calls of tools, by outcome.",
        ["tool", "status"],
        measures.tool_invocations.items(),
    )
    yield _summary(
        "anyclaw_tool_duration_seconds", "Duration of tool calls.", "tool", measures.tool_durations
    )


def _units(units: tuple[UnitMeasure, ...]) -> Iterable[Metric]:
    states = GaugeMetricFamily(
        "anyclawd_unit_state", "1 for the active state a unit is in.", labels=["unit", "state"]
    )
    for unit in units:
        for state in Active:
            states.add_metric([unit.name, state], float(unit.active == state))
    yield states
    yield _counter(
        "anyclawd_unit_restarts",
        "Automatic restarts, by unit.",
        ["unit"],
        (((unit.name,), unit.restarts) for unit in units),
    )
    yield _gauge(
        "anyclawd_unit_start_duration_seconds",
        "From spawn until ready, of the latest start.",
        ((unit.name, unit.start_s) for unit in units),
    )
    yield from _health(units)
    yield from _usage(units)


def _health(units: tuple[UnitMeasure, ...]) -> Iterable[Metric]:
    checked = [unit for unit in units if unit.health is not None]
    healths = GaugeMetricFamily(
        "anyclawd_unit_health",
        "1 for the health a unit is in; units without a check have none.",
        labels=["unit", "health"],
    )
    for unit in checked:
        for health in (Health.STARTING, Health.HEALTHY, Health.UNHEALTHY):
            healths.add_metric([unit.name, health], float(unit.health is health))
    yield healths
    yield _counter(
        "anyclawd_unit_health_checks",
        "Health checks, by result.",
        ["unit", "result"],
        (
            ((unit.name, result), total)
            for unit in checked
            for result, total in (("passed", unit.checks_passed), ("failed", unit.checks_failed))
        ),
    )


def _usage(units: tuple[UnitMeasure, ...]) -> Iterable[Metric]:
    """What the processes of units use; units of which it is not known are left out."""
    yield _gauge(
        "anyclawd_unit_memory_bytes",
        "Memory that the processes of a unit use.",
        ((unit.name, unit.memory_bytes) for unit in units),
    )
    yield _gauge(
        "anyclawd_unit_tasks",
        "Processes and threads of a unit.",
        ((unit.name, unit.tasks) for unit in units),
    )
    yield _counter(
        "anyclawd_unit_cpu_seconds",
        "Processor time that the current run of a unit has used.",
        ["unit"],
        (((unit.name,), unit.cpu_s) for unit in units if unit.cpu_s is not None),
    )


def _conversations(measures: Measures) -> Iterable[Metric]:
    yield _gauge("anyclawd_sessions", "Chats, by state.", measures.sessions.items(), "state")
    yield _gauge(
        "anyclawd_messages",
        "Messages without an outcome, by state.",
        measures.messages.items(),
        "state",
    )
    yield _counter(
        "anyclawd_messages_received",
        "Messages of channels and administrators.",
        [],
        [((), measures.messages_received)],
    )
    yield _counter(
        "anyclawd_messages_repeated",
        "Messages whose source had sent them before.",
        [],
        [((), measures.messages_repeated)],
    )
    yield _counter(
        "anyclawd_messages_ended",
        "Messages, by outcome.",
        ["outcome"],
        (((outcome,), count) for outcome, count in measures.messages_ended.items()),
    )
    yield _counter(
        "anyclawd_refusals",
        "Messages that were not accepted, by reason.",
        ["reason"],
        (((reason,), count) for reason, count in measures.refusals.items()),
    )
    yield _gauge(
        "anyclawd_deliveries_pending",
        "Answers that have not arrived, by channel.",
        measures.deliveries_pending.items(),
        "channel",
    )


def _store(store: StoreMeasure) -> Iterable[Metric]:
    yield GaugeMetricFamily(
        "anyclawd_store_healthy",
        "1 while what the store is given is written.",
        value=float(store.is_healthy),
    )
    yield _counter(
        "anyclawd_store_commits", "Transactions of the store.", [], [((), store.commits)]
    )
    yield GaugeMetricFamily(
        "anyclawd_store_waiting", "Steps that are not written yet.", value=store.waiting
    )
    yield _counter(
        "anyclawd_store_lost",
        "Steps for which there was no room while the store could not write.",
        [],
        [((), store.lost)],
    )


def _gateway(measures: Measures) -> Iterable[Metric]:
    depths = GaugeMetricFamily(
        "anyclawd_queue_depth", "Messages that wait for their turn.", labels=["agent"]
    )
    for agent, depth in measures.queue_depths.items():
        depths.add_metric([agent], depth)
    yield depths
    yield _summary(
        "anyclawd_turn_duration_seconds",
        "Duration of prompt turns.",
        "agent",
        measures.turn_durations,
    )
    yield _counter(
        "anyclawd_truncated_answers",
        "Answers cut short because their channel did not keep up.",
        [],
        [((), measures.truncated_answers)],
    )


def _loop(measures: Measures) -> Iterable[Metric]:
    lag = measures.loop_lag
    yield SummaryMetricFamily(
        "anyclawd_loop_lag_seconds",
        "Lateness of the event loop's timers.",
        count_value=lag.count,
        sum_value=lag.sum_s,
    )
    yield GaugeMetricFamily(
        "anyclawd_loop_lag_max_seconds",
        "The largest lateness of a timer so far.",
        value=measures.loop_lag_max_s,
    )


def _gauge(
    name: str, text: str, values: Iterable[tuple[str, float | None]], label: str = "unit"
) -> Metric:
    """A gauge by unit, or by something else; what has no value is left out."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for labelled, value in values:
        if value is not None:
            family.add_metric([labelled], value)
    return family


def _counter(
    name: str, text: str, labels: list[str], totals: Iterable[tuple[tuple[str, ...], float]]
) -> Metric:
    """A counter; its samples are named `<name>_total`."""
    family = CounterMetricFamily(name, text, labels=labels)
    for values, total in totals:
        family.add_metric(list(values), total)
    return family


def _summary(name: str, text: str, label: str, timings: Mapping[str, Timing]) -> Metric:
    family = SummaryMetricFamily(name, text, labels=[label])
    for value, timing in timings.items():
        family.add_metric([value], count_value=timing.count, sum_value=timing.sum_s)
    return family

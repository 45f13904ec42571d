"""From settings to the values of `model.conversation`, defaults applied."""

from collections.abc import Mapping

from anyclawd.compile.policies import value_of
from anyclawd.compile.tree import Node
from anyclawd.model.conversation import (
    Access,
    AccessDefault,
    AccessRule,
    FileAccess,
    HistoryReplay,
    HookEvent,
    HookFailure,
    HookUse,
    Overflow,
    Pairing,
    Pool,
    QueueMode,
    QueuePolicy,
    RateLimit,
    RateLimits,
)
from anyclawd.model.deps import UnitName

_QUEUE, _RATE, _RATES = QueuePolicy(), RateLimit(), RateLimits()
_FILES, _REPLAY, _PAIRING, _ACCESS = FileAccess(), HistoryReplay(), Pairing(), Access()
_POOL = Pool(agent=UnitName("default.agent"))


def queue_of(settings: Mapping[str, Node]) -> QueuePolicy:
    node = settings.get("queue")
    if node is None:
        return _QUEUE
    own = node.value
    return QueuePolicy(
        mode=QueueMode(value_of(own, "mode", _QUEUE.mode)),
        cap=value_of(own, "cap", _QUEUE.cap),
        overflow=Overflow(value_of(own, "overflow", _QUEUE.overflow)),
    )


def rate_limits_of(settings: Mapping[str, Node]) -> RateLimits:
    node = settings.get("rate_limits")
    if node is None:
        return _RATES
    return RateLimits(
        session=_rate_limit(node.value, "session"), channel=_rate_limit(node.value, "channel")
    )


def _rate_limit(limits: Mapping[str, Node], of: str) -> RateLimit:
    node = limits.get(of)
    if node is None:
        return _RATE
    return RateLimit(
        messages_per_minute=value_of(node.value, "messages_per_minute", _RATE.messages_per_minute),
        queue_depth=value_of(node.value, "queue_depth", _RATE.queue_depth),
    )


def files_of(settings: Mapping[str, Node]) -> FileAccess:
    node = settings.get("fs")
    if node is None:
        return _FILES
    return FileAccess(
        read=value_of(node.value, "read", default=_FILES.read),
        write=value_of(node.value, "write", default=_FILES.write),
    )


def history_replay_of(settings: Mapping[str, Node]) -> HistoryReplay:
    node = settings.get("history_replay")
    if node is None:
        return _REPLAY
    return HistoryReplay(
        turns=value_of(node.value, "turns", _REPLAY.turns),
        max_bytes=value_of(node.value, "max_bytes", _REPLAY.max_bytes),
    )


def hook_of(unit: UnitName, said: Mapping[str, Node]) -> HookUse:
    """One entry of `hooks`, whose unit has been found."""
    default = HookUse(unit=unit)
    events = said.get("events")
    chosen = default.events if events is None else _in_order(events)
    return HookUse(
        unit=unit,
        events=chosen,
        timeout_s=value_of(said, "timeout", default.timeout_s),
        on_failure=HookFailure(value_of(said, "on_failure", default.on_failure)),
    )


def _in_order(events: Node) -> tuple[HookEvent, ...]:
    """The events that are named, each once, in the order of their kinds."""
    return tuple(event for event in HookEvent if event in events.value.values)


def pool_of(agent: UnitName, settings: Mapping[str, Node]) -> Pool:
    """The pool of the agent that routes call `agent`, as its merged settings have it."""
    return Pool(
        agent=agent,
        min_workers=value_of(settings, "min_workers", _POOL.min_workers),
        max_workers=value_of(settings, "max_workers", _POOL.max_workers),
        idle_s=value_of(settings, "worker_idle", _POOL.idle_s),
    )


def access_of(said: Mapping[str, Node], rules: tuple[AccessRule, ...]) -> Access:
    """`access:` as the daemon has it; its rules name what there is."""
    node = said.get("pairing")
    pairing: Mapping[str, Node] = {} if node is None else node.value
    return Access(
        default=AccessDefault(value_of(said, "default", _ACCESS.default)),
        rules=rules,
        pairing=Pairing(
            enabled=value_of(pairing, "enabled", default=_PAIRING.enabled),
            ttl_s=value_of(pairing, "ttl", _PAIRING.ttl_s),
            max_pending=value_of(pairing, "max_pending", _PAIRING.max_pending),
        ),
    )

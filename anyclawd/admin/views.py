"""A plan as people and programs may see it: the settings of each unit, secrets taken out.

The keys are those of the configuration, durations are seconds, so that what is shown could be
written. A secret is replaced wherever its value appears, also where it was copied into an argument.
"""

from typing import assert_never

from anyclawd.model.conversation import HookUse, RateLimit
from anyclawd.model.deps import Dependencies, Ref, Relation, UnitName
from anyclawd.model.plan import Plan
from anyclawd.model.policy import HealthCheck, HookCommand, Hooks, Probe, ProbeType, ReadinessType
from anyclawd.model.secret import redact, scrub, written_texts
from anyclawd.model.tool import ToolRole
from anyclawd.model.unit import AgentRole, ChannelRole, Unit
from anyclawd.model.value import Json


def plan_view(plan: Plan) -> Json:
    """The settings of every unit, and the order in which units come up."""
    units = {str(name): unit_view(unit) for name, unit in plan.units.items()}
    return {"units": units, "order": [str(name) for name in plan.order]}


def settings_view(plan: Plan, name: UnitName) -> Json:
    """The same shape as `plan_view`, for one unit. Raises KeyError where there is none."""
    return {"units": {str(name): unit_view(plan.units[name])}, "order": [str(name)]}


def unit_view(unit: Unit) -> Json:
    """One unit's compiled settings."""
    view = {
        "kind": str(unit.kind),
        "description": unit.description,
        "required": unit.required,
        "protocol": str(unit.protocol),
        "exec": list(unit.argv),
        "environment": redact(unit.environment),
        "pass_environment": list(unit.pass_environment),
        "working_dir": unit.working_dir,
        "state_directory": unit.has_state_directory,
        "check": unit.has_check,
        "user": unit.user,
        "template": unit.template or "",
        "isolate": str(unit.isolate),
        **_hooks(unit.hooks),
        "condition": {
            "path_exists": list(unit.condition.paths),
            "environment": list(unit.condition.environment),
            "command": _programs(unit.condition.commands),
        },
        "readiness": _readiness(unit),
        "health": None if unit.health is None else _health(unit.health),
        "watchdog": unit.watchdog_s,
        "restart": str(unit.restart),
        **_policies(unit),
        "options": redact(unit.options),
        "services": [str(service) for service in unit.services],
        **relations_view(unit.deps),
        **_roles(unit),
        "problem": unit.problem,
        "span": str(unit.span),
    }
    return scrub(view, written_texts(unit.secrets))


def _hooks(hooks: Hooks) -> dict[str, Json]:
    return {
        "exec_start_pre": _programs(hooks.start_pre),
        "exec_start_post": _programs(hooks.start_post),
        "exec_reload": _programs(hooks.reload),
        "exec_stop_post": _programs(hooks.stop_post),
    }


def _programs(commands: tuple[HookCommand, ...]) -> list[Json]:
    """As they are written: `-` in front of a program that may fail."""
    return [
        [f"-{command.argv[0]}" if command.may_fail else command.argv[0], *command.argv[1:]]
        for command in commands
    ]


def _readiness(unit: Unit) -> dict[str, Json]:
    kind = str(unit.readiness)
    if unit.readiness_probe is not None:
        return {"type": kind, **_probe(unit.readiness_probe)}
    match unit.readiness:
        case ReadinessType.NOTIFY:
            return {"type": kind, "access": str(unit.notify_access)}
        case ReadinessType.LOG:
            return {"type": kind, "pattern": unit.readiness_pattern}
        case _:
            return {"type": kind}


def _health(check: HealthCheck) -> dict[str, Json]:
    return {"type": str(check.probe.type), **_probe(check.probe), "failures": check.failures}


def _probe(probe: Probe) -> dict[str, Json]:
    """What is looked at, and how often."""
    pace = {"interval": probe.interval_s, "timeout": probe.timeout_s}
    match probe.type:
        case ProbeType.HTTP:
            return {"url": probe.url, **pace}
        case ProbeType.TCP:
            return {"host": probe.host, "port": probe.port, **pace}
        case ProbeType.COMMAND:
            return {"exec": list(probe.argv), **pace}
        case ProbeType.RPC:
            return pace
        case _:
            assert_never(probe.type)


def argv_view(unit: Unit) -> list[str]:
    """A unit's command line as it may be shown."""
    argv: list[str] = unit_view(unit)["exec"]
    return argv


def relations_view(deps: Dependencies) -> dict[str, Json]:
    """Every relation of a unit, also the empty ones, under the setting that makes it."""
    return {str(kind): [_ref(ref) for ref in getattr(deps, kind)] for kind in Relation}


def _ref(ref: Ref) -> Json:
    return {"unit": str(ref.unit), "until": str(ref.until), "span": str(ref.span)}


def _policies(unit: Unit) -> dict[str, Json]:
    backoff, limit, codes = unit.backoff, unit.start_limit, unit.exit_codes
    timeouts, resources = unit.timeouts, unit.resources
    return {
        "backoff": {
            "initial": backoff.initial_s,
            "factor": backoff.factor,
            "max": backoff.max_s,
            "jitter": backoff.jitter,
            "stable_after": backoff.stable_after_s,
        },
        "start_limit": {
            "burst": limit.burst,
            "interval": limit.interval_s,
            "on_limit": str(limit.on_limit),
            "cooldown": limit.cooldown_s,
        },
        "exit_codes": {
            "success": list(codes.success),
            "permanent": list(codes.permanent),
            "temporary": list(codes.temporary),
        },
        "timeouts": {
            "start": timeouts.start_s,
            "stop": timeouts.stop_s,
            "eof_grace": timeouts.eof_grace_s,
        },
        "resources": {
            "memory_max": resources.memory_max_bytes,
            "tasks_max": resources.tasks_max,
            "cpu_weight": resources.cpu_weight,
            "nofile": resources.nofile,
        },
        "stdout_line_max": unit.stdout_line_max_bytes,
        "stderr_rate": unit.stderr_rate,
    }


def _roles(unit: Unit) -> dict[str, Json]:
    roles: dict[str, Json] = {}
    if unit.channel is not None:
        roles["channel"] = _channel(unit.channel)
    if unit.agent is not None:
        roles["agent"] = _agent(unit.agent)
    if unit.tool is not None:
        roles["tool"] = _tool(unit.tool)
    return roles


def _channel(role: ChannelRole) -> dict[str, Json]:
    queue, limits, ack = role.queue, role.rate_limits, role.ack
    view: dict[str, Json] = {
        "agent": str(role.agent),
        "queue": {"mode": str(queue.mode), "cap": queue.cap, "overflow": str(queue.overflow)},
        "recovery": str(role.recovery),
        "delivery_ttl": role.delivery_ttl_s,
        "rate_limits": {
            "session": _rate_limit(limits.session),
            "channel": _rate_limit(limits.channel),
        },
    }
    if ack is not None:
        view["ack"] = {
            "reaction": ack.reaction,
            "typing": ack.typing,
            "reaction_emoji": ack.reaction_emoji,
            "reaction_lifecycle": str(ack.reaction_lifecycle),
        }
    return view


def _rate_limit(limit: RateLimit) -> Json:
    return {
        "messages_per_minute": limit.messages_per_minute,
        "queue_depth": limit.queue_depth,
    }


def _agent(role: AgentRole) -> dict[str, Json]:
    view: dict[str, Json] = {
        "cwd": role.cwd,
        "tools": [str(tool) for tool in role.tools],
        "tool_access": {
            "allow": list(role.tool_access.allow),
            "deny": list(role.tool_access.deny),
        },
        "prompt_idle_timeout": role.prompt_idle_timeout_s,
        "fs": {"read": role.fs.read, "write": role.fs.write},
        "terminal": role.terminal,
        "history_replay": {
            "turns": role.history_replay.turns,
            "max_bytes": role.history_replay.max_bytes,
        },
        "hooks": [_hook_use(use) for use in role.hooks],
    }
    if (pool := role.pool) is not None:
        view["pool"] = {
            "agent": str(pool.agent),
            "min_workers": pool.min_workers,
            "max_workers": pool.max_workers,
            "worker_idle": pool.idle_s,
        }
    return view


def _tool(role: ToolRole) -> dict[str, Json]:
    return {
        "description": role.description,
        "mcp_era": str(role.era),
        "trusted": role.is_trusted,
        "call_timeout": role.call_timeout_s,
    }


def _hook_use(use: HookUse) -> Json:
    return {
        "unit": str(use.unit),
        "events": [str(event) for event in use.events],
        "timeout": use.timeout_s,
        "on_failure": str(use.on_failure),
    }

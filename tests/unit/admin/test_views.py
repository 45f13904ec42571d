"""What a plan shows of itself, and what it never shows."""

from dataclasses import replace
from types import MappingProxyType

import pytest

from anyclawd.admin.views import plan_view, unit_view
from anyclawd.model.conversation import HookEvent, HookUse, Pool, RateLimit, RateLimits
from anyclawd.model.deps import Relation, UnitName
from anyclawd.model.plan import Plan
from anyclawd.model.policy import (
    Condition,
    HealthCheck,
    HookCommand,
    Hooks,
    Probe,
    ProbeType,
    ReadinessType,
)
from anyclawd.model.tool import Era, ToolAccess, ToolRole
from anyclawd.model.unit import AgentRole, ChannelRole, Kind, Unit
from anyclawd.model.value import Json
from tests.fakes.control import AGENT, CHANNEL, PLAN, SECRET

UNIT = PLAN.units[AGENT]


@pytest.mark.parametrize(
    "written",
    [
        {"key": {"!secret": {"value": SECRET}}},
        {"deep": {"list": [1, {"key": {"!secret": {"value": SECRET}}}]}},
        {"key": {"!secret": {"env": "KEY", "default": SECRET}}},
    ],
    ids=["plain", "nested", "default"],
)
@pytest.mark.parametrize("field", ["options", "environment"])
def test_a_secret_is_gone_wherever_it_was_copied_to(written: Json, field: str) -> None:
    changed: dict[str, Json] = {"options": {}, "environment": {}}
    changed[field] = MappingProxyType(written)
    unit = replace(UNIT, argv=("/bin/x", f"--token={SECRET}"), description=SECRET, **changed)
    view = unit_view(unit)
    assert SECRET not in str(view)
    assert view["exec"] == ["/bin/x", "--token=<secret>"]


def test_a_short_secret_does_not_eat_other_texts() -> None:
    unit = replace(UNIT, environment={"PIN": {"!secret": {"value": "py"}}})
    assert unit_view(unit)["exec"][0] == "/usr/bin/python3"


def test_a_secret_inside_of_a_longer_one_leaves_nothing_of_it() -> None:
    written = {"A_KEY": "abcdef", "B_KEY": "abcdefgh", "C_KEY": "zyxwvu"}
    environment = {name: {"!secret": {"value": text}} for name, text in written.items()}
    unit = replace(UNIT, argv=("/bin/x", "abcdefgh"), environment=environment)
    assert unit_view(unit)["exec"] == ["/bin/x", "<secret>"]


def test_every_relation_is_listed_also_the_empty_ones() -> None:
    view = unit_view(PLAN.units[CHANNEL])
    assert {str(relation) for relation in Relation} <= set(view)
    assert view["requires"] == []


def test_every_field_of_a_unit_is_shown() -> None:
    """A new field of Unit has to be shown, or left out here on purpose."""
    shown_as = {
        "name": None,  # the key of the map
        "hidden": None,  # what the others are not to show
        "argv": "exec",
        "deps": "after",
        "stdout_line_max_bytes": "stdout_line_max",
        "channel": "channel",
        "agent": "agent",
        "tool": "tool",
        "hooks": "exec_start_pre",
        "readiness_probe": "readiness",
        "readiness_pattern": "readiness",
        "notify_access": "readiness",
        "watchdog_s": "watchdog",
        "has_state_directory": "state_directory",
        "has_check": "check",
    }
    keys = set(unit_view(PLAN.units[AGENT])) | set(unit_view(PLAN.units[CHANNEL])) | {"tool", None}
    fields = Unit.__dataclass_fields__
    assert {shown_as.get(field, field) for field in fields} <= keys


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"readiness": ReadinessType.NOTIFY}, {"type": "notify", "access": "all"}),
        (
            {"readiness": ReadinessType.LOG, "readiness_pattern": "up on .*"},
            {"type": "log", "pattern": "up on .*"},
        ),
        (
            {
                "readiness": ReadinessType.HTTP,
                "readiness_probe": Probe(type=ProbeType.HTTP, url="http://[::1]/", interval_s=1.0),
            },
            {"type": "http", "url": "http://[::1]/", "interval": 1.0, "timeout": 5.0},
        ),
        (
            {
                "readiness": ReadinessType.TCP,
                "readiness_probe": Probe(type=ProbeType.TCP, host="::1", port=1, timeout_s=2.0),
            },
            {"type": "tcp", "host": "::1", "port": 1, "interval": 30.0, "timeout": 2.0},
        ),
        (
            {
                "readiness": ReadinessType.COMMAND,
                "readiness_probe": Probe(type=ProbeType.COMMAND, argv=("/bin/true",)),
            },
            {"type": "command", "exec": ["/bin/true"], "interval": 30.0, "timeout": 5.0},
        ),
    ],
    ids=["notify", "log", "http", "tcp", "command"],
)
def test_readiness_is_shown_as_it_is_written(changes: dict[str, Json], shown: Json) -> None:
    assert unit_view(replace(UNIT, **changes))["readiness"] == shown


def test_a_health_check_is_shown_as_it_is_written() -> None:
    check = HealthCheck(probe=Probe(type=ProbeType.RPC), failures=2)
    view = unit_view(replace(UNIT, health=check))
    assert view["health"] == {"type": "rpc", "interval": 30.0, "timeout": 5.0, "failures": 2}
    assert unit_view(UNIT)["health"] is None


def test_programs_are_shown_as_they_are_written() -> None:
    migrate = HookCommand(argv=("/bin/migrate", "--all"), may_fail=True)
    hooks = Hooks(start_pre=(migrate, HookCommand(argv=("/bin/check",))))
    view = unit_view(replace(UNIT, hooks=hooks))
    assert view["exec_start_pre"] == [["-/bin/migrate", "--all"], ["/bin/check"]]
    assert view["exec_stop_post"] == []


def test_no_secret_is_left_in_what_runs_around_a_unit() -> None:
    """Invariant I7: what was copied into hooks, conditions and probes goes as well."""
    command = HookCommand(argv=("/bin/x", f"--key={SECRET}"))
    probe = Probe(type=ProbeType.HTTP, url=f"http://me:{SECRET}@localhost/")
    unit = replace(
        UNIT,
        hooks=Hooks(start_pre=(command,), stop_post=(command,)),
        condition=Condition(environment=(f"KEY={SECRET}",), commands=(command,)),
        readiness=ReadinessType.HTTP,
        readiness_probe=probe,
        health=HealthCheck(probe=probe),
    )
    view = unit_view(unit)
    assert SECRET not in str(view)
    assert view["exec_start_pre"] == [["/bin/x", "--key=<secret>"]]


def test_a_password_in_a_url_is_not_shown() -> None:
    probe = Probe(type=ProbeType.HTTP, url="https://me:hunter2@localhost:8443/health")
    view = unit_view(replace(UNIT, health=HealthCheck(probe=probe)))
    assert view["health"]["url"] == "https://me:<secret>@localhost:8443/health"


def test_an_instance_names_its_template() -> None:
    instance = replace(UNIT, name=UnitName("one@two.agent"))
    assert unit_view(instance)["template"] == "one@.agent"
    assert unit_view(UNIT)["template"] == ""


def test_plan_keeps_its_order() -> None:
    plan = Plan(units={AGENT: UNIT}, order=(AGENT,))
    assert plan_view(plan)["order"] == ["default.agent"]


def test_how_conversations_are_kept_is_shown_as_it_is_written() -> None:
    role = ChannelRole(
        agent=UnitName("a.agent"), rate_limits=RateLimits(session=RateLimit(queue_depth=3))
    )
    shown = unit_view(replace(PLAN.units[CHANNEL], channel=role))["channel"]
    assert shown == {
        "agent": "a.agent",
        "queue": {"mode": "collect", "cap": 1000, "overflow": "refuse"},
        "recovery": "notify",
        "delivery_ttl": 3600.0,
        "rate_limits": {
            "session": {"messages_per_minute": 0, "queue_depth": 3},
            "channel": {"messages_per_minute": 0, "queue_depth": 0},
        },
    }


def test_what_is_known_of_a_tool_is_shown_as_it_is_written() -> None:
    name = UnitName("t.tool")
    role = ToolRole(description="adds", era=Era.MODERN, is_trusted=True)
    unit = replace(UNIT, name=name, kind=Kind.TOOL, agent=None, tool=role)
    assert unit_view(unit)["tool"] == {
        "description": "adds",
        "mcp_era": "modern",
        "trusted": True,
        "call_timeout": 300.0,
    }


def test_what_an_agent_is_served_is_shown_as_it_is_written() -> None:
    role = AgentRole(
        cwd="/w",
        tool_access=ToolAccess(allow=("web/*",)),
        hooks=(HookUse(unit=UnitName("h.service"), events=(HookEvent.PROMPT,)),),
        pool=Pool(agent=UnitName("a.agent"), max_workers=2),
    )
    assert unit_view(replace(UNIT, agent=role))["agent"] == {
        "cwd": "/w",
        "tools": [],
        "tool_access": {"allow": ["web/*"], "deny": []},
        "prompt_idle_timeout": 120.0,
        "fs": {"read": False, "write": False},
        "terminal": False,
        "history_replay": {"turns": 20, "max_bytes": 32768},
        "hooks": [
            {"unit": "h.service", "events": ["prompt"], "timeout": 5.0, "on_failure": "refuse"}
        ],
        "pool": {"agent": "a.agent", "min_workers": 1, "max_workers": 2, "worker_idle": 300.0},
    }

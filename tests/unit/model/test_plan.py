"""A plan in its plain form: carried by marshal, and the same when it is read."""

import marshal
from dataclasses import replace

from anyclawd.model.conversation import (
    Access,
    AccessRule,
    HookUse,
    Pairing,
    Pool,
    QueueMode,
    QueuePolicy,
)
from anyclawd.model.deps import UnitName, Until
from anyclawd.model.errors import Finding, Scope, Severity
from anyclawd.model.plan import (
    DEFAULT_TARGET,
    LogFormat,
    Plan,
    SessionStore,
    Settings,
    StoreType,
    from_plain,
    to_plain,
)
from anyclawd.model.policy import Resources
from anyclawd.model.secret import MARK
from anyclawd.model.unit import Ack, AgentRole, ChannelRole, ReactionLifecycle
from tests.fakes.world import SPAN, link, make_plan, make_unit

RICH = replace(
    make_plan(
        make_unit(
            "a.service",
            environment={"KEY": {MARK: {"env": "KEY", "default": None}}},
            options={"list": [1, 2.5, None, True, {"deep": "é"}]},
            resources=Resources(memory_max_bytes=2**40),
        ),
        link(make_unit("a.agent"), requires=["a.service"], until=Until.STARTED),
        make_unit(
            "a.channel",
            channel=ChannelRole(
                agent=UnitName("a.agent"),
                ack=Ack(reaction_lifecycle=ReactionLifecycle.REPLACE_DONE),
                queue=QueuePolicy(mode=QueueMode.STEER),
            ),
        ),
        make_unit(
            "b@1.agent",
            agent=AgentRole(
                cwd="/",
                hooks=(HookUse(unit=UnitName("a.service")),),
                pool=Pool(agent=UnitName("b.agent"), max_workers=2),
            ),
        ),
    ),
    settings=Settings(
        log_format=LogFormat.JSON,
        session_store=SessionStore(type=StoreType.SQLITE, path="/x"),
        access=Access(rules=(AccessRule(peer="1"),), pairing=Pairing(enabled=True)),
    ),
    disabled=(UnitName("b.tool"),),
    warnings=(Finding(span=SPAN, severity=Severity.WARNING, key="k", text="t", scope=Scope.WORLD),),
)


def test_the_workers_of_a_pool_come_in_the_order_of_their_numbers() -> None:
    pool = Pool(agent=UnitName("a.agent"), max_workers=11)
    names = sorted(UnitName(f"a@{number}.agent") for number in range(1, 12))
    plan = make_plan(*(make_unit(name, agent=AgentRole(cwd="/", pool=pool)) for name in names))
    assert plan.pools == {
        "a.agent": tuple(UnitName(f"a@{number}.agent") for number in range(1, 12))
    }
    assert RICH.pools == {"b.agent": ("b@1.agent",)}


def test_a_plan_survives_marshal() -> None:
    assert from_plain(marshal.loads(marshal.dumps(to_plain(RICH)))) == RICH


def test_an_empty_plan_survives_too() -> None:
    plan = Plan(units={}, order=())
    assert from_plain(to_plain(plan)) == plan


def test_equal_policies_become_one_object() -> None:
    plan = from_plain(to_plain(make_plan(*(make_unit(f"u{n}.service") for n in range(3)))))
    assert len({id(unit.backoff) for unit in plan.units.values() if unit.is_process}) == 1


def test_types_come_back_as_types() -> None:
    plan = from_plain(marshal.loads(marshal.dumps(to_plain(RICH))))
    unit = plan.units[UnitName("a.agent")]
    assert type(unit.readiness) is type(RICH.units[UnitName("a.agent")].readiness)
    assert unit.deps.after[0].until is Until.READY
    assert plan.order[-1] == DEFAULT_TARGET

"""How conversations are kept, as a configuration says it: queues, limits, access, hooks."""

import pytest

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
    QueueMode,
    QueuePolicy,
    RateLimit,
    RateLimits,
    Recovery,
    Unroutable,
)
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import SessionStore, StoreType
from anyclawd.model.policy import ReadinessType
from anyclawd.model.unit import AgentRole, ChannelRole, Protocol
from tests.unit.compile.conftest import Compile, lines

AGENT = "agents_manager: {agents: {default: {exec: /bin/true}}}\n"


def channel(compile_text: Compile, keys: str) -> ChannelRole:
    """The role of a channel whose entry has these keys."""
    entry = f"{{binary: /bin/true, {keys}}}"
    outcome = compile_text(f"{AGENT}channels_manager: {{channels: {{c: {entry}}}}}\n")
    assert outcome.plan is not None, lines(outcome)
    role = outcome.plan.units[UnitName("c.channel")].channel
    assert role is not None
    return role


def agent(compile_text: Compile, keys: str, more: str = "") -> AgentRole:
    """The role of an agent whose entry has these keys."""
    outcome = compile_text(
        f"agents_manager: {{agents: {{a: {{exec: /bin/true, {keys}}}}}}}\n{more}"
    )
    assert outcome.plan is not None, lines(outcome)
    role = outcome.plan.units[UnitName("a.agent")].agent
    assert role is not None
    return role


def test_what_is_not_said_has_its_default(compile_text: Compile) -> None:
    assert channel(compile_text, "") == ChannelRole(agent=UnitName("default.agent"))
    assert agent(compile_text, "") == AgentRole(cwd="/run/here")


def test_a_channel_says_how_its_messages_wait(compile_text: Compile) -> None:
    role = channel(
        compile_text,
        "queue: {mode: steer, cap: 7, overflow: drop-oldest}, recovery: retry,"
        " delivery_ttl: 30min, rate_limits: {session: {messages_per_minute: 5},"
        " channel: {queue_depth: 9}}",
    )
    assert role == ChannelRole(
        agent=UnitName("default.agent"),
        queue=QueuePolicy(mode=QueueMode.STEER, cap=7, overflow=Overflow.DROP_OLDEST),
        recovery=Recovery.RETRY,
        delivery_ttl_s=1800,
        rate_limits=RateLimits(
            session=RateLimit(messages_per_minute=5), channel=RateLimit(queue_depth=9)
        ),
    )


def test_layers_of_a_queue_are_merged(compile_text: Compile) -> None:
    outcome = compile_text(
        AGENT + "channels_manager: {channels: {c: {binary: /bin/true, queue: {cap: 7}}}}\n"
        "units: {c.channel: {queue: {mode: followup}}}\n"
    )
    assert outcome.plan is not None
    role = outcome.plan.units[UnitName("c.channel")].channel
    assert role is not None
    assert role.queue == QueuePolicy(mode=QueueMode.FOLLOWUP, cap=7)


SERVED = {
    "nothing": ("fs: false", FileAccess()),
    "everything": ("fs: true", FileAccess(read=True, write=True)),
    "one": ("fs: {read: true}", FileAccess(read=True)),
    "no-say": ("fs: null", FileAccess()),
}


@pytest.mark.parametrize(("keys", "files"), SERVED.values(), ids=SERVED)
def test_which_files_an_agent_is_served(
    compile_text: Compile, keys: str, files: FileAccess
) -> None:
    assert agent(compile_text, keys).fs == files


TOLD = {
    "none": ("history_replay: false", HistoryReplay(turns=0)),
    "the-usual": ("history_replay: true", HistoryReplay()),
    "less": ("history_replay: {turns: 3, max_bytes: 1k}", HistoryReplay(turns=3, max_bytes=1024)),
}


@pytest.mark.parametrize(("keys", "replay"), TOLD.values(), ids=TOLD)
def test_what_a_new_session_is_told(
    compile_text: Compile, keys: str, replay: HistoryReplay
) -> None:
    assert agent(compile_text, keys).history_replay == replay


def test_a_later_layer_switches_one_part_of_what_was_switched_as_a_whole(
    compile_text: Compile,
) -> None:
    role = agent(compile_text, "fs: true", "units: {a.agent: {fs: {write: false}}}\n")
    assert role.fs == FileAccess(read=True)


def test_a_variable_can_switch(compile_text: Compile) -> None:
    text = 'agents_manager: {agents: {a: {exec: /bin/true, fs: !env "FILES:false"}}}\n'
    outcome = compile_text(text, environ={"FILES": "true"})
    assert outcome.plan is not None
    role = outcome.plan.units[UnitName("a.agent")].agent
    assert role is not None
    assert role.fs == FileAccess(read=True, write=True)


HOOKS = """\
services_manager:
  services:
    audit: {binary: /bin/true, protocol: hook}
    filter: {binary: /bin/true, protocol: hook}
    off: {binary: /bin/true, protocol: hook, enabled: false}
    proxy: {binary: /bin/true}
"""


def test_hooks_are_asked_in_the_order_they_are_named(compile_text: Compile) -> None:
    keys = (
        "hooks: [{name: filter, events: [update, prompt], timeout: 1s, on_failure: skip},"
        " {unit: audit.service}]"
    )
    assert agent(compile_text, keys, HOOKS).hooks == (
        HookUse(
            unit=UnitName("filter.service"),
            events=(HookEvent.PROMPT, HookEvent.UPDATE),
            timeout_s=1,
            on_failure=HookFailure.SKIP,
        ),
        HookUse(unit=UnitName("audit.service")),
    )


def test_a_hook_that_is_switched_off_is_left_out_where_it_may_be_skipped(
    compile_text: Compile,
) -> None:
    assert agent(compile_text, "hooks: [{name: off, on_failure: skip}]", HOOKS).hooks == ()


def test_a_hook_has_a_handshake(compile_text: Compile) -> None:
    plan = compile_text(HOOKS).plan
    assert plan is not None
    unit = plan.units[UnitName("audit.service")]
    assert (unit.protocol, unit.readiness) == (Protocol.HOOK, ReadinessType.INITIALIZE)


BAD_HOOKS = {
    "unknown-entry": ("name: audits", "name: no service 'audits' (did you mean 'audit'?)"),
    "unknown-unit": (
        "unit: audi.service",
        "unit: no unit 'audi.service' (did you mean 'audit.service'?)",
    ),
    "no-hook": ("name: proxy", "name: proxy.service speaks protocol service, expected hook"),
    "an-agent": ("unit: a.agent", "unit: a.agent speaks protocol acp, expected hook"),
    "switched-off": (
        "name: off",
        (
            "name: off.service is disabled, and this unit cannot do without it; enable it, or say"
            " on_failure: skip"
        ),
    ),
}


@pytest.mark.parametrize(("said", "finding"), BAD_HOOKS.values(), ids=BAD_HOOKS)
def test_a_hook_that_cannot_be_asked_is_an_error(
    compile_text: Compile, said: str, finding: str
) -> None:
    text = f"{HOOKS}agents_manager: {{agents: {{a: {{exec: /bin/true, hooks: [{{{said}}}]}}}}}}\n"
    key = "agents_manager.agents.a.hooks[0]."
    assert lines(compile_text(text)) == [f"anyclaw.yaml:7:63: error: {key}{finding}"]


def test_a_hook_is_named_once(compile_text: Compile) -> None:
    said = "{name: audit, unit: audit.service}"
    text = f"{HOOKS}agents_manager: {{agents: {{a: {{exec: /bin/true, hooks: [{said}, {{}}]}}}}}}\n"
    assert [line.partition(": error: ")[2] for line in lines(compile_text(text))] == [
        "agents_manager.agents.a.hooks[0]: names its service twice, expected unit or name",
        "agents_manager.agents.a.hooks[1]: needs the key 'unit' or 'name'",
    ]


SHORT = {
    "delivery": (
        "channels_manager: {channels: {c: {binary: '@ext/channels/debug-http', delivery_ttl: 0}}}\n"
        + AGENT,
        (
            "1:85: error: channels_manager.channels.c.delivery_ttl: expected a duration of at least"
            " 1s, found 0"
        ),
    ),
    "hook": (
        HOOKS + "agents_manager: {agents: {a: {exec: sh, hooks: [{name: audit, timeout: 1ms}]}}}\n",
        (
            "7:72: error: agents_manager.agents.a.hooks[0].timeout: expected a duration of at least"
            " 10ms, found 1ms"
        ),
    ),
    "code": (
        "access: {pairing: {ttl: 500ms}}\n",
        "1:25: error: access.pairing.ttl: expected a duration of at least 1s, found 500ms",
    ),
    "worker": (
        "agents_manager: {agents: {a: {exec: sh, max_workers: 2, worker_idle: 0}}}\n",
        (
            "1:70: error: agents_manager.agents.a.worker_idle: expected a duration of at least"
            " 100ms, found 0"
        ),
    ),
}


@pytest.mark.parametrize(("text", "finding"), SHORT.values(), ids=SHORT)
def test_what_would_be_over_at_once_is_an_error(
    compile_text: Compile, text: str, finding: str
) -> None:
    assert lines(compile_text(text)) == [f"anyclaw.yaml:{finding}"]


ACCESS = """\
agents_manager: {agents: {default: {exec: /bin/true}, my bot: {exec: /bin/true}}}
channels_manager: {channels: {tg: {binary: /bin/true, options: {allow_from: [1]}}}}
"""


def test_without_the_key_access_is_nobodys_business(compile_text: Compile) -> None:
    plan = compile_text(ACCESS).plan
    assert plan is not None
    assert plan.settings.access is None


def test_access_names_what_there_is(compile_text: Compile) -> None:
    outcome = compile_text(
        ACCESS + "access:\n  rules:\n"
        "    - {channel: tg, peer: -100815, kind: group, agent: my bot}\n"
        '    - {channel: "*", peer: "telegram:1", allow: false}\n'
        "    - {}\n"
        "  pairing: {enabled: true, ttl: 10min, max_pending: 1}\n"
    )
    assert outcome.plan is not None, lines(outcome)
    assert outcome.plan.settings.access == Access(
        default=AccessDefault.CLOSED,
        rules=(
            AccessRule(channel="tg", peer="-100815", kind="group", agent="my\\x20bot"),
            AccessRule(peer="telegram:1", allow=False),
            AccessRule(),
        ),
        pairing=Pairing(enabled=True, ttl_s=600, max_pending=1),
    )


def test_an_empty_access_is_closed(compile_text: Compile) -> None:
    plan = compile_text("access: {}\n").plan
    assert plan is not None
    assert plan.settings.access == Access()


def test_a_rule_about_what_is_not_there_is_an_error(compile_text: Compile) -> None:
    text = ACCESS + "access: {rules: [{channel: tgg}, {agent: defalt}], default: open}\n"
    assert lines(compile_text(text)) == [
        "anyclaw.yaml:3:28: error: access.rules[0].channel: no channel 'tgg' (did you mean 'tg'?)",
        (
            "anyclaw.yaml:3:42: error: access.rules[1].agent: no agent 'defalt'"
            " (did you mean 'default'?)"
        ),
    ]


def test_an_unknown_key_of_access_is_an_error(compile_text: Compile) -> None:
    assert lines(compile_text("access: {rule: []}\n")) == [
        "anyclaw.yaml:1:10: error: access.rule: unknown key (did you mean 'rules'?)"
    ]


def test_permissions_that_nobody_can_be_asked_about(compile_text: Compile) -> None:
    plan = compile_text("supervisor: {permissions: {unroutable: allow_first}}\n").plan
    assert plan is not None
    assert plan.settings.unroutable_permissions is Unroutable.ALLOW_FIRST


def test_how_long_things_are_kept(compile_text: Compile) -> None:
    plan = compile_text(
        "session_store: {type: sqlite, path: /var/s.db, ttl_days: 1, keep_messages: 2h,"
        " keep_history: 0}\n"
    ).plan
    assert plan is not None
    assert plan.settings.session_store == SessionStore(
        type=StoreType.SQLITE,
        path="/var/s.db",
        ttl_days=1,
        keep_messages_s=7200,
        keep_history_s=0,
    )

"""Configurations as the original has them compile into units that mean the same."""

import sys

import pytest

from anyclawd.compile.anyclaw import escape
from anyclawd.model.deps import Ref
from anyclawd.model.plan import LogFormat, SessionStore, Settings, StoreType
from anyclawd.model.policy import Backoff, ReadinessType, Restart, StartLimit, Timeouts
from anyclawd.model.span import Span
from anyclawd.model.tool import ToolRole
from anyclawd.model.unit import Ack, Protocol, ReactionLifecycle, Unit
from tests.unit.compile.conftest import CONFIG, Compile, lines

FAKE_AGENT = """\
log_level: info
extensions_dir: /usr/local/bin
agents_manager:
  agents:
    default:
      workspace:
        type: local
        binary: "@built-in/agents/mock-agent"
      options:
        thinking: true
channels_manager:
  channels:
    debug-http:
      binary: "@built-in/channels/debug-http"
      agent: default
      options: {host: 127.0.0.1, port: 8080}
    telegram:
      binary: "@built-in/channels/telegram"
      enabled: !env "TELEGRAM_ENABLED:false"
      options:
        bot_token: !env "TELEGRAM_BOT_TOKEN:"
        ack: {reaction: true, typing: true, reaction_lifecycle: replace_done}
supervisor:
  shutdown_timeout_secs: 20
  admin_port: 3000
"""

REAL_AGENT = """\
log_format: json
agents_manager:
  acp_timeout_secs: 120
  shutdown_grace_ms: 500
  prompt_idle_timeout_secs: 60
  agents:
    opencode:
      workspace:
        type: docker
        image: anyclaw-opencode
        entrypoint: [opencode, acp]
        docker_host: tcp://socket-proxy:2375
        network: anyclaw-internal
        pull_policy: never
        memory_limit: 2g
        cpu_limit: "1.5"
        working_dir: /workspace
        volumes: ["workspace:/workspace", "/etc/x:/x:ro"]
        extra_hosts: ["host:10.0.0.1"]
        env: {ANTHROPIC_API_KEY: !env ANTHROPIC_API_KEY, DEBUG: true}
      tools: [system-info]
      backoff: {base_delay_ms: 250, max_delay_secs: 10}
      crash_tracker: {max_crashes: 3, window_secs: 30}
tools_manager:
  tools_server_host: anyclaw
  tools:
    system-info: {binary: "@built-in/tools/system-info", description: tells about the system}
    other: {binary: /bin/true}
channels_manager:
  init_timeout_secs: 20
  channels:
    telegram:
      binary: "@built-in/channels/telegram"
      agent: opencode
      exit_timeout_secs: 9
      options: {bot_token: !env TELEGRAM_BOT_TOKEN}
session_store: {type: sqlite, path: data/sessions.db, ttl_days: 7}
supervisor: {max_restarts: 7, restart_window_secs: 90, permission_timeout_secs: 45}
"""
KEYS = {"ANTHROPIC_API_KEY": "sk-1", "TELEGRAM_BOT_TOKEN": "1:a"}


def units(compile_text: Compile, text: str, **more: object) -> dict[str, Unit]:
    outcome = compile_text(text, **more)
    assert outcome.plan is not None, lines(outcome)
    return dict(outcome.plan.units)


def test_the_fake_agent_example_becomes_an_agent_and_a_channel(compile_text: Compile) -> None:
    found = units(compile_text, FAKE_AGENT)
    agent, channel = found["default.agent"], found["debug-http.channel"]
    assert agent.argv == (sys.executable, "/data/ext/agents/mock")
    assert (agent.protocol, agent.readiness) == (Protocol.ACP, ReadinessType.INITIALIZE)
    assert agent.options == {"thinking": True}
    assert agent.agent is not None
    assert agent.agent.cwd == "/run/here"
    assert channel.channel is not None
    assert channel.channel.agent == "default.agent"
    assert channel.timeouts == Timeouts(start_s=10, stop_s=5)
    assert (agent.restart, agent.timeouts) == (Restart.ALWAYS, Timeouts())


def test_what_is_switched_off_is_not_in_the_graph(compile_text: Compile) -> None:
    outcome = compile_text(FAKE_AGENT)
    assert outcome.plan is not None
    assert outcome.plan.disabled == ("telegram.channel",)
    assert "telegram.channel" not in outcome.plan.units
    on = compile_text(FAKE_AGENT, environ={"TELEGRAM_ENABLED": "true"})
    assert on.plan is not None
    telegram = on.plan.units["telegram.channel"]
    assert telegram.problem == (
        "the extension channels/telegram is not part of this version, and"
        " /usr/local/bin/channels/telegram is no program; put one there, or disable the unit"
    )
    assert telegram.channel is not None
    assert telegram.channel.ack == Ack(
        reaction=True, typing=True, reaction_lifecycle=ReactionLifecycle.REPLACE_DONE
    )


def test_the_boot_order_is_the_originals(compile_text: Compile) -> None:
    outcome = compile_text(FAKE_AGENT)
    assert outcome.plan is not None
    assert outcome.plan.order == (
        "admin.core",
        "services.target",
        "orchestrator.core",
        "debug-http.channel",
        "channels.target",
        "store.core",
        "tools.target",
        "default.agent",
        "agents.target",
        "default.target",
    )
    at = Span(CONFIG, 13, 5)
    assert outcome.plan.units["debug-http.channel"].deps.after == (
        Ref(unit="orchestrator.core", span=at),
    )
    assert (
        Ref(unit="debug-http.channel", span=at) in outcome.plan.units["channels.target"].deps.wants
    )


def test_the_real_agent_example_compiles_and_says_what_cannot_start(compile_text: Compile) -> None:
    found = units(compile_text, REAL_AGENT, environ=KEYS)
    agent, tool = found["opencode.agent"], found["system-info.tool"]
    assert agent.problem == (
        "docker workspaces are not supported by this version; say workspace: {type: local} with the"
        " agent's program, or with docker run as the program"
    )
    assert agent.environment == {
        "ANTHROPIC_API_KEY": {"!secret": {"env": "ANTHROPIC_API_KEY", "default": None}},
        "DEBUG": "true",
    }
    assert agent.agent is not None
    assert (agent.agent.cwd, agent.agent.tools) == ("/workspace", ("system-info.tool",))
    assert agent.agent.prompt_idle_timeout_s == 60
    assert agent.backoff == Backoff(initial_s=0.25, max_s=10)
    assert agent.start_limit == StartLimit(burst=3, interval_s=30)
    assert agent.timeouts == Timeouts(start_s=120, stop_s=0.5)
    assert tool.tool == ToolRole(description="tells about the system")
    channel = found["telegram.channel"]
    assert channel.timeouts == Timeouts(start_s=20, stop_s=9)
    assert channel.start_limit == StartLimit(burst=7, interval_s=90)
    assert found["store.core"].problem == ""


def test_the_daemon_s_own_settings_are_read(compile_text: Compile) -> None:
    outcome = compile_text(REAL_AGENT, environ=KEYS)
    assert outcome.plan is not None
    assert outcome.plan.settings == Settings(
        log_format=LogFormat.JSON,
        permission_timeout_s=45,
        tools_server_host="anyclaw",
        session_store=SessionStore(type=StoreType.SQLITE, path="/run/here/data/sessions.db"),
    )


def test_settings_left_out_have_the_original_s_defaults(compile_text: Compile) -> None:
    outcome = compile_text("{}")
    assert outcome.plan is not None
    assert outcome.plan.settings == Settings()


def test_admin_settings_are_read(compile_text: Compile) -> None:
    outcome = compile_text(
        'admin: {socket_mode: "0660", socket_group: claw}\n'
        "supervisor: {admin_port: 0, start_concurrency: 2}\n"
    )
    assert outcome.plan is not None
    assert outcome.plan.settings == Settings(
        admin_socket_mode=0o660, admin_socket_group="claw", admin_port=0, start_concurrency=2
    )


def test_no_tools_listed_means_all_of_them(compile_text: Compile) -> None:
    text = REAL_AGENT.replace("[system-info]", "[]")
    agent = units(compile_text, text, environ=KEYS)["opencode.agent"]
    star = units(compile_text, text.replace("tools: []", 'tools: ["*"]'), environ=KEYS)
    assert agent.agent is not None
    assert agent.agent.tools == ("system-info.tool", "other.tool")
    assert star["opencode.agent"].agent == agent.agent


def test_settings_beside_the_original_keys_win_over_them(compile_text: Compile) -> None:
    text = (
        "channels_manager:\n  channels:\n    c:\n      binary: /bin/true\n"
        "      init_timeout_secs: 20\n      timeouts: {start: 1min}\n"
        "      backoff: {base_delay_ms: 5, initial: 1s, factor: 3}\n"
    )
    channel = units(compile_text, text)["c.channel"]
    assert channel.timeouts.start_s == 60
    assert channel.backoff == Backoff(initial_s=1, factor=3)


def test_any_process_is_a_service_without_a_protocol(compile_text: Compile) -> None:
    text = (
        "units:\n"
        "  web.service:\n"
        "    exec: [sh, -c, 'echo hello']\n"
        "    protocol: none\n"
        "    restart: on-failure\n"
        "    environment: {PORT: 80, QUIET: false, RATE: 0.5}\n"
        "    working_dir: srv\n"
        "    required: true\n"
    )
    found = units(compile_text, text)
    web = found["web.service"]
    assert web.argv == ("/bin/sh", "-c", "echo hello")
    assert (web.readiness, web.restart) == (ReadinessType.STARTED, Restart.ON_FAILURE)
    assert web.environment == {"PORT": "80", "QUIET": "false", "RATE": "0.5"}
    assert web.working_dir == "/run/here/srv"
    assert [ref.unit for ref in found["default.target"].deps.requires] == ["web.service"]
    assert web.deps.after == ()


def test_a_variable_is_handed_on_as_it_is(compile_text: Compile) -> None:
    text = (
        "units: {a.service: {exec: [/bin/true, !env V], protocol: none,"
        " environment: {V: !env V}}}\n"
    )
    unit = units(compile_text, text, environ={"V": "2024.10"})["a.service"]
    assert (unit.argv[1], unit.environment["V"]) == ("2024.10", "2024.10")


def test_services_speak_the_service_protocol_unless_told_otherwise(compile_text: Compile) -> None:
    text = "services_manager: {services: {p: {binary: /bin/true, args: [-x], options: {a: 1}}}}\n"
    service = units(compile_text, text)["p.service"]
    assert (service.protocol, service.readiness) == (Protocol.SERVICE, ReadinessType.INITIALIZE)
    assert service.argv == ("/bin/true", "-x")


@pytest.mark.parametrize("section", ["services", "tools"])
def test_an_entry_of_ours_says_its_backoff_itself(compile_text: Compile, section: str) -> None:
    said = "{initial: 1s, factor: 1, max: 2s, jitter: 0, stable_after: 3s}"
    text = f"{section}_manager: {{{section}: {{x: {{binary: /bin/true, backoff: {said}}}}}}}\n"
    unit = units(compile_text, text)[f"x.{section.removesuffix('s')}"]
    assert unit.backoff == Backoff(initial_s=1, factor=1, max_s=2, jitter=0, stable_after_s=3)


def test_a_one_shot_is_not_started_again_after_success(compile_text: Compile) -> None:
    text = "units: {a.service: {exec: /bin/true, protocol: none, readiness: {type: exited}}}\n"
    assert units(compile_text, text)["a.service"].restart is Restart.ON_FAILURE


def test_wasm_tools_cannot_start_yet(compile_text: Compile) -> None:
    text = "tools_manager: {tools: {w: {tool_type: wasm, module: x.wasm}}}\n"
    problem = units(compile_text, text)["w.tool"].problem
    assert problem == ("wasm tools are not supported by this version; name an MCP server as binary")


NAMES = {
    "plain": ("my-bot_1.x:y", "my-bot_1.x:y"),
    "space": ("my bot", "my\\x20bot"),
    "slash": ("a/b", "a-b"),
    "leading-dot": (".a", "\\x2ea"),
    "dash-among-others": ("a b-c", "a\\x20b\\x2dc"),
    "at": ("a@b", "a\\x40b"),
    "unicode": ("ü", "\\xc3\\xbc"),
}


@pytest.mark.parametrize(("key", "escaped"), NAMES.values(), ids=NAMES)
def test_an_entry_s_key_becomes_part_of_a_unit_name(key: str, escaped: str) -> None:
    assert escape(key) == escaped


def test_an_escaped_unit_is_found_by_its_key(compile_text: Compile) -> None:
    text = (
        "agents_manager: {agents: {my bot: {exec: /bin/true}}}\n"
        "channels_manager: {channels: {c: {exec: /bin/true, agent: my bot}}}\n"
    )
    channel = units(compile_text, text)["c.channel"].channel
    assert channel is not None
    assert channel.agent == "my\\x20bot.agent"


def test_a_channel_to_an_agent_that_is_switched_off_is_warned_of(compile_text: Compile) -> None:
    text = (
        "agents_manager: {agents: {default: {exec: /bin/true, enabled: false}}}\n"
        "channels_manager: {channels: {c: {exec: /bin/true}}}\n"
        "access: {default: open}\n"
    )
    outcome = compile_text(text)
    assert outcome.plan is not None
    assert lines(outcome) == [
        (
            "anyclaw.yaml:2:31: warning: channels_manager.channels.c.agent: the agent"
            " default.agent is"
            " disabled, so messages of this channel are refused"
        )
    ]


def test_a_cpu_weight_is_not_ignored_in_silence(compile_text: Compile) -> None:
    text = (
        "units:\n  a.service: {exec: /bin/true, protocol: none,"
        " resources: {cpu_weight: 5, memory_max: 64m}}\n"
    )
    outcome = compile_text(text + "supervisor: {cgroup: never}\n")
    assert outcome.plan is not None
    assert outcome.plan.units["a.service"].resources.memory_max_bytes == 2**26
    assert [line.partition(" warning: ")[2] for line in lines(outcome)] == [
        (
            "units.a.service.resources.cpu_weight: has no effect: supervisor.cgroup is never, and"
            " only a control group has weight"
        )
    ]
    assert lines(compile_text(text)) == []

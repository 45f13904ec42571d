"""Every bad configuration is told at its place, with what was found and what was expected."""

import pytest

from anyclawd.compile.compiler import compile_config
from tests.fakes.paper_world import PaperWorld
from tests.unit.compile.conftest import CONFIG, Compile, lines

#: Whoever can reach a channel is meant to.
OPEN = "access: {default: open}\n"
AGENT = "agents_manager: {agents: {default: {workspace: {type: local, binary: /bin/true}}}}\n"


def agent(keys: str) -> str:
    """A configuration whose one agent `a` has these keys of its workspace."""
    return f"agents_manager:\n  agents:\n    a:\n      workspace: {{{keys}}}\n"


def service(keys: str) -> str:
    return f"units:\n  a.service: {{exec: /bin/true, protocol: none, {keys}}}\n"


BAD = {
    "wrong-type": (
        "supervisor: {admin_port: many}\n",
        "1:26: error: supervisor.admin_port: expected a whole number, found 'many'",
    ),
    "out-of-range": (
        "supervisor: {admin_port: 70000}\n",
        "1:26: error: supervisor.admin_port: expected a whole number from 0 to 65535, found 70000",
    ),
    "variable-that-is-not-set-in-a-map-of-text": (
        service("environment: {K: !env NOPE}"),
        (
            "2:65: error: units.a.service.environment.K: the variable NOPE is not set; set it,"
            ' or write !env "NOPE:default"'
        ),
    ),
    "list-for-a-map": (
        "agents_manager: []\n",
        "1:17: error: agents_manager: expected a map, found a list",
    ),
    "root-is-no-map": ("- a\n", "1:1: error: expected a map, found a list"),
    "boolean-in-words": (
        service("required: yes"),
        "2:58: error: units.a.service.required: expected true or false, found 'yes'",
    ),
    "word-that-is-none": (
        service("restart: alway"),
        (
            "2:57: error: units.a.service.restart: expected one of always, on-failure, on-abnormal,"
            " never, found 'alway' (did you mean 'always'?)"
        ),
    ),
    "bad-duration": (
        service("timeouts: {start: soon}"),
        (
            "2:66: error: units.a.service.timeouts.start: expected a duration such as 30, 500ms or"
            " 1min 30s, found 'soon'"
        ),
    ),
    "negative-duration": (
        service("watchdog: -1"),
        (
            "2:58: error: units.a.service.watchdog: expected a duration such as 30, 500ms or"
            " 1min 30s, found -1"
        ),
    ),
    "bad-size": (
        service("stdout_line_max: 5x"),
        (
            "2:65: error: units.a.service.stdout_line_max: expected a size such as 65536, 512m or"
            " 16 MiB, found '5x'"
        ),
    ),
    "bad-memory-limit": (
        agent("type: docker, image: x, memory_limit: lots"),
        (
            "4:57: error: agents_manager.agents.a.workspace.memory_limit: expected a size such as"
            " 65536, 512m or 16 MiB, found 'lots'"
        ),
    ),
    "bad-cpu-limit": (
        agent("type: docker, image: x, cpu_limit: half"),
        (
            "4:54: error: agents_manager.agents.a.workspace.cpu_limit: expected a number of"
            " processors such as \"1.5\", found 'half'"
        ),
    ),
    "bad-volume": (
        agent("type: docker, image: x, volumes: [/data]"),
        (
            "4:53: error: agents_manager.agents.a.workspace.volumes[0]: expected host:container or"
            " host:container:ro, found '/data'"
        ),
    ),
    "bad-docker-host": (
        agent("type: docker, image: x, docker_host: localhost"),
        (
            "4:56: error: agents_manager.agents.a.workspace.docker_host: expected a URI that begins"
            " with unix:// or tcp://, found 'localhost'"
        ),
    ),
    "bad-pull-policy": (
        agent("type: docker, image: x, pull_policy: sometimes"),
        (
            "4:56: error: agents_manager.agents.a.workspace.pull_policy: expected one of always,"
            " never, if_not_present, '', found 'sometimes'"
        ),
    ),
    "bad-host-name": (
        "tools_manager: {tools_server_host: bad_host}\n",
        (
            "1:36: error: tools_manager.tools_server_host: expected an IP address or a host name,"
            " found 'bad_host'"
        ),
    ),
    "no-workspace": (
        "agents_manager: {agents: {a: {tools: []}}}\n",
        "1:27: error: agents_manager.agents.a: needs the key 'workspace' or 'exec'",
    ),
    "no-image": (
        agent("type: docker"),
        "4:7: error: agents_manager.agents.a.workspace: needs the key 'image'",
    ),
    "no-workspace-type": (
        agent("binary: x"),
        "4:7: error: agents_manager.agents.a.workspace: needs the key 'type', one of local, docker",
    ),
    "unknown-workspace-type": (
        agent("type: lokal"),
        (
            "4:25: error: agents_manager.agents.a.workspace.type: expected one of local, docker,"
            " found 'lokal' (did you mean 'local'?)"
        ),
    ),
    "no-tool-binary": (
        "tools_manager: {tools: {t: {}}}\n",
        "1:25: error: tools_manager.tools.t: needs the key 'binary' or 'exec'",
    ),
    "no-wasm-module": (
        "tools_manager: {tools: {t: {tool_type: wasm}}}\n",
        "1:25: error: tools_manager.tools.t: needs the key 'module'",
    ),
    "unknown-key-of-ours": (
        service("restrat: never"),
        "2:48: error: units.a.service.restrat: unknown key (did you mean 'restart'?)",
    ),
    "setting-of-another-kind": (
        "units: {a.target: {exec: /bin/true}}\n",
        "1:20: error: units.a.target.exec: unknown key",
    ),
    "no-unit-name": (
        "units: {a.servise: {}}\n",
        (
            "1:9: error: units.a.servise: 'a.servise' names no unit, expected <name>.<kind> with a"
            " kind of service, tool, channel, agent, target"
        ),
    ),
    "no-unit-name-by-its-characters": (
        "units: {a/b.service: {}}\n",
        (
            "1:9: error: units.a/b.service: 'a/b.service' names no unit, expected <name>.<kind> or"
            " <name>@<argument>.<kind>, where name and argument are of letters, digits and"
            " : _ . - \\, at most 200 each"
        ),
    ),
    "no-such-core-unit": (
        "units: {orchestrater.core: {}}\n",
        (
            "1:9: error: units.orchestrater.core: no core unit 'orchestrater.core'"
            " (did you mean 'orchestrator.core'?)"
        ),
    ),
    "unit-without-a-program": (
        "units: {a.agent: {}}\n",
        "1:9: error: units.a.agent: needs the key 'exec', or an entry 'a' in agents_manager.agents",
    ),
    "no-such-extension": (
        agent('type: local, binary: "@built-in/agents/mok"'),
        (
            "4:40: error: agents_manager.agents.a.workspace.binary: no built-in extension"
            " 'agents/mok' (did you mean 'agents/mock'?)"
        ),
    ),
    "no-such-ext-directory": (
        'units: {a.agent: {exec: "@ext/agents/moc"}}\n',
        "1:25: error: units.a.agent.exec: no extension 'agents/moc' (did you mean 'agents/mock'?)",
    ),
    "reference-to-nothing": (
        service("after: [orchestrater.core]"),
        (
            "2:56: error: units.a.service.after[0]: no unit 'orchestrater.core'"
            " (did you mean 'orchestrator.core'?)"
        ),
    ),
    "reference-that-is-no-name": (
        service("wants: [b]"),
        (
            "2:56: error: units.a.service.wants[0]: expected the full name of a unit,"
            " <name>.<kind>,"
            " found 'b'"
        ),
    ),
    "reference-to-itself": (
        service("requires: [a.service]"),
        "2:59: error: units.a.service.requires[0]: a unit cannot name itself in requires",
    ),
    "healthy-without-a-health-check": (
        service("after: [{unit: b.service, until: healthy}]")
        + "  b.service: {exec: /bin/true, protocol: none}\n",
        (
            "2:63: error: units.a.service.after[0]: until: healthy needs a health check, and"
            " b.service has none"
        ),
    ),
    "cycle-of-one": (
        service("after: [a.service]"),
        "2:56: error: a.service: ordering cycle: the unit waits for itself",
    ),
    "wrong-protocol": (
        "units: {a.agent: {exec: /bin/true, protocol: none}}\n",
        "1:46: error: units.a.agent.protocol: expected acp for this kind of unit, found 'none'",
    ),
    "initialize-without-a-protocol": (
        service("readiness: {type: initialize}"),
        (
            "2:59: error: units.a.service.readiness.type: a unit with protocol none answers no"
            " initialize, expected another type"
        ),
    ),
    "one-shot-with-a-protocol": (
        "units: {a.agent: {exec: /bin/true, readiness: {type: exited}}}\n",
        (
            "1:47: error: units.a.agent.readiness.type: a unit with protocol acp is ready while it"
            " runs, expected another type"
        ),
    ),
    "two-units-of-one-name": (
        (
            "services_manager:\n  services:\n    a-b: {binary: /bin/true}\n"
            "    a/b: {binary: /bin/true}\n"
        ),
        (
            "4:5: error: services_manager.services.a/b: two units of one name: a-b.service"
            " stands at"
            " anyclaw.yaml:3:5 already"
        ),
    ),
    "no-number-for-json": (
        service("options: {a: [.nan]}"),
        (
            "2:62: error: units.a.service.options.a[0]: expected a finite number, or text"
            " in quotes,"
            " found nan"
        ),
    ),
    "no-name-of-a-variable": (
        service("pass_environment: [A B]"),
        (
            "2:67: error: units.a.service.pass_environment[0]: expected the name of a variable,"
            " found 'A B'"
        ),
    ),
    "map-in-the-environment": (
        service("environment: {A: {}}"),
        "2:65: error: units.a.service.environment.A: expected text, found a map",
    ),
    "empty-program": (
        "units: {a.service: {exec: []}}\n",
        "1:27: error: units.a.service.exec: expected a program, found a list",
    ),
    "workers-the-wrong-way-round": (
        "agents_manager: {agents: {a: {exec: /bin/true, min_workers: 2}}}\n",
        "1:61: error: agents_manager.agents.a.min_workers: min_workers 2 is more than max_workers",
    ),
    "wrong-option-of-an-extension": (
        'units: {a.agent: {exec: "@ext/agents/mock", options: {thinking: 3}}}\n',
        "1:65: error: units.a.agent.options.thinking: expected true or false, found 3",
    ),
    "port-that-is-none": (
        'units: {a.channel: {exec: "@ext/channels/debug-http", agent: default,'
        " options: {port: 70000}}}\n" + AGENT,
        (
            "1:87: error: units.a.channel.options.port: expected what its schema says"
            " (The port to listen on; 0 takes a free one.), found 70000"
        ),
    ),
    "no-schema": (
        service("options_schema: {type: 3}"),
        (
            "2:64: error: units.a.service.options_schema: not a JSON Schema: type: 3 is not valid"
            " under any of the given schemas"
        ),
    ),
    "schema-with-a-bad-pattern": (
        service("options_schema: {properties: {a: {pattern: '['}}}"),
        (
            "2:64: error: units.a.service.options_schema: the pattern '[' is no regular"
            " expression: unterminated character set at position 0"
        ),
    ),
    "schema-without-an-end": (
        service("options_schema: {$ref: '#'}"),
        ("2:64: error: units.a.service.options_schema: the references of the schema have no end"),
    ),
    "schema-that-refers-elsewhere": (
        service("options_schema: {$ref: 'http://example.org/x'}"),
        (
            "2:64: error: units.a.service.options_schema: the reference 'http://example.org/x'"
            " leads nowhere, expected '#/...' inside of it"
        ),
    ),
    "schema-that-refers-to-nothing": (
        service("options_schema: {allOf: [{$ref: '#/$defs/a'}]}"),
        (
            "2:64: error: units.a.service.options_schema: the reference '#/$defs/a' leads"
            " nowhere, expected '#/...' inside of it"
        ),
    ),
    "octal-without-quotes": (
        "admin: {socket_mode: 0660}\n",
        (
            "1:22: error: admin.socket_mode: expected permissions in octal and in quotes, such as"
            ' "0660", found 660'
        ),
    ),
    "no-such-agent": (
        AGENT + "channels_manager: {channels: {c: {binary: /bin/true, agent: defalt}}}\n" + OPEN,
        (
            "2:61: error: channels_manager.channels.c.agent: no agent 'defalt'"
            " (did you mean 'default'?)"
        ),
    ),
    "no-such-tool": (
        (
            "agents_manager: {agents: {a: {exec: /bin/true, tools: [sys]}}}\n"
            "tools_manager: {tools: {system-info: {binary: /bin/true}}}\n"
        ),
        "1:56: error: agents_manager.agents.a.tools[0]: no tool 'sys'",
    ),
    "number-for-text": (
        "channels_manager: {channels: {c: {binary: /bin/true, args: [--port, 3000]}}}\n"
        + AGENT
        + OPEN,
        "1:69: error: channels_manager.channels.c.args[1]: expected text, in quotes, found 3000",
    ),
    "unknown-key-of-a-service": (
        "services_manager: {services: {s: {binary: /bin/true, arg: [x]}}}\n",
        "1:54: error: services_manager.services.s.arg: unknown key (did you mean 'args'?)",
    ),
    "conflict-with-what-it-needs": (
        service("requires: [b.service], conflicts: [b.service]")
        + "  b.service: {exec: /bin/true, protocol: none}\n",
        (
            "2:83: error: units.a.service.conflicts: conflicts with b.service, which is in requires"
            " too"
        ),
    ),
    "disabled-and-required": (
        service("requires: [b.service]")
        + "  b.service: {exec: /bin/true, protocol: none, enabled: false}\n",
        (
            "2:59: error: units.a.service.requires[0]: b.service is disabled, and this unit cannot"
            " do without it"
        ),
    ),
    "hook-of-mixed-programs": (
        service("exec_start_pre: [/bin/a, [/bin/b]]"),
        (
            "2:65: error: units.a.service.exec_start_pre[0]: expected a program in a list, as"
            " others here are, found '/bin/a'"
        ),
    ),
    "hook-without-a-program": (
        service("exec_reload: [[]]"),
        "2:62: error: units.a.service.exec_reload[0]: expected a program, found a list",
    ),
    "hook-that-is-a-dash": (
        service("exec_stop_post: ['-']"),
        "2:65: error: units.a.service.exec_stop_post[0]: expected a program, found '-'",
    ),
    "hook-that-is-a-map": (
        service("exec_start_post: {a: b}"),
        "2:65: error: units.a.service.exec_start_post: expected a program, found a map",
    ),
    "hook-with-a-number": (
        service("exec_start_post: [/bin/sleep, 3]"),
        "2:78: error: units.a.service.exec_start_post[1]: expected text, in quotes, found 3",
    ),
    "hook-of-a-target": (
        "units: {a.target: {exec_start_pre: /bin/true}}\n",
        "1:20: error: units.a.target.exec_start_pre: unknown key",
    ),
    "hook-of-a-core-unit": (
        "units: {admin.core: {exec_start_post: /bin/true}}\n",
        "1:22: error: units.admin.core.exec_start_post: unknown key",
    ),
    "hook-of-no-extension": (
        service('exec_start_pre: ["@ext/agents/moc"]'),
        (
            "2:65: error: units.a.service.exec_start_pre: no extension 'agents/moc' (did you"
            " mean 'agents/mock'?)"
        ),
    ),
    "unknown-condition": (
        service("condition: {path_exist: /x}"),
        (
            "2:60: error: units.a.service.condition.path_exist: unknown key (did you mean"
            " 'path_exists'?)"
        ),
    ),
    "condition-of-no-path": (
        service("condition: {path_exists: ['!!x']}"),
        "2:74: error: units.a.service.condition.path_exists[0]: expected a path, found '!!x'",
    ),
    "condition-of-a-map": (
        service("condition: {path_exists: {a: b}}"),
        "2:73: error: units.a.service.condition.path_exists: expected a path, found a map",
    ),
    "condition-of-no-variable": (
        service("condition: {environment: [A B]}"),
        (
            "2:74: error: units.a.service.condition.environment[0]: expected NAME, !NAME or"
            " NAME=value, found 'A B'"
        ),
    ),
    "condition-of-mixed-programs": (
        service("condition: {command: [[/bin/a], /bin/b]}"),
        (
            "2:80: error: units.a.service.condition.command[1]: expected a program in a list,"
            " as others here are, found '/bin/b'"
        ),
    ),
    "unknown-isolation": (
        service("isolate: net"),
        "2:57: error: units.a.service.isolate: expected one of none, pid, found 'net'",
    ),
    "pattern-that-is-none": (
        service("readiness: {type: log, pattern: '(['}"),
        (
            "2:80: error: units.a.service.readiness.pattern: '([' is no regular expression:"
            " unterminated character set at position 1"
        ),
    ),
    "empty-pattern": (
        service("readiness: {type: log, pattern: ''}"),
        ("2:80: error: units.a.service.readiness.pattern: expected a regular expression, found ''"),
    ),
    "readiness-without-its-pattern": (
        service("readiness: {type: log}"),
        "2:48: error: units.a.service.readiness: needs the key 'pattern'",
    ),
    "readiness-without-a-scheme": (
        service("readiness: {type: http, url: localhost}"),
        (
            "2:77: error: units.a.service.readiness.url: expected a URL that begins with"
            " http:// or https://, found 'localhost'"
        ),
    ),
    "readiness-at-no-address": (
        service("health: {type: http, url: 'http://[::1:80/'}"),
        (
            "2:74: error: units.a.service.health.url: expected a URL with a host and a port up to"
            " 65535, found 'http://[::1:80/'"
        ),
    ),
    "readiness-at-no-port": (
        service("readiness: {type: http, url: 'http://localhost:70000/'}"),
        (
            "2:77: error: units.a.service.readiness.url: expected a URL with a host and a port up"
            " to 65535, found 'http://localhost:70000/'"
        ),
    ),
    "readiness-of-no-port": (
        service("readiness: {type: tcp, port: 0}"),
        (
            "2:77: error: units.a.service.readiness.port: expected a whole number from 1 to"
            " 65535, found 0"
        ),
    ),
    "readiness-with-a-port-in-quotes": (
        service("readiness: {type: tcp, port: '80'}"),
        "2:77: error: units.a.service.readiness.port: expected a whole number, found '80'",
    ),
    "readiness-without-its-command": (
        service("readiness: {type: command}"),
        "2:48: error: units.a.service.readiness: needs the key 'exec'",
    ),
    "readiness-with-an-empty-command": (
        service("readiness: {type: command, exec: []}"),
        "2:81: error: units.a.service.readiness.exec: expected a program, found a list",
    ),
    "unknown-access": (
        service("readiness: {type: notify, access: exec}"),
        ("2:82: error: units.a.service.readiness.access: expected one of all, main, found 'exec'"),
    ),
    "access-that-isolation-denies": (
        service("isolate: pid, readiness: {type: notify, access: main}"),
        (
            "2:96: error: units.a.service.readiness.access: with isolate: pid the main process"
            " is the one that makes the namespace, and the program runs below it, so expected"
            " all"
        ),
    ),
    "probe-without-a-pause": (
        service("readiness: {type: command, exec: a, interval: 0}"),
        (
            "2:94: error: units.a.service.readiness.interval: expected a duration of at least"
            " 10ms, found 0"
        ),
    ),
    "probe-without-time": (
        service("health: {type: tcp, port: 1, timeout: 1ms}"),
        (
            "2:86: error: units.a.service.health.timeout: expected a duration of at least 10ms,"
            " found 1ms"
        ),
    ),
    "health-without-a-protocol": (
        service("health: {type: rpc}"),
        (
            "2:63: error: units.a.service.health.type: a unit with protocol none answers no"
            " request, expected another type"
        ),
    ),
    "health-of-a-one-shot": (
        service("readiness: {type: exited}, health: {type: tcp, port: 1}"),
        (
            "2:75: error: units.a.service.health: a unit that is ready when it has ended has no"
            " health; remove one of the two"
        ),
    ),
    "health-by-a-supervisor-that-never-looks": (
        "supervisor: {health_check_interval_secs: 0}\n" + service("health: {type: tcp, port: 1}"),
        (
            "3:48: error: units.a.service.health: needs the key 'interval', since"
            " supervisor.health_check_interval_secs is 0"
        ),
    ),
    "unknown-key-of-health": (
        service("health: {type: tcp, port: 1, failure: 2}"),
        ("2:77: error: units.a.service.health.failure: unknown key (did you mean 'failures'?)"),
    ),
    "health-without-a-type": (
        service("health: {port: 1}"),
        (
            "2:48: error: units.a.service.health: needs the key 'type', one of http, tcp,"
            " command, rpc"
        ),
    ),
    "health-that-never-fails": (
        service("health: {type: tcp, port: 1, failures: 0}"),
        (
            "2:87: error: units.a.service.health.failures: expected a whole number from 1 to"
            " 1000, found 0"
        ),
    ),
    "health-of-a-target": (
        "units: {a.target: {health: {type: tcp, port: 1}}}\n",
        "1:20: error: units.a.target.health: unknown key",
    ),
    "unknown-use-of-control-groups": (
        "supervisor: {cgroup: always}\n",
        ("1:22: error: supervisor.cgroup: expected one of auto, never, required, found 'always'"),
    ),
}


@pytest.mark.parametrize(("text", "finding"), BAD.values(), ids=BAD)
def test_a_bad_input_is_told_at_its_place(compile_text: Compile, text: str, finding: str) -> None:
    outcome = compile_text(text)
    assert lines(outcome) == [f"anyclaw.yaml:{finding}"]
    assert outcome.plan is None


def ring(*names: str) -> str:
    """Services that each wait for the next one, the last for the first."""
    text = "units:\n"
    for name, other in zip(names, (*names[1:], names[0]), strict=True):
        text += f"  {name}.service: {{exec: /bin/true, protocol: none, after: [{other}.service]}}\n"
    return text


def test_a_cycle_of_two_is_told_once(compile_text: Compile) -> None:
    assert lines(compile_text(ring("b", "a"))) == [
        (
            "anyclaw.yaml:3:56: error: a.service: ordering cycle: a.service -> b.service ->"
            " a.service"
            " (each starts before the next)"
        )
    ]


def test_a_cycle_of_five_begins_at_its_smallest_member(compile_text: Compile) -> None:
    assert lines(compile_text(ring("c", "e", "b", "a", "d"))) == [
        (
            "anyclaw.yaml:5:56: error: a.service: ordering cycle: a.service -> b.service ->"
            " e.service"
            " -> c.service -> d.service -> a.service (each starts before the next)"
        )
    ]


def test_a_cycle_through_the_default_order_is_told_where_the_user_wrote(
    compile_text: Compile,
) -> None:
    text = (
        "agents_manager: {agents: {a: {exec: /bin/true}}}\n"
        "channels_manager: {channels: {c: {exec: /bin/true, agent: a, after: [a.agent]}}}\n"
    )
    assert lines(compile_text(text + OPEN)) == [
        (
            "anyclaw.yaml:2:70: error: a.agent: ordering cycle: a.agent -> c.channel ->"
            " channels.target -> a.agent (each starts before the next)"
        )
    ]


def test_everything_is_told_in_one_run(compile_text: Compile) -> None:
    text = (
        "log_levl: info\n"
        "supervisor: {admin_port: x}\n"
        "units:\n"
        "  a.service: {exec: /bin/true, protocol: none, after: [a.service, b.service]}\n"
    )
    assert [line.partition(": ")[0] for line in lines(compile_text(text))] == [
        "anyclaw.yaml:1:1",
        "anyclaw.yaml:2:26",
        "anyclaw.yaml:4:56",
        "anyclaw.yaml:4:67",
    ]


def test_an_unknown_key_of_the_original_is_a_warning_unless_strict(compile_text: Compile) -> None:
    text = AGENT.replace("default: {", "default: {args: [acp], ")
    relaxed, strict = compile_text(text), compile_text(text, strict=True)
    assert lines(relaxed) == [
        (
            "anyclaw.yaml:1:37: warning: agents_manager.agents.default.args: unknown key; say it in"
            " workspace.binary, behind the program"
        )
    ]
    assert relaxed.plan is not None
    assert relaxed.plan.warnings == relaxed.findings
    assert lines(strict) == [line.replace("warning", "error") for line in lines(relaxed)]
    assert strict.plan is None


def test_a_key_that_has_moved_is_sent_to_its_place(compile_text: Compile) -> None:
    text = (
        "services: {}\n"
        "channels_manager: {channels: {c: {binary: /bin/true, ack: {}}}}\n"
        "access: {default: closed, rules: [{channel: c}]}\n"
        "agents_manager: {agents: {default: {exec: /bin/true}}}\n"
    )
    assert lines(compile_text(text)) == [
        "anyclaw.yaml:1:1: warning: services: unknown key; say it in services_manager.services",
        (
            "anyclaw.yaml:2:54: warning: channels_manager.channels.c.ack: unknown key; say it in"
            " options.ack"
        ),
    ]


def test_a_file_that_cannot_be_read_is_named(compile_text: Compile) -> None:
    outcome = compile_text(AGENT, files={"/etc/claw/units.d/x.yaml/y": ""})
    assert lines(outcome) == ["units.d/x.yaml: error: cannot read the file: is a directory"]


def test_a_file_that_is_for_others_to_read_says_how_to_open_it() -> None:
    world = PaperWorld(files={CONFIG: b""}, closed=frozenset({CONFIG}))
    [line] = lines(compile_config(CONFIG, world.environ, world))
    next_move = "let the daemon's user read it: chgrp to its group, chmod g+r"
    assert line == f"anyclaw.yaml: error: cannot read the file: permission denied; {next_move}"


def test_a_found_value_from_a_variable_is_not_shown(compile_text: Compile) -> None:
    outcome = compile_text("supervisor: {admin_port: !env BOT}\n", environ={"BOT": "hunter2"})
    assert lines(outcome) == [
        (
            "anyclaw.yaml:1:26: error: supervisor.admin_port: expected a whole number,"
            " found the value"
            " of the variable BOT"
        )
    ]


def test_a_wrong_secret_is_not_shown(compile_text: Compile) -> None:
    text = (
        'units: {a.channel: {exec: "@ext/channels/debug-http", agent: default,'
        " options: {api_key: [hunter2]}}}\n" + AGENT
    )
    (line,) = lines(compile_text(text))
    assert line.endswith(
        "options.api_key: expected text or a whole number or nothing, found a secret"
    )


def test_the_same_text_gives_the_same_plan(compile_text: Compile) -> None:
    text = AGENT + service("before: [orchestrator.core]")
    assert compile_text(text) == compile_text(text)

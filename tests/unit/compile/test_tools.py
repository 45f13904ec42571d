"""Tools as a configuration says them: how they are spoken to, and who may use what."""

import pytest

from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan, Settings
from anyclawd.model.policy import ReadinessType
from anyclawd.model.tool import Era, ToolAccess, ToolNames, ToolRole
from anyclawd.model.unit import Protocol, Unit
from tests.unit.compile.conftest import Compile, lines

MCP = UnitName("mcp.core")
TOOL = UnitName("t.tool")
AGENT = "agents_manager: {agents: {default: {exec: /bin/true}}}\n"


def compiled(compile_text: Compile, text: str) -> Plan:
    outcome = compile_text(text)
    assert outcome.plan is not None, lines(outcome)
    assert lines(outcome) == []
    return outcome.plan


def tool(compile_text: Compile, keys: str) -> Unit:
    """A tool whose entry has these keys."""
    text = f"tools_manager: {{tools: {{t: {{binary: sh, {keys}}}}}}}\n"
    return compiled(compile_text, text).units[TOOL]


WITH_ENDPOINT = {
    "entry": "tools_manager: {tools: {t: {binary: sh}}}\n",
    "unit": "units: {t.tool: {exec: sh}}\n",
    "instance": "units: {t@.tool: {exec: sh, instances: [a]}}\n",
    "one-of-two": "tools_manager: {tools: {t: {binary: sh}, u: {binary: sh, enabled: false}}}\n",
}
WITHOUT_ENDPOINT = {
    "no-tool": AGENT,
    "section-alone": "tools_manager: {tools_server_host: 127.0.0.1}\n",
    "switched-off": "tools_manager: {tools: {t: {binary: sh, enabled: false}}}\n",
    "template-alone": "units: {t@.tool: {exec: sh}}\n",
}


@pytest.mark.parametrize("text", WITH_ENDPOINT.values(), ids=WITH_ENDPOINT)
def test_the_endpoint_is_there_where_a_tool_is(compile_text: Compile, text: str) -> None:
    plan = compiled(compile_text, text)
    endpoint = plan.units[MCP]
    assert endpoint.readiness is ReadinessType.NONE
    assert [ref.unit for ref in plan.units[UnitName("default.target")].deps.wants].count(MCP) == 1
    after = {ref.unit: unit for unit in plan.units.values() for ref in unit.deps.after}
    assert not after[MCP].is_process


@pytest.mark.parametrize("text", WITHOUT_ENDPOINT.values(), ids=WITHOUT_ENDPOINT)
def test_the_endpoint_is_not_there_for_nobody(compile_text: Compile, text: str) -> None:
    assert MCP not in compiled(compile_text, text).units


def test_it_can_be_referred_to_whether_it_is_there_or_not(compile_text: Compile) -> None:
    text = "units: {s.service: {exec: sh, protocol: none, after: [mcp.core]}}\n"
    assert compiled(compile_text, text).units[UnitName("s.service")].deps.after == ()
    assert str(compiled(compile_text, WITH_ENDPOINT["entry"]).units[MCP].span).endswith(":1:1")


def test_a_tool_is_an_mcp_server_that_has_to_answer(compile_text: Compile) -> None:
    unit = tool(compile_text, "description: tells the time")
    assert (unit.problem, unit.protocol) == ("", Protocol.MCP)
    assert (unit.readiness, unit.has_to_answer) == (ReadinessType.INITIALIZE, True)
    assert unit.tool == ToolRole(description="tells the time")
    assert unit.tool == ToolRole(
        description="tells the time",
        era=Era.HANDSHAKE,
        is_trusted=False,
        call_timeout_s=300,
    )


def test_a_tool_says_how_it_is_spoken_to(compile_text: Compile) -> None:
    unit = tool(compile_text, "mcp_era: auto, trusted: true, call_timeout: 1min 30s")
    assert unit.tool == ToolRole(era=Era.AUTO, is_trusted=True, call_timeout_s=90)


TOOLS = "tools_manager: {tools: {web: {binary: sh}, my tool: {binary: sh, enabled: false}}}\n"


def agent(said: str) -> str:
    return f"agents_manager: {{agents: {{a: {{exec: sh, tool_access: {said}}}}}}}\n{TOOLS}"


ACCESS = {
    "{}": ToolAccess(allow=("*",)),
    "{allow: []}": ToolAccess(allow=()),
    "{allow: [], deny: []}": ToolAccess(allow=(), deny=()),
    "{allow: [search, 'get_*'], deny: [rm]}": ToolAccess(allow=("search", "get_*"), deny=("rm",)),
    "{allow: ['web/*'], deny: ['web/delete_?']}": ToolAccess(
        allow=("web/*",), deny=("web/delete_?",)
    ),
    "{deny: ['*/rm', '?eb/rm', '*']}": ToolAccess(deny=("*/rm", "?eb/rm", "*")),
    "{deny: [my tool/rm]}": ToolAccess(deny=("my\\x20tool/rm",)),
}


@pytest.mark.parametrize(("said", "access"), ACCESS.items(), ids=ACCESS)
def test_an_agent_says_which_tools_it_may_use(
    compile_text: Compile, said: str, access: ToolAccess
) -> None:
    role = compiled(compile_text, agent(said)).units[UnitName("a.agent")].agent
    assert role is not None
    assert role.tool_access == access


def manager(said: str) -> str:
    return f"tools_manager: {{{said}, tools: {{t: {{binary: sh}}}}}}\n"


def entry(said: str) -> str:
    return f"tools_manager: {{tools: {{t: {{binary: sh, {said}}}}}}}\n"


BAD = {
    "era": (
        entry("mcp_era: handshak"),
        (
            "1:50: error: tools_manager.tools.t.mcp_era: expected one of auto, handshake, modern,"
            " found 'handshak' (did you mean 'handshake'?)"
        ),
    ),
    "trust-in-words": (
        entry("trusted: yes"),
        "1:50: error: tools_manager.tools.t.trusted: expected true or false, found 'yes'",
    ),
    "no-time-for-a-call": (
        entry("call_timeout: 0"),
        (
            "1:55: error: tools_manager.tools.t.call_timeout: expected a duration of at least 1s,"
            " found 0"
        ),
    ),
    "too-short-a-call": (
        entry("call_timeout: 999ms"),
        (
            "1:55: error: tools_manager.tools.t.call_timeout: expected a duration of at least 1s,"
            " found 999ms"
        ),
    ),
    "call-of-no-duration": (
        entry("call_timeout: soon"),
        (
            "1:55: error: tools_manager.tools.t.call_timeout: expected a duration such as 30, 500ms"
            " or 1min 30s, found 'soon'"
        ),
    ),
    "era-of-an-agent": (
        "units: {a.agent: {exec: sh, mcp_era: auto}}\n",
        "1:29: error: units.a.agent.mcp_era: unknown key",
    ),
    "trusted-channel": (
        "units: {a.service: {exec: sh, protocol: none, trusted: true}}\n",
        "1:47: error: units.a.service.trusted: unknown key",
    ),
    "port": (
        manager("tools_server_port: 65536"),
        (
            "1:36: error: tools_manager.tools_server_port: expected a whole number from 0 to 65535,"
            " found 65536"
        ),
    ),
    "names": (
        manager("tool_names: prefix"),
        (
            "1:29: error: tools_manager.tool_names: expected one of plain, prefixed, found 'prefix'"
            " (did you mean 'prefixed'?)"
        ),
    ),
    "access-that-is-a-list": (
        agent("[search]"),
        "1:54: error: agents_manager.agents.a.tool_access: expected a map, found a list",
    ),
    "access-of-an-unknown-key": (
        agent("{alow: [x]}"),
        (
            "1:55: error: agents_manager.agents.a.tool_access.alow: unknown key (did you mean"
            " 'allow'?)"
        ),
    ),
    "access-to-nothing": (
        agent("{allow: ['']}"),
        (
            "1:63: error: agents_manager.agents.a.tool_access.allow[0]: expected the name of a"
            " tool, or a pattern, found ''"
        ),
    ),
    "access-to-a-number": (
        agent("{deny: [rm, 3]}"),
        (
            "1:66: error: agents_manager.agents.a.tool_access.deny[1]: expected the name of a"
            " tool, or a pattern, in quotes, found 3"
        ),
    ),
    "access-to-no-entry": (
        agent("{deny: ['wep/rm']}"),
        (
            "1:62: error: agents_manager.agents.a.tool_access.deny[0]: no tool 'wep' (did you mean"
            " 'web'?)"
        ),
    ),
    "access-of-a-template": (
        f"units: {{a@.agent: {{exec: sh, tool_access: {{deny: ['wep/rm']}}}}}}\n{TOOLS}",
        "1:51: error: units.a@.agent.tool_access.deny[0]: no tool 'wep' (did you mean 'web'?)",
    ),
    "template-of-too-short-a-call": (
        "units: {t@.tool: {exec: sh, call_timeout: 0}}\n",
        ("1:43: error: units.t@.tool.call_timeout: expected a duration of at least 1s, found 0"),
    ),
}


@pytest.mark.parametrize(("text", "finding"), BAD.values(), ids=BAD)
def test_a_mistake_is_told_once_and_where_it_stands(
    compile_text: Compile, text: str, finding: str
) -> None:
    outcome = compile_text(text)
    assert lines(outcome) == [f"anyclaw.yaml:{finding}"]
    assert outcome.plan is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "'::1'", "LocalHost"])
def test_tools_that_are_served_to_this_machine_are_nobody_else_s_business(
    compile_text: Compile, host: str
) -> None:
    compiled(compile_text, manager(f"tools_server_host: {host}"))


@pytest.mark.parametrize("host", ["0.0.0.0", "'::'", "10.0.0.1", "host.docker.internal"])
def test_tools_that_are_served_beyond_this_machine_are_warned_of(
    compile_text: Compile, host: str
) -> None:
    outcome = compile_text(manager(f"tools_server_host: {host}"))
    shown = host.strip("'")
    text = (
        "anyclaw.yaml:1:36: warning: tools_manager.tools_server_host: tools are served to whoever"
        f" reaches this machine, as '{shown}', and has the token of a session; say 127.0.0.1 unless"
        " agents run elsewhere"
    )
    assert lines(outcome) == [text]
    assert outcome.plan is not None


def test_a_host_from_a_variable_is_warned_of_and_not_shown(compile_text: Compile) -> None:
    outcome = compile_text(manager("tools_server_host: !env H"), environ={"H": "10.9.8.7"})
    (line,) = lines(outcome)
    assert "reaches this machine, as the value of the variable H, and has the token" in line


def test_nothing_is_served_without_a_tool(compile_text: Compile) -> None:
    compiled(compile_text, "tools_manager: {tools_server_host: 0.0.0.0}\n")


def test_the_endpoint_s_place_and_the_names_of_tools(compile_text: Compile) -> None:
    default = Settings()
    assert (default.tools_server_host, default.tools_server_port) == ("127.0.0.1", 0)
    said = "{tools_server_host: '::1', tools_server_port: 8123, tool_names: prefixed}"
    settings = compiled(compile_text, f"tools_manager: {said}\n").settings
    assert (settings.tools_server_host, settings.tools_server_port) == ("::1", 8123)
    assert settings.tool_names is ToolNames.PREFIXED

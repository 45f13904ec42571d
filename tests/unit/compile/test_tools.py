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


def test_an_agent_says_which_tools_it_may_use(compile_text: Compile) -> None:
    text = (
        "tools_manager: {tools: {web: {binary: sh}, my tool: {binary: sh}}}\n"
        "agents_manager: {agents: {a: {exec: sh, tool_access: %s}}}\n"
    )

    def access(said: str) -> ToolAccess:
        role = compiled(compile_text, text % said).units[UnitName("a.agent")].agent
        assert role is not None
        return role.tool_access

    assert access("{}") == ToolAccess()
    both = "{allow: [search, 'get_*', 'web/*'], deny: ['web/delete_?']}"
    assert access(both) == ToolAccess(allow=("search", "get_*", "web/*"), deny=("web/delete_?",))


def test_the_endpoint_s_place_and_the_names_of_tools(compile_text: Compile) -> None:
    default = Settings()
    assert (default.tools_server_host, default.tools_server_port) == ("127.0.0.1", 0)
    said = "{tools_server_host: '::1', tools_server_port: 8123, tool_names: prefixed}"
    settings = compiled(compile_text, f"tools_manager: {said}\n").settings
    assert (settings.tools_server_host, settings.tools_server_port) == ("::1", 8123)
    assert settings.tool_names is ToolNames.PREFIXED

"""The units of docs/how-to/real-agents.md compile, and are those that tests/real runs."""

import re
from pathlib import Path

import pytest

from anyclawd.compile.compiler import compile_config
from anyclawd.compile.tree import Machine
from tests.real.agents import PAGE, REAL_AGENTS

BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
KEYS = ("ANTHROPIC_API_KEY", "GEMINI_API_KEY", "MY_AGENT_KEY", "OPENAI_API_KEY")


@pytest.mark.parametrize("block", BLOCKS)
def test_every_configuration_compiles(block: str, tmp_path: Path) -> None:
    config = tmp_path / "anyclaw.yaml"
    config.write_text(block)
    environ = {"PATH": "/usr/bin:/bin", **dict.fromkeys(KEYS, "a key")}
    findings = compile_config(str(config), environ, Machine(environ)).findings
    assert [str(finding) for finding in findings] == []


def test_every_unit_is_run_by_a_test() -> None:
    declared = [
        name for block in BLOCKS for name in re.findall(r"^  (\w+)\.agent:", block, re.MULTILINE)
    ]
    assert declared == list(REAL_AGENTS)

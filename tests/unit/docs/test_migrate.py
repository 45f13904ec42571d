"""docs/how-to/migrate.md tells of every key that the original has, and its examples compile."""

import re
from pathlib import Path

import pytest

from anyclawd.compile.compiler import compile_config
from anyclawd.compile.reference import page as reference
from anyclawd.compile.settings import UNIT
from anyclawd.compile.tree import Machine
from anyclawd.model.errors import Severity
from anyclawd.model.unit import Unit

PAGE = Path(__file__).parents[3] / "docs/how-to/migrate.md"
TEXT = PAGE.read_text("utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
ENVIRON = {"PATH": "/usr/bin:/bin", "ANTHROPIC_API_KEY": "a key"}

#: Sections, and keys of the original's sections, that the original does not have.
OUR_SECTIONS = ("services_manager", "supervisor.permissions", "access", "admin")
OURS = {
    "The file": {"services_manager", "units", "access", "admin"},
    "agents_manager.agents.NAME.backoff": {"initial", "factor", "max", "jitter", "stable_after"},
    "tools_manager": {"tools_server_port", "tool_names"},
    "supervisor": {"permissions", "start_concurrency", "cgroup"},
    "session_store, type none": {"ttl_days", "keep_messages", "keep_history"},
    "session_store, type sqlite": {"keep_messages", "keep_history"},
}
#: Settings of units by which the original's entries go too.
SHARED = {
    "agents_manager.agents.NAME": {"enabled", "tools", "options", "min_workers", "max_workers"},
    "channels_manager.channels.NAME": {"enabled", "agent", "options"},
    "tools_manager.tools.NAME": {"enabled", "description", "options"},
}


def keys_of(text: str) -> dict[str, set[str]]:
    """The keys in the first column of each section's table."""
    _, *parts = re.split(r"^##+ (.+)\n", text, flags=re.MULTILINE)
    sections = zip(parts[::2], parts[1::2], strict=True)
    keys = {
        title: set(re.findall(r"^\| `(\w+)` \|", body, re.MULTILINE)) for title, body in sections
    }
    return {title: found for title, found in keys.items() if found}


def original() -> dict[str, set[str]]:
    """The keys of the original that the reader knows, by section."""
    found = {}
    for title, keys in keys_of(reference()).items():
        if not title.startswith(OUR_SECTIONS):
            as_told = title.replace("channels_manager.channels", "agents_manager.agents")
            is_shared = as_told.endswith((".backoff", ".crash_tracker"))
            section = as_told if is_shared else title  # told once for agents and channels
            found[section] = keys - OURS.get(section, set()) | SHARED.get(section, set())
    return found


def test_every_key_of_the_original_has_its_row() -> None:
    told = keys_of(TEXT.replace("### anyclaw.yaml", "### The file"))
    assert {title: told.get(title) for title in original()} == original()


def test_what_entries_share_with_units_is_a_setting() -> None:
    assert set().union(*SHARED.values()) <= UNIT.keys()


def compiled(block: str, directory: Path) -> tuple[dict[str, Unit], list[str]]:
    config = directory / "anyclaw.yaml"
    config.write_text(block, "utf-8")
    outcome = compile_config(str(config), ENVIRON, Machine(ENVIRON))
    assert outcome.plan is not None, outcome.findings
    assert not [one for one in outcome.findings if one.severity is Severity.ERROR]
    return dict(outcome.plan.units), [one.text for one in outcome.findings]


@pytest.mark.parametrize("block", BLOCKS)
def test_every_configuration_compiles(block: str, tmp_path: Path) -> None:
    compiled(block, tmp_path)


def test_what_was_moved_has_nothing_left_that_cannot_start(tmp_path: Path) -> None:
    first, first_moved, boxed, boxed_moved = BLOCKS[-4:]
    assert len(compiled(first, tmp_path)[1]) == 1
    assert compiled(first_moved, tmp_path)[1] == []
    before, _ = compiled(boxed, tmp_path)
    after, warnings = compiled(boxed_moved, tmp_path)
    assert before["default.agent"].problem.startswith("docker workspaces are not supported")
    assert after["default.agent"].problem == ""
    assert before["default.agent"].timeouts == after["default.agent"].timeouts
    assert [text for text in warnings if not text.startswith("tools are served")] == []

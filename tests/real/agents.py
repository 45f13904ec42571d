"""The agents of docs/how-to/real-agents.md as that page declares them, on a machine that has them.

What runs is what the page says: its units and its files, with other directories, and with a
pretended model in the place of the vendor's. Nothing is installed and nothing is fetched: the
directory in ANYCLAWD_REAL_AGENTS holds what the page would put below /opt/agents.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from anyclawd.model.value import Json

PAGE = Path(__file__).absolute().parents[2] / "docs/how-to/real-agents.md"
_UNIT = re.compile(r"^```yaml\n(units:\n  (\w+)\.agent:.*?)^```", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"^`(/var/lib/agents/\S+)`:\n\n```\w+\n(.*?)^```", re.DOTALL | re.MULTILINE)
_CHANNEL = """
channels_manager:
  channels:
    debug-http: {{binary: "@built-in/channels/debug-http", agent: {name}}}
session_store: {{type: sqlite, path: {store}}}
supervisor: {{admin_port: 0}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealAgent:
    package: str
    key: str  #: the variable that its key is in
    own_commands: tuple[str, ...] = ()  #: those that have the name of one of the platform's
    login: str = ""  #: its way to log in by a key, where it offers one through ACP
    writes_key: bool = False  #: a key that it is logged in with is found on disk afterwards
    environment: Callable[[str], Mapping[str, str]] = field(default=lambda url: {})
    """What leads it to the model at a URL, where its files do not."""


REAL_AGENTS = {
    "claude": RealAgent(
        package="@agentclientprotocol/claude-agent-acp",
        key="ANTHROPIC_API_KEY",
        environment=lambda url: {"ANTHROPIC_BASE_URL": url},
        own_commands=("model",),
    ),
    "gemini": RealAgent(
        package="@google/gemini-cli",
        key="GEMINI_API_KEY",
        login="gemini-api-key",
        environment=lambda url: {"GOOGLE_GEMINI_BASE_URL": url},
    ),
    "opencode": RealAgent(
        package="opencode-ai",
        key="ANTHROPIC_API_KEY",
        login="opencode-login",
        environment=lambda url: {
            "OPENCODE_CONFIG_CONTENT": json.dumps(
                {"provider": {"anthropic": {"options": {"baseURL": f"{url}/v1"}}}}
            )
        },
    ),
    "codex": RealAgent(
        package="@agentclientprotocol/codex-acp",
        key="OPENAI_API_KEY",
        login="api-key",
        writes_key=True,
    ),
}


def installed(name: str) -> tuple[Path, str]:
    """Where an agent is, and its version; skips the test where it is not."""
    root = os.environ.get("ANYCLAWD_REAL_AGENTS", "")
    if not root:
        pytest.skip("ANYCLAWD_REAL_AGENTS names no directory with real agents")
    package = Path(root) / name / "node_modules" / REAL_AGENTS[name].package / "package.json"
    if not package.exists():
        pytest.skip(f"{package.parent} is not there: npm install --prefix {root}/{name} ...")
    if shutil.which("node") is None:
        pytest.skip("there is no node in PATH")
    version: str = json.loads(package.read_text())["version"]
    return Path(root), version


def declared(name: str, root: Path, directory: Path, url: str) -> str:
    """The configuration with an agent's unit, and its files where the unit expects them."""
    places = {
        "/opt/agents": str(root),
        "/usr/bin/node": shutil.which("node") or "",
        "/var/lib/agents": str(directory / "homes"),
        "/srv/project": str(directory / "project"),
        "https://api.openai.com": url,
    }

    def placed(text: str) -> str:
        for there, here in places.items():
            text = text.replace(there, here)
        return text

    page = PAGE.read_text()
    (directory / "project").mkdir()
    for path, content in _FILE.findall(page):
        if path.startswith(f"/var/lib/agents/{name}/"):
            file = Path(placed(path))
            file.parent.mkdir(parents=True)
            file.write_text(placed(content))
    dropin = directory / f"{name}.agent.d" / "model.yaml"
    dropin.parent.mkdir()
    environment: Json = dict(REAL_AGENTS[name].environment(url))
    dropin.write_text(json.dumps({"environment": environment}))
    units = {found: unit for unit, found in _UNIT.findall(page)}
    return placed(units[name]) + _CHANNEL.format(name=name, store=directory / "sessions.db")

"""`init [--force] [--agent A]`: a first configuration that can be run as it is."""

import shutil
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import NamedTuple

from anyclawd.cli import render
from anyclawd.client.exchange import ClientError


class Starter(NamedTuple):
    """How an agent is run; why its settings are what they are: docs/how-to/real-agents.md."""

    command: tuple[str, ...]  #: makes it speak ACP on its stdin and stdout
    settings: tuple[str, ...] = ()  #: lines of its entry, beside its workspace
    cli: str = ""  #: what people have installed of it, where that does not speak ACP itself
    package: str = ""  #: what npm installs the command from


AGENTS = {
    "opencode": Starter(
        ("opencode", "acp"),
        ("pass_environment: [ANTHROPIC_API_KEY, OPENAI_API_KEY]", "timeouts: {start: 1min}"),
    ),
    "claude": Starter(
        ("claude-agent-acp",),
        (
            "# To be asked before it acts, put into ~/.claude/settings.json:",
            '# {"permissions": {"defaultMode": "default"}}',
            "pass_environment: [ANTHROPIC_API_KEY, CLAUDE_CODE_OAUTH_TOKEN]",
            "timeouts: {start: 1min}",
        ),
        cli="claude",
        package="@agentclientprotocol/claude-agent-acp",
    ),
    "gemini": Starter(
        ("gemini", "--acp"),
        (
            'environment: {GEMINI_CLI_NO_RELAUNCH: "true"}',
            "pass_environment: [GEMINI_API_KEY]",
            "timeouts: {start: 1min}",
        ),
    ),
    "codex": Starter(
        ("codex-acp",),
        (
            "# It uses the key if ~/.codex/config.toml names it, or after `login default api-key`.",
            "environment: {INITIAL_AGENT_MODE: workspace-write}",
            "pass_environment: [OPENAI_API_KEY]",
            "timeouts: {start: 1min, eof_grace: 5s}",
        ),
        cli="codex",
        package="@agentclientprotocol/codex-acp",
    ),
    "mock": Starter(("@built-in/agents/mock",)),
}

#: The agents that are looked for, in this order.
PROBED = ("opencode", "claude", "gemini", "codex")

#: How long a program may take to print its version.
_PROBE_S = 10.0

_TEMPLATE = """\
# yaml-language-server: $schema={schema}

agents_manager:
  agents:
    default:
      workspace:
        type: local
        binary: [{command}]
{settings}
channels_manager:
  channels:
    debug-http:
      binary: "@built-in/channels/debug-http"
      agent: default
      options:
        port: 8080

# tools_manager:
#   tools:
#     system-info:
#       binary: "@built-in/tools/system-info"
"""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="overwrite an existing file")
    parser.add_argument(
        "--agent", choices=tuple(AGENTS), help="the agent to configure, instead of looking for one"
    )


def run(options: Namespace) -> int:
    """Writes the file that -c names, else `anyclaw.yaml` here; its directory is made if need be."""
    path = Path(options.config or "anyclaw.yaml")
    if path.exists() and not options.force:
        raise ClientError(f"{path} exists; use --force to overwrite it")
    agent = options.agent or _detected()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_configuration(AGENTS[agent]), encoding="utf-8")
    except OSError as error:
        raise ClientError(f"cannot write {path}: {error.strerror}") from error
    if options.json:
        render.print_json({"created": str(path), "agent": agent})
    else:
        print(f"Created {path}")
        print(f"Agent: {agent}")
    return 0


def _configuration(starter: Starter) -> str:
    command = ", ".join(f'"{word}"' for word in starter.command)
    settings = "".join(f"      {line}\n" for line in starter.settings)
    return _TEMPLATE.format(schema=_schema(), command=command, settings=settings)


def _detected() -> str:
    """The first agent that is installed and works, else the first of all."""
    for name in PROBED:
        starter = AGENTS[name]
        if _works(starter.command[0]):
            return name
        if starter.cli and _works(starter.cli):
            adapter = f"{starter.cli} is installed, and {starter.command[0]}, which is run, is not"
            _warn(f"{adapter}; npm install -g {starter.package}")
            return name
    looked_for = ", ".join(PROBED)
    text = f"found none of {looked_for}; {PROBED[0]} is configured, install it"
    _warn(f"{text} or choose with --agent")
    return PROBED[0]


def _warn(text: str) -> None:
    print(f"anyclawctl: warning: {text}", file=sys.stderr)


def _works(program: str) -> bool:
    path = shutil.which(program)
    if path is None:
        return False
    try:
        done = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PROBE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _schema() -> str:
    """The schema that is installed with this command, so that it is the one of this version."""
    from anyclawd.compile.tree import Machine

    directory = Machine().data_directory()
    return f"{directory}/schema/anyclaw.schema.json" if directory else "anyclaw.schema.json"

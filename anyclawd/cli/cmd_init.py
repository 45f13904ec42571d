"""`init [--force] [--agent A]`: a first configuration that can be run as it is."""

import shutil
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from anyclawd.cli import render
from anyclawd.client.exchange import ClientError

#: Agent to the command that makes it speak ACP on its stdin and stdout.
AGENTS = {
    "opencode": ("opencode", "acp"),
    "claude": ("claude-agent-acp",),
    "gemini": ("gemini", "--experimental-acp"),
    "mock": ("@built-in/agents/mock",),
}

#: The programs that are looked for, in this order.
PROBED = ("opencode", "claude", "gemini")

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
    """Writes the file that -c names, else `anyclaw.yaml` here."""
    path = Path(options.config or "anyclaw.yaml")
    if path.exists() and not options.force:
        raise ClientError(f"{path} exists; use --force to overwrite it")
    agent = options.agent or _detected()
    command = ", ".join(f'"{word}"' for word in AGENTS[agent])
    try:
        path.write_text(_TEMPLATE.format(schema=_schema(), command=command), encoding="utf-8")
    except OSError as error:
        raise ClientError(f"cannot write {path}: {error.strerror}") from error
    if options.json:
        render.print_json({"created": str(path), "agent": agent})
    else:
        print(f"Created {path}")
        print(f"Agent: {agent}")
    return 0


def _detected() -> str:
    """The first agent whose program is installed and works, else the first of all."""
    for name in PROBED:
        if _works(name):
            return name
    looked_for = ", ".join(PROBED)
    text = f"warning: found none of {looked_for}; {PROBED[0]} is configured, install it"
    print(f"anyclawctl: {text} or choose with --agent", file=sys.stderr)
    return PROBED[0]


def _works(name: str) -> bool:
    program = shutil.which(name)
    if program is None:
        return False
    try:
        done = subprocess.run(
            [program, "--version"],
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

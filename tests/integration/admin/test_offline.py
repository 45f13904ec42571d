"""The verbs of `anyclawctl` that need no daemon, as processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

Done = subprocess.CompletedProcess[str]

CONFIG = """\
agents_manager:
  agents:
    default:
      workspace: {type: local, binary: "@built-in/agents/mock"}
channels_manager:
  channels:
    web: {binary: "@built-in/channels/debug-http"}
"""


def anyclawctl(directory: Path, *words: str, path: str = os.environ["PATH"]) -> Done:
    command = [sys.executable, "-m", "anyclawd.cli.main", *words]
    environ = {"PATH": path, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(
        command,
        env=environ,
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "anyclaw.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "words", [["anyclaw.yaml"], ["-c", "anyclaw.yaml"], []], ids=["file", "option", "default"]
)
def test_validate_finds_the_configuration(config: Path, words: list[str]) -> None:
    done = anyclawctl(config.parent, "validate", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "✓ Configuration valid: anyclaw.yaml\n"


def test_validate_takes_global_options_before_the_verb(config: Path) -> None:
    assert anyclawctl(config.parent, "-c", "anyclaw.yaml", "validate").returncode == 0


def test_validate_reports_on_stderr_with_file_line_and_column(config: Path) -> None:
    config.write_text("log_format: loud\n" + CONFIG, encoding="utf-8")
    done = anyclawctl(config.parent, "validate")
    assert (done.returncode, done.stdout) == (1, "")
    assert "anyclaw.yaml:1:13: error: log_format: " in done.stderr


def test_unknown_keys_are_errors_with_strict(config: Path) -> None:
    config.write_text("log_fromat: pretty\n" + CONFIG, encoding="utf-8")
    lenient, strict = (
        anyclawctl(config.parent, "validate", *words) for words in ([], ["--strict"])
    )
    assert (lenient.returncode, strict.returncode) == (0, 1)
    assert "1:1: warning: log_fromat: " in lenient.stderr
    assert "1:1: error: log_fromat: " in strict.stderr


def test_validate_checks_the_machine_too(config: Path) -> None:
    config.write_text(CONFIG.replace("@built-in/agents/mock", "no-such-agent"), encoding="utf-8")
    done = anyclawctl(config.parent, "validate", "--json")
    assert done.returncode == 1
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["scope"], finding["severity"]) == ("world", "error")


def test_findings_about_text_and_machine_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        "agents_manager: {agents: {default: {exec: no-such-agent}}}\n"
        "mistake: 1\n"
        "units: {a.service: {exec: no-such-service, protocol: none}}\n"
    )
    (tmp_path / "anyclaw.yaml").write_text(text, encoding="utf-8")
    done = anyclawctl(tmp_path, "validate", "--json")
    findings = json.loads(done.stdout)["findings"]
    assert [(finding["line"], finding["scope"]) for finding in findings] == [
        (1, "world"),
        (2, "content"),
        (3, "world"),
    ]


def test_without_any_configuration_it_says_where_it_looked(tmp_path: Path) -> None:
    done = anyclawctl(tmp_path, "validate")
    assert done.returncode == 1
    assert "no configuration: found no anyclaw.yaml or /etc/anyclawd/anyclaw.yaml" in done.stderr


def test_graph_of_a_configuration_needs_no_daemon(config: Path) -> None:
    done = anyclawctl(config.parent, "graph", "-c", "anyclaw.yaml", "--json")
    names = {node["name"] for node in json.loads(done.stdout)["nodes"]}
    assert {"default.agent", "web.channel", "default.target"} <= names


def test_graph_of_a_bad_configuration_says_what_is_wrong(config: Path) -> None:
    config.write_text("log_format: loud\n", encoding="utf-8")
    done = anyclawctl(config.parent, "graph", "-c", "anyclaw.yaml")
    assert (done.returncode, done.stdout) == (1, "")
    assert "anyclaw.yaml:1:13: error: " in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["validate", "--strict"],
        ["graph", "-c", "anyclaw.yaml"],
        ["analyze", "verify", "-c", "anyclaw.yaml"],
    ],
    ids=["validate", "graph", "verify"],
)
def test_who_has_no_credentials_is_warned_of_each_once(config: Path, words: list[str]) -> None:
    """Only the service manager has them, and only for the daemon."""
    options = "options: {api_key: !credential key, more: !credential key}"
    text = CONFIG.replace('debug-http"}', f'debug-http", {options}}}')
    config.write_text(text, encoding="utf-8")
    done = anyclawctl(config.parent, *words)
    told = [line for line in done.stderr.splitlines() if "the credential" in line]
    assert done.returncode == 0, done.stderr
    assert told == [
        (
            f"{config}:7:71: warning: channels_manager.channels.web.options.api_key: the credential"
            " key is not known here: the service manager alone has it"
        )
    ]


def test_schema_is_a_json_schema(tmp_path: Path) -> None:
    schema = json.loads(anyclawctl(tmp_path, "schema").stdout)
    assert schema["title"] == "AnyclawConfig"


@pytest.mark.parametrize("agent", ["opencode", "claude", "gemini", "codex", "mock"])
def test_init_writes_what_validate_accepts(tmp_path: Path, agent: str) -> None:
    for name in ("opencode", "claude-agent-acp", "gemini", "codex-acp"):
        works(tmp_path / name)
    done = anyclawctl(tmp_path, "init", "--agent", agent)
    assert (done.returncode, done.stdout) == (0, f"Created anyclaw.yaml\nAgent: {agent}\n")
    first_line = (tmp_path / "anyclaw.yaml").read_text(encoding="utf-8").partition("\n")[0]
    assert first_line.startswith("# yaml-language-server: $schema=")
    assert Path(first_line.partition("=")[2]).is_file()
    judged = anyclawctl(tmp_path, "validate", "--strict", path=f"{tmp_path}:/usr/bin:/bin")
    assert (judged.returncode, judged.stderr) == (0, "")


def test_init_overwrites_only_by_force(config: Path) -> None:
    refused = anyclawctl(config.parent, "init", "--agent", "mock")
    assert (refused.returncode, refused.stderr) == (
        1,
        "anyclawctl: anyclaw.yaml exists; use --force to overwrite it\n",
    )
    assert config.read_text(encoding="utf-8") == CONFIG
    assert anyclawctl(config.parent, "init", "--agent", "mock", "--force").returncode == 0
    assert config.read_text(encoding="utf-8") != CONFIG


def works(program: Path, status: int = 0) -> None:
    """Put a program there that answers `--version` with an exit status."""
    program.write_text(f"#!/bin/sh\nexit {status}\n", encoding="utf-8")
    program.chmod(0o755)


def test_init_takes_the_first_agent_that_works(tmp_path: Path) -> None:
    works(tmp_path / "opencode", status=1)
    works(tmp_path / "claude-agent-acp")
    works(tmp_path / "gemini")
    made = ".config/anyclawd/made.yaml"  # whose directories are made as well
    done = anyclawctl(tmp_path, "init", "-c", made, path=str(tmp_path))
    assert (done.stdout, done.stderr) == (f"Created {made}\nAgent: claude\n", "")


def test_init_says_which_adapter_an_agent_needs(tmp_path: Path) -> None:
    works(tmp_path / "claude")
    done = anyclawctl(tmp_path, "init", path=str(tmp_path))
    assert done.stdout == "Created anyclaw.yaml\nAgent: claude\n"
    assert "npm install -g @agentclientprotocol/claude-agent-acp\n" in done.stderr


def test_init_without_any_agent_warns_and_takes_the_first(tmp_path: Path) -> None:
    done = anyclawctl(tmp_path, "init", path=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "Created anyclaw.yaml\nAgent: opencode\n")
    assert "found none of opencode, claude, gemini, codex" in done.stderr


def test_run_becomes_the_daemon(config: Path) -> None:
    """The daemon's own exit status for a bad configuration comes through."""
    config.write_text("log_format: loud\n", encoding="utf-8")
    done = anyclawctl(config.parent, "run", "-c", "anyclaw.yaml")
    assert done.returncode == 78
    assert "anyclaw.yaml:1:13: error: log_format: " in done.stderr

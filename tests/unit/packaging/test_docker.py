"""The image and its examples, as far as a file can be judged; tests/system builds and runs them."""

import json
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

import anyclawd
from anyclawd.cli import cmd_is_active
from anyclawd.compile.compiler import compile_config, world_findings
from anyclawd.compile.tree import Machine
from anyclawd.model.credential import VARIABLE
from anyclawd.model.value import Json

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "packaging/docker/Dockerfile").read_text()
FAKE = ROOT / "docs/examples/01-fake-agent-telegram-bot"
REAL = ROOT / "docs/examples/02-real-agent"


def findings(path: Path, environ: Mapping[str, str]) -> list[str]:
    machine = Machine({"PATH": "/usr/bin:/bin", **environ})
    outcome = compile_config(str(path), machine.environ, machine)
    assert outcome.plan is not None
    lacking = world_findings(outcome.plan, machine, outcome.places)
    return [str(one) for one in (*outcome.findings, *lacking)]


def service(example: Path) -> Json:
    return yaml.safe_load((example / "compose.yaml").read_text())["services"]["anyclawd"]


def test_the_image_tells_the_version_that_it_has() -> None:
    assert f'org.opencontainers.image.version="{anyclawd.__version__}"' in DOCKERFILE
    settings = (FAKE / ".env.example").read_text(), (REAL / "compose.yaml").read_text()
    assert all(f"anyclawd:{anyclawd.__version__}" in text for text in settings)


def test_health_is_asked_for_in_words_that_are_understood() -> None:
    found = re.search(r"^HEALTHCHECK .* CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert found is not None
    program, verb, *words = json.loads(found[1])
    assert (program, verb) == ("anyclawctl", "is-active")
    parser = ArgumentParser(exit_on_error=False)
    cmd_is_active.configure(parser)
    assert parser.parse_args(words) == Namespace(units=["default.target"], quiet=True)


def test_secrets_of_the_engine_are_credentials() -> None:
    assert f"{VARIABLE}=/run/secrets" in DOCKERFILE


@pytest.mark.parametrize("example", [FAKE, REAL], ids=lambda path: path.name)
def test_an_example_opens_no_port_to_others_and_needs_no_right(example: Path) -> None:
    told = service(example)
    assert [port for port in told["ports"] if not port.startswith("127.0.0.1:")] == []
    assert (told["read_only"], told["cap_drop"], "user" in told) == (True, ["ALL"], False)


def test_every_variable_of_the_first_example_is_in_its_file_of_them() -> None:
    listed = set(re.findall(r"^(\w+)=", (FAKE / ".env.example").read_text(), re.MULTILINE))
    used = set(re.findall(r"\$\{(\w+)", (FAKE / "compose.yaml").read_text()))
    used |= set(re.findall(r'!env "?(\w+)', (FAKE / "anyclaw.yaml").read_text()))
    assert used == listed


def test_the_first_example_is_at_peace_until_telegram_is_asked_for() -> None:
    config = FAKE / "anyclaw.yaml"
    assert findings(config, {}) == findings(config, {"TELEGRAM_ENABLED": "false"}) == []
    line = config.read_text().partition("    telegram:")[0].count("\n") + 1
    [told] = findings(config, {"TELEGRAM_ENABLED": "true"})
    assert told.startswith(f"{config}:{line}:5: warning: channels_manager.channels.telegram: ")
    assert "the extension channels/telegram is not part of this version" in told


def test_the_second_example_has_its_keys_as_secrets_alone() -> None:
    named = re.findall(r"!credential (\w+)", (REAL / "etc/anyclaw.yaml").read_text())
    assert sorted(named) == sorted(service(REAL)["secrets"])
    assert "environment" not in service(REAL)
    assert (REAL / ".gitignore").read_text() == "secrets/\n"

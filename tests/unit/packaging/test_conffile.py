"""The configuration of the package: nothing to find in it, and what it shows works as well."""

import os
import re
from pathlib import Path

import pytest

from anyclawd.compile.compiler import Outcome, compile_config
from anyclawd.compile.tree import Machine
from anyclawd.model.deps import UnitName

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "packaging" / "etc" / "anyclaw.yaml"


def compiled(path: Path) -> Outcome:
    machine = Machine({"PATH": os.defpath})
    return compile_config(str(path), machine.environ, machine, strict=True)


def test_it_can_be_used_and_nothing_is_to_be_said_of_it() -> None:
    outcome = compiled(CONFIG)
    assert outcome.findings == ()
    assert outcome.plan is not None
    assert {"default.agent", "debug-http.channel"} <= outcome.plan.units.keys()
    assert outcome.plan.settings.admin_socket_mode == 0o660


def test_nothing_of_it_can_be_reached_from_outside() -> None:
    plan = compiled(CONFIG).plan
    assert plan is not None
    assert plan.units[UnitName("debug-http.channel")].options["host"] == "127.0.0.1"


def test_what_it_shows_in_comments_can_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = CONFIG.read_text().replace('      workspace: {type: local, binary: "@built-in', "#")
    shown = re.sub(r"^( +)# (?=(\w+:|  ))", r"\1", text, flags=re.MULTILINE)
    assert shown.count("!credential") == 2
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for name in re.findall(r"!credential ([\w-]+)", shown):
        (tmp_path / name).write_text("a key\n")
    (tmp_path / "anyclaw.yaml").write_text(shown)
    outcome = compile_config(
        str(tmp_path / "anyclaw.yaml"), os.environ, Machine(os.environ), strict=True
    )
    assert outcome.findings == ()
    assert outcome.plan is not None
    assert outcome.plan.units[UnitName("default.agent")].argv == ("opencode", "acp")

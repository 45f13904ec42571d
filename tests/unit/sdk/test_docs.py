"""The documentation of the SDK is complete, and its examples run."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.sdk.test_imports import MODULES as QUICK

DOCS = Path(__file__).parents[3] / "docs"
MODULES = [*QUICK, "testing"]


def public_names(module_name: str) -> set[str]:
    """What a module or package itself defines: constants, functions, classes, their methods."""
    module = importlib.import_module(f"anyclaw_sdk.{module_name}")
    names = set()
    for name, value in vars(module).items():
        origin = getattr(value, "__module__", "")
        is_own = f"{origin}.".startswith(f"{module.__name__}.")
        is_constant = name.isupper() and name != "TYPE_CHECKING"
        if name.startswith("_") or not (is_own or is_constant):
            continue
        names.add(name)
        if isinstance(value, type) and not issubclass(value, tuple):
            names |= {member for member in vars(value) if not member.startswith("_")}
    return names


@pytest.mark.parametrize("module_name", MODULES)
def test_every_public_name_is_in_the_reference(module_name: str) -> None:
    page = "".join((DOCS / f"reference/{name}.md").read_text() for name in ("sdk", "media"))
    documented = set(re.findall(r"\w+", "".join(re.findall(r"`[^`\n]+`", page))))
    assert public_names(module_name) <= documented


@pytest.mark.parametrize("page", ["write-a-channel.md", "write-a-hook.md", "write-an-agent.md"])
def test_the_examples_run(page: str, tmp_path: Path) -> None:
    blocks = re.findall(
        r"```python\n# (\S+)\n(.*?)```", (DOCS / "how-to" / page).read_text(), re.DOTALL
    )
    assert blocks
    for name, code in blocks:
        (tmp_path / name).write_text(code)
    for name, _ in blocks:
        subprocess.run(
            [sys.executable, "-W", "error", name],
            cwd=tmp_path,
            check=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )


def test_the_readme_s_example_is_an_agent(tmp_path: Path) -> None:
    readme = Path(__file__).parents[3] / "ext/sdk/README.md"
    code = re.findall(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)[0]
    frames = (
        b'{"jsonrpc":"2.0","id":1,"method":"session/prompt",'
        b'"params":{"sessionId":"s","prompt":[{"type":"text","text":"hello"}]}}\n'
    )
    (tmp_path / "shout.py").write_text(code)
    output = subprocess.run(
        [sys.executable, "shout.py"],
        cwd=tmp_path,
        input=frames,
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    assert b'"text":"HELLO"' in output

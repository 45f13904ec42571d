"""The configurations of docs/how-to/give-agents-tools.md, and of the tools' own pages, compile."""

import re
from pathlib import Path

import pytest

from anyclawd.compile.compiler import compile_config
from anyclawd.compile.tree import Machine

ROOT = Path(__file__).parents[3]
PAGES = [
    ROOT / "docs/how-to/give-agents-tools.md",
    *(
        ROOT / f"ext/tools/{name}/README.md"
        for name in ("system-info", "send-file", "http-request")
    ),
]
YAML_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)
BLOCKS = {
    f"{page.parent.name}-{number}": block
    for page in PAGES
    for number, block in enumerate(YAML_BLOCK.findall(page.read_text()), 1)
}
ENVIRON = {"PATH": "/usr/bin:/bin"} | dict.fromkeys(
    ("GITHUB_TOKEN", "WEATHER_KEY", "TRACKER_TOKEN"), "a key of ours"
)


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_what_the_page_shows_compiles(tmp_path: Path, block: str) -> None:
    (tmp_path / "anyclaw.yaml").write_text(block)
    machine = Machine(ENVIRON)
    outcome = compile_config(str(tmp_path / "anyclaw.yaml"), machine.environ, machine)
    assert [str(one) for one in outcome.findings] == []

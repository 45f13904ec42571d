"""The documentation says what is: its links lead somewhere, its configurations compile."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from anyclawd.compile.compiler import compile_config
from anyclawd.compile.tree import Machine
from anyclawd.daemon import logs
from anyclawd.model.errors import Severity
from anyclawd.runtime import mark, spawn

ROOT = Path(__file__).parents[3]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("ext/**/*.md")])
EXAMPLES = sorted(
    path for path in ROOT.glob("docs/examples/**/*.yaml") if path.name != "compose.yaml"
)
LINK = re.compile(r"\[[^\]]*\]\(([^)#]+)(?:#[^)]*)?\)")
ANCHOR = re.compile(r"\[[^\]]*\]\(([^)#:]*)#([^)]+)\)")
YAML_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)


def findings(path: Path) -> list[str]:
    machine = Machine({"ANTHROPIC_API_KEY": "a key", "PATH": "/usr/bin:/bin"})
    outcome = compile_config(str(path), machine.environ, machine, has_credentials=False)
    return [str(one) for one in outcome.findings if one.severity is Severity.ERROR]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def anchors(page: Path) -> set[str]:
    """What its headings are called in links: lower case, no punctuation, hyphens for spaces."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_a_page_leads_to_a_heading(page: Path) -> None:
    targets = [
        (page.parent / path if path else page, name)
        for path, name in ANCHOR.findall(page.read_text())
    ]
    assert [(str(to), name) for to, name in targets if name not in anchors(to)] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_example_compiles(example: Path) -> None:
    assert findings(example) == []


def test_the_configurations_of_the_readme_compile(tmp_path: Path) -> None:
    blocks = YAML_BLOCK.findall((ROOT / "README.md").read_text())
    assert len(blocks) == 5
    for block in blocks:
        (tmp_path / "anyclaw.yaml").write_text(block)
        assert findings(tmp_path / "anyclaw.yaml") == []


def test_the_picture_in_the_readme_is_the_one_that_is_drawn(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    config = tmp_path / "anyclaw.yaml"
    config.write_text(YAML_BLOCK.findall(text)[0])
    command = [sys.executable, "-m", "anyclawd.cli.main", "graph", "--format", "mermaid"]
    done = subprocess.run([*command, "-c", str(config)], capture_output=True, text=True, check=True)
    picture = re.search(r"^```mermaid\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert picture is not None
    assert picture[1] == done.stdout


def test_the_readme_lists_every_page() -> None:
    text = (ROOT / "README.md").read_text()
    pages = [*ROOT.glob("docs/tutorial/*.md"), *ROOT.glob("docs/how-to/*.md")]
    pages += [*ROOT.glob("docs/reference/*.md"), *ROOT.glob("docs/explanation/*.md")]
    missing = [page.name for page in pages if str(page.relative_to(ROOT)) not in text]
    assert missing == []


def test_every_decision_is_cited_where_it_matters() -> None:
    text = "".join(page.read_text() for page in PAGES if page.parent.name != "adr")
    decisions = sorted(ROOT.glob("docs/adr/*.md"))
    assert [path.name for path in decisions if f"adr/{path.name})" not in text] == []
    numbers = [int(path.name.partition("-")[0]) for path in decisions]
    assert numbers == list(range(1, len(decisions) + 1))


@pytest.mark.parametrize("package", ["wire", "route", "gateway", "mcp", "store"])
def test_the_map_has_every_module(package: str) -> None:
    text = (ROOT / "docs/explanation/architecture.md").read_text()
    section = text.partition(f"`anyclawd/{package}`")[2].partition("\n`anyclawd/")[0]
    named = re.findall(r"`(\w+)`", section.partition("\n## ")[0])
    modules = (ROOT / "anyclawd" / package).glob("*.py")
    assert sorted(named) == sorted(one.stem for one in modules if one.stem != "__init__")


def test_every_environment_variable_is_documented() -> None:
    text = (ROOT / "docs/reference/environment.md").read_text().lower()
    ours = (mark.INSTANCE, mark.UNIT, mark.INVOCATION)
    names = (*ours, *spawn.PASSED_ON, *(f"{prefix}*" for prefix in spawn.PASSED_ON_PREFIXES))
    assert [name for name in names if name.lower() not in text] == []
    used = set()
    for source in ROOT.glob("anyclawd/**/*.py"):
        used |= set(re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"', source.read_text()))
    assert used
    assert [name for name in sorted(used) if name.lower() not in text] == []


def test_every_variable_that_a_unit_is_given_is_documented() -> None:
    page = (ROOT / "docs/reference/environment.md").read_text()
    given = page.partition("## Given to every unit")[2]
    told = set()
    for source in ROOT.glob("anyclawd/runtime/*.py"):
        told |= set(re.findall(r'\("([A-Z][A-Z_]+)", ', source.read_text()))
    told -= {*spawn.PASSED_ON, *spawn.PASSED_ON_PREFIXES}  # which the test above is about
    assert told >= {"NOTIFY_SOCKET", "WATCHDOG_USEC", "MAINPID", "SERVICE_RESULT", "EXIT_STATUS"}
    assert [name for name in sorted(told) if f"`{name}`" not in given] == []


def test_every_log_field_is_documented() -> None:
    text = (ROOT / "docs/reference/logs.md").read_text()
    assert [field for field in logs.FIELDS if f"`{field}`" not in text] == []

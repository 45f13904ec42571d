"""The shipped unit files, compiled as a user's are."""

from pathlib import Path

import pytest

from anyclawd.compile.compiler import compile_config
from anyclawd.compile.diagnose import Report
from anyclawd.compile.origin import Shown
from anyclawd.compile.program import BUILT_IN_NAMES
from anyclawd.compile.read import Reader
from anyclawd.compile.shipped import Shipped
from anyclawd.compile.sources import Sources
from anyclawd.compile.tree import Machine, parse
from anyclawd.model.unit import Kind, kind_of

ROOT = Path(__file__).resolve().parent.parent.parent.parent
FILES = sorted((ROOT / "units").iterdir())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_shipped_unit_file_is_a_good_one(path: Path) -> None:
    report = Report()
    sources = Sources(Machine({}), report, {})
    tree = parse(path.read_bytes(), str(path), report, sources.look_up)
    name = path.name.removesuffix(".yaml")
    assert tree is not None
    assert Reader(report, Shown(), strict=True).unit(name, tree, name) is not None
    assert report.findings() == ()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_shipped_unit_file_says_what_it_is_for_and_where_its_docs_are(path: Path) -> None:
    purpose, docs = path.read_text(encoding="utf-8").splitlines()[:2]
    assert purpose.startswith("# ")
    assert docs.startswith("# Docs: ")
    assert (ROOT / docs.removeprefix("# Docs: ")).is_file()


EXTENSIONS = [path for path in FILES if kind_of(path.stem) not in (Kind.TARGET, Kind.CORE)]


@pytest.mark.parametrize("path", EXTENSIONS, ids=lambda path: path.name)
def test_an_extension_s_unit_file_meets_its_program(path: Path, tmp_path: Path) -> None:
    name, _, kind = path.stem.rpartition(".")
    extension = f"{kind}s/{name}"
    assert extension in BUILT_IN_NAMES.values()
    report = Report()
    sources = Sources(Machine({}), report, {})
    shipped = Shipped(str(ROOT / "units"), sources, Reader(report, Shown()))
    defaults = shipped.defaults(extension)
    assert defaults is not None
    assert "options_schema" in defaults.value


@pytest.mark.parametrize("path", EXTENSIONS, ids=lambda path: path.name)
def test_a_shipped_unit_file_is_a_unit_when_a_user_drops_it_in(path: Path, tmp_path: Path) -> None:
    config = tmp_path / "anyclaw.yaml"
    config.write_text("agents_manager: {agents: {default: {exec: /bin/true}}}\n")
    dropped = tmp_path / "units.d" / "x.yaml"
    dropped.parent.mkdir()
    body = path.read_text(encoding="utf-8").replace("\n", "\n  ")
    dropped.write_text(f"{path.stem}:\n  {body}")
    outcome = compile_config(str(config), {}, Machine({}))
    assert outcome.findings == ()
    assert outcome.plan is not None
    assert outcome.plan.units[path.stem].problem == ""


@pytest.mark.parametrize("key", ["s3cret", "12345678", ""], ids=["text", "digits", "empty"])
def test_the_key_of_debug_http_may_come_from_a_variable(key: str, tmp_path: Path) -> None:
    config = tmp_path / "anyclaw.yaml"
    options = "options: {host: 0.0.0.0, api_key: !env HTTP_KEY}"
    channel = f'debug-http: {{binary: "@built-in/channels/debug-http", {options}}}'
    config.write_text(
        "agents_manager: {agents: {default: {exec: /bin/true}}}\n"
        f"channels_manager: {{channels: {{{channel}}}}}\n"
    )
    outcome = compile_config(str(config), {"HTTP_KEY": key}, Machine({}))
    assert outcome.plan is not None, outcome.findings

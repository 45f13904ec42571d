"""The man pages have all that the reference has, and man and its linters find nothing in them."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MAKE = ROOT / "packaging" / "man" / "make.py"
_SPEC = importlib.util.spec_from_file_location("man_make", MAKE)
assert _SPEC is not None
assert _SPEC.loader is not None
make = importlib.util.module_from_spec(_SPEC)
sys.modules["man_make"] = make
_SPEC.loader.exec_module(make)

NAMES = [page.file for page in make.PAGES]
ENVIRON = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"there is no {program} here")


pytestmark = needs("pandoc")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that the pages are in."""
    directory = tmp_path_factory.mktemp("man")
    done = subprocess.run(
        [sys.executable, MAKE, directory], env=ENVIRON, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return directory


def test_all_pages_are_made(pages: Path) -> None:
    assert sorted(path.name for path in pages.iterdir()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_begins_and_ends_as_man_pages_do(pages: Path, name: str) -> None:
    lines = (pages / name).read_text("utf-8").splitlines()
    bare, _, section = name.rpartition(".")
    assert re.fullmatch(
        rf'\.TH {bare.upper()} {section} 2023-11-14 "anyclawd [\d.]+" anyclawd', lines[1]
    )
    sections = [line.removeprefix(".SH ") for line in lines if line.startswith(".SH ")]
    assert sections[:3] == ["NAME", "SYNOPSIS", "DESCRIPTION"]
    assert sections[-1] == "SEE ALSO"
    assert len(sections) == len(set(sections))


def read(page: Path) -> str:
    """A page as a person has it, on a terminal of 80 columns."""
    environ = {**ENVIRON, "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANOPT": ""}
    return subprocess.run(["man", "-l", page], env=environ, stdout=-1, text=True, check=True).stdout


@needs("man")
@pytest.mark.parametrize("page", make.PAGES, ids=NAMES)
def test_a_page_has_all_that_its_source_names(pages: Path, page: make.Page) -> None:
    """Verbs, options, settings, files and variables: what is code there, and what a heading is."""
    source = (ROOT / "docs" / "reference" / page.source).read_text("utf-8")
    prose = re.sub(r"^```.*?^```", "", source, flags=re.DOTALL | re.MULTILINE)
    named = {*re.findall(r"`([^`]+)`", prose), *re.findall(r"^### ([^`\n]+)$", prose, re.MULTILINE)}
    assert len(named) > 5
    text = "".join(read(pages / page.file).split())
    missing = [name for name in named if "".join(name.replace("\\|", "|").split()) not in text]
    assert missing == []


@needs("man")
@pytest.mark.parametrize("page", make.PAGES, ids=NAMES)
def test_a_page_has_the_sections_that_it_takes(pages: Path, page: make.Page) -> None:
    text = read(pages / page.file)
    assert [title for title, _, _ in page.taken if f"\n{title.upper()}\n" not in text] == []
    for one in make.PAGES:
        assert one is page or one.reference in text.partition("\nSEE ALSO\n")[2]


@needs("man")
@pytest.mark.parametrize("name", NAMES)
def test_a_page_fits_a_terminal_and_has_no_markdown_left(pages: Path, name: str) -> None:
    lines = read(pages / name).splitlines()
    assert [line for line in lines if len(line) > 80] == []
    leftover = re.compile(r"\]\(|`|\*\*|^ *\||^ *#+ ")
    assert [line for line in lines if leftover.search(line)] == []


@needs("mandoc")
@pytest.mark.parametrize("name", NAMES)
def test_mandoc_finds_nothing(pages: Path, name: str) -> None:
    done = subprocess.run(
        ["mandoc", "-Tlint", pages / name], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""


@needs("man")
@pytest.mark.parametrize("name", NAMES)
def test_man_finds_nothing(pages: Path, name: str) -> None:
    """As lintian asks it."""
    environ = {**ENVIRON, "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "80"}
    command = ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", pages / name]
    done = subprocess.run(
        command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True
    )
    assert done.stderr == b""


def test_a_section_that_is_no_more_is_told() -> None:
    page = replace(make.PAGES[0], taken=(("environment", "environment.md", "Read by nobody"),))
    with pytest.raises(KeyError, match="Read by nobody"):
        make.document(page)


def test_the_same_date_makes_the_same_pages(pages: Path, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, MAKE, tmp_path], env={**ENVIRON, "TZ": "Asia/Tokyo"}, check=True
    )
    for name in NAMES:
        assert (tmp_path / name).read_bytes() == (pages / name).read_bytes()

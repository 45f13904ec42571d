"""Whoever follows a tutorial ends where it says; one daemon a tutorial."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.tutorial import Reader, sections

PAGES = Path(__file__).parents[2] / "docs/tutorial"
OTHER = "In another language"


@pytest.fixture(scope="module", params=["build-a-tool", "build-a-channel", "build-a-service"])
def page(request: pytest.FixtureRequest) -> str:
    return (PAGES / f"{request.param}.md").read_text()


@pytest.fixture(scope="module")
def reader(page: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with Reader(tmp_path_factory.mktemp("desk")) as reader:
        yield reader


def test_it_leads_where_it_says(page: str, reader: Reader) -> None:
    reader.follow("".join(text for heading, text in sections(page) if heading != OTHER))


def test_it_leads_there_in_another_language(page: str, reader: Reader) -> None:
    text = dict(sections(page))[OTHER]
    if "node " in text and not shutil.which("node"):
        pytest.skip("needs node")
    reader.follow(text)

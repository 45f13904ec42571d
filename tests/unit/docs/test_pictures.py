"""The pictures in the documentation are the ones that are drawn now."""

import pytest

from tests.unit.docs.pictures import GENERATOR, PICTURES, ROOT, pictures

DRAWN = pictures()


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_what_its_generator_draws(name: str) -> None:
    assert (PICTURES / name).read_text("utf-8") == DRAWN[name], f"{GENERATOR} draws another one"


def test_each_picture_is_shown() -> None:
    page = (ROOT / "docs/how-to/boot-analysis.md").read_text("utf-8")
    shown = {path.name for path in PICTURES.iterdir() if f"](pictures/{path.name})" in page}
    assert shown == set(DRAWN)

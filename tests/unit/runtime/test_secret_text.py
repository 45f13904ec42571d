"""A secret reaches a process exactly as it is written."""

import pytest

from anyclawd.model.secret import Unavailable, reveal, reveal_text


@pytest.mark.parametrize("text", ["0012", "1e5", "true", "", " padded "])
def test_a_variable_gets_the_text_of_a_secret_and_no_number(text: str) -> None:
    for source in ("env", "credential"):
        marked = {"!secret": {source: "KEY", "default": None}}
        assert reveal_text(marked, {"KEY": text}, {"KEY": text}.get) == text


def test_an_option_gets_the_type_that_the_original_gives_it() -> None:
    marked = {"!secret": {"env": "KEY", "default": None}}
    assert reveal(marked, {"KEY": "1e5"}, {}.get) == 100000.0


def test_a_secret_inside_a_map_is_part_of_its_json() -> None:
    marked = {"a": {"!secret": {"env": "KEY", "default": "x"}}}
    assert reveal_text(marked, {}, {}.get) == '{"a":"x"}'


def test_an_unset_variable_is_named() -> None:
    with pytest.raises(Unavailable, match="KEY"):
        reveal_text({"!secret": {"env": "KEY", "default": None}}, {}, {}.get)

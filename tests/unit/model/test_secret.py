"""Secrets inside values: where they are shown, and what becomes of the text of a variable."""

import pytest

from anyclawd.model.secret import (
    MARK,
    SHOWN_AS,
    Unavailable,
    as_variable,
    is_secret,
    redact,
    retype,
    reveal,
    scrub,
)
from anyclawd.model.value import Json

TYPED = {  # behaviour: (text, value)
    "true": ("true", True),
    "only-that-spelling": ("True", "True"),
    "empty": ("", ""),
    "whole": ("-42", -42),
    "leading-zeros": ("007", 7),
    "largest-whole": (str(2**63 - 1), 2**63 - 1),
    "beyond-64-bits": (str(2**63), float(2**63)),
    "real": ("1.5", 1.5),
    "exponent": ("1e3", 1000.0),
    "hexadecimal-is-text": ("0x10", "0x10"),
    "underscores-are-text": ("1_000", "1_000"),
    "blanks-are-text": (" 1", " 1"),
    "digits-of-other-scripts-are-text": ("\u0661", "\u0661"),
    "infinity-is-text": ("inf", "inf"),
    "not-a-number-is-text": ("nan", "nan"),
    "too-many-digits-are-text": ("9" * 400, "9" * 400),
    "far-too-many-digits-are-text": ("9" * 5000, "9" * 5000),
    "too-large-an-exponent-is-text": ("1e400", "1e400"),
}


@pytest.mark.parametrize(("text", "value"), TYPED.values(), ids=TYPED)
def test_retype(text: str, value: bool | int | float | str) -> None:
    found = retype(text)
    assert (found, type(found)) == (value, type(value))


WRITTEN = {MARK: {"value": "hunter2"}}
FROM_ENV = {MARK: {"env": "TOKEN", "default": None}}
GIVEN = {MARK: {"credential": "key", "default": None}}
WITH_DEFAULT = {MARK: {"env": "TOKEN", "default": "none"}}


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        (WRITTEN, True),
        (FROM_ENV, True),
        ({MARK: {"value": "x"}, "more": 1}, False),
        ({"value": "x"}, False),
        (MARK, False),
        (None, False),
    ],
)
def test_only_a_map_with_that_one_key_is_a_secret(value: Json, is_one: bool) -> None:
    assert is_secret(value) is is_one


def test_secrets_are_revealed_wherever_they_are() -> None:
    value = {"a": WRITTEN, "b": [FROM_ENV, {"c": WITH_DEFAULT}], "d": 1, "e": GIVEN}
    revealed = {"a": "hunter2", "b": ["t0p", {"c": "t0p"}], "d": 1, "e": "k3y"}
    assert reveal(value, {"TOKEN": "t0p"}, {"key": "k3y"}.get) == revealed


def test_what_is_not_there_is_named_unless_there_is_a_default() -> None:
    with pytest.raises(Unavailable, match="variable 'TOKEN' is not set"):
        reveal(FROM_ENV, {}, {}.get)
    assert reveal(WITH_DEFAULT, {}, {}.get) == "none"
    with pytest.raises(Unavailable, match="add LoadCredential=key:/path to a drop-in"):
        reveal(GIVEN, {}, {}.get)
    assert reveal({MARK: {"credential": "key", "default": ""}}, {}, {}.get) == ""


@pytest.mark.parametrize("text", ["0012", "1e5", "true", "", " padded "])
def test_a_credential_is_text_whatever_it_looks_like(text: str) -> None:
    """A password of digits is no number, and would be another one without its zeros."""
    assert reveal(GIVEN, {}, {"key": text}.get) == text


def test_nothing_of_a_secret_is_shown() -> None:
    value = {"a": WRITTEN, "b": [FROM_ENV, {"c": WITH_DEFAULT}], "d": 1}
    shown = redact(value)
    assert shown == {"a": SHOWN_AS, "b": [SHOWN_AS, {"c": SHOWN_AS}], "d": 1}
    assert "hunter2" not in str(shown)
    assert "TOKEN" not in str(shown)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (True, "true"),
        (None, "null"),
        (1.5, "1.5"),
        ({"a": [1, "é"]}, '{"a":[1,"é"]}'),
    ],
)
def test_a_variable_holds_text_as_it_is_and_all_else_as_json(value: Json, text: str) -> None:
    assert as_variable(value) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:hunter2@host:8443/x?deep=1", "https://me:<secret>@host:8443/x?deep=1"),
        ("http://:hunter2@host", "http://:<secret>@host"),
        ("http://me:hun:ter@2@host/", "http://me:<secret>@host/"),
        (
            "--proxy=http://me:a@b no://you:c@d/ x",
            "--proxy=http://me:<secret>@b no://you:<secret>@d/ x",
        ),
        ("http://me@host:80/", "http://me@host:80/"),
        ("http://host:80/a:b@c", "http://host:80/a:b@c"),
        ("http://host?x=a:b@c", "http://host?x=a:b@c"),
        ("a:b@c", "a:b@c"),
        ("://", "://"),
        ("", ""),
    ],
)
def test_a_password_in_a_url_is_not_shown(text: str, shown: str) -> None:
    assert scrub({"deep": [text]}, ()) == {"deep": [shown]}

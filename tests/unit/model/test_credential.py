"""Names of credentials, where they lie, and what the bytes of one say."""

import pytest

from anyclawd.model.credential import LARGEST_BYTES, is_name, not_given, path_of, text_of

NAMES = ["a", "telegram.token", "API_KEY", "with blank", "-", "...", "x" * 255, "~!*"]
NO_NAMES = [
    "",
    ".",
    "..",
    "a/b",
    "/etc/passwd",
    "../x",
    "a:b",
    "x" * 256,
    "é",
    "a\n",
    "a\0",
    "\x7f",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_systemd_takes(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_name_that_systemd_refuses(name: str) -> None:
    assert not is_name(name)


def test_it_lies_in_the_directory_that_the_service_manager_names() -> None:
    assert path_of("key", {"CREDENTIALS_DIRECTORY": "/run/credentials/x"}) == (
        "/run/credentials/x/key"
    )
    assert path_of("key", {}) == path_of("key", {"CREDENTIALS_DIRECTORY": ""}) == ""


TEXTS = {  # behaviour: (content, text)
    "as-it-is": (b"k3y", "k3y"),
    "empty": (b"", ""),
    "one-newline-goes": (b"k3y\n", "k3y"),
    "one-only": (b"k3y\n\n", "k3y\n"),
    "lines-stay": (b"BEGIN\nEND\n", "BEGIN\nEND"),
    "blanks-stay": (b" k3y \n", " k3y "),
    "largest": (b"x" * LARGEST_BYTES, "x" * LARGEST_BYTES),
}


@pytest.mark.parametrize(("content", "text"), TEXTS.values(), ids=TEXTS)
def test_what_it_says(content: bytes, text: str) -> None:
    assert text_of(content) == text


def test_one_that_is_too_large_or_no_text_is_refused_without_a_word_of_it() -> None:
    with pytest.raises(ValueError, match="is larger than 1 MiB, the most that is read"):
        text_of(b"x" * (LARGEST_BYTES + 1))
    with pytest.raises(
        ValueError, match=r"^its byte 8 is not UTF-8, expected UTF-8 text$"
    ) as error:
        text_of(b"hunter2\xff")
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_one_that_is_not_given_is_told_with_the_next_move() -> None:
    move = (
        "; add LoadCredential=key:/path to a drop-in of the unit ('systemctl edit') and restart it"
        " ('systemctl restart')"
    )
    assert not_given("key", {"CREDENTIALS_DIRECTORY": "/run/credentials/x.service"}) == (
        f"the credential key is not among those that the service is given{move}"
    )
    assert not_given("key", {}) == (
        f"the credential key cannot be had, since CREDENTIALS_DIRECTORY is not set{move}"
    )


def test_where_systemd_gives_none_a_file_does() -> None:
    assert not_given("key", {"CREDENTIALS_DIRECTORY": "/run/secrets"}) == (
        "the credential key is not in /run/secrets, which CREDENTIALS_DIRECTORY names; put a file"
        " of that name there (in a container: a secret of that name) and start the daemon again"
    )

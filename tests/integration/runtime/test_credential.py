"""Credentials as the daemon reads them, from a directory of real files."""

from pathlib import Path

import pytest

from anyclawd.model.secret import Unavailable
from anyclawd.runtime.credential import reader


def test_a_credential_is_its_file_as_it_is_now(tmp_path: Path) -> None:
    read = reader({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert read("key") is None
    (tmp_path / "key").write_text("one\n")
    assert read("key") == "one"
    (tmp_path / "key").write_text("two")
    assert read("key") == "two"


def test_without_a_directory_there_is_none() -> None:
    assert reader({})("key") is None


UNUSABLE = {
    "folder": "cannot read the credential folder: Is a directory",
    "bytes": "cannot use the credential bytes: its byte 8 is not UTF-8, expected UTF-8 text",
    "large": "cannot use the credential large: it is larger than 1 MiB, the most that is read",
}


@pytest.mark.parametrize(("name", "text"), UNUSABLE.items(), ids=UNUSABLE)
def test_what_cannot_be_used_is_told_without_a_word_of_it(
    name: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "bytes").write_bytes(b"hunter2\xff")
    (tmp_path / "large").write_bytes(b"x" * (2**20 + 1))
    with pytest.raises(Unavailable) as caught:
        reader({"CREDENTIALS_DIRECTORY": str(tmp_path)})(name)
    assert str(caught.value) == text

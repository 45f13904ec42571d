"""The compiler's answer as the daemon takes it from a real child."""

import os

import pytest

from anyclawd.daemon.first_wave import _compiled
from anyclawd.daemon.places import StartError


@pytest.mark.parametrize(
    ("script", "code"),
    [("printf '{'; kill -9 $$", -9), ("exit 1", 1), ("printf '{'; exit 2", 2)],
    ids=["killed-amid-its-answer", "without-an-answer", "called-wrongly"],
)
def test_a_compiler_that_fails_is_told_by_its_exit_code(script: str, code: int) -> None:
    reading, writing = os.pipe()
    argv = ["/bin/sh", "-c", script]
    actions = [(os.POSIX_SPAWN_DUP2, writing, 1)]
    pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
    os.close(writing)
    with pytest.raises(StartError, match=f"the compiler has failed with exit code {code}"):
        _compiled(pid, reading)

"""The first milliseconds: what may be imported, and how the command line is read."""

import subprocess
import sys
from pathlib import Path

import pytest

from anyclawd.daemon.stage0 import Handover, _parse

#: What stage 0 may add to a bare interpreter; everything else waits until the wave is up.
ALLOWED = {"anyclawd", "fcntl", "marshal", "resource", "gc", "time", "errno", "_ctypes", "_struct"}


def test_nothing_heavy_is_imported_before_the_first_wave() -> None:
    code = """
import sys
before = set(sys.modules)
import anyclawd.daemon.stage0
from anyclawd.daemon import cache, places
from anyclawd.model import secret
from anyclawd.runtime import credential, spawn, tree
import fcntl
tree.become_subreaper()
print("\\n".join(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    assert imported <= ALLOWED


COMMAND_LINES = {
    "nothing": ([], True),
    "config": (["-c", "a.yaml"], True),
    "config-joined": (["--config=a.yaml"], True),
    "config-joined-short": (["-ca=b.yaml"], True),
    "all": (["-c", "a", "--state-dir", "s", "--runtime-dir=r", "--log-level", "debug"], True),
    "help": (["--help"], False),
    "version": (["--version"], False),
    "unknown": (["--nonsense", "x"], False),
    "missing-value": (["-c"], False),
    "empty-value": (["--config="], False),
    "positional": (["run"], False),
}


@pytest.mark.parametrize(("arguments", "is_plain"), COMMAND_LINES.values(), ids=COMMAND_LINES)
def test_plain_options_are_taken_and_the_rest_is_left_to_argparse(
    arguments: list[str], is_plain: bool
) -> None:
    assert _parse(Handover(arguments)) is is_plain


def test_a_value_may_be_joined_to_a_short_option() -> None:
    handover = Handover(["-ca=b.yaml"])
    assert _parse(handover)
    assert handover.config == "a=b.yaml"


def test_options_arrive_where_they_belong() -> None:
    handover = Handover(["-c", "a.yaml", "--state-dir=s", "--runtime-dir", "r"])
    assert _parse(handover)
    assert (handover.config, handover.state_dir, handover.runtime_dir) == ("a.yaml", "s", "r")


@pytest.mark.parametrize("name", ["lock", "instance.new"])
def test_a_state_directory_that_cannot_be_written_is_told_in_one_line(
    tmp_path: Path, name: str
) -> None:
    """A full disk, as far as one file of it goes."""
    (tmp_path / "anyclaw.yaml").touch()
    state = tmp_path / "state"
    state.mkdir()
    (state / name).symlink_to("/dev/full")
    options = ["-c", "anyclaw.yaml", "--state-dir", str(state), "--runtime-dir", str(tmp_path)]
    code = "import sys; from anyclawd.daemon.stage0 import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    text = f"anyclawd: cannot use the state directory {str(state)!r}: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, text)

"""Follows a tutorial as its reader does: writes its files, types its commands, reads its output.

A block whose first lines name a file in a comment is that file. A block of `sh` is what is typed in
one terminal; the one that starts the daemon starts it, in directories of its own. A block of `text`
is what the commands before it print. Commands that only look are typed until they print it.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.daemon import WAIT_S, Daemon, environment, running

START = "anyclawd -c anyclaw.yaml\n"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"(?:#!.*\n)?(?:#|//) ([\w.-]+\.\w+)\n")
#: What changes nothing, and so may be typed again until it shows what is waited for.
LOOKING = ("cat", "anyclawctl status", "anyclawctl logs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    language: str
    text: str

    @property
    def file(self) -> str:
        found = FILE.match(self.text)
        return found[1] if found else ""


def steps(page: str) -> list[Step]:
    return [Step(language=language, text=text) for language, text in BLOCK.findall(page)]


class Reader:
    """One reader at one desk; leaving it is Ctrl-C in the first terminal."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._desk = ExitStack()
        self._daemon: Daemon | None = None
        self._typed = ""
        self._printed = ""

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *error: object) -> None:
        self._desk.close()

    def follow(self, page: str) -> None:
        try:
            for step in steps(page):
                self._take(step)
        except BaseException as error:
            if self._daemon is not None:
                error.add_note(f"the end of the daemon's log:\n{self._daemon.log_text()[-4000:]}")
            raise

    def _take(self, step: Step) -> None:
        if step.file:
            path = self.directory / step.file
            path.write_text(step.text)
            path.chmod(0o755)
        elif step.text == START:
            self._daemon = self._desk.enter_context(running(self.directory))
        elif step.language == "sh":
            self._typed = step.text
            self._printed = self._type(step.text)
        elif step.language == "text":
            self._read(step.text)
        else:
            raise AssertionError(f"a block of {step.language} that is neither file nor command")

    def _read(self, expected: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not is_shown(expected, self._printed) and self._typed.startswith(LOOKING):
            assert time.monotonic() < deadline, f"{self._typed}printed {self._printed}"
            self._printed = self._type(self._typed)
        assert is_shown(expected, self._printed), f"{self._typed}printed {self._printed}"

    def _type(self, commands: str) -> str:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {"PATH": path} | ({"ANYCLAWD_SOCKET": self._daemon.socket} if self._daemon else {})
        done = subprocess.run(
            ["sh", "-ec", commands],
            cwd=self.directory,
            env=environment(own),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
        )
        assert done.returncode == 0 or self._typed.startswith(LOOKING), f"{commands}{done.stderr}"
        return done.stdout


def is_shown(expected: str, printed: str) -> bool:
    """Whether it was printed; three dots are any text, and alone on a line any lines."""
    lines = [re.escape(line).replace(r"\.\.\.", ".*") for line in expected.splitlines()]
    parts = ("(?:.*\n)*" if line == ".*" else f"{line}\n" for line in lines)
    return re.fullmatch("".join(parts), printed.strip() + "\n") is not None


def sections(page: str) -> Iterator[tuple[str, str]]:
    """(heading, text) of each; what comes before the first heading has none."""
    heading = ""
    lines: list[str] = []
    for line in page.splitlines(keepends=True):
        if line.startswith("## "):
            yield heading, "".join(lines)
            heading, lines = line.removeprefix("## ").strip(), []
        else:
            lines.append(line)
    yield heading, "".join(lines)

"""A process that is killed while it writes has lost nothing that it was told to be in."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from anyclawd.route.record import MessageState
from tests.fakes.kept import CHAT, running

ROOT = Path(__file__).parents[3]

#: Writes one life after the other, sixteen at a time; says on stdout what is in.
WRITER = """
import asyncio, itertools, os, sys
from pathlib import Path
from tests.fakes.kept import a_life, running

async def live(store, number):
    for step, entries in enumerate(a_life(number)):
        assert await store.put(*entries, is_durable=step == 0) is None
        os.write(1, b"%d %d\\n" % (number, step))

async def lane(store, first):
    for number in itertools.count(first, 16):
        await live(store, number)

async def main():
    async with running(Path(sys.argv[1])) as store, asyncio.TaskGroup() as tasks:
        for first in range(16):
            tasks.create_task(lane(store, first))

asyncio.run(main())
"""

#: The state that a message is in at least, by the last of its steps that was in.
STATES = (
    MessageState.QUEUED,
    MessageState.QUEUED,
    MessageState.RUNNING,
    MessageState.ANSWERED,
    MessageState.DELIVERED,
)
ORDER = tuple(MessageState)


def _write_and_kill(path: Path, lines: int) -> dict[int, int]:
    """Kill a writer once it has said so much; the last step of each message that was in."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}"},
    ) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(lines)]
        writer.send_signal(signal.SIGKILL)
        said += writer.stdout.read().splitlines(keepends=True)
    steps: dict[int, int] = {}
    for line in said:
        whole = re.fullmatch(rb"(\d+) (\d+)\n", line)
        if whole is not None:  # the last line may be cut short
            steps[int(whole[1])] = int(whole[2])
    return steps


@pytest.mark.parametrize("lines", [1, 40, 700])
async def test_all_that_was_told_to_be_in_is_in(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "sessions.db"
    steps = _write_and_kill(path, lines)
    assert steps
    async with running(path) as store:
        assert store.reports == []
        for number, step in steps.items():
            found = await store.message(f"m{number}")
            assert found is not None, f"m{number} was in and is not any more"
            assert ORDER.index(MessageState(found["state"])) >= ORDER.index(STATES[step])
        for one in await store.messages(CHAT, 10**6):  # what belongs together is in together
            has_answer = one["state"] in (MessageState.ANSWERED, MessageState.DELIVERED)
            assert (one["text"] == "hi") is has_answer

"""The compiler as a child of a daemon that runs: its loop waits, and nothing is left of it."""

import asyncio
import marshal
import os
import sys
from pathlib import Path

import pytest

from anyclawd.daemon import compilation
from anyclawd.daemon.compilation import NotCompiled, Reaping, wait_compiled
from anyclawd.model.plan import Plan, from_plain


class Children:
    """What a reaper is told."""

    def __init__(self) -> None:
        self.spared: list[int] = []
        self.ended: list[int] = []
        self.reaping = Reaping(self.spared.append, self.ended.append)

    def assert_gone(self) -> None:
        """Each child was spared, is reaped, and the reaper knows."""
        assert self.spared == self.ended
        for pid in self.spared:
            with pytest.raises(ChildProcessError):
                os.waitpid(pid, 0)


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "anyclaw.yaml"
    path.write_text(f"units: {{a.service: {{exec: [{sys.executable}], protocol: none}}}}\n")
    return str(path)


def instead(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A shell script in the compiler's place."""

    def start(_config: str, _dropins: str) -> tuple[int, int]:
        reading, writing = os.pipe()
        argv = ["/bin/sh", "-c", script]
        actions = [(os.POSIX_SPAWN_DUP2, writing, 1)]
        pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
        os.close(writing)
        return pid, reading

    monkeypatch.setattr(compilation, "start_compiler", start)


async def failure(children: Children) -> str:
    """Why nothing has been compiled."""
    with pytest.raises(NotCompiled) as caught:
        await wait_compiled("", "", children.reaping)
    return str(caught.value)


async def test_a_plan_comes_back_with_its_inputs(config: str, tmp_path: Path) -> None:
    children = Children()
    plain, inputs = await wait_compiled(config, str(tmp_path / "dropins"), children.reaping)
    plan: Plan = from_plain(marshal.loads(plain))
    assert "a.service" in plan.units
    assert config in {name for _, name, _ in inputs}
    assert f"{tmp_path}/dropins/*.d" in {name for _, name, _ in inputs}
    children.assert_gone()


async def test_the_loop_goes_on_while_it_is_compiled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The child waits for what this loop does meanwhile; a loop that stood still would end it."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    instead(monkeypatch, f"printf '{{'; timeout 60 cat {gate}; exit 5")
    children = Children()
    async with asyncio.TaskGroup() as tasks:
        compiling = tasks.create_task(failure(children))
        for _ in range(100):
            await asyncio.sleep(0)
            assert not compiling.done()
        await asyncio.to_thread(gate.write_text, "}")
    assert "has failed with exit code 5" in compiling.result()
    children.assert_gone()


async def test_findings_come_back_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "anyclaw.yaml"
    path.write_text("units: {a.service: {shiny: 1}, b.service: 3}\n")
    children = Children()
    with pytest.raises(NotCompiled) as caught:
        await wait_compiled(str(path), "", children.reaping)
    assert len(caught.value.findings) >= 2
    assert {finding.span.file for finding in caught.value.findings} == {str(path)}
    children.assert_gone()


@pytest.mark.parametrize(
    ("script", "code"),
    [("printf '{'; kill -9 $$", -9), ("exit 1", 1), ("printf '{'; exit 2", 2)],
    ids=["killed-amid-its-answer", "without-an-answer", "called-wrongly"],
)
async def test_a_compiler_that_fails_is_told_by_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, script: str, code: int
) -> None:
    instead(monkeypatch, script)
    children = Children()
    with pytest.raises(NotCompiled, match=f"has failed with exit code {code}") as caught:
        await wait_compiled("", "", children.reaping)
    assert caught.value.findings == ()
    children.assert_gone()


@pytest.mark.parametrize("script", ["exec sleep 1000", "exec 1>&-; exec sleep 1000"])
async def test_a_compiler_that_hangs_is_killed(
    monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    instead(monkeypatch, script)
    monkeypatch.setattr(compilation, "COMPILE_S", 0.05)
    children = Children()
    with pytest.raises(NotCompiled, match=r"has not ended within 0\.05 seconds; it was killed"):
        await wait_compiled("", "", children.reaping)
    children.assert_gone()


async def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, "exec cat /dev/zero")
    monkeypatch.setattr(compilation, "ANSWER_BYTES_MAX", 10_000)
    children = Children()
    with pytest.raises(NotCompiled, match="larger than 10000 bytes"):
        await wait_compiled("", "", children.reaping)
    children.assert_gone()


async def test_nobody_waits_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, "exec sleep 1000")
    children = Children()
    async with asyncio.TaskGroup() as tasks:
        compiling = tasks.create_task(wait_compiled("", "", children.reaping))
        await asyncio.sleep(0)  # it begins
        assert children.spared
        compiling.cancel()
    children.assert_gone()

"""Agents that would be served every file there is: warned of, and no error."""

import pytest

from anyclawd.compile.compiler import compile_config
from tests.fakes.paper_world import PaperWorld
from tests.unit.compile.conftest import CONFIG, Compile, lines

SAID = (
    "fs serves all of its workspace, which is the whole file system; set working_dir to the"
    " directory that it works in"
)


def agents(keys: str) -> str:
    return f"agents_manager: {{agents: {{a: {{exec: sh, {keys}}}}}}}\n"


def warnings(compile_text: Compile, text: str) -> list[str]:
    outcome = compile_text(text)
    assert outcome.plan is not None, lines(outcome)
    return [line.partition("anyclaw.yaml:")[2] for line in lines(outcome)]


@pytest.mark.parametrize("fs", ["true", "{read: true}", "{write: true}"])
def test_a_workspace_that_is_the_whole_file_system_is_warned_of(
    compile_text: Compile, fs: str
) -> None:
    found = warnings(compile_text, agents(f"working_dir: /, fs: {fs}"))
    assert found == [f"1:54: warning: agents_manager.agents.a.working_dir: {SAID}"]


@pytest.mark.parametrize("path", ["//", "/srv/..", "../.."])
def test_it_is_so_however_it_is_spelled(compile_text: Compile, path: str) -> None:
    assert len(warnings(compile_text, agents(f"working_dir: {path}, fs: true"))) == 1


def test_in_the_originals_words_it_is_told_in_them(compile_text: Compile) -> None:
    workspace = "workspace: {type: local, binary: sh, working_dir: /}"
    [found] = warnings(
        compile_text, f"agents_manager: {{agents: {{a: {{{workspace}, fs: true}}}}}}\n"
    )
    assert f"agents_manager.agents.a.workspace.working_dir: {SAID}" in found


def test_where_the_daemon_itself_works_there_fs_is_named() -> None:
    world = PaperWorld(
        files={CONFIG: agents("fs: true").encode()}, environ={"PATH": "/bin"}, cwd="/"
    )
    outcome = compile_config(CONFIG, world.environ, world)
    assert outcome.plan is not None
    assert [line.partition(":")[2] for line in lines(outcome)] == [
        f"1:45: warning: agents_manager.agents.a.fs: {SAID}"
    ]


def test_of_a_pool_it_is_told_once(compile_text: Compile) -> None:
    assert len(warnings(compile_text, agents("working_dir: /, fs: true, max_workers: 3"))) == 1


QUIET = {
    "a-directory": "working_dir: /srv, fs: true",
    "the-daemons": "fs: true",
    "no-files": "working_dir: /",
    "none-of-them": "working_dir: /, fs: {read: false}",
    "a-terminal": "working_dir: /, terminal: true",
    "switched-off": "working_dir: /, fs: true, enabled: !env 'ON:false'",
}


@pytest.mark.parametrize("keys", QUIET.values(), ids=QUIET)
def test_nothing_else_is_warned_of(compile_text: Compile, keys: str) -> None:
    assert warnings(compile_text, agents(keys)) == []

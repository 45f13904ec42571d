"""The real machine, and the paper one of the unit tests held to it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from anyclawd.compile.tree import Machine, World
from tests.fakes.paper_world import PaperWorld

Make = Callable[[Path], World]


def real(root: Path) -> World:
    (root / "bin").mkdir()
    (root / "units.d").mkdir()
    (root / "units.d" / "b.yaml").write_text("b")
    (root / "units.d" / "a.yaml").write_text("a")
    (root / "bin" / "tool").write_text("#!/bin/sh\n")
    (root / "bin" / "tool").chmod(0o755)
    return Machine({"PATH": f"{root}/none:{root}/bin"})


def paper(root: Path) -> World:
    tool = f"{root}/bin/tool"
    files = {f"{root}/units.d/b.yaml": b"b", f"{root}/units.d/a.yaml": b"a", tool: b"#!/bin/sh\n"}
    return PaperWorld(
        files=files,
        environ={"PATH": f"{root}/none:{root}/bin"},
        executables=frozenset({tool}),
        cwd=str(Path.cwd()),
    )


@pytest.fixture(params=[real, paper], ids=["real", "paper"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    make: Make = request.param
    return make(tmp_path)


def test_a_world_answers_what_the_compiler_asks(world: World, tmp_path: Path) -> None:
    tool, listed = f"{tmp_path}/bin/tool", f"{tmp_path}/units.d"
    assert world.names_in(listed) == ("a.yaml", "b.yaml")
    assert world.read(f"{listed}/a.yaml") == b"a"
    assert world.head(tool) == b"#!/bin/sh\n"
    assert (world.which("tool"), world.which("nonesuch")) == (tool, None)
    assert (world.is_file(tool), world.is_file(listed)) == (True, False)
    assert (world.is_dir(listed), world.is_dir(tool)) == (True, False)
    assert (world.is_executable(tool), world.is_executable(f"{listed}/a.yaml")) == (True, False)
    assert (world.has_user("root"), world.has_user("0")) == (True, True)
    assert (world.has_user("nobody-at-all"), world.has_user("9" * 30)) == (False, False)
    assert world.working_directory() == str(Path.cwd())
    assert world.environ["PATH"].endswith("/bin")


def test_a_world_names_what_is_missing(world: World, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        world.read(f"{tmp_path}/none")
    with pytest.raises(IsADirectoryError):
        world.read(f"{tmp_path}/units.d")
    with pytest.raises(FileNotFoundError):
        world.head(f"{tmp_path}/none")
    with pytest.raises(FileNotFoundError):
        world.names_in(f"{tmp_path}/none")
    with pytest.raises(NotADirectoryError):
        world.names_in(f"{tmp_path}/bin/tool")


def test_the_data_of_a_checkout_is_found() -> None:
    found = Machine().data_directory()
    assert found is not None
    assert (Path(found) / "ext").is_dir()


def test_the_data_of_an_installed_wheel_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = tmp_path / "share" / "anyclawd" / "units"
    units.mkdir(parents=True)
    (units / "default.target.yaml").write_text("description: x\n")
    elsewhere = tmp_path / "lib" / "site-packages" / "anyclawd" / "compile" / "tree.py"
    monkeypatch.setattr("anyclawd.compile.tree.__file__", str(elsewhere))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert Machine().data_directory() == str(tmp_path / "share" / "anyclawd")

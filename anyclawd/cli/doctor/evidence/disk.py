"""The file systems that the daemon and its agents write to."""

import os
from collections.abc import Iterator
from pathlib import Path

from anyclawd.cli.doctor.evidence.paths import is_directory
from anyclawd.cli.doctor.scene import Scene
from anyclawd.cli.doctor.verdict.disk import DiskFacts


def facts_of(scene: Scene) -> tuple[DiskFacts, ...]:
    """One a file system, in the order of what is on it."""
    uses: dict[int | str, list[str]] = {}
    paths: dict[int | str, str] = {}
    state: set[int | str] = set()
    for path, use, is_state in _places(scene):
        place = _existing(path)
        key = _device(place)
        uses.setdefault(key, [])
        paths.setdefault(key, place)
        if use not in uses[key]:
            uses[key].append(use)
        if is_state:
            state.add(key)
    return tuple(
        _look(paths[key], tuple(names), is_state=key in state) for key, names in uses.items()
    )


def _places(scene: Scene) -> Iterator[tuple[str, str, bool]]:
    """What is where, and whether the daemon itself writes there."""
    yield scene.state_dir, "the state directory", True
    plan = scene.plan
    if plan is None:
        return
    if plan.settings.session_store.path:
        yield plan.settings.session_store.path, "the database", True
    for name, unit in plan.units.items():
        if unit.agent is not None and is_directory(unit.agent.cwd):
            yield unit.agent.cwd, f"the workspace of {name}", False


def _existing(path: str) -> str:
    """The path, or the nearest directory above it that is there."""
    while path != "/" and not os.access(path, os.F_OK):
        path = str(Path(path).parent)
    return path


def _device(path: str) -> int | str:
    try:
        return Path(path).stat().st_dev
    except OSError:
        return path


def _look(path: str, uses: tuple[str, ...], *, is_state: bool) -> DiskFacts:
    try:
        found = os.statvfs(path)
    except OSError:
        return DiskFacts(path=path, uses=uses, is_state=is_state, is_unseen=True)
    return DiskFacts(
        path=path,
        uses=uses,
        is_state=is_state,
        is_read_only=bool(found.f_flag & os.ST_RDONLY),
        free_bytes=found.f_bavail * found.f_frsize,
        total_bytes=found.f_blocks * found.f_frsize,
        free_files=found.f_favail,
        total_files=found.f_files,
    )

"""Modes and owners of what the daemon lives on."""

import grp
import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from anyclawd.cli.doctor.evidence.secrets import marks_of
from anyclawd.cli.doctor.scene import Scene
from anyclawd.cli.doctor.verdict.permissions import PathFacts, Shape, Use
from anyclawd.model.plan import Plan

#: What the daemon keeps directly in its state directory; see `daemon.places`.
_KEPT = ("lock", "instance", "running", "stopped", "plan")
#: What lies beside a database and holds the same.
_BESIDE = ("", "-wal", "-shm", "-journal")


def facts_of(scene: Scene) -> Iterator[PathFacts]:
    """Everything whose rights matter, each path once."""
    seen: set[str] = set()
    daemon = _Reader(scene.daemon_uid)
    for path, use, holds_secrets in _paths(scene):
        if path not in seen:
            seen.add(path)
            facts = look(path, use, holds_secrets=holds_secrets)
            is_read_by_root = path in scene.service.environment_files
            if use is Use.CONFIG and not is_read_by_root and not daemon.is_let_in(path):
                facts = replace(facts, needs_group=daemon.group)
            yield facts


class _Reader:
    """A user, and what that one may read without the rights of others."""

    def __init__(self, uid: int) -> None:
        self._uid, self._groups, self.group = uid, frozenset[int](), ""
        try:
            account = pwd.getpwuid(uid)
            self._groups = frozenset(os.getgrouplist(account.pw_name, account.pw_gid))
            self.group = grp.getgrgid(account.pw_gid).gr_name
        except KeyError:  # a number without a name
            self.group = self.group or "GROUP"

    def is_let_in(self, path: str) -> bool:
        try:
            found = Path(path).stat()
        except OSError:
            return True  # there is nothing to take away
        by_group = found.st_gid in self._groups and found.st_mode & stat.S_IRGRP
        by_owner = found.st_uid == self._uid and found.st_mode & stat.S_IRUSR
        return self._uid == 0 or bool(by_group or by_owner)


def look(path: str, use: Use, *, holds_secrets: bool = False) -> PathFacts:
    """What there is to see of a path, links followed."""
    try:
        found = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return PathFacts(path=path, use=use, shape=Shape.MISSING)
    except OSError:
        return PathFacts(path=path, use=use, shape=Shape.UNSEEN)
    return PathFacts(
        path=path,
        use=use,
        shape=_shape(found.st_mode),
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        owner=name_of(found.st_uid),
        holds_secrets=holds_secrets,
    )


def is_directory(path: str) -> bool:
    """Whether there is one, as far as we may look."""
    return look(path, Use.CONFIG_DIRECTORY).shape is Shape.DIRECTORY


def name_of(uid: int) -> str:
    """A user's name, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _paths(scene: Scene) -> Iterator[tuple[str, Use, bool]]:
    yield scene.state_dir, Use.STATE, False
    yield scene.runtime_dir, Use.RUNTIME, False
    for name in _KEPT:
        yield f"{scene.state_dir}/{name}", Use.PRIVATE, False
    from anyclawd.compile.secret import looks_secret

    plan = scene.plan
    if plan is not None and plan.settings.session_store.path:
        for end in _BESIDE:
            yield f"{plan.settings.session_store.path}{end}", Use.PRIVATE, False
    files = [scene.config] if scene.config else []
    files += [name for kind, name, _ in scene.inputs if kind == "file" and name not in files]
    own = [name for name in files if not _is_shipped(name, scene)]
    for name in sorted({str(Path(name).parent) for name in own}):
        yield name, Use.CONFIG_DIRECTORY, False
    for above in sorted({str(one) for name in own for one in Path(name).parent.parents}):
        yield above, Use.ABOVE, False
    for program in () if plan is None else sorted(_programs(plan)):
        yield program, Use.PROGRAM, False
    names = frozenset(one.name for one in scene.variables if looks_secret(one.name))
    for name in scene.service.environment_files:
        yield name, Use.CONFIG, _sets(name, names)
    written = frozenset() if plan is None else _written(plan)
    for name in own:
        yield name, Use.CONFIG, _holds(name, written)


def _programs(plan: Plan) -> set[str]:
    """What units execute: programs, and what stands behind an interpreter, by whole paths."""
    from anyclawd.compile.world import commands_of

    commands = (command for unit in plan.units.values() for _, command in commands_of(unit))
    words = (word for command in commands for word in command.argv[:2])
    return {word for word in words if word.startswith("/")}


def _is_shipped(name: str, scene: Scene) -> bool:
    """Whether it came with anyclawd, and so is a package manager's business."""
    data = scene.machine.data_directory()
    return data is not None and name.startswith(f"{data}/units/")


def _written(plan: Plan) -> frozenset[str]:
    """The texts of all secrets that stand in the configuration itself."""
    texts = (mark.get("value") or mark.get("default") for mark in marks_of(plan))
    return frozenset(str(text) for text in texts if text)


def _sets(path: str, names: frozenset[str]) -> bool:
    """Whether a file of variables sets one of these."""
    try:
        lines = Path(path).read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    return any(line.partition("=")[0].strip() in names for line in lines)


def _holds(path: str, texts: Iterable[str]) -> bool:
    try:
        content = Path(path).read_text("utf-8", "replace")
    except OSError:
        return False
    return any(text in content for text in texts)


def _shape(mode: int) -> Shape:
    if stat.S_ISDIR(mode):
        return Shape.DIRECTORY
    return Shape.FILE if stat.S_ISREG(mode) else Shape.OTHER

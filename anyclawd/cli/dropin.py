"""Drop-ins of units as `set-property` and `edit` write them: whole, judged, or not at all.

The daemon judges what is written, since it knows its own variables and directories: it reloads, and
a drop-in that makes the configuration unusable is put back as it was. Without a daemon, or with a
configuration named by -c, the compiler judges in this process, and what is written holds from the
next start.
"""

import fcntl
import os
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from anyclawd.cli import reload, render
from anyclawd.cli.acting import acting_as
from anyclawd.cli.daemon import connect
from anyclawd.client.client import Client
from anyclawd.client.exchange import NO_DAEMON, NO_SUCH_UNIT, ClientError
from anyclawd.model.value import Json

if TYPE_CHECKING:
    from anyclawd.compile.compiler import Outcome

#: What the compiler says of a drop-in that belongs to no unit.
_NOBODYS = "no unit"
#: The rights that a file takes over from the configuration, and a directory from the one above it.
_FILE, _DIRECTORY = 0o666, 0o775


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the drop-ins of a configuration are, and who judges them."""

    client: Client | None  #: None where no daemon runs, or another configuration is meant
    config: Path
    directory: Path  #: holds `<unit>.d` directories

    def file(self, unit: str, name: str) -> Path:
        return self.directory / f"{unit}.d" / name

    @property
    def way_out(self) -> str:
        """What is left to do where nothing can be written here."""
        is_runtime = self.directory != self.config.parent
        return "" if is_runtime or self.client is None else "; --runtime writes to another place"


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("unit", metavar="UNIT")
    parser.add_argument(
        "--runtime",
        action="store_true",
        help="write below the daemon's runtime directory, and be gone with it",
    )


def place_of(options: Namespace) -> Place:
    """Raises ClientError where there is no such unit name, no configuration, or no place."""
    from anyclawd.compile.settings import UNIT_NAME  # who completes words has no time for it

    if not re.fullmatch(UNIT_NAME, options.unit):
        raise ClientError(f"no unit can be named {options.unit!r}", NO_SUCH_UNIT)
    client = None if options.config else connect(options)
    if client is not None:
        try:
            status = client.get("/v1/status")
        except ClientError as error:
            if error.exit_code != NO_DAEMON:
                raise
        else:
            config = Path(status["config"])
            directory = Path(status["dropins"]) if options.runtime else config.parent
            return Place(client=client, config=config, directory=directory)
    if options.runtime:
        text = "--runtime needs a daemon that runs: what it writes goes when that one does"
        raise ClientError(text, NO_DAEMON)
    from anyclawd.cli.places import find_config

    config = find_config(options, os.environ).absolute()
    return Place(client=None, config=config, directory=config.parent)


def put(place: Place, path: Path, change: Callable[[bytes], str]) -> Json:
    """Change what a drop-in says, or remove it where that is nothing, and take it up.

    `change` makes the new text of the old one, which nobody else changes meanwhile. Returns the
    answer of the reload, None where there was none. Raises ClientError, with everything as it was,
    where the configuration could not be used then.
    """
    with _locked(place.directory):
        with as_owner_of(place.directory):
            before = path.read_bytes() if path.exists() else None
        text = change(before or b"")
        try:
            _replace(place, path, text.encode() if text else None)
        except OSError as error:
            raise ClientError(f"cannot write {path}: {error.strerror}{place.way_out}") from error
        try:
            if place.client is not None:
                answer = reload.reload(place.client)
                findings = answer["findings"]
            else:
                answer, findings = None, _findings(place.config)
            _refuse_nobodys(path, findings)
        except KeyboardInterrupt:  # whether it was taken up by then, nobody knows
            print(f"{path} is written; 'anyclawctl reload' takes it up", file=sys.stderr)
            raise
        except BaseException:
            _replace(place, path, before)
            raise
    return answer


def refuse_unknown(place: Place, unit: str) -> None:
    """Raise ClientError for what is no unit, no template, no pool and could not be enabled."""
    from anyclawd.model.spelling import nearest

    plan = _compiled(place.config).plan
    if plan is None:
        return  # the drop-in may be what mends it
    known = (*plan.units, *plan.disabled, *plan.templates, *plan.pools)
    if unit not in known:
        hint = nearest(unit, known)
        text = f" (did you mean {hint!r}?)" if hint else ""
        raise ClientError(f"no unit {unit!r} to apply this to{text}", NO_SUCH_UNIT)


def report(path: Path, answer: Json, options: Namespace) -> int:
    """Say what was written and what came of it; the exit status."""
    if options.json:
        body = {} if answer is None else answer
        render.print_json({"file": str(path), "exists": path.exists(), "reload": body or None})
    else:
        print(f"wrote {path}" if path.exists() else f"removed {path}")
        if answer is None:
            print("no daemon was asked: it holds from the next start", file=sys.stderr)
        else:
            reload.report(answer)
    return 0 if answer is None else reload.status(answer)


def _compiled(config: Path) -> "Outcome":
    """What this process makes of a configuration; only who asks pays for the compiler."""
    from anyclawd.compile.compiler import compile_config
    from anyclawd.compile.tree import Machine

    return compile_config(str(config), os.environ, Machine(), has_credentials=False)


def _findings(config: Path) -> tuple[str, ...]:
    """What this process finds in a configuration. Raises ClientError where it cannot be used."""
    outcome = _compiled(config)
    findings = tuple(map(str, outcome.findings))
    if outcome.plan is None:
        text = "the configuration cannot be used; nothing has changed"
        raise ClientError(text, code="bad-configuration", findings=findings)
    return findings


def _refuse_nobodys(path: Path, findings: Iterable[str]) -> None:
    for finding in findings:
        place, _, text = finding.partition(": warning: ")
        if place == str(path) and text.startswith(_NOBODYS):
            raise ClientError(text, NO_SUCH_UNIT)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One at a time changes drop-ins here: what is read is still so when it is written."""
    with as_owner_of(directory):
        _make(directory)  # the runtime one comes with its first drop-in
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(place: Place, path: Path, content: bytes | None) -> None:
    """Let a file be this, whole, or be no more; its directory comes and goes with it.

    It may be read by whoever may read the configuration: what is put into it may be as secret.
    """
    like = place.config.stat()
    with as_owner_of(place.directory):
        if content is None:
            path.unlink(missing_ok=True)
            if path.parent.is_dir() and not any(path.parent.iterdir()):
                path.parent.rmdir()
        else:
            _write(path, content, like)


def _write(path: Path, content: bytes, like: os.stat_result) -> None:
    _make(path.parent)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(new, flags, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            _share(file.fileno(), like, _FILE)
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


@contextmanager
def as_owner_of(directory: Path) -> Iterator[None]:
    """Be the one whom a directory belongs to, where root would be at work in it.

    The daemon's runtime directory is its user's, and so its units': a link that one of them puts
    there must lead root to nothing that they could not reach themselves.
    """
    found = os.lstat(directory if os.path.lexists(directory) else directory.parent)
    with acting_as(found.st_uid, found.st_gid):
        yield


def _make(directory: Path) -> None:
    """Make a directory, unless it is there, for whoever has the one above it."""
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        if not directory.is_dir():
            raise
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _share(descriptor, directory.parent.stat(), _DIRECTORY)
    finally:
        os.close(descriptor)


def _share(descriptor: int, like: os.stat_result, rights: int) -> None:
    """Give what was made here the rights of `like`, and, as root, its owner and its group.

    The daemon reads it, which may run as another user than the one who writes.
    """
    if os.geteuid() == 0:
        os.fchown(descriptor, like.st_uid, like.st_gid)
    os.fchmod(descriptor, like.st_mode & rights)

"""Who may read and change what the daemon lives on."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import assert_never

from anyclawd.cli.doctor.finding import Finding, TakeRights, error, note, ok, warning

#: Rights of others, and of everybody but the owner.
_READ, _WRITE, _OTHERS, _NOT_OURS = 0o004, 0o002, 0o007, 0o077
#: With it, nobody renames in a directory what is somebody else's. Source: chmod(2), S_ISVTX.
_STICKY = 0o1000


_INSTEAD = "; or write !credential or !env in its place"


class Use(StrEnum):
    """What the daemon has a path for."""

    STATE = "the state directory"
    RUNTIME = "the runtime directory"
    CONFIG_DIRECTORY = "a directory of the configuration"
    CONFIG = "a file of the configuration"
    ABOVE = "a directory above the configuration"
    PROGRAM = "a program of a unit"
    PRIVATE = "a file of the daemon's own"  #: database, plan and what else is in its directory


class Shape(StrEnum):
    MISSING = "missing"
    DIRECTORY = "directory"
    FILE = "file"
    OTHER = "other"
    UNSEEN = "unseen"  #: we may not even look


@dataclass(frozen=True, slots=True, kw_only=True)
class PathFacts:
    path: str
    use: Use
    shape: Shape
    mode: int = 0  #: permissions only
    uid: int = 0
    owner: str = ""  #: by name where it has one
    holds_secrets: bool = False  #: a secret is written out in it
    needs_group: str = ""  #: that of the daemon, where it could not read it but as anybody


def findings(paths: Iterable[PathFacts], daemon_uid: int) -> Iterator[Finding]:
    """What is wrong with each; `daemon_uid` is whose the daemon is."""
    seen = 0
    wrong = False
    for facts in paths:
        for one in _JUDGES[facts.use](facts, daemon_uid):
            wrong = True
            yield one
        seen += facts.shape is not Shape.UNSEEN
    if not wrong:
        yield ok("", f"{seen} files and directories are as private as they should be")


def _directory(facts: PathFacts, daemon_uid: int) -> Iterator[Finding]:
    """The state or the runtime directory."""
    match facts.shape:
        case Shape.MISSING:
            yield ok(facts.path, f"{facts.use} is not there yet; the daemon makes it")
        case Shape.UNSEEN:
            yield _unseen(facts)
        case Shape.FILE | Shape.OTHER:
            remedy = "move away what is there, or name another one"
            yield error(facts.path, f"{facts.use} is no directory", remedy)
        case Shape.DIRECTORY:
            yield from _private_directory(facts, daemon_uid)
        case _:
            assert_never(facts.shape)


def _private_directory(facts: PathFacts, daemon_uid: int) -> Iterator[Finding]:
    if facts.uid not in (daemon_uid, 0):
        text = f"{facts.use} belongs to {facts.owner}, so the daemon will not use it"
        yield error(facts.path, text, "give it to the daemon's user, or name another one")
    if facts.mode & _WRITE:
        text = f"everybody may write into {facts.use}, so the daemon will not use it"
        yield _exposed(error, facts, text, _READ | _WRITE)
    elif facts.mode & _READ and facts.use is Use.STATE:
        text = f"everybody may list {facts.use}"
        yield _exposed(warning, facts, text, _READ)


def _config_directory(facts: PathFacts, daemon_uid: int) -> Iterator[Finding]:
    if facts.shape is Shape.DIRECTORY and facts.mode & _WRITE:
        text = "everybody may put files here, and with them run any program as the daemon"
        yield _exposed(error, facts, text, _WRITE)
    elif facts.shape is Shape.DIRECTORY and facts.uid not in (daemon_uid, 0):
        text = f"belongs to {facts.owner}, who can run any program as the daemon with it"
        yield warning(facts.path, text, f"chown root {facts.path}")
    elif facts.shape is Shape.UNSEEN:
        yield _unseen(facts)


def _config(facts: PathFacts, daemon_uid: int) -> Iterator[Finding]:
    if facts.shape is Shape.UNSEEN:
        yield _unseen(facts)
    if facts.shape is not Shape.FILE:
        return
    if facts.mode & _WRITE:
        text = "everybody may change it, and with it run any program as the daemon"
        yield _exposed(error, facts, text, _WRITE)
    elif facts.uid not in (daemon_uid, 0):
        text = f"belongs to {facts.owner}, who can run any program as the daemon with it"
        yield warning(facts.path, text, f"chown root {facts.path}")
    if facts.holds_secrets and facts.mode & _READ:
        text = "everybody may read it, and a secret is written out in it"
        if facts.needs_group:  # without the rights of others the daemon would be kept out, too
            remedy = f"chgrp {facts.needs_group} {facts.path} && chmod g+r,o-rwx {facts.path}"
            yield warning(facts.path, text, f"{remedy}{_INSTEAD}")
        else:
            yield _exposed(warning, facts, text, _OTHERS, _INSTEAD)


def _private(facts: PathFacts, daemon_uid: int) -> Iterator[Finding]:
    if facts.shape is not Shape.FILE:
        return
    if facts.uid not in (daemon_uid, 0):
        text = f"belongs to {facts.owner} and not to the daemon, which may be kept from using it"
        yield error(facts.path, text, f"chown it to the owner of its directory: {facts.path}")
    if not facts.mode & (_READ | _WRITE):
        return
    say, text = (error, "change") if facts.mode & _WRITE else (warning, "read")
    exposed = _exposed(say, facts, f"everybody may {text} it", _NOT_OURS)
    # What is another's may serve another purpose, whatever a configuration calls its database.
    yield exposed if facts.uid == daemon_uid else replace(exposed, fix=None)


def _above(facts: PathFacts, daemon_uid: int) -> Iterator[Finding]:
    """Who may rename what lies in it may put another configuration in the place of ours."""
    is_open = facts.shape is Shape.DIRECTORY and facts.mode & (_WRITE | _STICKY) == _WRITE
    if is_open or (facts.shape is Shape.DIRECTORY and facts.uid not in (daemon_uid, 0)):
        who = "everybody" if is_open else facts.owner
        text = f"{who} may put another directory in the place of the configuration's"
        say, remedy = (error, f"chmod o-w {facts.path}") if is_open else (warning, "move it away")
        yield say(facts.path, text, remedy)


def _program(facts: PathFacts, _daemon_uid: int) -> Iterator[Finding]:
    if facts.shape is Shape.FILE and facts.mode & _WRITE:
        text = "everybody may change it, and units execute it"
        yield _exposed(error, facts, text, _WRITE)


_JUDGES: Mapping[Use, Callable[[PathFacts, int], Iterator[Finding]]] = MappingProxyType(
    {
        Use.STATE: _directory,
        Use.RUNTIME: _directory,
        Use.CONFIG_DIRECTORY: _config_directory,
        Use.CONFIG: _config,
        Use.ABOVE: _above,
        Use.PROGRAM: _program,
        Use.PRIVATE: _private,
    }
)


def _unseen(facts: PathFacts) -> Finding:
    return note(facts.path, f"{facts.use} cannot be seen from here", "ask as root, or as its owner")


def _exposed(
    say: Callable[[str, str, str, TakeRights | None], Finding],
    facts: PathFacts,
    text: str,
    rights: int,
    otherwise: str = "",
) -> Finding:
    if facts.mode & _STICKY:  # shared on purpose, such as /tmp
        return say(facts.path, text, "take a directory of its own", None)
    fix = TakeRights(path=facts.path, rights=rights & facts.mode)
    return say(facts.path, text, f"{fix}{otherwise}", fix)

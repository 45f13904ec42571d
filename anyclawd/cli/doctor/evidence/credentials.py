"""Where the credentials come from that a configuration names; none of them is read."""

import fnmatch
import os
import stat
from dataclasses import replace
from pathlib import Path

from anyclawd.cli.doctor.evidence.paths import look
from anyclawd.cli.doctor.scene import Scene
from anyclawd.cli.doctor.verdict.credentials import CredentialFacts
from anyclawd.cli.doctor.verdict.permissions import PathFacts, Shape, Use
from anyclawd.cli.doctor.verdict.service import ServiceFacts
from anyclawd.model import credential

#: Where systemd looks for those whose path is not told. Source: systemd.exec(5), LoadCredential=.
_ROOTS = ("/etc", "/run", "/usr/local/lib", "/usr/lib")
_PLAIN, _ENCRYPTED = "credstore", "credstore.encrypted"


def facts_of(scene: Scene) -> tuple[CredentialFacts, ...]:
    return tuple(
        _facts(one.name, scene, has_default=not one.is_needed) for one in sorted(scene.credentials)
    )


def _facts(name: str, scene: Scene, *, has_default: bool) -> CredentialFacts:
    service = scene.service
    facts = CredentialFacts(
        name=name,
        has_default=has_default,
        is_handed_over=_is_handed_over(name, scene),
        unit=service.unit if service.is_loaded else "",
    )
    return sourced(facts, service)


def sourced(facts: CredentialFacts, service: ServiceFacts) -> CredentialFacts:
    """With what the unit says of a credential, and what there is to see of its file."""
    sources = _sources(facts.name, service)
    if not sources:
        return facts
    facts = replace(facts, is_in_unit=True, is_searched=not sources[0].startswith("/"))
    found = _file(facts.name, sources[0])
    # A value in the unit itself takes the place of a file that is not there.
    if found is None or (found.shape is Shape.MISSING and "" in sources):
        return facts
    return replace(facts, source=found.path, shape=found.shape, mode=found.mode)


def _is_handed_over(name: str, scene: Scene) -> bool | None:
    """Whether the daemon has it, as far as its directory of credentials is ours to look into."""
    path = credential.path_of(name, scene.environ)
    if not path or not os.access(os.path.dirname(path), os.X_OK):  # noqa: PTH120 - of a text
        return None
    return os.access(path, os.F_OK)


def _sources(name: str, service: ServiceFacts) -> list[str]:
    """What the unit says of it, files first; see `ServiceFacts.credentials`."""
    return [path for pattern, path in service.credentials if fnmatch.fnmatchcase(name, pattern)]


def _file(name: str, source: str) -> PathFacts | None:
    """The file, found or missed; None where there is none, or none that can be told."""
    if source.startswith("/"):
        found = _look(source)
        # A directory stands for all files in it, by their names.
        return _look(f"{source}/{name}") if found.shape is Shape.DIRECTORY else found
    store, _, file = source.partition("/")
    stores = (_PLAIN,) if store == _PLAIN else (_ENCRYPTED, _PLAIN)
    places = [_look(f"{root}/{where}/{file or name}") for where in stores for root in _ROOTS]
    for found in places:
        if found.shape is Shape.FILE:
            return found
    is_missed = file and all(found.shape is Shape.MISSING for found in places)
    return places[0] if is_missed else None


def _look(path: str) -> PathFacts:
    """A file's rights of others count where its directories let them through."""
    found = look(path, Use.PRIVATE)
    if found.shape is not Shape.FILE or all(_lets_through(above) for above in Path(path).parents):
        return found
    return replace(found, mode=found.mode & ~stat.S_IRWXO)


def _lets_through(directory: Path) -> bool:
    return bool(directory.stat().st_mode & stat.S_IXOTH)

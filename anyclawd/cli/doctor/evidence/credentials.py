"""Where the credentials come from that a configuration names; none of them is read."""

import fnmatch
import os

from anyclawd.cli.doctor.evidence.paths import look
from anyclawd.cli.doctor.scene import Scene
from anyclawd.cli.doctor.verdict.credentials import CredentialFacts
from anyclawd.cli.doctor.verdict.permissions import PathFacts, Shape, Use
from anyclawd.cli.doctor.verdict.service import ServiceFacts
from anyclawd.model import credential

#: Where systemd looks for those whose file is not told. Source: systemd.exec(5), LoadCredential=.
_STORES = tuple(
    f"{root}/{name}"
    for root in ("/etc", "/run", "/usr/local/lib", "/usr/lib")
    for name in ("credstore", "credstore.encrypted")
)


def facts_of(scene: Scene) -> tuple[CredentialFacts, ...]:
    return tuple(
        _facts(one.name, scene, has_default=not one.is_needed) for one in sorted(scene.credentials)
    )


def _facts(name: str, scene: Scene, *, has_default: bool) -> CredentialFacts:
    service = scene.service
    source = _source(name, service)
    found = _source_facts(name, source)
    return CredentialFacts(
        name=name,
        has_default=has_default,
        is_handed_over=_is_handed_over(name, scene),
        unit=service.unit if service.is_loaded else "",
        is_in_unit=source is not None,
        source=found.path if found is not None else "",
        shape=found.shape if found is not None else Shape.UNSEEN,
        mode=found.mode if found is not None else 0,
    )


def _is_handed_over(name: str, scene: Scene) -> bool | None:
    """Whether the daemon has it, as far as its directory of credentials is ours to look into."""
    path = credential.path_of(name, scene.environ)
    if not path or not os.access(os.path.dirname(path), os.X_OK):  # noqa: PTH120 - of a text
        return None
    return os.access(path, os.F_OK)


def _source(name: str, service: ServiceFacts) -> str | None:
    """What the unit says of it: a path, or nothing where it says the value itself."""
    for pattern, path in service.credentials:
        if pattern == name or fnmatch.fnmatchcase(name, pattern):
            return path
    return None


def _source_facts(name: str, source: str | None) -> PathFacts | None:
    if source is None:
        return None
    if source.startswith("/"):
        found = look(source, Use.PRIVATE)
        # A directory stands for all files in it, by their names.
        is_whole = found.shape is Shape.DIRECTORY
        return look(f"{source}/{name}", Use.PRIVATE) if is_whole else found
    for store in _STORES:
        found = look(f"{store}/{source or name}", Use.PRIVATE)
        if found.shape is Shape.FILE:
            return found
    return None

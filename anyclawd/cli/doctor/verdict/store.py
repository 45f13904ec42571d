"""Whether what is kept of conversations can be read, and is as it was written."""

from collections.abc import Iterator
from dataclasses import dataclass

from anyclawd.cli.doctor.finding import Finding, error, note, ok, warning
from anyclawd.cli.render import size

#: The log beside the database is cut down to 4 MiB after each burst; so much says that it is not.
_LOG_LARGE_BYTES = 256 * 2**20
_NAMED_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """A database, or what stands in its place. `path` is empty where conversations are in memory.

    Of `why_unread`, `foreign`, `version` and `damage` the first that says something is the last
    that was looked at.
    """

    path: str
    exists: bool = False
    bytes: int = 0
    log_bytes: int = 0
    why_unread: str = ""  #: for the lack of rights, or since somebody has it to itself
    is_foreign: bool = False  #: a database of another program
    version: int = 0  #: of its schema
    known_version: int = 0
    damage: tuple[str, ...] = ()
    lost_references: int = 0  #: rows that refer to others that are not there
    is_checked_whole: bool = True  #: the look at it was not cut short
    set_aside: tuple[str, ...] = ()  #: files that were found damaged before
    newest_wall_s: float | None = None  #: of its youngest row, since 1970


def findings(facts: StoreFacts) -> Iterator[Finding]:
    if not facts.path:
        yield ok("", "conversations are kept in memory, as the configuration says")
        return
    found = [*_database(facts), *_beside(facts)]
    yield from found
    if not found:
        text = f"{size(facts.bytes)}, schema {facts.version}, as it was written"
        yield ok(facts.path, text if facts.exists else "nothing is kept yet")


def _database(facts: StoreFacts) -> Iterator[Finding]:
    if facts.why_unread:
        yield note(facts.path, f"was not looked into: {facts.why_unread}")
    elif facts.damage:
        text = f"is damaged: {'; '.join(facts.damage)}"
        remedy = (
            "stop the daemon and restore a copy; without one its next start sets the file aside"
        )
        yield error(facts.path, text, remedy)
    elif facts.is_foreign:
        text = "is a database of another program"
        yield error(facts.path, text, "move it away, or name another file in session_store.path")
    elif facts.exists and facts.version > facts.known_version:
        text = f"has schema {facts.version}, and this version knows those up to"
        yield error(
            facts.path, f"{text} {facts.known_version}", "install the version that wrote it"
        )
    if facts.lost_references:
        text = f"{facts.lost_references} rows refer to others that are gone"
        yield error(facts.path, text, "restore a copy")
    if not facts.is_checked_whole:
        yield note(facts.path, "is too large to be looked through in the time there is")


def _beside(facts: StoreFacts) -> Iterator[Finding]:
    if facts.log_bytes > _LOG_LARGE_BYTES:
        text = f"the log beside it has {size(facts.log_bytes)}: somebody keeps reading the file"
        yield warning(facts.path, text, "end what has it open beside the daemon (fuser)")
    if facts.set_aside:
        named = ", ".join(facts.set_aside[:_NAMED_MAX])
        more = len(facts.set_aside) - _NAMED_MAX
        text = f"was set aside as damaged before: {named}{f' and {more} more' if more > 0 else ''}"
        yield warning(facts.path, text, "save what is needed of it, then remove it")

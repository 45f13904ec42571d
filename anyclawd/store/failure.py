"""Why something is not in the store."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from anyclawd.model.errors import AnyclawError, RequestError
from anyclawd.route.record import MessageId, MessageState


class NotWritten(NamedTuple):
    """It could not be written; `reason` is for people."""

    reason: str


class AlreadyKnown(NamedTuple):
    """A message of the same source is there already: this one, in this state."""

    id: MessageId
    state: MessageState


Failure: TypeAlias = NotWritten | AlreadyKnown
#: Called once: with None when it is committed, else with what is in the way.
Done: TypeAlias = Callable[[Failure | None], None]


class Unwritable(AnyclawError):
    """Nothing can be written at the moment, whatever it is; the text says why."""


class Unopened(RequestError):
    """The file cannot be opened at the moment, which may change: a disk is full, or read-only."""

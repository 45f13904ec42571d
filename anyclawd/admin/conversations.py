"""What the admin API asks of the daemon about conversations: one method for each route.

The daemon implements it; `tests/fakes/conversations.py` does so for tests. Answers are plain values
in the shapes of `docs/reference/admin-api.md`. A session is named by its whole key; one that nobody
knows is raised as `UnknownSession`. What an agent does not offer is a `RequestError` that says so.
What people have said to each other is in the answers, and nowhere else: none of it is logged.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from anyclawd.model.errors import RequestError
from anyclawd.model.value import Json


class NoSessionMatches(RequestError):
    """No session has a key that the pattern means."""

    def __init__(self, pattern: str) -> None:
        super().__init__(f"no session's key matches {pattern!r}; sessions list has all of them")


class SessionVerb(StrEnum):
    """What an administrator can do to a chat in place of its user."""

    NEW = "new"  #: its next message begins a new conversation
    CANCEL = "cancel"  #: the turn that runs ends
    CLOSE = "close"  #: the agent may let go of it; the next message goes on with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """One peer of a channel, as access to agents is granted to it."""

    channel: str
    kind: str
    peer: str


class Conversations(Protocol):
    """The chats of a daemon, those that rest as well as those that are live."""

    async def sessions(self, patterns: Sequence[str] | None) -> AsyncIterator[Json]:
        """Rows of the sessions that keys and patterns mean, of all where there is None.

        Raises UnknownSession for a key, NoSessionMatches for a pattern that means nothing.
        """

    async def session(self, key: str) -> Json:
        """One in detail: its conversations, what can be chosen, what waits, its last messages."""

    async def history(self, key: str, turns: int) -> Json:
        """What was said in its latest turns, oldest first."""

    async def command(self, key: str, verb: SessionVerb) -> Json: ...

    async def fork(self, key: str) -> Json:
        """Copy its conversation; the copy is a session of its own."""

    async def export(self, key: str) -> Json:
        """All that is kept of it."""

    async def delete(self, key: str) -> Json:
        """Erase all that is kept of it; tells what that was."""

    async def follow(self, key: str) -> AsyncIterator[Json]:
        """What its chat is shown from this call on; ends with the daemon."""

    async def message(self, message_id: str) -> Json:
        """What has become of a message. Raises UnknownMessage."""

    async def pairing(self) -> Json:
        """The codes that can be approved, and who has been let in by hand."""

    async def approve(self, code: str, origin: str) -> Json:
        """Let in the peer who was given the code."""

    async def revoke(self, whose: Whose, origin: str) -> Json: ...

    async def kept_by(self, agent: str) -> Json:
        """The sessions that an agent says it keeps. Raises UnknownUnit."""

    async def login_methods(self, agent: str) -> Json:
        """How one can log in to an agent. Raises UnknownUnit."""

    async def authenticate(self, agent: str, method: str) -> Json: ...

    async def logout(self, agent: str) -> Json: ...

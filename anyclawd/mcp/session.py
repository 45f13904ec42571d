"""Sessions of the handshake era: what `initialize` has begun, until it is ended; pure.

A session is a client that has agreed on a revision, and belongs to the token and the view that it
was begun with: an id that comes with another token or by another path is unknown there. A client
that sends no id is served all the same, and its requests have nothing to do with each other.

Sessions are bounded by use: where there are too many, of one client or of all, the one that was
used least recently is ended, and its client begins another when it is told that there is none.
Source: MCP 2025-11-25 "Session Management".
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anyclawd.mcp.seam import View
from anyclawd.route.grants import Grant

if TYPE_CHECKING:
    from anyclawd.mcp.exchange import Running
    from anyclawd.mcp.feed import Feed

#: Sessions of one token: of an agent in one chat.
SESSIONS_PER_TOKEN = 64
SESSIONS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose a session is: who has this token, looking at this view."""

    token: str = field(repr=False)
    view: View
    grant: Grant = field(compare=False)  #: what the token says; a chat may get another name


@dataclass(slots=True, kw_only=True, eq=False)
class Session:
    """One client of the handshake era."""

    id: str
    holder: Holder
    revision: str
    kinds: frozenset[str] = frozenset()  #: of notifications that it was told there may be
    running: "dict[str | int, Running]" = field(default_factory=dict)  #: by the ids of requests
    uris: set[str] = field(default_factory=set)  #: resources that it watches
    stream: "Feed | None" = None  #: where it is told what changes


class Sessions:
    """All sessions, those used least recently first.

    `make_id` gives ids that nobody can guess; `ended` is called once for each that is over.
    """

    def __init__(self, make_id: Callable[[], str], ended: Callable[[Session], None]) -> None:
        self._make_id, self._ended = make_id, ended
        self._by_id: dict[str, Session] = {}
        self._ids: dict[str, dict[str, None]] = {}  # in the same order

    def __len__(self) -> int:
        return len(self._by_id)

    def begin(self, holder: Holder, revision: str, kinds: frozenset[str] = frozenset()) -> Session:
        session = Session(id=self._make_id(), holder=holder, revision=revision, kinds=kinds)
        self._by_id[session.id] = session
        own = self._ids.setdefault(holder.token, {})
        own[session.id] = None
        if len(own) > SESSIONS_PER_TOKEN:
            self.end(self._by_id[next(iter(own))])
        if len(self._by_id) > SESSIONS_MAX:
            self.end(next(iter(self._by_id.values())))
        return session

    def find(self, id_: str, holder: Holder) -> Session | None:
        """The session of an id, which counts as used now."""
        session = self._by_id.get(id_)
        if session is None or session.holder != holder:
            return None
        self._by_id[id_] = self._by_id.pop(id_)
        own = self._ids[holder.token]
        own[id_] = own.pop(id_)
        return session

    def end(self, session: Session) -> None:
        """It is over; nothing happens where it was before."""
        if self._by_id.pop(session.id, None) is None:
            return
        own = self._ids[session.holder.token]
        del own[session.id]
        if not own:
            del self._ids[session.holder.token]
        self._ended(session)

    def end_all(self) -> None:
        for session in list(self._by_id.values()):
            self.end(session)

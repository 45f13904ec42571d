"""The sessions that an agent says it keeps: all its pages, as far as there is an end to them.

An agent may say at each page that there is one more, so all that can grow is bounded; beyond the
bounds the listing is cut off, and says so. Source: ACP "Session List", pagination.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from anyclawd.wire import acp

#: Pages that one process is asked for.
PAGES_MAX = 100
#: Sessions in one listing, of all processes of a pool together.
ROWS_MAX = 10_000
#: Characters of what one process says of its sessions, cursors among them.
CHARS_MAX = 4 * 2**20


class Listing(NamedTuple):
    sessions: tuple[acp.SessionEntry, ...]
    is_complete: bool  #: else the agent has said that there are more


async def list_all(
    ask: Callable[[str], Awaitable[acp.SessionList]], rows_max: int = ROWS_MAX
) -> Listing:
    """Ask for page after page. A session may move to another page meanwhile, and counts once."""
    found: dict[str, acp.SessionEntry] = {}
    cursors: set[str] = set()
    cursor, room = "", CHARS_MAX
    while len(cursors) < PAGES_MAX:
        page = await ask(cursor)
        for entry in page.sessions:
            room -= sum(map(len, entry))
            if room < 0 or (len(found) >= rows_max and entry.session_id not in found):
                return Listing(tuple(found.values()), is_complete=False)
            found[entry.session_id] = entry
        cursor = page.next_cursor
        room -= len(cursor)
        if not cursor or cursor in cursors or room < 0:
            break
        cursors.add(cursor)
    return Listing(tuple(found.values()), is_complete=not cursor)

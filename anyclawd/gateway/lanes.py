"""What is done about one session waits until what was recorded before it is in the store.

A session has a lane while something of it is being written: its later commands go to the end of the
lane, in their order, and are done as soon as all that was recorded before them is committed. A
session nothing of which is being written has none, and its commands are done at once. So what a
crash leaves behind is never ahead of what is known of it.

A record that *needs* its commit holds its lane until it is in, however long the store is stuck:
a prompt must not leave before it is known to run. Any other lets its lane go on when the store
says that it cannot write now.

When the daemon ends and can wait for no store, what people are shown leaves its lane at once: all
that was recorded before it is in the store's hands, and the store is the last to be stopped.

A lane is bounded: where `LANE_MAX` commands wait, which takes a disk that stands still, further
updates of the agent are left out. All that decides about messages is kept.
"""

from collections import deque
from collections.abc import Callable

from anyclawd.route.commands import (
    Acknowledge,
    Announce,
    Command,
    CompleteResponse,
    Deliver,
    SessionKey,
    Settle,
    StartResponse,
)

Perform = Callable[[Command], None]

#: What people are shown.
_SHOWN = Acknowledge | Announce | CompleteResponse | Deliver | Settle | StartResponse

#: Commands of one session that wait; of updates one more is left out.
LANE_MAX = 50_000


class Barrier:
    """A record in a lane, until it is in the store."""

    __slots__ = ("is_open",)

    def __init__(self) -> None:
        self.is_open = False


class Lanes:
    """The lanes of all sessions; `perform` does a command whose turn has come."""

    def __init__(self, perform: Perform) -> None:
        self._perform = perform
        self._lanes: dict[SessionKey, deque[Command | Barrier]] = {}
        self._is_moving: set[SessionKey] = set()

    def __contains__(self, session: SessionKey) -> bool:
        return session in self._lanes

    def __len__(self) -> int:
        return len(self._lanes)

    def wait(self, session: SessionKey, command: Command) -> bool:
        """Whether the command has to wait; then it is done later."""
        lane = self._lanes.get(session)
        if lane is None:
            return False
        is_update = isinstance(command, Deliver) and command.delivery is None
        if len(lane) < LANE_MAX or not is_update:
            lane.append(command)
        return True

    def shut(self, session: SessionKey) -> Barrier:
        """Something is being recorded: what comes now waits for it."""
        barrier = Barrier()
        self._lanes.setdefault(session, deque()).append(barrier)
        return barrier

    def open(self, session: SessionKey, barrier: Barrier) -> None:
        """It is recorded: do what waited for it."""
        barrier.is_open = True
        if session in self._is_moving:
            return  # whoever moves it sees to that
        self._is_moving.add(session)
        try:
            self._move(session)
        finally:
            self._is_moving.discard(session)

    def hurry(self) -> None:
        """Do what is shown to people, recorded or not; all else goes on waiting."""
        for lane in list(self._lanes.values()):
            shown = [command for command in lane if isinstance(command, _SHOWN)]
            waiting = [one for one in lane if not isinstance(one, _SHOWN)]
            lane.clear()
            lane.extend(waiting)
            for command in shown:
                self._perform(command)

    def _move(self, session: SessionKey) -> None:
        lane = self._lanes[session]
        while lane:
            head = lane[0]
            if isinstance(head, Barrier):
                if not head.is_open:
                    return
                lane.popleft()
            else:
                lane.popleft()
                self._perform(head)
        del self._lanes[session]

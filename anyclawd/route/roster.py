"""Which sessions there are: those that are here, and the rows of those that were put away.

Theory
------
A session is made when its chat is first heard of, or when what is put away is wanted again: its row
makes it again. There are as many here as the limits say; with one more, the one that rests for
longest is put away, and its row is remembered. What an earlier daemon has left begins as such rows.
"""

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator

from anyclawd.model.deps import UnitName
from anyclawd.route import conversation, opening
from anyclawd.route.commands import Command, SessionKey, Token
from anyclawd.route.desk import Desk
from anyclawd.route.record import Conversation
from anyclawd.route.session import Session, session_key
from anyclawd.route.workers import Workers
from anyclawd.wire.channel import Peer

#: So many sessions are looked at when some have to be put away.
LOOKED_AT = 16


class Roster:
    """All sessions; `desk` is the router, `workers` says whose a session is."""

    def __init__(self, desk: Desk, workers: Workers) -> None:
        self._desk, self._workers = desk, workers
        self.here: OrderedDict[SessionKey, Session] = OrderedDict()  # the last used at the end
        self.put_away: OrderedDict[SessionKey, Conversation] = OrderedDict()  # alike
        self._last_token = 0

    def session_of(self, channel: str, peer: Peer, agent: UnitName | None) -> Session:
        """The session of a chat; made anew, or of its row, where it is not there."""
        key = session_key(channel, peer)
        session = self.here.get(key)
        if session is None:
            row = self.put_away.pop(key, None)
            target = agent or self._desk.routes.channels[channel]
            session = self._make(key, channel, peer, target, row)
        return session

    def wake(self, key: SessionKey) -> Session | None:
        """A session by its key; None where there is none of that name."""
        row = self.put_away.get(key)
        if key in self.here or row is None:
            return self.here.get(key)
        target = self._desk.routes.channels.get(row.channel) or self._target_of(row.agent)
        if target is None:
            return None
        del self.put_away[key]
        return self._make(key, row.channel, row.peer, target, row)

    def _target_of(self, unit: UnitName) -> UnitName | None:
        route = self._desk.routes.agents.get(unit)
        return None if route is None else route.answers_for

    def _make(
        self,
        key: SessionKey,
        channel: str,
        peer: Peer,
        target: UnitName,
        row: Conversation | None,
    ) -> Session:
        former = None if row is None else row.agent
        owner = self._desk.agents[self._workers.worker_for(target, former)]
        role = self._desk.routes.role_of(channel)
        session = Session(key, channel, peer, owner, role, self._issue_token)
        if row is not None:
            session.take_up(row, knows_it=self.knows(session, row))
        session.is_open = self._desk.is_open
        self.here[key] = session
        owner.members.append(session)
        return session

    def _issue_token(self) -> Token:
        self._last_token += 1
        return Token(self._last_token)

    def knows(self, session: Session, row: Conversation) -> bool:
        """Whether the session's agent may know the ACP session of a row: its own, or its pool's."""
        route = self._desk.routes.agents.get(row.agent)
        return route is not None and route.answers_for == session.agent.route.answers_for

    def fork(self, key: SessionKey, acp_id: str, now: float) -> Iterator[Command]:
        """As the original named it: the fork's key ends in the id of its ACP session."""
        source = self.wake(key)
        if source is None or acp_id in source.agent.sessions:
            return
        peer = Peer(source.peer.channel_name, acp_id, "fork")
        fork_key = session_key(source.channel, peer)
        if fork_key in self.here or fork_key in self.put_away:
            return
        unit = source.agent.route.answers_for
        fork = self._make(fork_key, source.channel, peer, unit, None)
        if fork.agent is not source.agent:
            fork.agent.members.remove(fork)
            source.agent.members.append(fork)
            fork.agent = source.agent
        yield from self._desk.run(fork, conversation.be_fork(fork, source, acp_id), now)

    def note_use(self, session: Session) -> None:
        """It is the one that was used last, unless it has been removed by that."""
        if session.key in self.here:
            self.here.move_to_end(session.key)

    def put_away_some(self, is_awaited: Callable[[Session], bool]) -> Iterator[Command]:
        """Put away what rests, a few at a time: whoever does not rest is looked at again later."""
        for session in list(itertools.islice(self.here.values(), LOOKED_AT)):
            if len(self.here) <= self._desk.routes.limits.lanes:
                return
            if session.is_resting and session.can_return and not is_awaited(session):
                row = session.row
                yield from opening.leave_agent(session)
                del self.here[session.key]
                self.remember(row)
            else:
                self.here.move_to_end(session.key)

    def remember(self, row: Conversation) -> None:
        self.put_away[row.session] = row
        self.put_away.move_to_end(row.session)
        if len(self.put_away) > self._desk.routes.limits.put_away:
            self.put_away.popitem(last=False)

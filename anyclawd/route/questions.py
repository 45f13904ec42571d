"""The questions of agents, permissions and forms: who is asked, who may answer, and when they end.

A question ends once: by an answer, by its time limit, with the turn it was asked in, by the agent
that takes it back, or because nobody can be asked. `route.permission` has the rules of permissions,
`route.elicitation` turns a form into plain questions for a channel that cannot show forms.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import assert_never

from anyclawd.model.conversation import Unroutable
from anyclawd.model.deps import UnitName
from anyclawd.route import chat, events
from anyclawd.route.commands import (
    AnswerPermission,
    ArmTimer,
    AskPermission,
    CancelTimer,
    Command,
    Record,
    SessionKey,
    Token,
    WithdrawPermission,
)
from anyclawd.route.desk import Desk
from anyclawd.route.forms import Forms
from anyclawd.route.permission import (
    Ask,
    Asks,
    option_meant,
    rejection_of,
    standing_answer,
    timer_of,
)
from anyclawd.route.record import CloseAsk, RememberChoice, SaveAsk, StoredAsk
from anyclawd.route.session import Phase, Session
from anyclawd.wire import acp
from anyclawd.wire.channel import Peer

#: How long a question is kept that has no time limit.
FOR_LONG_S = 7 * 86400.0


class Questions:
    """All that wait; `desk` is the router."""

    def __init__(self, desk: Desk, run: str) -> None:
        self._desk = desk
        self.asks = Asks(run)
        self.forms = Forms(desk)

    def decide(self, event: events.QuestionEvent, now: float) -> Iterator[Command]:
        match event:
            case events.PermissionAsked():
                yield from self.ask(event, now)
            case events.PermissionAnswered():
                yield from self.answer(event, now)
            case events.PermissionUndeliverable(channel, request_id):
                yield from self.undeliverable(channel, request_id, now)
            case events.PermissionCancelled(agent, handle):
                yield from self.withdraw(agent, handle, now)
            case events.ElicitationAsked():
                yield from self.forms.ask(event, now)
            case events.ElicitationAnswered():
                yield from self.forms.answer(event, now)
            case _:
                assert_never(event)

    def waits(self, request_id: str) -> bool:
        is_asked = self.asks.get(request_id) is not None or self.asks.is_orphan(request_id)
        return is_asked or self.forms.waits(request_id)

    def are_open(self, session: SessionKey) -> bool:
        return bool(self.asks.count_of(session)) or self.forms.is_open(session)

    def ask(self, event: events.PermissionAsked, now: float) -> Iterator[Command]:
        agent, request = self._desk.agents[event.agent], event.request
        session = agent.sessions.get(request.session_id)
        if session is None or not self._can_be_asked(session, request):
            answer = self._when_unroutable(request.options)
            yield AnswerPermission(event.agent, event.ask, answer)
            return
        if session.phase is Phase.CANCELLING:
            yield AnswerPermission(event.agent, event.ask, None)
            return
        standing = self.asks.standing(session.key, request.tool_kind)
        if standing is not None:
            chosen = standing_answer(request.options, allows=standing)
            if chosen is not None:
                yield AnswerPermission(event.agent, event.ask, chosen)
                return
        orphan = self.asks.adopt(session.key, request.fingerprint, now)
        if orphan is not None and orphan.answer:
            meant = option_meant(request.options, orphan.answer)
            yield Record(None, (CloseAsk(orphan.request_id),))
            yield from self._remember(session.key, request.tool_kind, meant)
            answer = rejection_of(request.options) if meant is None else meant.option_id
            yield AnswerPermission(event.agent, event.ask, answer)
            return
        wanted = request.request_id or event.fallback_id
        ask = Ask(
            request_id=self.asks.name(wanted) if orphan is None else orphan.request_id,
            handle=event.ask,
            agent=event.agent,
            channel=session.channel,
            session=session.key,
            turn=session.turn.token if session.turn else None,
            description=request.description,
            options=request.options,
            tool_kind=request.tool_kind,
            fingerprint=request.fingerprint,
        )
        self.asks.add(ask)
        if session.turn is not None:
            session.turn.asks += 1
        timeout_s = self._desk.routes.permission_timeout_s
        if timeout_s:
            yield ArmTimer(ask.timer, now + timeout_s)
        kept = replace(ask.row, remaining_s=timeout_s or FOR_LONG_S)
        yield Record(session.key, (SaveAsk(kept),))  # before anybody sees a button
        yield from self._show_ask(ask)

    def _can_be_asked(self, session: Session, request: acp.PermissionRequest) -> bool:
        """Whether there is something to choose, somebody who reads it, and room to wait in."""
        has_room = self.asks.count_of(session.key) < self._desk.routes.limits.asks
        return bool(request.options) and not session.is_replaying and has_room

    def _when_unroutable(self, options: Sequence[acp.PermissionOption]) -> str | None:
        """The answer where nobody can be asked: no, unless the configuration says otherwise."""
        if self._desk.routes.unroutable is Unroutable.ALLOW_FIRST:
            return options[0].option_id if options else "once"
        return rejection_of(options)

    def _show_ask(self, ask: Ask) -> Iterator[Command]:
        session = self._desk.sessions[ask.session]
        yield from chat.announce(session)
        options = tuple((option.option_id, option.label) for option in ask.options)
        yield AskPermission(ask.channel, ask.session, ask.request_id, ask.description, options)

    def answer(self, event: events.PermissionAnswered, now: float) -> Iterator[Command]:
        """Take the first answer of whoever was asked; any other finds nothing."""
        channel, request_id, option_id = event.channel, event.request_id, event.option_id
        ask = self.asks.get(request_id)
        if ask is None and self.forms.waits(request_id):
            yield from self.forms.choose(event, now)
            return
        if ask is None:
            orphan = self.asks.answer_orphan(channel, request_id, option_id, now, event.peer)
            if orphan is not None:
                yield Record(None, (SaveAsk(orphan),))
            return
        if channel not in (None, ask.channel) or not self._is_peer(ask.session, event.peer):
            return
        chosen = option_meant(ask.options, option_id)
        yield from self._remember(ask.session, ask.tool_kind, chosen)
        answer = ask.rejection if chosen is None else chosen.option_id
        yield from self._close_ask(ask, answer, now)

    def _remember(
        self, session: SessionKey, tool_kind: str, chosen: acp.PermissionOption | None
    ) -> Iterator[Command]:
        """*Always* holds for tools of the same kind."""
        if chosen is not None and chosen.is_lasting and tool_kind:
            choice = RememberChoice(session, tool_kind, not chosen.rejects)
            if self.asks.remember(choice):
                yield Record(None, (choice,))

    def _close_ask(self, ask: Ask, option_id: str | None, now: float) -> Iterator[Command]:
        """Answer the agent, once. The turn's silence counts from here.

        When the daemon stops, what was asked stays kept: the next one may be asked it again.
        """
        self._take_ask(ask, now)
        yield CancelTimer(ask.timer)
        if option_id is not None or not self._desk.is_leaving_word:
            yield Record(None, (CloseAsk(ask.request_id),))
        yield AnswerPermission(ask.agent, ask.handle, option_id)
        yield WithdrawPermission(ask.channel, ask.request_id)

    def _take_ask(self, ask: Ask, now: float) -> None:
        self.asks.take(ask.request_id)
        turn = self._desk.sessions[ask.session].turn
        if turn is not None and turn.token == ask.turn:
            turn.asks -= 1
            turn.touched_at = max(turn.touched_at, now)

    def _withdraw_ask(self, ask: Ask, now: float) -> Iterator[Command]:
        """The agent does not wait any more, and has its answer."""
        self._take_ask(ask, now)
        yield CancelTimer(ask.timer)
        yield Record(None, (CloseAsk(ask.request_id),))
        yield WithdrawPermission(ask.channel, ask.request_id)

    def _orphan_ask(self, ask: Ask, now: float) -> Iterator[Command]:
        """Its agent has gone and may ask the same again; until then its button stays valid."""
        if not ask.fingerprint:
            yield from self._close_ask(ask, None, now)
            return
        self._take_ask(ask, now)
        lasts_s = self._desk.routes.permission_timeout_s or FOR_LONG_S
        yield from self.keep_orphan(replace(ask.row, remaining_s=lasts_s), now)

    def keep_orphan(self, row: StoredAsk, now: float) -> Iterator[Command]:
        """Whoever asked has gone, maybe with an earlier daemon."""
        self.asks.orphan(row, now + row.remaining_s)
        yield ArmTimer(timer_of(row.request_id), now + row.remaining_s)

    def _show_orphan(self, row: StoredAsk) -> Iterator[Command]:
        if session := self._desk.wake(row.session):
            yield from chat.announce(session)
            options = tuple((option_id, label) for option_id, label, _ in row.options)
            yield AskPermission(row.channel, row.session, row.request_id, row.description, options)

    # --- what ends them ---------------------------------------------------------------------------

    def elapsed(self, request_id: str, now: float) -> Iterator[Command]:
        """Nobody has answered in time: no."""
        if ask := self.asks.get(request_id):
            yield from self._close_ask(ask, ask.rejection, now)
        elif row := self.asks.drop_orphan(request_id):
            yield Record(None, (CloseAsk(request_id),))
            yield WithdrawPermission(row.channel, request_id)
        else:
            yield from self.forms.elapsed(request_id, now)

    def end_with_turn(self, session: Session, now: float) -> Iterator[Command]:
        """What was asked in a turn that runs no more, or is cancelled, needs no answer."""
        for ask in self.asks.of(session.key):
            if ask.turn is not None and not _runs(session, ask.turn):
                yield from self._close_ask(ask, None, now)
        yield from self.forms.end_with_turn(session, now)

    def end(self, session: Session, now: float) -> Iterator[Command]:
        for ask in self.asks.of(session.key):
            yield from self._close_ask(ask, None, now)
        yield from self.forms.end(session.key, now)

    def orphan(self, session: Session, now: float) -> Iterator[Command]:
        """The agent that asked has gone."""
        for ask in self.asks.of(session.key):
            yield from self._orphan_ask(ask, now)
        yield from self.forms.end(session.key, now)

    def withdraw(self, agent: UnitName, handle: int, now: float) -> Iterator[Command]:
        """The agent takes a question back."""
        if ask := self.asks.by_handle(agent, handle):
            yield from self._withdraw_ask(ask, now)
        else:
            yield from self.forms.withdraw(agent, handle, now)

    def undeliverable(self, channel: str, request_id: str, now: float) -> Iterator[Command]:
        ask = self.asks.get(request_id)
        if ask is not None and ask.channel == channel:
            yield from self._close_ask(ask, self._when_unroutable(ask.options), now)
        yield from self.forms.undeliverable(channel, request_id, now)

    def channel_failed(self, channel: str, now: float) -> Iterator[Command]:
        for ask in self.asks.of_channel(channel):
            yield from self._close_ask(ask, self._when_unroutable(ask.options), now)
        yield from self.forms.channel_failed(channel, now)

    def show_again(self, channel: str) -> Iterator[Command]:
        """A new process of the channel knows of no question."""
        for ask in self.asks.of_channel(channel):
            yield from self._show_ask(ask)
        for row in self.asks.orphans_of(channel):
            yield from self._show_orphan(row)
        yield from self.forms.show_again(channel)

    def _is_peer(self, session: SessionKey, peer: Peer | None) -> bool:
        """Whether it is the session's own peer who answers, as far as the channel says."""
        theirs = self._desk.sessions[session].peer
        return peer is None or (peer.kind, peer.peer_id) == (theirs.kind, theirs.peer_id)


def _runs(session: Session, turn: Token) -> bool:
    return (
        session.turn is not None and session.turn.token == turn and session.phase is Phase.PROMPTING
    )

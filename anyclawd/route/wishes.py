"""What users ask of the platform, done: the answers, and what they wait for.

A wish is done at once where it can be. What is asked of an agent or of the store waits for the
answer; a wish about what an ACP session offers waits until there is one. Each ends with an answer
to its user, also where the agent goes meanwhile. `route.platform` has the words.
"""

from collections.abc import Iterator
from typing import assert_never

from anyclawd.route import conversation, ending, events, lane, platform, texts
from anyclawd.route.commands import Command, ListConversations, MessageId, SessionKey
from anyclawd.route.desk import Desk
from anyclawd.route.platform import Wish, Word
from anyclawd.route.record import Conversation
from anyclawd.route.session import Session


class Wishes:
    """Those of all chats; `desk` is the router."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waiting: dict[MessageId, tuple[SessionKey, Wish]] = {}

    def settled(self, message: MessageId) -> None:
        """Its message has its outcome."""
        self._waiting.pop(message, None)

    def of(self, session: SessionKey) -> list[MessageId]:
        """The messages of a chat that wait for an answer."""
        return [message for message, (key, _) in self._waiting.items() if key == session]

    def chats(self) -> set[SessionKey]:
        """The chats that wait for one."""
        return {key for key, _ in self._waiting.values()}

    def do(self, session: Session, wish: Wish, message: MessageId, now: float) -> Iterator[Command]:
        """Do what a user has asked of the platform."""
        match wish.word:
            case Word.NEW:
                yield from lane.renew(session, message, now)
            case Word.CANCEL:
                yield from lane.cancel(session, message, now)
            case Word.STATUS:
                name, state = session.agent.route.name, session.agent.failure or session.phase
                text = platform.status_text(
                    name, state, len(session.queue), session.number, session.options
                )
                yield from ending.reply(session, message, text)
            case Word.SESSIONS | Word.RESUME:
                self._waiting[message] = session.key, wish
                yield ListConversations(session.key, message)
            case Word.MODE | Word.MODEL:
                yield from self._choose(session, wish, message, now)
            case _:
                assert_never(wish.word)

    def do_what_waited(self, session: Session, now: float) -> Iterator[Command]:
        """What can be chosen is known now: the commands that ask for it can be answered."""
        for message in lane.take_askers(session):
            _, wish = self._waiting.pop(message)
            yield from self._desk.run(session, self._choose(session, wish, message, now), now)

    def _choose(
        self, session: Session, wish: Wish, message: MessageId, now: float
    ) -> Iterator[Command]:
        if not session.acp_id and not session.options and not session.agent.failure:
            self._waiting[message] = session.key, wish
            yield from lane.ask_when_open(session, message, now)
            return
        choice = platform.choice_for(wish.word, session.options)
        if choice is None or not wish.argument:
            yield from ending.reply(session, message, platform.choice_text(wish.word, choice))
            return
        value = platform.value_named(choice, wish.argument)
        if value is None:
            yield from ending.reply(
                session, message, platform.no_such_value(wish.word, wish.argument)
            )
        elif session.acp_id and session.agent.takes_work:
            self._waiting[message] = session.key, wish._replace(argument=value)
            yield conversation.choose(session, choice.option, value, message)
        else:  # the next ACP session is set so
            yield from conversation.note_choice(session, choice.option, value)
            yield from ending.reply(session, message, platform.value_set(wish.word, value))

    def option_set(self, event: events.OptionSet, now: float) -> Iterator[Command]:
        session = self._desk.sessions.get(event.session)
        _, wish = self._waiting.pop(event.message, (None, None))
        if session is None:
            return
        is_current = event.session_id == session.acp_id
        if event.choices is not None and is_current:
            yield from self._desk.run(
                session, conversation.learn_options(session, event.choices), now
            )
        if wish is None:
            return  # it was set again for a new ACP session, and nobody waits to be told
        choice = platform.choice_for(wish.word, session.options)
        error = event.error if is_current else texts.CONVERSATION_ENDED
        if error or choice is None:
            steps = ending.reply(session, event.message, texts.not_set(wish.word, error))
        else:
            yield from conversation.note_choice(session, choice.option, wish.argument)
            steps = ending.reply(
                session, event.message, platform.value_set(wish.word, wish.argument)
            )
        yield from self._desk.run(session, steps, now)

    def listed(
        self,
        key: SessionKey,
        message: MessageId,
        conversations: tuple[Conversation, ...],
        now: float,
    ) -> Iterator[Command]:
        _, wish = self._waiting.pop(message, (None, None))
        session = self._desk.wake(key)
        if wish is None or session is None:
            return
        if wish.word is Word.SESSIONS:
            text = platform.conversations_text(conversations, session.number)
            yield from self._desk.run(session, ending.reply(session, message, text), now)
            return
        row = next((one for one in conversations if str(one.number) == wish.argument), None)
        if row is None:
            steps = ending.reply(session, message, texts.NO_SUCH_NUMBER)
        else:
            steps = lane.return_to(
                session, row, message, now, knows_it=self._desk.knows(session, row)
            )
        yield from self._desk.run(session, steps, now)

    def agent_gone(self, session: Session, now: float) -> Iterator[Command]:
        """Whoever waits for an option to be set is told that it is not."""
        waiting = [
            (message, wish)
            for message, (key, wish) in self._waiting.items()
            if key == session.key
            and wish.word in (Word.MODE, Word.MODEL)
            and message not in session.askers
        ]
        for message, wish in waiting:
            del self._waiting[message]
            steps = ending.reply(session, message, texts.not_set(wish.word, "the agent has gone"))
            yield from self._desk.run(session, steps, now)

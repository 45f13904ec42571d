"""The conversation of a chat: its number, its title, and what the user has chosen for it.

Theory
------
Conversations of a chat are numbered; `/new` begins another, which gets the next number once
something was said in the last. The agent gives it a title, or else how it began is its title. What
the user has set, such as a model, belongs to the conversation and not to the ACP session: a later
ACP session of it is set alike. The row of the conversation is written where it changes.
"""

from collections.abc import Iterator, Mapping

from anyclawd.model.value import Json
from anyclawd.route import chat
from anyclawd.route.commands import Command, MessageId, Record, SetOption
from anyclawd.route.record import (
    AddTurn,
    CopyTurns,
    EndConversation,
    Entry,
    ForgetChoices,
    SaveConversation,
)
from anyclawd.route.session import Session
from anyclawd.route.turn import Turn, text_of, title_of
from anyclawd.wire.acp import Choices
from anyclawd.wire.acp_choices import changed_choices

#: Of a conversation's title that is kept.
TITLE_MAX_CHARS = 200
#: What a user has chosen is kept for so many options.
CHOICES_MAX = 50


def begin(session: Session) -> Iterator[Command]:
    """The chat has no ACP session, and nothing was said."""
    ended = EndConversation(session.key, session.number)
    session.stale_id, session.ways, session.past = "", [], ""
    if session.has_turns:
        session.number = session.latest = session.latest + 1
    session.has_turns, session.title, session.chosen, session.options = False, "", {}, ()
    yield Record(None, (ended, ForgetChoices(session.key)))


def save(session: Session) -> Command:
    return Record(None, (SaveConversation(session.row),))


def add_turn(session: Session, turn: Turn, stop_reason: str) -> tuple[Entry, ...]:
    """What was said in a turn, and the row where it was the first."""
    is_first, session.has_turns = not session.has_turns, True
    session.title = session.title or title_of(turn.batch)
    said = AddTurn(session.key, session.number, text_of(turn.batch), turn.answer, stop_reason)
    return (said, SaveConversation(session.row)) if is_first else (said,)


def be_fork(session: Session, source: Session, acp_id: str) -> Iterator[Command]:
    """Be the session of a copy that the agent has made of another one's conversation."""
    session.bind(acp_id)
    session.is_fresh, session.has_turns, session.title = False, source.has_turns, source.title
    session.chosen, session.options = dict(source.chosen), source.options
    copied = CopyTurns(source.key, source.number, session.key)
    yield Record(None, (copied, SaveConversation(session.row)))


def note_update(session: Session, update: Mapping[str, Json]) -> Iterator[Command]:
    """What an update tells of the conversation itself."""
    match update.get("sessionUpdate"):
        case "session_info_update":
            title = update.get("title")
            if isinstance(title, str) and title[:TITLE_MAX_CHARS] != session.title:
                session.title = title[:TITLE_MAX_CHARS]
                yield save(session)
        case "config_option_update" | "current_mode_update":
            options = changed_choices(session.options, update)
            if options is not None:
                yield from learn_options(session, options)


# --- what can be chosen ---------------------------------------------------------------------------


def learn_options(session: Session, options: Choices) -> Iterator[Command]:
    """What can be set has changed: so may the menu."""
    before, session.options = session.options, options
    if session.agent.commands is not None and _words(before) != _words(options):
        yield from chat.offer_commands(session)


def choose(session: Session, option: str, value: Json, message: MessageId) -> Command:
    """Set an option of the live ACP session; OptionSet answers."""
    unit, acp_id = session.agent.route.unit, session.acp_id
    return SetOption(unit, acp_id, message, option, value, session.key)


def note_choice(session: Session, option: str, value: Json) -> Iterator[Command]:
    """The user has chosen: a later ACP session of the conversation is set alike."""
    if option in session.chosen or len(session.chosen) < CHOICES_MAX:
        session.chosen[option] = value
        yield save(session)


def choose_again(session: Session) -> Iterator[Command]:
    """Set what the user has chosen, where the ACP session does not have it."""
    nobody = MessageId("")
    for choice in session.options:
        wanted = session.chosen.get(choice.option)
        if wanted is not None and wanted != choice.current:
            yield choose(session, choice.option, wanted, nobody)


def _words(options: Choices) -> list[str]:
    """What of the menu depends on the options."""
    return [choice.category for choice in options]

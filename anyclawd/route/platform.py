"""The platform's own commands: what a user can do to a conversation from within the chat.

A message that is exactly such a command never reaches an agent. An agent's own command of the same
name is not in the menu; it is reached by a second slash, as in `//status`.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from anyclawd.model.value import Json
from anyclawd.route.record import Conversation
from anyclawd.route.texts import count_of
from anyclawd.wire.acp import Choice, Choices

#: So many conversations are listed.
LISTED_MAX = 20


class Word(StrEnum):
    NEW = "new"
    CANCEL = "cancel"
    STATUS = "status"
    SESSIONS = "sessions"
    RESUME = "resume"
    MODE = "mode"
    MODEL = "model"


class Wish(NamedTuple):
    """One command of a user."""

    word: Word
    argument: str = ""


#: As menus show them.
_DESCRIPTIONS = {
    Word.NEW: "Start a new conversation",
    Word.CANCEL: "Cancel the current operation",
    Word.STATUS: "Show what is going on",
    Word.SESSIONS: "List the conversations of this chat",
    Word.RESUME: "Go back to a conversation: /resume NUMBER",
    Word.MODE: "Show or change the mode: /mode NAME",
    Word.MODEL: "Show or change the model: /model NAME",
}
_NAMES = frozenset(str(word) for word in Word)
_WITH_ARGUMENT = (Word.RESUME, Word.MODE, Word.MODEL)


def read(content: Sequence[Json]) -> Wish | None:
    """The command that a message is."""
    text = only_text(content)
    if not text.startswith("/"):
        return None
    head, _, argument = text.partition(" ")
    name = head[1:].partition("@")[0]  # chats of many add the name of the bot
    if name not in _DESCRIPTIONS:
        return None
    word = Word(name)
    if argument and word not in _WITH_ARGUMENT:
        return None
    return Wish(word, argument.strip())


def for_agent(content: Sequence[Json]) -> tuple[Json, ...]:
    """A message as its agent is told it: of `//status` it is told `/status`."""
    text = only_text(content)
    if text.startswith("//") and read([{"type": "text", "text": text[1:]}]) is not None:
        return ({**content[0], "text": text[1:]},)
    return tuple(content)


def only_text(content: Sequence[Json]) -> str:
    """The text of a message that is nothing else; empty for any other."""
    part = content[0] if len(content) == 1 else {}
    text = part.get("text") if part.get("type") == "text" else None
    return text.strip() if isinstance(text, str) else ""


def menu(commands: Sequence[Json], choices: Choices) -> list[Json]:
    """The agent's commands, and behind them those of the platform that mean something now."""
    ours = [
        {"name": str(word), "description": description}
        for word, description in _DESCRIPTIONS.items()
        if _means_something(word, choices)
    ]
    return [*(one for one in commands if not _is_hidden(one)), *ours]


def _is_hidden(command: Json) -> bool:
    """Whether a command of an agent has the name of one of the platform's."""
    return isinstance(command, dict) and command.get("name") in _NAMES


def choice_for(word: Word, choices: Choices) -> Choice | None:
    """What `/mode` or `/model` is about."""
    return next((choice for choice in choices if choice.category == word), None)


def value_named(choice: Choice, wanted: str) -> str | None:
    """The id of the value that the user means, by id or by name."""
    for value, name in choice.values:
        if wanted.casefold() in (value.casefold(), name.casefold()):
            return value
    return None


# --- what the user reads --------------------------------------------------------------------------


def choice_text(word: Word, choice: Choice | None) -> str:
    if choice is None:
        return f"This agent has no {word} to choose."
    lines = [
        f"{'* ' if value == choice.current else '  '}{value}" + (f": {name}" if name else "")
        for value, name in choice.values
    ]
    return "\n".join([f"{choice.name or str(word).capitalize()}:", *lines, f"Change: /{word} NAME"])


def no_such_value(word: Word, wanted: str) -> str:
    return f"There is no {word} {wanted!r:.80}; /{word} lists them."


def value_set(word: Word, value: str) -> str:
    return f"The {word} is {value} now."


def conversations_text(conversations: Sequence[Conversation], current: int) -> str:
    if not conversations:
        return "There is no conversation yet."
    lines = [
        f"{'* ' if one.number == current else '  '}{one.number}: {one.title or 'untitled'}"
        f" ({age_text(one.idle_s)})"
        for one in conversations[:LISTED_MAX]
    ]
    return "\n".join(["Conversations of this chat:", *lines, "Go back to one: /resume NUMBER"])


def status_text(agent: str, state: str, queued: int, number: int, choices: Choices) -> str:
    waiting = count_of(queued, "message")
    lines = [f"Agent {agent}: {state}", f"Conversation {number}, {waiting} waiting"]
    lines += [
        f"{choice.name or choice.category}: {choice.current}"
        for choice in choices
        if choice.category in (Word.MODE, Word.MODEL)
    ]
    return "\n".join(lines)


def age_text(seconds: float) -> str:
    """How long ago, in the largest unit that fits."""
    for unit, length_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length_s:
            return f"{seconds // length_s:.0f} {unit} ago"
    return "just now"


def _means_something(word: Word, choices: Choices) -> bool:
    return word not in (Word.MODE, Word.MODEL) or choice_for(word, choices) is not None

"""Forms and links for channels that cannot show them: one plain question after another.

An agent's elicitation is a form, whose fields somebody fills in, or a link that somebody visits.
`Form` turns either into steps, each a question that any chat can put: a choice, which a channel
shows as buttons, or a text, whose reply is the peer's next message.

    begin ----> question 1 ----> question 2 ----> ... ----> Finished (accept)
                 |   ^  |
           unfit +---+  +--> Finished (decline, cancel)

- `begin` comes first. Then each `chosen` (a button) or `replied` (a message) answers the question
  that was put last, and returns the next step. After `Finished` nothing changes any more: every
  later answer gets it again.
- An unfit reply puts the same question again with what is wrong, `TRIES` times in all; then the
  form is cancelled. So a form of n fields ends after at most n * TRIES answers.
- Everywhere `/cancel` cancels and `/decline` declines; `/skip` leaves out what is optional, or
  takes the default. They win over a value of the same spelling.
- A channel that cannot show buttons says so once it is asked: `without_buttons` puts the same
  question as a text, and all later ones. A choice with many options is a text anywhere.

Deliberately impossible: a form is never accepted with a field that its schema forbids, never
partly, and never with a secret in it: what asks for one is declined before anything is asked.
A link is shown in full beside the host it leads to, and never opened by us; one whose text could
mislead a reader or a browser is declined. These two (`forbidden`) hold for channels that show
forms as well.
Source: ACP "Elicitation"; docs/reference/channel-protocol.md.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from anyclawd.model.value import Json
from anyclawd.route.field import Choice, Field, OneOf, cut, read_field
from anyclawd.route.reply import Unfit, hint, listing, read_choice, read_reply, shown

#: How often one question is put.
TRIES = 3
#: A longer form is no conversation.
FIELDS_MAX = 20
#: So many choices become buttons; more of them are listed in a text.
BUTTONS_MAX = 10
#: What is shown of the agent's own words.
MESSAGE_MAX_CHARS = 4000
#: A longer link is none that could be shown in full.
URL_MAX_CHARS = 4000

#: The host and port of a URL that consists of what RFC 3986 lets one consist of; all else is read
#: differently than it is opened.
_URL = re.compile(
    r"(?i:https?)://(?:[\w\-.~!$&'()*+,;=%:]*@)?"
    r"((?:[a-zA-Z0-9][\w\-.]*|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?)"
    r"(?:[/?#][\w\-.~:/?#\[\]@!$&'()*+,;=%]*)?",
    re.ASCII,
)

SKIP, DECLINE, DONE, SUBMIT = "skip", "decline", "done", "submit"


@dataclass(frozen=True, slots=True)
class AskChoice:
    """Put a question with a button for each option."""

    text: str
    options: tuple[tuple[str, str], ...]  #: (option id, label); the last one declines


@dataclass(frozen=True, slots=True)
class AskText:
    """Put a question; the peer's next message is the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Answer the agent, and tell the peer `text` if there is one."""

    action: str  #: accept, decline or cancel
    content: Mapping[str, Json] | None = None  #: of an accepted form
    text: str = ""


Step: TypeAlias = AskChoice | AskText | Finished


def _secret(title: str) -> str:
    return (
        f"The agent asked for a secret ({title}). It was declined: secrets do not belong in a chat."
    )


WORDLESS = "The agent has a question."
UNSHOWABLE = "The agent asked for something that cannot be asked in this chat; it was declined."
MISLEADING = "The agent asked to open a link that cannot be shown safely; it was declined."
GIVEN_UP = "That could not be understood either; the question is cancelled."
CANCELLED = "The question is cancelled."
DECLINED = "The question is declined."
REQUIRED = "This one is needed; /cancel ends the questions."


def forbidden(params: Mapping[str, Json]) -> Finished | None:
    """The end of what no chat is asked, whoever draws it: for a secret, to open what misleads."""
    if params.get("mode") == "url":
        return None if _host_of(params.get("url")) else Finished("decline", None, MISLEADING)
    fields = (field for field, _ in _fields_of(params))
    secret = next((field for field in fields if field is not None and field.is_secret), None)
    return None if secret is None else Finished("decline", None, _secret(secret.title))


def _fields_of(params: Mapping[str, Json]) -> Iterator[tuple[Field | None, bool]]:
    """(what can be asked of a property, whether it is required) in the order of the schema."""
    found = params.get("requestedSchema")
    schema = found if isinstance(found, dict) else {}
    properties, required = schema.get("properties"), schema.get("required")
    for name, described in properties.items() if isinstance(properties, dict) else ():
        is_required = isinstance(required, list) and name in required
        yield read_field(name, described, is_required=is_required), is_required


def _host_of(url: Json) -> str:
    """Where a link leads; empty for one that cannot be shown as it is opened."""
    found = _URL.fullmatch(url) if isinstance(url, str) and len(url) <= URL_MAX_CHARS else None
    return found[1] if found else ""


class Form:
    """One elicitation on its way through a chat; `params` are those of `elicitation/create`."""

    def __init__(self, params: Mapping[str, Json], *, has_buttons: bool = True) -> None:
        self._has_buttons = has_buttons
        self._message = _shown_message(params)
        self._fields: tuple[Field, ...] = ()
        self._values: dict[str, Json] = {}
        self._number = 0  # of the field that is asked, from 0
        self._tries = 0
        self._link, self._is_link = "", params.get("mode") == "url"
        self._end = forbidden(params) or self._read(params)

    def begin(self) -> Step:
        return self._end or self._put("")

    def chosen(self, option_id: str) -> Step:
        """A button was pressed."""
        if self._end is not None:
            return self._end
        match option_id:
            case "decline":
                return self._finish(Finished("decline", None, DECLINED))
            case "skip":
                return self._skip()
            case _ if option_id in (DONE, SUBMIT) and not self._fields:
                return self._accept()
            case _:
                return self._take_option(option_id)

    def replied(self, text: str) -> Step:
        """The peer has written something."""
        if self._end is not None:
            return self._end
        reply = text.strip()
        match reply.partition("@")[0].casefold():
            case "/cancel":
                return self._finish(Finished("cancel", None, CANCELLED))
            case "/decline":
                return self._finish(Finished("decline", None, DECLINED))
            case "/skip":
                return self._skip()
        try:
            if not self._fields:
                return self.chosen(str(read_choice(self._alone, reply).value))
            value = read_reply(self._field.kind, reply)
        except Unfit as unfit:
            return self._again(str(unfit))
        return self._next(value)

    def without_buttons(self) -> Step:
        """The channel cannot show the question: put it as a text."""
        self._has_buttons = False
        return self._end or self._put("")

    # --- reading ----------------------------------------------------------------------------------

    def _read(self, params: Mapping[str, Json]) -> Finished | None:
        """Take what is to be asked; the end where it cannot be."""
        match params.get("mode", "form"):
            case "form":
                fields = list(_fields_of(params))
                self._fields = tuple(field for field, _ in fields if field is not None)
                is_missing = any(field is None and is_required for field, is_required in fields)
                if is_missing or len(fields) > FIELDS_MAX:
                    return Finished("decline", None, UNSHOWABLE)
            case "url":
                url = params["url"]
                self._link = f"{url}\n\nThis leads to {_host_of(url)}."
            case _:
                return Finished("decline", None, UNSHOWABLE)
        return None

    # --- asking -----------------------------------------------------------------------------------

    @property
    def _field(self) -> Field:
        return self._fields[self._number]

    @property
    def _alone(self) -> tuple[Choice, ...]:
        """The choices where there is no field: of a link, and of a form that is only a message."""
        yes = Choice(DONE, "Done") if self._is_link else Choice(SUBMIT, "OK")
        return (yes, Choice(DECLINE, "Decline"))

    def _put(self, wrong: str) -> Step:
        """Ask what is to be asked now, after what was `wrong` with the last reply."""
        if not self._fields:
            text = _paragraphs(wrong or self._message, self._link)
            if self._has_buttons:
                return AskChoice(text, tuple((str(value), label) for value, label in self._alone))
            return AskText(_paragraphs(text, listing(self._alone)))
        field = self._field
        text = _paragraphs(wrong or self._heading(field), "" if wrong else field.description)
        match field.kind:
            case OneOf(choices=choices) if self._has_buttons and len(choices) <= BUTTONS_MAX:
                return AskChoice(text, _buttons(field, choices))
            case kind:
                return AskText(_paragraphs(text, " ".join([hint(kind), *_ways_out(field)])))

    def _heading(self, field: Field) -> str:
        if len(self._fields) == 1:
            return _paragraphs(self._message, field.title)
        title = f"{self._number + 1} of {len(self._fields)}: {field.title}"
        return title if self._number else _paragraphs(self._message, title)

    # --- going on ---------------------------------------------------------------------------------

    def _take_option(self, option_id: str) -> Step:
        kind = self._field.kind if self._fields else None
        choices = kind.choices if isinstance(kind, OneOf) else ()
        for number, choice in enumerate(choices):
            if option_id == str(number):
                return self._next(choice.value)
        return self._again("That was not offered.")

    def _next(self, value: Json) -> Step:
        self._values[self._field.name] = value
        return self._advance()

    def _advance(self) -> Step:
        self._number, self._tries = self._number + 1, 0
        return self._put("") if self._number < len(self._fields) else self._accept()

    def _skip(self) -> Step:
        if not self._fields or not self._field.can_be_skipped:
            return self._again(REQUIRED)
        if self._field.default is not None:
            return self._next(self._field.default)
        return self._advance()

    def _again(self, wrong: str) -> Step:
        self._tries += 1
        if self._tries >= TRIES:
            return self._finish(Finished("cancel", None, GIVEN_UP))
        return self._put(wrong)

    def _accept(self) -> Step:
        return self._finish(Finished("accept", None if self._is_link else dict(self._values)))

    def _finish(self, end: Finished) -> Step:
        self._end = end
        return end


def _shown_message(params: Mapping[str, Json]) -> str:
    message = params.get("message")
    text = message.strip() if isinstance(message, str) else ""
    return cut(text, MESSAGE_MAX_CHARS) or WORDLESS


def _buttons(field: Field, choices: tuple[Choice, ...]) -> tuple[tuple[str, str], ...]:
    """The choices by their number; then the ways out."""
    options = [(str(number), choice.label) for number, choice in enumerate(choices)]
    if field.default is not None:
        options.append((SKIP, f"Default: {shown(field)}"))
    elif field.can_be_skipped:
        options.append((SKIP, "Skip"))
    return (*options, (DECLINE, "Decline"))


def _ways_out(field: Field) -> list[str]:
    """What else may be replied."""
    out = []
    if field.default is not None:
        out.append(f"/skip takes {shown(field)}.")
    elif field.can_be_skipped:
        out.append("/skip leaves it out.")
    return [*out, "/cancel ends the questions."]


def _paragraphs(*texts: str) -> str:
    return "\n\n".join(text for text in texts if text)

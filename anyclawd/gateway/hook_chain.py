"""What the hooks of an agent decide together about one prompt, update or request for permission.

Theory
------
A question goes along the hooks of an agent that are shown its kind, in the order of the
configuration, and each gives its verdict on what the one before has made of it:

    pass     the next hook is asked; after the last, it goes on as it has become
    change   the same, with what it has become
    else     the end: refused, answered, left out or selected; no later hook is asked
    failure  no verdict (an error, nonsense, silence, no process): the user's policy for that hook
             decides, `skip` as a pass, `refuse` as the end that says no: a prompt is refused, an
             update left out, a permission denied

So every question has exactly one ending, after at most as many steps as there are hooks, and one
that every hook has passed comes out as it went in. A verdict of another kind of question is
impossible: reading the wire does not let it in.

Pure: `begin` and `step` are the whole machine; `gateway.hooked_agent` performs it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from anyclawd.model.conversation import HookEvent, HookFailure, HookUse
from anyclawd.model.errors import IllegalTransition
from anyclawd.model.value import Json
from anyclawd.route.table import entry_name
from anyclawd.wire.hook import Answer, Change, Drop, Pass, Refuse, Select, Verdict


@dataclass(frozen=True, slots=True)
class Question:
    """`asked` owes a verdict; `rest` is asked after it."""

    event: HookEvent
    subject: Json  #: content blocks, an update, or the parameters of a request
    asked: HookUse
    rest: tuple[HookUse, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """A hook has given no verdict."""

    text: str  #: to be read after the hook's name


@dataclass(frozen=True, slots=True)
class Let:
    """It goes on, as this."""

    subject: Json


@dataclass(frozen=True, slots=True)
class Refused:
    """The prompt ends here; its user reads this."""

    text: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The prompt ends here; its user reads this as the agent's answer."""

    text: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The update ends here."""

    failure: str = ""  #: why, where no hook has wanted it so


@dataclass(frozen=True, slots=True)
class Selected:
    """The permission is answered with this option."""

    option_id: str


@dataclass(frozen=True, slots=True)
class Denied:
    """The permission is answered with no."""

    failure: str


Ending: TypeAlias = Let | Refused | Answered | LeftOut | Selected | Denied


def begin(event: HookEvent, subject: Json, uses: Iterable[HookUse]) -> Question | Let:
    """Ask the first of `uses`, which are those that are shown this kind, in their order."""
    chain = tuple(uses)
    return Question(event, subject, chain[0], chain[1:]) if chain else Let(subject)


def step(question: Question, verdict: Verdict | Failed) -> Question | Ending:
    match verdict:
        case Pass():
            return begin(question.event, question.subject, question.rest)
        case Change(subject):
            return begin(question.event, subject, question.rest)
        case Failed(text):
            return _failed(question, text)
        case Refuse(reason) if question.event is HookEvent.PROMPT:
            return Refused(reason or f"Refused by hook {_name(question)}")
        case Answer(text) if question.event is HookEvent.PROMPT:
            return Answered(text)
        case Drop() if question.event is HookEvent.UPDATE:
            return LeftOut()
        case Select(option_id) if question.event is HookEvent.PERMISSION:
            return Selected(option_id)
        case Refuse() | Answer() | Drop() | Select():
            raise IllegalTransition(f"{question.asked.unit}: {verdict} of {question.event}")
        case _:
            assert_never(verdict)


def _failed(question: Question, text: str) -> Question | Ending:
    if question.asked.on_failure is HookFailure.SKIP:
        return begin(question.event, question.subject, question.rest)
    failure = f"hook {_name(question)} {text}"
    match question.event:
        case HookEvent.PROMPT:
            return Refused(f"Message not passed on: {failure}")
        case HookEvent.UPDATE:
            return LeftOut(failure)
        case HookEvent.PERMISSION:
            return Denied(failure)
        case _:
            assert_never(question.event)


def _name(question: Question) -> str:
    """A hook as users see it."""
    return entry_name(question.asked.unit)

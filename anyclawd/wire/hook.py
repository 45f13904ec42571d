"""The hook protocol: what a hook is asked about a conversation, and what it may answer.

A hook is a process between the orchestrator and an agent. Each question is a request to it, each
answer a *verdict*. Reading verdicts is strict: a hook guards something, and what is no verdict must
not count as consent, so it is told from one and left to the policy of the hook's user. Members that
are unknown are ignored, as everywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from anyclawd.model.conversation import HookEvent
from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.value import Json
from anyclawd.wire import acp
from anyclawd.wire.jsonrpc import RpcError
from anyclawd.wire.lenient import as_map, as_text

#: The kind of update as which a hook is shown what a 0.9 agent pushes; its content is a list.
PUSH = "push_message"

#: The member that carries what a question is about, there and back.
_SUBJECT: Mapping[HookEvent, str] = MappingProxyType(
    {
        HookEvent.PROMPT: "prompt",
        HookEvent.UPDATE: "update",
        HookEvent.PERMISSION: "request",
    }
)


@dataclass(frozen=True, slots=True)
class Pass:
    """It goes on as it is."""


@dataclass(frozen=True, slots=True)
class Change:
    """It goes on as this: content blocks, an update, or the parameters of a request."""

    subject: Json


@dataclass(frozen=True, slots=True)
class Drop:
    """The update goes no further."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The prompt goes no further, and its user is told why."""

    reason: str  #: empty where the hook gives none


@dataclass(frozen=True, slots=True)
class Answer:
    """The prompt goes no further, and its user reads this as the agent's answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Select:
    """Nobody is asked for permission: this option is chosen."""

    option_id: str


Verdict: TypeAlias = Pass | Change | Drop | Refuse | Answer | Select


# --- what we send ---------------------------------------------------------------------------------


def method_of(event: HookEvent) -> str:
    return f"hook/{event}"


def question_params(
    event: HookEvent, *, session: str, agent: str, acp_session_id: str, subject: Json
) -> dict[str, Json]:
    """`session` is the chat's key, empty where the agent has not told yet whose session it is."""
    return {
        "session": session,
        "agent": agent,
        "acpSessionId": acp_session_id,
        _SUBJECT[event]: subject,
    }


# --- what we read ---------------------------------------------------------------------------------


def read_events(result: Json) -> frozenset[HookEvent]:
    """What a hook says in its handshake that it wants to be asked; everything where it does not.

    Raises RemoteProtocolError for a name that is none: such a hook would guard nothing, unnoticed.
    """
    wanted = as_map(result).get("events")
    if wanted is None:
        return frozenset(HookEvent)
    known = {str(event) for event in HookEvent}
    names = wanted if isinstance(wanted, list) else [wanted]
    unknown = [name for name in names if not isinstance(name, str) or name not in known]
    if unknown:
        expected = ", ".join(HookEvent)
        text = f"answered initialize with event {unknown[0]!r:.80}, expected some of {expected}"
        raise RemoteProtocolError(text)
    return frozenset(map(HookEvent, names))


def read_verdict(event: HookEvent, result: Json, subject: Json) -> Verdict:
    """What a hook has decided about `subject`; raises RemoteProtocolError where it has not."""
    members = as_map(result)
    action = members.get("action")
    match event, action:
        case _, "pass":
            return Pass()
        case _, "change":
            return Change(_read_change(event, members.get(_SUBJECT[event]), subject))
        case HookEvent.PROMPT, "refuse":
            return Refuse(as_text(members.get("reason")))
        case HookEvent.PROMPT, "answer":
            return Answer(_need_text(event, members, "text"))
        case HookEvent.UPDATE, "drop":
            return Drop()
        case HookEvent.PERMISSION, "select":
            option_id = _need_text(event, members, "optionId")
            if option_id not in _offered(subject):
                raise _nonsense(event, f"option {option_id!r:.80}, which was not offered")
            return Select(option_id)
    found = "no action" if action is None else f"action {action!r:.80}"
    raise _nonsense(event, found)


def failure_text(event: HookEvent, error: RpcError) -> str:
    """Why a hook has no verdict, by its own words."""
    return f"answered {method_of(event)} with an error: {error!s:.500}"


def _read_change(event: HookEvent, found: Json, subject: Json) -> Json:
    match event:
        case HookEvent.PROMPT:
            if isinstance(found, list) and found and all(map(_is_block, found)):
                return found
            raise _nonsense(event, "a prompt that is no list of content blocks")
        case HookEvent.UPDATE:
            return _read_changed_update(found, subject)
        case HookEvent.PERMISSION:
            offered = _offered(found)
            if not offered or not offered <= _offered(subject):
                raise _nonsense(event, "a request whose options are not some of those offered")
            return {**found, "sessionId": subject.get("sessionId")}


def _read_changed_update(found: Json, subject: Json) -> Json:
    if not isinstance(found, dict) or not as_text(found.get("sessionUpdate")):
        raise _nonsense(HookEvent.UPDATE, "an update without a sessionUpdate")
    is_push = subject.get("sessionUpdate") == PUSH
    if is_push and not (found["sessionUpdate"] == PUSH and isinstance(found.get("content"), list)):
        raise _nonsense(HookEvent.UPDATE, f"no {PUSH} with a list of content")
    return found


def _offered(request: Json) -> frozenset[str]:
    return frozenset(option.option_id for option in acp.read_permission(request).options)


def _is_block(block: Json) -> bool:
    return isinstance(block, dict) and bool(as_text(block.get("type")))


def _need_text(event: HookEvent, members: dict[str, Json], key: str) -> str:
    if text := as_text(members.get(key)):
        return text
    raise _nonsense(event, f"no {key}")


def _nonsense(event: HookEvent, found: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"answered {method_of(event)} with {found}")

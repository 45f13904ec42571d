"""What an agent asks of a user beyond permission: a form to fill in, or an address to visit.

Source: ACP "Elicitation".
"""

from collections.abc import Mapping
from typing import NamedTuple

from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.value import Json
from anyclawd.wire.lenient import as_map, as_text

ACTIONS = ("accept", "decline", "cancel")
#: What a user may be sent to visit.
_WEB = ("https://", "http://")


class Elicitation(NamedTuple):
    session_id: str  #: empty where it belongs to a request of ours
    request_id: Json  #: of that request, as the agent spells it
    elicitation_id: str  #: by which `elicitation/complete` names one by address
    params: dict[str, Json]  #: as the agent has sent them


def read_elicitation(params: Json) -> Elicitation:
    """Raises RemoteProtocolError where there is nothing that could be shown to a user."""
    found = as_map(params)
    if not as_text(found.get("message")):
        raise RemoteProtocolError("elicitation/create: expected a message")
    match found.get("mode"):
        case "form":
            if not isinstance(found.get("requestedSchema"), dict):
                raise RemoteProtocolError("elicitation/create: expected a requestedSchema")
        case "url":
            if not as_text(found.get("url")).lower().startswith(_WEB):
                raise RemoteProtocolError("elicitation/create: expected an http or https url")
        case mode:
            reason = f"elicitation/create: expected mode form or url, found {mode!r:.80}"
            raise RemoteProtocolError(reason)
    return Elicitation(
        as_text(found.get("sessionId")),
        found.get("requestId"),
        as_text(found.get("elicitationId")),
        found,
    )


def read_completed(params: Json) -> str:
    """The id in an `elicitation/complete`; empty where it has none."""
    return as_text(as_map(params).get("elicitationId"))


def elicitation_answer(action: str, content: Mapping[str, Json] | None) -> dict[str, Json]:
    """The result of `elicitation/create`; only one that is accepted has a content.

    Values of types that a form cannot have are left out.
    """
    if action not in ACTIONS:
        raise ValueError(f"elicitation: no action {action!r}")
    if action != "accept" or content is None:
        return {"action": action}
    values = {name: value for name, value in content.items() if _is_content(value)}
    return {"action": action, "content": values}


def _is_content(value: Json) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(item, str) for item in value)
    return isinstance(value, str | int | float | bool)

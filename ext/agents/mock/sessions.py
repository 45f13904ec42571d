"""The sessions that the mock agent keeps in memory, and what each of them can be set to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyclaw_sdk.types import INVALID_PARAMS, Json, Message, RpcError, map_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anyclaw_sdk.types import SessionRequest

#: ACP's code for a session that is not there.
RESOURCE_NOT_FOUND = -32002

MODES = {"ask": "Ask first", "code": "Just do it"}
MODELS = {"small": "Small", "large": "Large"}
PAGE = 2  #: sessions in one answer to `session/list`


class Session:
    """One of them, with what its user has chosen."""

    def __init__(self, cwd: str, values: Message | None = None) -> None:
        self.cwd = cwd
        self.mcp_servers: list[Message] = []
        self.values: Message = {"mode": "ask", "model": "small", "web": False} | (values or {})


class Sessions:
    """Those that are there, oldest first."""

    def __init__(self) -> None:
        self.has_modes = self.has_options = False
        self._kept: dict[str, Session] = {}

    def open(self, session_id: str, request: SessionRequest) -> Message:
        """Open one, or take it up again: what an answer tells of it."""
        session = self._kept.setdefault(session_id, Session(request.cwd))
        session.mcp_servers = [map_of(server) for server in request.mcp_servers]
        return self.choices(session_id)

    def of(self, session_id: str) -> Session:
        session = self._kept.get(session_id)
        if session is None:
            raise RpcError(RESOURCE_NOT_FOUND, f"no session {session_id!r}")
        return session

    def choices(self, session_id: str) -> Message:
        """The members `modes` and `configOptions` of an answer, as far as options ask for them."""
        session = self.of(session_id)
        found: Message = {}
        if self.has_modes:
            modes = [{"id": id_, "name": name} for id_, name in MODES.items()]
            found["modes"] = {"currentModeId": session.values["mode"], "availableModes": modes}
        if self.has_options:
            found["configOptions"] = [
                _select("mode", "Mode", MODES, session),
                _select("model", "Model", MODELS, session),
                {
                    "id": "web",
                    "name": "Search the web",
                    "type": "boolean",
                    "currentValue": session.values["web"],
                },
            ]
        return found

    def choose(self, session_id: str, option: str, value: Json) -> None:
        session, offered = self.of(session_id), {"mode": MODES, "model": MODELS}.get(option)
        is_offered = value in offered if offered else option == "web" and isinstance(value, bool)
        if not is_offered:
            raise RpcError(INVALID_PARAMS, f"{option!r} cannot be set to {value!r}")
        session.values[option] = value

    def page(self, params: Message) -> Message:
        """The answer to `session/list`; a cursor is how many there were before."""
        cwd, cursor = params.get("cwd"), text_of(params.get("cursor"), "0")
        if not cursor.isdecimal():
            raise RpcError(INVALID_PARAMS, f"cursor {cursor!r} is not one of ours")
        found = [one for one in self._listed() if cwd in (None, one["cwd"])]
        begin, end = int(cursor), int(cursor) + PAGE
        answer: Message = {"sessions": found[begin:end]}
        return answer | ({"nextCursor": str(end)} if end < len(found) else {})

    def fork(self, session_id: str, copy_id: str) -> Message:
        session = self.of(session_id)
        self._kept[copy_id] = Session(session.cwd, session.values)
        return {"sessionId": copy_id} | self.choices(copy_id)

    def delete(self, session_id: str) -> Message:
        """Forget one; one that is not there is forgotten already."""
        self._kept.pop(session_id, None)
        return {}

    def _listed(self) -> Iterable[Message]:
        for session_id, session in self._kept.items():
            yield {"sessionId": session_id, "cwd": session.cwd, "title": f"Mock {session_id[:8]}"}


def choice_of(params: Message) -> tuple[str, Json]:
    """(option, value) of a `session/set_config_option`."""
    return text_of(map_of(params).get("configId")), params.get("value")


def _select(option: str, name: str, values: dict[str, str], session: Session) -> Message:
    return {
        "id": option,
        "name": name,
        "category": option,
        "type": "select",
        "currentValue": session.values[option],
        "options": [{"value": value, "name": label} for value, label in values.items()],
    }

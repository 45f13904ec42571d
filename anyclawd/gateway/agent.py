"""One agent process: its handshake, the calls to it, and what it sends by itself.

What the router decides becomes calls here, and their answers become its events. Requests of the
agent for permission keep a handle, by which the router's answer finds them.
"""

import logging
from typing import Protocol

from anyclawd import __version__
from anyclawd.gateway.handshake import HEALTH_METHOD, refusal
from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from anyclawd.route import events
from anyclawd.route.commands import Attempt, OpenSession, Prompt, Token
from anyclawd.route.events import Event
from anyclawd.runtime.connection import Connection, Reply
from anyclawd.runtime.seam import Report, Wire
from anyclawd.wire import acp, jsonrpc
from anyclawd.wire.jsonrpc import RpcError

log = logging.getLogger("anyclawd.gateway")

PUSH_METHODS = ("session/push", "_session/push")


class AgentHost(Protocol):
    """What an agent's connection needs of the gateway."""

    def agent_event(self, event: Event) -> None: ...

    def agent_streamed(self, agent: "AgentPeer", update: acp.Update) -> bool: ...

    def agent_knows(self, agent: "AgentPeer", session_id: str) -> bool: ...

    def agent_gone(self, agent: "AgentPeer") -> None: ...

    def flush(self) -> None: ...


class AgentPeer:
    """Speaks ACP with one process."""

    def __init__(
        self, unit: Unit, wire: Wire, report: Report, host: AgentHost, options: dict[str, Json]
    ) -> None:
        self.unit, self._report, self._host = unit, report, host
        self.handshake: acp.Handshake | None = None
        self._cwd = unit.agent.cwd if unit.agent else "/"
        self._handles: dict[Token, int] = {}
        self._asks: dict[int, Reply] = {}
        self._last_ask = 0
        self.connection = Connection(wire, report, self)
        params = acp.initialize_params(__version__, options)
        self.connection.call("initialize", params, self._initialized)

    def _initialized(self, result: Json, error: RpcError | None) -> None:
        if error is not None:
            self.connection.fail(refusal(error))
            return
        self.handshake = acp.read_handshake(result)
        name = self.unit.name
        log.info(
            "%s: initialized, protocol version %d",
            name,
            self.handshake.version,
            extra={"unit": name},
        )
        if self.handshake.auth_methods:
            methods = ", ".join(self.handshake.auth_methods)
            log.info("%s: offers to authenticate by %s", name, methods, extra={"unit": name})
        self._report.ready()
        self._host.agent_event(events.AgentReady(name, self.handshake.capabilities))

    @property
    def health_method(self) -> str:
        return HEALTH_METHOD

    def health_answered(self, result: Json, error: RpcError | None) -> str:
        return ""

    # --- what the router decides ------------------------------------------------------------------

    def open_session(self, command: OpenSession) -> None:
        token, attempt = command.token, command.attempt

        def answered(result: Json, error: RpcError | None) -> None:
            self._handles.pop(token, None)
            session_id = acp.read_session_id(result)
            if error is not None:
                self._host.agent_event(events.OpenFailed(token, self._reason(error)))
            elif attempt is Attempt.NEW and not session_id:
                text = "the answer to session/new has no sessionId"
                self._host.agent_event(events.OpenFailed(token, text))
            else:
                self._host.agent_event(events.SessionOpened(token, session_id))

        params = acp.session_params(self._cwd, command.session_id)
        self._handles[token] = self.connection.call(str(attempt), params, answered)

    def prompt(self, command: Prompt) -> None:
        token = command.token

        def answered(result: Json, error: RpcError | None) -> None:
            self._handles.pop(token, None)
            if error is None:
                stop_reason = acp.read_stop_reason(result)
                self._host.agent_event(events.PromptAnswered(token, stop_reason))
                return
            is_unknown = acp.is_unknown_session(error)
            self._host.agent_event(events.PromptFailed(token, self._reason(error), is_unknown))

        params = acp.prompt_params(command.session_id, command.blocks)
        self._handles[token] = self.connection.call("session/prompt", params, answered)

    def cancel(self, session_id: str) -> None:
        self.connection.notify("session/cancel", {"sessionId": session_id})

    def close_session(self, session_id: str) -> None:
        self.connection.call("session/close", {"sessionId": session_id}, self._session_closed)

    def abandon(self, token: Token) -> None:
        if (handle := self._handles.pop(token, None)) is not None:
            self.connection.abandon(handle)

    def answer(self, ask: int, option_id: str | None) -> None:
        if (reply := self._asks.pop(ask, None)) is not None:
            reply.result(acp.permission_outcome(option_id))

    def _session_closed(self, result: Json, error: RpcError | None) -> None:
        if error is not None:
            log.debug("%s: answered session/close with an error: %s", self.unit.name, error)

    def _reason(self, error: RpcError) -> str:
        """What the user reads. An agent that wants a login says so in its own words only."""
        methods = self.handshake.auth_methods if self.handshake else ()
        if error.code == acp.AUTH_REQUIRED and methods:
            return f"{error.message} (log the agent in; it offers: {', '.join(methods)})"
        return error.message

    # --- what the agent sends ---------------------------------------------------------------------

    def frame_received(self, frame: bytes) -> bool:
        update = acp.read_update(frame)
        return update is not None and self._host.agent_streamed(self, update)

    def notification_received(self, method: str, params: Json, size_bytes: int) -> None:
        name = self.unit.name
        if method == "session/update" and isinstance(params, dict):
            session_id = acp.read_session_id(params)
            self._host.agent_event(events.UpdateReceived(name, session_id, params, size_bytes))
        elif method in PUSH_METHODS:
            self._push(params)
        else:
            log.debug("%s: notification %s ignored", name, method)

    def request_received(self, method: str, params: Json, reply: Reply, size_bytes: int) -> bool:
        if method == "session/request_permission":
            self._last_ask += 1
            self._asks[self._last_ask] = reply
            request = acp.read_permission(params)
            event = events.PermissionAsked(self.unit.name, self._last_ask, request, reply.id_text)
            self._host.agent_event(event)
        elif method in PUSH_METHODS:
            self._answer_push(params, reply)
        else:
            return False
        return True

    def _answer_push(self, params: Json, reply: Reply) -> None:
        try:
            is_known = self._push(params)
        except RemoteProtocolError as error:
            reply.error(jsonrpc.INVALID_PARAMS, str(error))
            return
        if is_known:
            reply.result({})
        else:
            reply.error(jsonrpc.UNKNOWN_SESSION, "no such session")

    def _push(self, params: Json) -> bool:
        session_id, content = acp.read_push(params)
        if not self._host.agent_knows(self, session_id):
            return False
        self._host.agent_event(events.PushReceived(self.unit.name, session_id, content))
        return True

    # --- its life ---------------------------------------------------------------------------------

    def batch_ended(self) -> None:
        self._host.flush()

    def writing_paused(self) -> None:
        self._host.agent_event(events.AgentPaused(self.unit.name))

    def writing_resumed(self) -> None:
        self._host.agent_event(events.AgentResumed(self.unit.name))

    def closing(self) -> None:
        self._host.agent_event(events.AgentClosing(self.unit.name))

    def ended(self) -> None:
        """What runs ends with the process, which the connection sees to."""

    def lost(self) -> None:
        self._asks.clear()
        self._host.agent_gone(self)

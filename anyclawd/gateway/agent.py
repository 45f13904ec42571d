"""One agent process: its handshake, the calls to it, and what it sends by itself.

What the router decides becomes calls here, and their answers become its events. A question of the
agent to its user keeps a number, by which the router's answer finds it. What an administrator asks
for is answered by a callback, once, whatever happens to the agent.
"""

import logging
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple, Protocol

from anyclawd import __version__
from anyclawd.gateway.errands import Errands
from anyclawd.gateway.files import FAULT, Files, Outcome
from anyclawd.gateway.handshake import HEALTH_METHOD, refusal
from anyclawd.gateway.identity import act_as
from anyclawd.gateway.inquiry import Inquiries, OnDone
from anyclawd.gateway.requests import Pending, Requests
from anyclawd.gateway.terminal import Terminals
from anyclawd.gateway.workspace import Workspace
from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from anyclawd.route import events
from anyclawd.route.commands import Attempt, OpenSession, Prompt, SetOption, Token
from anyclawd.route.events import Event
from anyclawd.runtime.connection import Connection, Reply
from anyclawd.runtime.seam import Report, Wire
from anyclawd.wire import acp, acp_choices, acp_elicitation, jsonrpc
from anyclawd.wire.jsonrpc import RpcError

log = logging.getLogger("anyclawd.gateway")

PUSH_METHODS = ("session/push", "_session/push")

#: A person has so long to log in by `authenticate`.
LOGIN_TIMEOUT_S = 300.0


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
        assert unit.agent is not None
        self.unit, self._report, self._host = unit, report, host
        self.handshake: acp.Handshake | None = None
        self._cwd = unit.agent.cwd
        self._handles: dict[Token, int] = {}
        self._sessions: dict[int, str] = {}  # which calls belong to which session, by their id
        self._requests = Requests()
        self._asks: dict[int, Question] = {}
        self._visits: dict[str, int] = {}  # those that `elicitation/complete` may answer
        self._last_ask = 0
        workspace = Workspace(self._cwd)
        act = partial(act_as, unit.user)
        self._errands: Errands[Outcome] = Errands(f"{unit.name}:disk", FAULT, act)
        self._files = Files(unit.agent.fs, workspace, self._errands)
        self._terminals = Terminals(self._cwd, workspace, self._errands, report)
        self._has_terminals = unit.agent.terminal
        self.connection = Connection(wire, report, self)
        bound_s = unit.timeouts.start_s
        self._inquiries = Inquiries(unit.name, self.connection, self._reason, bound_s)
        served = acp.Served(unit.agent.fs.read, unit.agent.fs.write, unit.agent.terminal)
        if (served.reading or served.writing) and self._cwd == "/":
            text = "%s: its workspace is the whole file system; set working_dir of its entry"
            log.warning(text, unit.name, extra={"unit": unit.name})
        params = acp.initialize_params(__version__, options, served)
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
        if methods := self._login_methods():
            log.info("%s: offers to authenticate by %s", name, methods, extra={"unit": name})
        self._report.ready()
        self._host.agent_event(events.AgentReady(name, self.handshake.capabilities))

    @property
    def health_method(self) -> str:
        return HEALTH_METHOD

    def health_answered(self, result: Json, error: RpcError | None) -> str:
        return ""

    # --- what the router decides ------------------------------------------------------------------

    def open_session(self, command: OpenSession, servers: list[Json]) -> None:
        """`servers` are the MCP servers of the session, as ACP has them."""
        token, attempt = command.token, command.attempt

        def answered(result: Json, error: RpcError | None) -> None:
            self._end_call(token)
            session_id = acp.read_session_id(result)
            if error is not None:
                self._host.agent_event(events.OpenFailed(token, self._reason(error)))
            elif attempt is Attempt.NEW and not session_id:
                text = "the answer to session/new has no sessionId"
                self._host.agent_event(events.OpenFailed(token, text))
            else:
                choices = acp_choices.read_choices(result)
                self._host.agent_event(events.SessionOpened(token, session_id, choices))

        params = acp.session_params(self._cwd, servers, command.session_id)
        handle = self.connection.call(str(attempt), params, answered)
        self._begin_call(token, handle, command.session_id)

    def prompt(self, command: Prompt) -> None:
        token = command.token

        def answered(result: Json, error: RpcError | None) -> None:
            self._end_call(token)
            if error is None:
                stop_reason = acp.read_stop_reason(result)
                self._host.agent_event(events.PromptAnswered(token, stop_reason))
                return
            reason, is_unknown = self._reason(error), acp.is_unknown_session(error)
            is_unrun = acp.denies_session(error, command.session_id)
            self._host.agent_event(events.PromptFailed(token, reason, is_unknown, is_unrun))

        params = acp.prompt_params(command.session_id, command.blocks)
        handle = self.connection.call("session/prompt", params, answered)
        self._begin_call(token, handle, command.session_id)

    def cancel(self, session_id: str) -> None:
        self.connection.notify("session/cancel", {"sessionId": session_id})

    def set_option(self, command: SetOption) -> None:
        session, acp_id, message = command.session, command.session_id, command.message

        def done(result: Json, error: str) -> None:
            choices = None if error else acp_choices.read_choices(result)
            self._host.agent_event(events.OptionSet(session, acp_id, message, choices, error))

        method, params = acp_choices.set_request(command.session_id, command.option, command.value)
        self._ask(method, params, done)

    def close_session(self, session_id: str) -> None:
        """What runs for a session ends; the agent lets go of it, where it can."""
        self._terminals.leave(session_id)
        if self._capabilities.close:
            self.connection.call("session/close", {"sessionId": session_id}, self._session_closed)

    def abandon(self, token: Token) -> None:
        if (handle := self._end_call(token)) is not None:
            self.connection.abandon(handle)

    def answer(self, ask: int, option_id: str | None) -> None:
        if (pending := self._take_ask(ask)) is not None:
            pending.result(acp.permission_outcome(option_id))

    def answer_elicitation(self, ask: int, action: str, content: Mapping[str, Json] | None) -> None:
        if (pending := self._take_ask(ask)) is not None:
            pending.result(acp_elicitation.elicitation_answer(action, content))

    def _take_ask(self, ask: int) -> Pending | None:
        """A question that is over; None where it was before."""
        if (question := self._asks.pop(ask, None)) is None:
            return None
        if self._visits.get(question.elicitation_id) == ask:
            del self._visits[question.elicitation_id]
        return question.pending

    def _session_closed(self, result: Json, error: RpcError | None) -> None:
        if error is not None:
            log.debug("%s: answered session/close with an error: %s", self.unit.name, error)

    def _begin_call(self, token: Token, handle: int, session_id: str) -> None:
        self._handles[token] = handle
        self._sessions[handle] = session_id

    def _end_call(self, token: Token) -> int | None:
        if (handle := self._handles.pop(token, None)) is not None:
            del self._sessions[handle]
        return handle

    def _login_methods(self) -> str:
        """What the agent offers to log in by, for people."""
        methods = self.handshake.auth_methods if self.handshake else ()
        return ", ".join(method.id for method in methods)

    def _reason(self, error: RpcError) -> str:
        """What the user reads. An agent that wants a login says so in its own words only."""
        if error.code == acp.AUTH_REQUIRED and (methods := self._login_methods()):
            return f"{error.message} (log the agent in; it offers: {methods})"
        return error.message

    # --- what an administrator asks for -----------------------------------------------------------

    def fork(self, session_id: str, servers: list[Json], done: OnDone[str]) -> None:
        """Copy a session; the copy's id."""

        def forked(result: Json, error: str) -> None:
            copy = acp.read_session_id(result)
            if not copy:
                done(None, error or "the answer to session/fork has no sessionId")
            else:
                done(copy, "")

        params = acp.session_params(self._cwd, servers, session_id)
        self._ask("session/fork", params, forked, is_offered=self._capabilities.fork)

    def delete_session(self, session_id: str, done: OnDone[Json]) -> None:
        params = {"sessionId": session_id}
        self._ask("session/delete", params, done, is_offered=self._capabilities.delete)

    def list_sessions(self, cursor: str, done: OnDone[acp.SessionList]) -> None:
        """One page of the sessions in our directory; `cursor` is the last page's, or empty."""

        def listed(result: Json, error: str) -> None:
            done(None if error else acp.read_session_list(result), error)

        params = {"cwd": self._cwd} | ({"cursor": cursor} if cursor else {})
        self._ask("session/list", params, listed, is_offered=self._capabilities.list)

    def authenticate(self, method_id: str, done: OnDone[Json]) -> None:
        methods = self.handshake.auth_methods if self.handshake else ()
        method = next((one for one in methods if one.id == method_id), None)
        if method is None:
            offered = self._login_methods() or "none"
            done(None, f"{self.unit.name} has no way to log in by {method_id!r}; it has: {offered}")
        elif method.type == "terminal":
            done(None, f"{method_id!r} needs a terminal; run the agent's own login by hand")
        else:
            params = {"methodId": method_id}
            self._ask("authenticate", params, done, timeout_s=LOGIN_TIMEOUT_S)

    def logout(self, done: OnDone[Json]) -> None:
        self._ask("logout", {}, done, is_offered=self._capabilities.logout)

    @property
    def _capabilities(self) -> acp.Capabilities:
        return self.handshake.capabilities if self.handshake else acp.Capabilities()

    def _ask(
        self,
        method: str,
        params: dict[str, Json],
        done: OnDone[Json],
        *,
        is_offered: bool = True,
        timeout_s: float | None = None,
    ) -> None:
        """Call for somebody who waits, within a bound of time."""
        if self.handshake is None:
            done(None, f"{self.unit.name} has not started so far")
        elif not is_offered:
            done(None, f"{self.unit.name} does not offer {method}")
        else:
            self._inquiries.ask(method, params, done, timeout_s=timeout_s)

    # --- what the agent sends ---------------------------------------------------------------------

    def frame_received(self, frame: bytes) -> bool:
        update = acp.read_update(frame)
        return update is not None and self._host.agent_streamed(self, update)

    def notification_received(self, method: str, params: Json, size_bytes: int) -> None:
        name = self.unit.name
        if method == "session/update" and isinstance(params, dict):
            session_id = acp.read_session_id(params)
            self._host.agent_event(events.UpdateReceived(name, session_id, params, size_bytes))
        elif method == "$/cancel_request" and isinstance(params, dict):
            self._requests.cancel(params.get("requestId"))
        elif method == "elicitation/complete":
            self._complete(acp_elicitation.read_completed(params))
        elif method in PUSH_METHODS:
            self._push(params)
        else:
            log.debug("%s: notification %s ignored", name, method)

    def request_received(self, method: str, params: Json, reply: Reply, size_bytes: int) -> bool:
        if method == "session/request_permission":
            if (pending := self._requests.open(reply)) is not None:
                request = acp.read_permission(params)
                ask, name = self._open_ask(pending), self.unit.name
                event = events.PermissionAsked(name, ask, request, reply.id_text)
                self._host.agent_event(event)
        elif method == "elicitation/create":
            self._elicit(params, reply)
        elif method in PUSH_METHODS:
            self._answer_push(params, reply)
        elif self._files.serves(method):
            if (pending := self._requests.open(reply)) is not None:
                self._files.request(method, params, pending, size_bytes)
        elif self._has_terminals and self._terminals.serves(method):
            if (pending := self._requests.open(reply)) is not None:
                self._terminals.request(method, params, pending)
        else:
            return False
        return True

    def _open_ask(self, pending: Pending, elicitation_id: str = "") -> int:
        """Number a question to the user; the agent may take it back."""
        self._last_ask += 1
        ask = self._last_ask
        self._asks[ask] = Question(pending, elicitation_id)
        if elicitation_id:
            self._visits[elicitation_id] = ask

        def cancelled() -> None:
            self._take_ask(ask)
            self._host.agent_event(events.PermissionCancelled(self.unit.name, ask))

        pending.cancelled = cancelled
        return ask

    def _elicit(self, params: Json, reply: Reply) -> None:
        try:
            asked = acp_elicitation.read_elicitation(params)
        except RemoteProtocolError as error:
            reply.error(jsonrpc.INVALID_PARAMS, str(error))
            return
        if (pending := self._requests.open(reply)) is None:
            return
        ask = self._open_ask(pending, asked.elicitation_id)
        session_id = asked.session_id or self._session_of_call(asked.request_id)
        event = events.ElicitationAsked(self.unit.name, ask, session_id, asked.params)
        self._host.agent_event(event)

    def _session_of_call(self, request_id: Json) -> str:
        """The session that a call of ours is about, as far as one is."""
        text = str(request_id)
        return self._sessions.get(int(text), "") if text.isascii() and text.isdigit() else ""

    def _complete(self, elicitation_id: str) -> None:
        """The user has been where the agent sent them: whether they also say so does not matter."""
        if (ask := self._visits.get(elicitation_id)) is not None:
            self.answer_elicitation(ask, "accept", None)
            self._host.agent_event(events.PermissionCancelled(self.unit.name, ask))

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
        self._visits.clear()
        self._requests.clear()
        self._errands.close()
        self._terminals.close()
        self._inquiries.end()
        self._host.agent_gone(self)


class Question(NamedTuple):
    """What the user is asked; the id is of one that sends them somewhere."""

    pending: Pending
    elicitation_id: str

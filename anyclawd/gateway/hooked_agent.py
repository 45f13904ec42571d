"""An agent with hooks between it and the gateway: prompts down, updates and permissions up.

Theory
------
To the gateway this is an agent, and to the agent's connection it is the gateway. Three kinds of
things are shown to hooks; `gateway.hook_chain` decides what they come to:

    prompt      asked about before it is sent. Nothing of it has reached the agent until every hook
                has let it pass; a hook that refuses or answers it ends the turn in its place.
    update      asked about before the gateway hears of it, pushes of 0.9 agents too.
    permission  asked about before the gateway hears of it; a hook may choose an option instead.

All that an agent says of one session goes through one lane, asked about or not: updates, pushes,
permissions, elicitations, and the answers to prompts and to the opening of sessions. So it arrives
in the order in which it was said, and the answer of a turn never overtakes its updates. Sessions do
not wait for each other, until the lanes are full: then the agent is not read until they have
drained.

Who ends what:

    cancel      a prompt that hooks are being asked about is answered `cancelled`, and is never
                sent; permissions that wait for hooks are answered `cancelled`
    abandon     such a prompt is forgotten
    closing     such prompts are forgotten: nothing new is sent to an agent that stops
    agent gone  such prompts are forgotten, and so is what the agent has asked; what it has said
                goes its way, and only then the gateway hears that the agent is gone. A successor,
                or the end of the unit, has the gateway not wait for that (`leave`).

A question that was forgotten is withdrawn from the hook, and its late answer means nothing.

Of a session that is being loaded hooks are not shown what is replayed: nobody is, until the next
prompt. Menus, modes and options are state of the agent and not part of a replay.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, assert_never

from anyclawd.gateway.agent import PUSH_METHODS, AgentHost, AgentPeer
from anyclawd.gateway.hook_chain import (
    Answered,
    Denied,
    Ending,
    LeftOut,
    Let,
    Question,
    Refused,
    Selected,
)
from anyclawd.gateway.hook_lanes import HookLanes
from anyclawd.gateway.hook_walk import Walk
from anyclawd.gateway.hooks import Hooks
from anyclawd.gateway.valve import Valve
from anyclawd.model.conversation import HookEvent
from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from anyclawd.route import events
from anyclawd.route.commands import Attempt, OpenSession, Prompt, SessionKey, Token
from anyclawd.route.events import Event
from anyclawd.route.permission import rejection_of
from anyclawd.route.table import entry_name
from anyclawd.runtime.connection import Reply
from anyclawd.runtime.seam import Report, Wire
from anyclawd.wire import acp, hook, jsonrpc

log = logging.getLogger("anyclawd.gateway")

UPDATE_METHOD = "session/update"
PERMISSION_METHOD = "session/request_permission"
#: Shown to the user and not to hooks; keeps its place among what is said of its session.
FORM_METHOD = "elicitation/create"
FORM_END_METHOD = "elicitation/complete"
#: Updates that matter beyond the session which is being replayed.
STATE_KINDS = frozenset(
    {"available_commands_update", "config_option_update", "current_mode_update"}
)


class HookedHost(AgentHost, Protocol):
    """What an agent with hooks needs of the gateway beyond others."""

    def agent_session(self, agent: AgentPeer, session_id: str) -> SessionKey | None:
        """The chat that an ACP session belongs to, where that is known."""


@dataclass(slots=True, eq=False)
class Entry:
    """Something that the agent has said."""

    size_bytes: int
    let: Callable[[Ending], None]  #: do what it has come to
    event: HookEvent | None = None  #: None where no hook is asked
    subject: Json = None
    reply: Reply | None = None  #: of a request, which may be answered before it is let
    walk: Walk | None = None  #: set once hooks are asked
    ending: Ending | None = None

    @property
    def is_question(self) -> bool:
        """Whether the agent waits for an answer of its user; for that to a push it need not."""
        return self.reply is not None and self.event is not HookEvent.UPDATE


class HookedAgent(AgentPeer):
    """One agent process and the hooks in front of it; see the theory of this module."""

    def __init__(
        self,
        unit: Unit,
        wire: Wire,
        report: Report,
        host: HookedHost,
        options: dict[str, Json],
        hooks: Hooks,
    ) -> None:
        assert unit.agent is not None
        uses = unit.agent.hooks
        self._shown = {
            event: tuple(use for use in uses if event in use.events) for event in HookEvent
        }
        self._hooks, self._gateway = hooks, host
        self._shown_as = entry_name(unit.agent.pool.agent if unit.agent.pool else unit.name)
        self._lanes: HookLanes[Entry] = HookLanes()
        self._pumped: set[str] = set()  # sessions whose lane is being emptied right now
        self._owners: dict[Token, str] = {}  # the ACP session of each call under way
        self._prompts: dict[Token, tuple[str, Walk]] = {}  # those that hooks are asked about
        self._replaying: set[str] = set()
        self._told: set[str] = set()  # sessions whose user knows that something was left out
        self._is_lingering = False  # the process is gone, and hooks look at its last words
        self._valve = Valve(wire)
        super().__init__(unit, self._valve, report, self, options)

    # --- what the router decides ------------------------------------------------------------------

    def open_session(self, command: OpenSession, servers: list[Json]) -> None:
        self._owners[command.token] = command.session_id
        if command.attempt in (Attempt.LOAD, Attempt.RESUME):
            self._replaying.add(command.session_id)
        super().open_session(command, servers)

    def prompt(self, command: Prompt) -> None:
        token, session_id = command.token, command.session_id
        self._owners[token] = session_id
        self._replaying.discard(session_id)
        self._told.discard(session_id)

        def ended(ending: Ending) -> None:
            del self._prompts[token]
            self._end_prompt(command, ending)
            self._gateway.flush()

        walk = self._walk(session_id, ended)
        ending = walk.start(HookEvent.PROMPT, command.blocks, self._shown[HookEvent.PROMPT])
        if ending is None:
            self._prompts[token] = session_id, walk
        else:
            self._end_prompt(command, ending)

    def _end_prompt(self, command: Prompt, ending: Ending) -> None:
        match ending:
            case Let(blocks):
                super().prompt(replace(command, blocks=blocks))
            case Refused(text):
                self.agent_event(events.PromptIntercepted(command.token, text, is_refusal=True))
            case Answered(text):
                self.agent_event(events.PromptIntercepted(command.token, text, is_refusal=False))
            case LeftOut() | Selected() | Denied():
                raise AssertionError(f"{self.unit.name}: a prompt has come to {ending}")
            case _:
                assert_never(ending)

    def cancel(self, session_id: str) -> None:
        asks = [one for one in self._lanes.of(session_id) if one.event is HookEvent.PERMISSION]
        for entry in asks:
            if entry.reply is not None:
                entry.reply.result(acp.permission_outcome(None))
        self._withdraw([(session_id, entry) for entry in asks])
        asked = [token for token, (owner, _) in self._prompts.items() if owner == session_id]
        for token in asked:
            self._forget_prompt(token)
            self.agent_event(events.PromptAnswered(token, "cancelled"))
        if not asked:
            super().cancel(session_id)

    def close_session(self, session_id: str) -> None:
        self._replaying.discard(session_id)
        self._told.discard(session_id)
        super().close_session(session_id)

    def abandon(self, token: Token) -> None:
        self._replaying.discard(self._owners.pop(token, ""))
        self._forget_prompt(token)
        super().abandon(token)

    def _forget_prompt(self, token: Token) -> None:
        if found := self._prompts.pop(token, None):
            found[1].forget()

    # --- what the agent says ----------------------------------------------------------------------

    def frame_received(self, frame: bytes) -> bool:
        uses = self._shown[HookEvent.UPDATE]
        if any(self._hooks.wants(use.unit, HookEvent.UPDATE) for use in uses):
            return False
        return super().frame_received(frame)

    def notification_received(self, method: str, params: Json, size_bytes: int) -> None:
        if method == UPDATE_METHOD and isinstance(params, dict):
            self._enter_update(params, size_bytes)
        elif method in PUSH_METHODS and isinstance(params, dict):
            let = partial(self._let_push, method, params, None, size_bytes)
            self._enter_push(params, Entry(size_bytes, let))
        elif method == "$/cancel_request" and isinstance(params, dict):
            self._take_back(params.get("requestId"))
            super().notification_received(method, params, size_bytes)
        elif method == FORM_END_METHOD and isinstance(params, dict):
            self._enter_form_end(params, size_bytes)
        else:
            super().notification_received(method, params, size_bytes)

    def request_received(self, method: str, params: Json, reply: Reply, size_bytes: int) -> bool:
        if not isinstance(params, dict):
            return super().request_received(method, params, reply, size_bytes)
        if method == PERMISSION_METHOD:
            let = partial(self._let_permission, method, params, reply, size_bytes)
            entry = Entry(size_bytes, let, HookEvent.PERMISSION, params, reply)
            self._enter(acp.read_session_id(params), entry)
        elif method in PUSH_METHODS:
            let = partial(self._let_push, method, params, reply, size_bytes)
            self._enter_push(params, Entry(size_bytes, let, reply=reply))
        elif method == FORM_METHOD:
            let = partial(self._let_form, method, params, reply, size_bytes)
            entry = Entry(size_bytes, let, subject=params, reply=reply)
            self._enter(acp.read_session_id(params), entry)
        else:
            return super().request_received(method, params, reply, size_bytes)
        return True

    def _enter_update(self, params: dict[str, Json], size_bytes: int) -> None:
        session_id, update = acp.read_session_id(params), params.get("update")
        entry = Entry(size_bytes, partial(self._let_update, params, size_bytes))
        kind = update.get("sessionUpdate") if isinstance(update, dict) else None
        is_replay = session_id in self._replaying and kind not in STATE_KINDS
        if isinstance(kind, str) and not is_replay:
            entry.event, entry.subject = HookEvent.UPDATE, update
        self._enter(session_id, entry)

    def _enter_push(self, params: dict[str, Json], entry: Entry) -> None:
        """A push is shown to hooks as the update that a channel will see."""
        if isinstance(content := params.get("content"), list):
            entry.event = HookEvent.UPDATE
            entry.subject = {"sessionUpdate": hook.PUSH, "content": content}
        self._enter(acp.read_session_id(params), entry)

    def _enter_form_end(self, params: dict[str, Json], size_bytes: int) -> None:
        """It stays behind the form that it ends."""
        ended = params.get("elicitationId")
        waiting = (
            session_id
            for session_id, entry in self._lanes.entries()
            if isinstance(entry.subject, dict) and entry.subject.get("elicitationId") == ended
        )
        received = partial(super().notification_received, FORM_END_METHOD, params, size_bytes)
        self._enter(next(waiting, ""), Entry(size_bytes, lambda _: received()))

    def _let_update(self, params: dict[str, Json], size_bytes: int, ending: Ending) -> None:
        match ending:
            case Let(update):
                changed = params if update is None else {**params, "update": update}
                super().notification_received(UPDATE_METHOD, changed, size_bytes)
            case LeftOut(failure):
                self._note_left_out(acp.read_session_id(params), failure)
            case _:
                raise AssertionError(f"{self.unit.name}: an update has come to {ending}")

    def _let_push(
        self,
        method: str,
        params: dict[str, Json],
        reply: Reply | None,
        size_bytes: int,
        ending: Ending,
    ) -> None:
        match ending:
            case Let(update):
                changed = params if update is None else {**params, "content": update["content"]}
                if reply is None:
                    super().notification_received(method, changed, size_bytes)
                else:
                    super().request_received(method, changed, reply, size_bytes)
            case LeftOut(failure):
                if reply is not None:
                    reply.result({})
                self._note_left_out(acp.read_session_id(params), failure)
            case _:
                raise AssertionError(f"{self.unit.name}: a push has come to {ending}")

    def _let_permission(
        self, method: str, params: dict[str, Json], reply: Reply, size_bytes: int, ending: Ending
    ) -> None:
        match ending:
            case Let(request):
                super().request_received(method, request, reply, size_bytes)
            case Selected(option_id):
                name, session_id = self.unit.name, acp.read_session_id(params)
                session = self._gateway.agent_session(self, session_id)
                fields = {"unit": name, "session": session}
                log.info("%s: permission %s answered by a hook", name, reply.id_text, extra=fields)
                reply.result(acp.permission_outcome(option_id))
            case Denied():
                rejection = rejection_of(acp.read_permission(params).options)
                reply.result(acp.permission_outcome(rejection))
            case _:
                raise AssertionError(f"{self.unit.name}: a permission has come to {ending}")

    def _let_form(
        self, method: str, params: dict[str, Json], reply: Reply, size_bytes: int, _: Ending
    ) -> None:
        if not super().request_received(method, params, reply, size_bytes):
            reply.error(jsonrpc.METHOD_NOT_FOUND, f"no method {method!r}")

    def _take_back(self, request_id: Json) -> None:
        """The agent does not wait any more for one that waits here."""
        key = jsonrpc.encode_value(request_id)
        for session_id, entry in self._lanes.entries():
            if entry.reply is not None and entry.reply.key == key:
                entry.reply.error(jsonrpc.REQUEST_CANCELLED, "the request was cancelled")
                self._withdraw([(session_id, entry)])
                return

    def _note_left_out(self, session_id: str, failure: str) -> None:
        """Tell the user, once a turn, unless a hook has wanted it so."""
        name = self.unit.name
        self._gateway.agent_event(events.AgentHeard(name, session_id))
        if failure and session_id not in self._told:
            self._told.add(session_id)
            update = acp.message_chunk(f"[Part of this was left out: {failure}.]")
            params = {"sessionId": session_id, "update": update}
            self._gateway.agent_event(events.UpdateReceived(name, session_id, params, 0))

    # --- hooks and lanes --------------------------------------------------------------------------

    def _walk(self, session_id: str, ended: Callable[[Ending], None]) -> Walk:
        def params(question: Question) -> dict[str, Json]:
            return hook.question_params(
                question.event,
                session=self._gateway.agent_session(self, session_id) or "",
                agent=self._shown_as,
                acp_session_id=session_id,
                subject=question.subject,
            )

        return Walk(self._hooks, params, ended)

    def _enter(self, session_id: str, entry: Entry) -> None:
        self._lanes.append(session_id, entry)
        self._pump(session_id)

    def _withdraw(self, entries: Sequence[tuple[str, Entry]]) -> None:
        """Take these away, as if they had never been said."""
        for session_id, entry in entries:
            if entry.walk is not None:
                entry.walk.forget()
            self._lanes.remove(session_id, entry)
        for session_id in dict(entries):
            self._pump(session_id)

    def _pump(self, session_id: str) -> None:
        """Empty a lane up to the first entry that hooks are asked about."""
        if session_id not in self._pumped:
            self._pumped.add(session_id)
            try:
                while entry := self._lanes.head(session_id):
                    if entry.walk is None and entry.ending is None:
                        entry.ending = self._judge(session_id, entry)
                    if entry.ending is None:
                        break
                    self._lanes.remove(session_id, entry)
                    entry.let(entry.ending)
            except RemoteProtocolError as error:  # of the agent, which may not be read right now
                self.connection.fail(str(error))
            finally:
                self._pumped.discard(session_id)
        if self._is_lingering and not self._lanes:
            self.leave()
        elif self._valve.fill(is_full=self._lanes.is_full):
            self._gateway.agent_event(events.AgentHeld(self.unit.name, self._valve.is_shut))

    def _judge(self, session_id: str, entry: Entry) -> Ending | None:
        """Begin to ask about an entry; its ending, if it is there at once."""
        if entry.event is None:
            return Let(entry.subject)

        def ended(ending: Ending) -> None:
            entry.ending = ending
            self._pump(session_id)
            self._gateway.flush()

        entry.walk = self._walk(session_id, ended)
        return entry.walk.start(entry.event, entry.subject, self._shown[entry.event])

    # --- as the connection's host -----------------------------------------------------------------

    def agent_event(self, event: Event) -> None:
        match event:
            case events.SessionOpened(token, opened):
                session_id = self._owners.pop(token, "")
                if not session_id:  # a new one, whatever its id was before
                    self._replaying.discard(opened)
                    session_id = opened
            case (
                events.PromptAnswered(token)
                | events.PromptFailed(token)
                | events.PromptIntercepted(token)
            ):
                session_id = self._owners.pop(token, "")
            case events.OpenFailed(token):
                session_id = self._owners.pop(token, "")
                self._replaying.discard(session_id)
            case _:
                self._gateway.agent_event(event)
                return
        self._enter(session_id, Entry(0, lambda _: self._gateway.agent_event(event)))

    def agent_streamed(self, agent: AgentPeer, update: acp.Update) -> bool:
        """The short way, where no hook is shown updates and nothing waits in front of it."""
        waits = self._lanes.head(update.session_id) is not None
        return not waits and self._gateway.agent_streamed(agent, update)

    def agent_knows(self, agent: AgentPeer, session_id: str) -> bool:
        return self._gateway.agent_knows(agent, session_id)

    def flush(self) -> None:
        self._gateway.flush()

    # --- its life ---------------------------------------------------------------------------------

    def closing(self) -> None:
        for token in tuple(self._prompts):
            self._forget_prompt(token)
        super().closing()

    def agent_gone(self, agent: AgentPeer) -> None:
        self._valve.end()
        for token in tuple(self._prompts):
            self._forget_prompt(token)
        waiting = self._lanes.entries()
        self._withdraw([one for one in waiting if one[1].is_question])
        self._is_lingering = True
        if self._lanes:
            self._gateway.agent_event(events.AgentPaused(self.unit.name))
        else:
            self.leave()

    def leave(self) -> None:
        """Let the gateway know that the agent is gone, if it is; what still waits is given up."""
        if self._is_lingering:
            self._is_lingering = False
            for entry in self._lanes.drain():
                if entry.walk is not None:
                    entry.walk.forget()
            self._gateway.agent_gone(self)

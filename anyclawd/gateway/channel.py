"""One channel process: its handshake, its messages, its receipts, and the answers of its users.

What it asks us is answered by whoever decides: a message when its row is committed, the state of
a message when the store has been read. Neither holds up what comes behind it.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple, Protocol, TypeAlias

from anyclawd.gateway.handshake import HEALTH_METHOD, refusal
from anyclawd.model.errors import RemoteProtocolError, RequestError
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from anyclawd.route.commands import AskForm, AskPermission
from anyclawd.route.table import entry_name
from anyclawd.runtime.connection import Connection, Reply
from anyclawd.runtime.seam import Report, Wire
from anyclawd.wire import channel, jsonrpc
from anyclawd.wire.jsonrpc import RpcError

log = logging.getLogger("anyclawd.gateway")

#: So many questions after the state of a message may wait for the store; further ones are refused.
STATE_QUESTIONS_MAX = 100

#: So often a question is put whose answers come from others than the one who is asked.
TIMES_ASKED_MAX = 10

#: Called once with what has become of a message.
OnAccepted: TypeAlias = Callable[[channel.Acceptance], None]
#: Called once with what the store tells of a message, None where it knows none; or why it cannot.
OnState: TypeAlias = Callable[[Mapping[str, Json] | RequestError | None], None]


class ChannelHost(Protocol):
    """What a channel's connection needs of the gateway."""

    def channel_ready(self, peer: "ChannelPeer", handshake: channel.Handshake) -> None: ...

    def channel_message(
        self, name: str, message: channel.Inbound, size_bytes: int, answer: OnAccepted | None
    ) -> None:
        """Take a message; `answer` waits to be told what has become of it."""

    def channel_receipt(self, name: str, delivery_id: str) -> None: ...

    def channel_message_state(self, name: str, message_id: str, answer: OnState) -> None: ...

    def channel_permission(
        self, name: str, request_id: str, option_id: str, peer: channel.Peer | None
    ) -> None: ...

    def channel_elicitation(
        self, name: str, request_id: str, answer: channel.ElicitationAnswer
    ) -> None: ...

    def channel_question_waits(self, request_id: str) -> bool:
        """Whether a question still has no answer that counts."""

    def channel_cannot_ask(self, name: str, request_id: str) -> None: ...

    def channel_paused(self, peer: "ChannelPeer", *, is_paused: bool) -> None: ...

    def channel_lost(self, peer: "ChannelPeer") -> None: ...

    def flush(self) -> None: ...


class _Question(NamedTuple):
    """What the channel is asked on behalf of an agent."""

    method: str
    params: dict[str, Json]
    take: Callable[[Json], None]  #: the answer
    give_up: Callable[[], None]  #: the channel cannot ask


class ChannelPeer:
    """Speaks the channel protocol with one process."""

    def __init__(
        self, unit: Unit, wire: Wire, report: Report, host: ChannelHost, options: dict[str, Json]
    ) -> None:
        self.unit, self._report, self._host = unit, report, host
        self.name = entry_name(unit.name)
        self.connection = Connection(wire, report, self)
        self._asked: dict[str, int] = {}  # handles of the questions that wait, by request id
        self._answered = ""  # the question whose answer is being taken, until it is withdrawn
        self._state_questions = 0
        ack = unit.channel.ack if unit.channel else None
        params = channel.initialize_params(self.name, ack, options)
        self.connection.call("initialize", params, self._initialized)

    def _initialized(self, result: Json, error: RpcError | None) -> None:
        if error is not None:
            self.connection.fail(refusal(error))
            return
        handshake = channel.read_handshake(result)
        log.info("%s: initialized", self.unit.name, extra={"unit": self.unit.name})
        self._host.channel_ready(self, handshake)
        self._report.ready()

    @property
    def health_method(self) -> str:
        return HEALTH_METHOD

    def health_answered(self, result: Json, error: RpcError | None) -> str:
        return ""

    # --- what it sends ----------------------------------------------------------------------------

    def frame_received(self, frame: bytes) -> bool:
        return False

    def request_received(self, method: str, params: Json, reply: Reply, size_bytes: int) -> bool:
        try:
            match method:
                case "channel/sendMessage":
                    message = channel.read_message(params, self.name)
                    answer = partial(_answer_message, reply)
                    self._host.channel_message(self.name, message, size_bytes, answer)
                case "channel/messageState":
                    self._tell_state(channel.read_message_id(params), reply)
                case "channel/deliveryReceipt":
                    self._host.channel_receipt(self.name, channel.read_receipt(params))
                    reply.result({})
                case _:
                    return False
        except RemoteProtocolError as error:
            reply.error(jsonrpc.INVALID_PARAMS, str(error))
        return True

    def _tell_state(self, message_id: str, reply: Reply) -> None:
        if self._state_questions >= STATE_QUESTIONS_MAX:
            text = f"{STATE_QUESTIONS_MAX} such questions wait already; ask again later"
            reply.error(jsonrpc.SERVER_ERROR, text)
            return
        self._state_questions += 1

        def answer(state: Mapping[str, Json] | RequestError | None) -> None:
            self._state_questions -= 1
            match state:
                case None:
                    text = f"no message {message_id!r:.80} is known"
                    reply.error(channel.UNKNOWN_MESSAGE, text)
                case RequestError():
                    reply.error(jsonrpc.SERVER_ERROR, str(state))
                case _:
                    reply.result(dict(state))

        self._host.channel_message_state(self.name, message_id, answer)

    def notification_received(self, method: str, params: Json, size_bytes: int) -> None:
        try:
            match method:
                case "channel/sendMessage":
                    message = channel.read_message(params, self.name)
                    self._host.channel_message(self.name, message, size_bytes, None)
                case "channel/respondPermission":
                    found = channel.read_permission_answer(params, self.name)
                    if found.request_id:  # else nobody knows what it answers
                        self._host.channel_permission(self.name, *found)
                case "channel/deliveryReceipt":
                    self._host.channel_receipt(self.name, channel.read_receipt(params))
                case _:
                    log.debug("%s: notification %s ignored", self.unit.name, method)
        except RemoteProtocolError as error:
            log.warning("%s: %s", self.unit.name, error, extra={"unit": self.unit.name})

    # --- what it is sent --------------------------------------------------------------------------

    def ask(self, asked: AskPermission) -> None:
        """Let the channel ask its user; the answer may come as late as it likes."""
        request_id = asked.request_id
        params = channel.permission_params(
            request_id, asked.session, asked.description, list(asked.options)
        )

        def take(result: Json) -> None:
            found = channel.read_permission_answer(result, self.name)
            self._host.channel_permission(self.name, request_id, found.option_id, found.peer)

        def give_up() -> None:
            self._host.channel_cannot_ask(self.name, request_id)

        self._ask(request_id, _Question("channel/requestPermission", params, take, give_up))

    def ask_form(self, asked: AskForm) -> None:
        """Let the channel show a form or a link; the answer may come as late as it likes."""
        request_id = asked.request_id
        params = channel.elicit_params(request_id, asked.session, asked.params)

        def take(result: Json) -> None:
            answer = channel.read_elicitation_answer(result, self.name)
            self._host.channel_elicitation(self.name, request_id, answer)

        self._ask(request_id, _Question("channel/elicit", params, take, lambda: take(None)))

    def withdraw(self, request_id: str) -> None:
        """Nobody waits for the answer any more; the channel is told unless it has just given it."""
        if request_id == self._answered:
            self._answered = ""
        if (handle := self._asked.pop(request_id, None)) is not None:
            self.connection.forget(handle)
            self.connection.send(channel.withdraw(request_id))

    def _ask(self, request_id: str, question: _Question, times: int = 1) -> None:
        if (former := self._asked.pop(request_id, None)) is not None:
            self.connection.forget(former)  # asked anew: one answer is enough

        def answered(result: Json, error: RpcError | None) -> None:
            self._asked.pop(request_id, None)
            if error is not None:
                log.warning("%s: %s: %s", self.unit.name, question.method, error)
                question.give_up()
                return
            self._answered = request_id
            question.take(result)
            was_withdrawn, self._answered = self._answered != request_id, ""
            if was_withdrawn or request_id in self._asked or times == TIMES_ASKED_MAX:
                return
            if self._host.channel_question_waits(request_id):  # another than the asked one answered
                self._ask(request_id, question, times + 1)

        handle = self.connection.call(question.method, question.params, answered)
        self._asked[request_id] = handle

    # --- its life ---------------------------------------------------------------------------------

    def batch_ended(self) -> None:
        self._host.flush()

    def writing_paused(self) -> None:
        self._host.channel_paused(self, is_paused=True)

    def writing_resumed(self) -> None:
        self._host.channel_paused(self, is_paused=False)

    def closing(self) -> None:
        self._host.flush()
        self.connection.send(channel.CLOSE)
        self._host.channel_lost(self)

    def ended(self) -> None:
        self._host.channel_lost(self)

    def lost(self) -> None:
        self._host.channel_lost(self)


def _answer_message(reply: Reply, acceptance: channel.Acceptance) -> None:
    if acceptance.refusal is None:
        reply.result(channel.accepted(acceptance))
    else:
        error = channel.refused(acceptance.message_id, acceptance.refusal)
        reply.error(error.code, error.message, error.data)

"""Write a channel: subclass `Channel`, end the program with `run(MyChannel())`.

    class Board(Channel):
        async def on_ready(self, outbound: Outbound, permissions: PermissionBroker) -> None:
            self.outbound = outbound

        async def serve(self) -> None:
            async for peer, text in board.read():
                await self.outbound.send_message(peer, text)

        async def deliver_message(self, delivery: Delivery) -> None:
            await board.write(delivery.session_id, content_to_string(delivery.content))

The harness owns the wire. It calls `on_initialize`, then `on_ready`, then answers the handshake
and starts `serve`, the channel's own work; what the supervisor sends is handled one message after
another, in the order of the wire. At the end of stdin (or on `channel/close`) what has arrived is
still handled within `eof_grace_s`, then `serve` is cancelled and the program ends with status 0.

A channel that loses nothing sets three capabilities. With `acceptance`, `send_message` returns once
the message is kept, and raises MessageRefused where it is not. With `delivery_receipts`, the end of
a turn is confirmed when `deliver_message` has returned, and sent again to the next process of the
channel where it has not. With `elicitation`, forms and links come to `show_elicitation`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar

from anyclaw_sdk._stdio import Stdio
from anyclaw_sdk.check import CheckFinding, CheckRequest, is_check_asked, run_check
from anyclaw_sdk.content import text_part
from anyclaw_sdk.types import (
    SERVER_ERROR,
    UNKNOWN_MESSAGE,
    Accepted,
    ChannelCapabilities,
    ChannelInitialize,
    Delivery,
    Elicitation,
    ElicitationAnswer,
    Json,
    Message,
    MessageRefused,
    MessageState,
    MethodNotFound,
    PeerInfo,
    PermissionAnswer,
    PermissionRequest,
    ReplyMetadata,
    RpcError,
    SessionCreated,
)

if TYPE_CHECKING:
    from anyclaw_sdk._connection import Connection

#: So many questions of a kind may wait for the user; the oldest is given up for one more.
PERMISSIONS_MAX = 1000
ELICITATIONS_MAX = 100

_Request = TypeVar("_Request", bound="PermissionRequest | Elicitation")
_Answer = TypeVar("_Answer")


class Outbound:
    """The way from the channel to the supervisor. Waiting in its methods is backpressure."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.has_acceptance = False  #: both sides have said so, in the handshake

    async def send_message(
        self,
        peer: PeerInfo,
        content: str | list[Message],
        *,
        metadata: ReplyMetadata | None = None,
        meta: Message | None = None,
        source_id: str = "",
    ) -> Accepted:
        """Hand over what the peer said: a text, or parts made by `anyclaw_sdk.content`.

        Where both sides have `acceptance`, returns once the message is kept and raises
        MessageRefused where it is not; SupervisorGone leaves open which, so send it again under
        the same `source_id`, the platform's own name of the message, to have it once. Elsewhere
        returns once it is on its way, with an empty message id.
        """
        parts = [text_part(content)] if isinstance(content, str) else content
        params: Message = {"peerInfo": peer.to_wire(), "content": parts}
        if metadata is not None and (wire := metadata.to_wire()):
            params["metadata"] = wire
        if source_id:
            meta = {**(meta or {}), "anyclaw/sourceId": source_id}
        if meta:
            params["_meta"] = meta
        if not self.has_acceptance:
            await self.notify("channel/sendMessage", params)
            return Accepted("")
        try:
            return Accepted.from_wire(await self.request("channel/sendMessage", params))
        except RpcError as error:
            raise MessageRefused.from_error(error) or error from error

    async def message_state(self, message_id: str) -> MessageState | None:
        """What has become of a message of this channel; None where it is not known."""
        try:
            found = await self.request("channel/messageState", {"messageId": message_id})
        except RpcError as error:
            if error.code == UNKNOWN_MESSAGE:
                return None
            raise
        return MessageState.from_wire(found)

    async def confirm_delivery(self, delivery_id: str) -> None:
        """Tell that a delivery has reached its user; see `Channel.confirms_deliveries`."""
        await self.notify("channel/deliveryReceipt", {"deliveryId": delivery_id})

    async def notify(self, method: str, params: Message) -> None:
        self._connection.notify(method, params)
        await self._connection.drain()

    async def request(self, method: str, params: Message) -> Json:
        """Call any method; raises RpcError for an error answer, SupervisorGone without one."""
        return await self._connection.request(method, params)


class _Questions(Generic[_Request, _Answer]):
    """Questions that wait for the user, in the order they were asked."""

    def __init__(self, limit: int, name: str) -> None:
        self._limit, self._name = limit, name
        self._pending: dict[str, tuple[_Request, list[Callable[[_Answer | RpcError], None]]]] = {}

    def register(self, request: _Request, respond: Callable[[_Answer | RpcError], None]) -> None:
        """Keep a question; asked again under the same id, one answer serves both."""
        _, responds = self._pending.pop(request.request_id, (request, []))
        self._pending[request.request_id] = (request, [*responds, respond])
        if len(self._pending) > self._limit:
            oldest = next(iter(self._pending))
            text = f"given up: more than {self._limit} {self._name} are waiting"
            self.refuse(oldest, RpcError(SERVER_ERROR, text))

    def refuse(self, request_id: str, error: RpcError) -> bool:
        """Say that the question cannot be asked; False if it is unknown or answered already."""
        return self._settle(request_id, error)

    def withdraw(self, request_id: str) -> bool:
        """Forget a question that nobody waits for; False as for `refuse`."""
        return self._pending.pop(request_id, None) is not None

    def pending(self) -> list[_Request]:
        return [request for request, _ in self._pending.values()]

    def find(self, request_id: str) -> _Request | None:
        request, _ = self._pending.get(request_id, (None, []))
        return request

    def _settle(self, request_id: str, outcome: _Answer | RpcError) -> bool:
        _, responds = self._pending.pop(request_id, (None, []))
        for respond in responds:
            respond(outcome)
        return bool(responds)


class PermissionBroker(_Questions[PermissionRequest, PermissionAnswer]):
    """The permission requests that wait for the user, in the order they were asked."""

    def __init__(self) -> None:
        super().__init__(PERMISSIONS_MAX, "permission requests")

    def resolve(self, request_id: str, option_id: str, peer: PeerInfo | None = None) -> bool:
        """Answer a question; False if it is unknown or answered already.

        Name the `peer` who chose wherever the platform tells: another one than the session's has
        no say in it.
        """
        return self._settle(request_id, PermissionAnswer(option_id, peer))


class ElicitationBroker(_Questions[Elicitation, ElicitationAnswer]):
    """The forms and links that wait for the user, in the order they were asked."""

    def __init__(self) -> None:
        super().__init__(ELICITATIONS_MAX, "elicitations")

    def resolve(
        self,
        request_id: str,
        action: str,
        content: Message | None = None,
        peer: PeerInfo | None = None,
    ) -> bool:
        """Answer with accept (and what was entered), decline or cancel; False as for `refuse`."""
        return self._settle(request_id, ElicitationAnswer(action, content, peer))


class Channel:
    """The base class: override what your channel can do."""

    #: How long deliveries may still be handled after the end of stdin, in seconds.
    eof_grace_s = 1.0
    #: Whether the harness confirms a delivery once `deliver_message` has returned. Without it the
    #: channel calls `Outbound.confirm_delivery` itself, when it knows of the arrival.
    confirms_deliveries = True
    #: Where elicitations are answered; set before `on_initialize` is called.
    elicitations: ElicitationBroker

    def capabilities(self) -> ChannelCapabilities:
        return ChannelCapabilities()

    def defaults(self) -> Message:
        """Options that hold where the user sets none; told to the supervisor as well."""
        return {}

    async def on_initialize(self, request: ChannelInitialize) -> None:
        """Take the options and prepare; raise RpcError to refuse the handshake with a reason."""

    async def on_ready(self, outbound: Outbound, permissions: PermissionBroker) -> None:
        """Keep the ways back; the handshake is answered right after."""

    async def serve(self) -> None:
        """Do the channel's own work, such as polling or listening; cancelled at the end.

        Returning early is fine. An exception ends the program with status 1.
        """

    async def deliver_message(self, delivery: Delivery) -> None:
        """Show something to the peer of the session.

        What an exception leaves unshown is not confirmed, and sent again to the next process.
        """

    async def show_permission_prompt(self, request: PermissionRequest) -> None:
        """Ask the user and return at once; the answer goes to `PermissionBroker.resolve`."""
        raise MethodNotFound("channel/requestPermission")

    async def show_elicitation(self, request: Elicitation) -> None:
        """Show a form or a link and return at once; the answer goes to `elicitations.resolve`."""
        raise MethodNotFound("channel/elicit")

    async def on_request_withdrawn(self, request_id: str) -> None:
        """Nobody waits for the answer to this question any more: take its buttons away."""

    async def on_session_created(self, created: SessionCreated) -> None:
        """A session exists; deliveries name it from now on."""

    async def check(self, request: CheckRequest) -> Sequence[CheckFinding]:
        """Look at what it needs of the world, instead of its work; see `anyclaw_sdk.check`."""
        return ()

    async def handle_unknown(self, method: str, params: Message) -> Json:
        """Take any other message; the result answers a request.

        Among them are `channel/ackMessage`, `channel/typingIndicator` and `channel/ackLifecycle`.
        """
        raise MethodNotFound(method)


def run(channel: Channel) -> NoReturn:
    """Speak the channel protocol on stdin and stdout until stdin ends, then exit.

    With `--check` make its check instead.
    """
    if is_check_asked(sys.argv[1:]):
        run_check(channel.check, channel.defaults())
    stdio = Stdio.take()
    import asyncio  # 40 ms that no importer of this module shall pay

    from anyclaw_sdk._channel_harness import run_stdio

    sys.exit(asyncio.run(run_stdio(channel, stdio)))

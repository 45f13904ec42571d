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
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from anyclaw_sdk._stdio import Stdio
from anyclaw_sdk.content import text_part
from anyclaw_sdk.types import (
    SERVER_ERROR,
    ChannelCapabilities,
    ChannelInitialize,
    Delivery,
    Json,
    Message,
    MethodNotFound,
    PeerInfo,
    PermissionRequest,
    ReplyMetadata,
    RpcError,
    SessionCreated,
)

if TYPE_CHECKING:
    from anyclaw_sdk._connection import Connection

#: Carries the chosen optionId, or why there is none, to the supervisor.
Respond: TypeAlias = Callable[[str | RpcError], None]

#: So many questions may wait for the user; the oldest is given up for one more.
PERMISSIONS_MAX = 1000


class Outbound:
    """The way from the channel to the supervisor. Waiting in its methods is backpressure."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def send_message(
        self,
        peer: PeerInfo,
        content: str | list[Message],
        *,
        metadata: ReplyMetadata | None = None,
        meta: Message | None = None,
    ) -> None:
        """Hand over what the peer said: a text, or parts made by `anyclaw_sdk.content`."""
        parts = [text_part(content)] if isinstance(content, str) else content
        params: Message = {"peerInfo": peer.to_wire(), "content": parts}
        if metadata is not None and (wire := metadata.to_wire()):
            params["metadata"] = wire
        if meta:
            params["_meta"] = meta
        await self.notify("channel/sendMessage", params)

    async def notify(self, method: str, params: Message) -> None:
        self._connection.notify(method, params)
        await self._connection.drain()


class PermissionBroker:
    """The questions that wait for the user, in the order they were asked."""

    def __init__(self) -> None:
        self._pending: dict[str, tuple[PermissionRequest, list[Respond]]] = {}

    def register(self, request: PermissionRequest, respond: Respond) -> None:
        """Keep a question; asked again under the same id, one answer serves both."""
        _, responds = self._pending.pop(request.request_id, (request, []))
        self._pending[request.request_id] = (request, [*responds, respond])
        if len(self._pending) > PERMISSIONS_MAX:
            oldest = next(iter(self._pending))
            text = f"given up: more than {PERMISSIONS_MAX} permission requests are waiting"
            self.refuse(oldest, RpcError(SERVER_ERROR, text))

    def resolve(self, request_id: str, option_id: str) -> bool:
        """Answer a question; False if it is unknown or answered already."""
        return self._settle(request_id, option_id)

    def refuse(self, request_id: str, error: RpcError) -> bool:
        """Say that the question cannot be asked; False as for `resolve`."""
        return self._settle(request_id, error)

    def pending(self) -> list[PermissionRequest]:
        return [request for request, _ in self._pending.values()]

    def find(self, request_id: str) -> PermissionRequest | None:
        request, _ = self._pending.get(request_id, (None, []))
        return request

    def _settle(self, request_id: str, outcome: str | RpcError) -> bool:
        _, responds = self._pending.pop(request_id, (None, []))
        for respond in responds:
            respond(outcome)
        return bool(responds)


class Channel:
    """The base class: override what your channel can do."""

    #: How long deliveries may still be handled after the end of stdin, in seconds.
    eof_grace_s = 1.0

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
        """Show something to the peer of the session."""

    async def show_permission_prompt(self, request: PermissionRequest) -> None:
        """Ask the user and return at once; the answer goes to `PermissionBroker.resolve`."""
        raise MethodNotFound("channel/requestPermission")

    async def on_session_created(self, created: SessionCreated) -> None:
        """A session exists; deliveries name it from now on."""

    async def handle_unknown(self, method: str, params: Message) -> Json:
        """Take any other message; the result answers a request.

        Among them are `channel/ackMessage`, `channel/typingIndicator` and `channel/ackLifecycle`.
        """
        raise MethodNotFound(method)


def run(channel: Channel) -> NoReturn:
    """Speak the channel protocol on stdin and stdout until stdin ends, then exit."""
    stdio = Stdio.take()
    import asyncio  # 40 ms that no importer of this module shall pay

    from anyclaw_sdk._channel_harness import run_stdio

    sys.exit(asyncio.run(run_stdio(channel, stdio)))

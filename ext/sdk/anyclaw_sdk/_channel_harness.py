"""Performs a `Channel` on a connection: which message becomes which call, in the order of the wire.

Messages are handled one after another. Only `serve` runs beside them, from the answered handshake
until the end. A handler that fails is logged and, for a request, answered; the next one runs.
"""

import asyncio
from collections.abc import Callable

from anyclaw_sdk import _frames
from anyclaw_sdk._connection import Connection, log_failure, stdio_connection
from anyclaw_sdk._stdio import Stdio
from anyclaw_sdk.channel import Channel, Outbound, PermissionBroker, Respond
from anyclaw_sdk.types import (
    INTERNAL_ERROR,
    Ack,
    ChannelInitialize,
    Delivery,
    Json,
    Message,
    MethodNotFound,
    PermissionRequest,
    RpcError,
    SessionCreated,
    map_of,
    text_of,
)


async def run_stdio(channel: Channel, stdio: Stdio) -> int:
    """Serve until stdin ends and return the exit code."""
    async with stdio_connection(stdio) as connection:
        harness = ChannelHarness(channel, connection)
        await harness.serve()
    return harness.exit_code


class ChannelHarness:
    def __init__(
        self,
        channel: Channel,
        connection: Connection,
        on_failure: Callable[[str, Exception], None] = log_failure,
    ) -> None:
        self.exit_code = 0
        self.permissions = PermissionBroker()
        self._channel, self._connection = channel, connection
        self._on_failure = on_failure
        self._work: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Perform what the supervisor sends until it is gone."""
        async with asyncio.TaskGroup() as tasks:
            reader = tasks.create_task(self._read(tasks), name="channel:messages")
            await self._connection.wait_ended()
            await asyncio.wait([reader], timeout=self._channel.eof_grace_s)
            reader.cancel()
            if self._work is not None:
                self._work.cancel()

    async def _read(self, tasks: asyncio.TaskGroup) -> None:
        async for message in self._connection.messages():
            method, params = message["method"], _frames.params_of(message)
            if method == "channel/close":
                self._connection.end()
            elif method == "channel/requestPermission":
                await self._ask(message.get("id"), params)
            elif method == "initialize" and "id" in message:
                await self._initialize(message["id"], params, tasks)
            else:
                await self._handle(message, method, params)

    async def _initialize(self, rpc_id: Json, params: Message, tasks: asyncio.TaskGroup) -> None:
        channel, version = self._channel, params.get("protocolVersion")
        try:
            defaults = channel.defaults()
            request = ChannelInitialize(
                channel_id=text_of(params.get("channelId")),
                options=defaults | map_of(params.get("options")),
                ack=Ack.from_wire(params.get("ack")),
                protocol_version=version if isinstance(version, int) else 1,
            )
            await channel.on_initialize(request)
            await channel.on_ready(Outbound(self._connection), self.permissions)
            capabilities = channel.capabilities().to_wire()
        except Exception as error:  # noqa: BLE001 - always answered
            self._refuse("initialize", rpc_id, error)
            return
        result = {"protocolVersion": 1, "capabilities": capabilities}
        self._connection.answer(rpc_id, result | ({"defaults": defaults} if defaults else {}))
        if self._work is None:
            self._work = tasks.create_task(self._serve_channel(), name="channel:serve")

    async def _serve_channel(self) -> None:
        try:
            await self._channel.serve()
        except Exception as error:  # noqa: BLE001 - ends the program
            self._on_failure("serve", error)
            self.exit_code = 1
            self._connection.end()

    async def _handle(self, message: Message, method: str, params: Message) -> None:
        """Call the channel's handler; what a request is answered with is the handler's result."""
        try:
            value = await self._call(method, params)
        except Exception as error:  # noqa: BLE001 - one bad message ends nothing
            if "id" in message:
                self._refuse(method, message["id"], error)
            elif not isinstance(error, MethodNotFound):  # a notification may be unknown
                self._on_failure(method, error)
        else:
            if "id" in message:
                self._connection.answer(message["id"], {} if value is None else value)

    async def _call(self, method: str, params: Message) -> Json:
        match method:
            case "channel/deliverMessage":
                return await self._channel.deliver_message(Delivery.from_wire(params))
            case "channel/sessionCreated":
                return await self._channel.on_session_created(SessionCreated.from_wire(params))
            case _:
                return await self._channel.handle_unknown(method, params)

    async def _ask(self, rpc_id: Json, params: Message) -> None:
        request = PermissionRequest.from_wire(params, rpc_id)
        self.permissions.register(request, self._respond(request.request_id, rpc_id))
        try:
            await self._channel.show_permission_prompt(request)
        except Exception as error:  # noqa: BLE001 - the supervisor then decides
            if not isinstance(error, RpcError):
                self._on_failure("channel/requestPermission", error)
            self.permissions.refuse(request.request_id, _as_rpc_error(error))

    def _respond(self, request_id: str, rpc_id: Json) -> Respond:
        """The way back: the answer to a request, else the notification of its own."""

        def respond(outcome: str | RpcError) -> None:
            if isinstance(outcome, RpcError):
                if rpc_id is not None:
                    self._connection.refuse(rpc_id, outcome)
                return
            answer = {"requestId": request_id, "optionId": outcome}
            if rpc_id is None:
                self._connection.notify("channel/respondPermission", answer)
            else:
                self._connection.answer(rpc_id, answer)

        return respond

    def _refuse(self, method: str, rpc_id: Json, error: Exception) -> None:
        if not isinstance(error, RpcError):
            self._on_failure(method, error)
        self._connection.refuse(rpc_id, _as_rpc_error(error))


def _as_rpc_error(error: Exception) -> RpcError:
    if isinstance(error, RpcError):
        return error
    return RpcError(INTERNAL_ERROR, f"{type(error).__name__}: {error}")

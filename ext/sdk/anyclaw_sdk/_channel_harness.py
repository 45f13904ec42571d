"""Performs a `Channel` on a connection: which message becomes which call, in the order of the wire.

Messages are handled one after another. Only `serve` runs beside them, from the answered handshake
until the end. A handler that fails is logged and, for a request, answered; the next one runs.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from anyclaw_sdk import _frames
from anyclaw_sdk._connection import Connection, log_failure, stdio_connection
from anyclaw_sdk._stdio import Stdio
from anyclaw_sdk.channel import Channel, ElicitationBroker, Outbound, PermissionBroker
from anyclaw_sdk.types import (
    Ack,
    ChannelInitialize,
    Delivery,
    Elicitation,
    ElicitationAnswer,
    Json,
    Message,
    MethodNotFound,
    PermissionAnswer,
    PermissionRequest,
    RpcError,
    SessionCreated,
    SupervisorCapabilities,
    map_of,
    text_of,
)

_Answer = TypeVar("_Answer")


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
        self.permissions, self.elicitations = PermissionBroker(), ElicitationBroker()
        self._channel, self._connection = channel, connection
        self._confirms = False
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
                await self._ask_permission(message.get("id"), params)
            elif method == "channel/elicit" and "id" in message:
                await self._elicit(message["id"], params)
            elif method == "initialize" and "id" in message:
                await self._initialize(message["id"], params, tasks)
            else:
                await self._handle(message, method, params)

    async def _initialize(self, rpc_id: Json, params: Message, tasks: asyncio.TaskGroup) -> None:
        channel, version = self._channel, params.get("protocolVersion")
        supervisor = SupervisorCapabilities.from_wire(params.get("capabilities"))
        channel.elicitations = self.elicitations
        try:
            defaults = channel.defaults()
            request = ChannelInitialize(
                channel_id=text_of(params.get("channelId")),
                options=defaults | map_of(params.get("options")),
                ack=Ack.from_wire(params.get("ack")),
                protocol_version=version if isinstance(version, int) else 1,
                supervisor=supervisor,
            )
            await channel.on_initialize(request)
            outbound = Outbound(self._connection)
            await channel.on_ready(outbound, self.permissions)
            capabilities = channel.capabilities()
        except Exception as error:  # noqa: BLE001 - always answered
            self._refuse("initialize", rpc_id, error)
            return
        self._confirms = capabilities.delivery_receipts and supervisor.delivery_receipts
        result = {"protocolVersion": 1, "capabilities": capabilities.to_wire()}
        self._connection.answer(rpc_id, result | ({"defaults": defaults} if defaults else {}))
        outbound.has_acceptance = capabilities.acceptance and supervisor.acceptance
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
                return await self._deliver(Delivery.from_wire(params))
            case "channel/withdrawRequest":
                return await self._withdraw(text_of(params.get("requestId")))
            case "channel/sessionCreated":
                return await self._channel.on_session_created(SessionCreated.from_wire(params))
            case _:
                return await self._channel.handle_unknown(method, params)

    async def _deliver(self, delivery: Delivery) -> None:
        await self._channel.deliver_message(delivery)
        if delivery.delivery_id and self._confirms and self._channel.confirms_deliveries:
            receipt = {"deliveryId": delivery.delivery_id}
            self._connection.notify("channel/deliveryReceipt", receipt)

    async def _ask_permission(self, rpc_id: Json, params: Message) -> None:
        request = PermissionRequest.from_wire(params, rpc_id)

        def answered(answer: PermissionAnswer) -> None:
            wire: Message = {"requestId": request.request_id, "optionId": answer.option_id}
            if answer.peer is not None:
                wire["peerInfo"] = answer.peer.to_wire()
            if rpc_id is None:
                self._connection.notify("channel/respondPermission", wire)
            else:
                self._connection.answer(rpc_id, wire)

        self.permissions.register(request, self._respond(rpc_id, answered))
        try:
            await self._channel.show_permission_prompt(request)
        except Exception as error:  # noqa: BLE001 - the supervisor then decides
            self._note("channel/requestPermission", error)
            self.permissions.refuse(request.request_id, _frames.fault(error))

    async def _elicit(self, rpc_id: Json, params: Message) -> None:
        request = Elicitation.from_wire(params, rpc_id)

        def answered(answer: ElicitationAnswer) -> None:
            self._connection.answer(rpc_id, answer.to_wire())

        self.elicitations.register(request, self._respond(rpc_id, answered))
        try:
            await self._channel.show_elicitation(request)
        except Exception as error:  # noqa: BLE001 - the supervisor then decides
            self._note("channel/elicit", error)
            self.elicitations.refuse(request.request_id, _frames.fault(error))

    async def _withdraw(self, request_id: str) -> None:
        """Tell the channel of a question that waited; one that is answered is no news."""
        was_asked = self.permissions.withdraw(request_id)
        if self.elicitations.withdraw(request_id) or was_asked:
            await self._channel.on_request_withdrawn(request_id)

    def _respond(
        self, rpc_id: Json, answered: Callable[[_Answer], None]
    ) -> Callable[[_Answer | RpcError], None]:
        """The way back: an error goes to the request, if it was one; an answer to `answered`."""

        def respond(outcome: _Answer | RpcError) -> None:
            if not isinstance(outcome, RpcError):
                answered(outcome)
            elif rpc_id is not None:
                self._connection.refuse(rpc_id, outcome)

        return respond

    def _refuse(self, method: str, rpc_id: Json, error: Exception) -> None:
        self._note(method, error)
        self._connection.refuse(rpc_id, _frames.fault(error))

    def _note(self, method: str, error: Exception) -> None:
        """An RpcError is an answer; anything else is a fault of the channel's code."""
        if not isinstance(error, RpcError):
            self._on_failure(method, error)

"""One channel process: its handshake, its messages, and the answers of its users."""

import logging
from typing import Protocol

from anyclawd.gateway.handshake import HEALTH_METHOD, refusal
from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from anyclawd.route.commands import AskPermission
from anyclawd.route.table import entry_name
from anyclawd.runtime.connection import Connection, Reply
from anyclawd.runtime.seam import Report, Wire
from anyclawd.wire import channel, jsonrpc
from anyclawd.wire.jsonrpc import RpcError

log = logging.getLogger("anyclawd.gateway")


class ChannelHost(Protocol):
    """What a channel's connection needs of the gateway."""

    def channel_ready(self, peer: "ChannelPeer", handshake: channel.Handshake) -> None: ...

    def channel_message(self, name: str, message: channel.Inbound, size_bytes: int) -> str: ...

    def channel_permission(self, name: str, request_id: str, option_id: str) -> None: ...

    def channel_cannot_ask(self, name: str, request_id: str) -> None: ...

    def channel_paused(self, peer: "ChannelPeer", *, is_paused: bool) -> None: ...

    def channel_lost(self, peer: "ChannelPeer") -> None: ...

    def flush(self) -> None: ...


class ChannelPeer:
    """Speaks the channel protocol with one process."""

    def __init__(
        self, unit: Unit, wire: Wire, report: Report, host: ChannelHost, options: dict[str, Json]
    ) -> None:
        self.unit, self._report, self._host = unit, report, host
        self.name = entry_name(unit.name)
        self.connection = Connection(wire, report, self)
        self._asked: dict[str, int] = {}
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
        if method != "channel/sendMessage":
            return False
        try:
            message = channel.read_message(params, self.name)
        except RemoteProtocolError as error:
            reply.error(jsonrpc.INVALID_PARAMS, str(error))
            return True
        refused = self._host.channel_message(self.name, message, size_bytes)
        if refused:
            reply.error(jsonrpc.SERVER_ERROR, refused)
        else:
            reply.result({"accepted": True})
        return True

    def notification_received(self, method: str, params: Json, size_bytes: int) -> None:
        match method:
            case "channel/sendMessage":
                try:
                    message = channel.read_message(params, self.name)
                except RemoteProtocolError as error:
                    log.warning("%s: %s", self.unit.name, error, extra={"unit": self.unit.name})
                    return
                self._host.channel_message(self.name, message, size_bytes)
            case "channel/respondPermission":
                request_id, option_id = channel.read_permission_answer(params)
                self._host.channel_permission(self.name, request_id, option_id)
            case _:
                log.debug("%s: notification %s ignored", self.unit.name, method)

    # --- what it is sent --------------------------------------------------------------------------

    def ask(self, asked: AskPermission) -> None:
        """Let the channel ask its user; the answer may come as late as it likes."""
        params = channel.permission_params(
            asked.request_id, asked.session, asked.description, list(asked.options)
        )

        def answered(result: Json, error: RpcError | None) -> None:
            self._asked.pop(asked.request_id, None)
            if error is not None:
                log.warning("%s: cannot ask for permission: %s", self.unit.name, error)
                self._host.channel_cannot_ask(self.name, asked.request_id)
                return
            _, option_id = channel.read_permission_answer(result)
            self._host.channel_permission(self.name, asked.request_id, option_id)

        handle = self.connection.call("channel/requestPermission", params, answered)
        self._asked[asked.request_id] = handle

    def withdraw(self, request_id: str) -> None:
        """Nobody waits for the answer any more."""
        if (handle := self._asked.pop(request_id, None)) is not None:
            self.connection.forget(handle)

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

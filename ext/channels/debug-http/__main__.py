"""The debug-http channel: a chat over HTTP and server-sent events, for development and tests.

The handshake binds the port and is answered before aiohttp is imported (200 ms): whoever connects
meanwhile waits in the listen backlog, and nobody waits for the import.
"""

import errno
import socket
import sys

from broadcast import Broadcast
from events import event_of

from anyclaw_sdk.channel import Channel, Outbound, PermissionBroker, run
from anyclaw_sdk.types import (
    INVALID_PARAMS,
    SERVER_ERROR,
    ChannelCapabilities,
    ChannelInitialize,
    Delivery,
    Message,
    PeerInfo,
    PermissionRequest,
    RpcError,
)

PEER = PeerInfo("debug-http", "local", "local")


class DebugHttp(Channel):
    def __init__(self) -> None:
        self._broadcast = Broadcast()

    def capabilities(self) -> ChannelCapabilities:
        return ChannelCapabilities(streaming=True, rich_text=False, media=True)

    def defaults(self) -> Message:
        return {"host": "127.0.0.1", "port": 0}

    async def on_initialize(self, request: ChannelInitialize) -> None:
        host = _text_option(request.options, "host") or "127.0.0.1"
        self._api_key = _text_option(request.options, "api_key")
        self._socket = listen(host, port_of(request.options.get("port")))
        self._host = host
        sys.stderr.write(f"PORT:{self._socket.getsockname()[1]}\n")

    async def on_ready(self, outbound: Outbound, permissions: PermissionBroker) -> None:
        self._outbound, self._permissions = outbound, permissions

    async def serve(self) -> None:
        from server import Server  # aiohttp, see above

        await Server(self._send, self._permissions, self._broadcast, self._api_key).serve(
            self._socket
        )

    async def deliver_message(self, delivery: Delivery) -> None:
        event = event_of(delivery.content)
        if event is not None:
            self._broadcast.publish(event)

    async def show_permission_prompt(self, request: PermissionRequest) -> None:
        """Nothing to push: clients read GET /permissions/pending."""

    async def _send(self, text: str) -> None:
        await self._outbound.send_message(PEER, text)


def port_of(option: object) -> int:
    """A port as a number or as digits; 0 takes a free one. Raises RpcError for anything else."""
    if isinstance(option, str) and option.isascii() and option.isdecimal():
        option = int(option)
    if isinstance(option, bool) or not isinstance(option, int) or not 0 <= option <= 65535:
        raise RpcError(INVALID_PARAMS, f"option port: {option!r} is no port; expected 0 to 65535")
    return option


def listen(host: str, port: int) -> socket.socket:
    """Bind and listen, so that from here on nobody's connection is refused."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return _bind(socket.socket(family, socket.SOCK_STREAM), address)
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "; set option port to another one, or to 0 for a free one"
        raise RpcError(
            SERVER_ERROR,
            f"cannot listen on {host}:{port}: {reason.lower()}"
            + (hint if error.errno == errno.EADDRINUSE else ""),
        ) from error


def _bind(listener: socket.socket, address: tuple[str | bytes | int, ...]) -> socket.socket:
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _text_option(options: Message, key: str, default: str = "") -> str:
    value = options.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        raise RpcError(INVALID_PARAMS, f"option {key}: expected text, found {value!r}")
    return value


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.stderr.write("arguments are ignored; set options host, port and api_key instead\n")
    run(DebugHttp())

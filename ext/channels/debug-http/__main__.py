"""The debug-http channel: a chat over HTTP and server-sent events, for development and tests.

The handshake binds the port and is answered before aiohttp is imported (200 ms): whoever connects
meanwhile waits in the listen backlog, and nobody waits for the import.
"""

import errno
import importlib.util
import socket
import sys
from collections.abc import Iterator, Sequence

from broadcast import Broadcast
from events import event_of
from inlet import Inlet
from options import api_key_of, host_of, port_of
from shelf import Shelf

from anyclaw_sdk.channel import Channel, Outbound, PermissionBroker, run
from anyclaw_sdk.check import CheckFinding, CheckRequest, is_check_asked
from anyclaw_sdk.media import Media
from anyclaw_sdk.types import (
    SERVER_ERROR,
    ChannelCapabilities,
    ChannelInitialize,
    Delivery,
    Elicitation,
    Message,
    PermissionRequest,
    RpcError,
)


class DebugHttp(Channel):
    def __init__(self) -> None:
        self._broadcast = Broadcast()
        self._shelf = Shelf(Media.from_environment())

    def capabilities(self) -> ChannelCapabilities:
        return ChannelCapabilities(
            streaming=True, media=True, acceptance=True, delivery_receipts=True, elicitation=True
        )

    def defaults(self) -> Message:
        return {"host": "127.0.0.1", "port": 0}

    async def check(self, request: CheckRequest) -> Sequence[CheckFinding]:
        return tuple(checked(request))

    async def on_initialize(self, request: ChannelInitialize) -> None:
        host = host_of(request.options.get("host"))
        self._api_key = api_key_of(request.options.get("api_key"))
        self._socket = listen(host, port_of(request.options.get("port")))
        address, port = self._socket.getsockname()[:2]
        if not self._api_key and not is_loopback(address):
            sys.stderr.write(f"open to everybody who reaches {address}: set option api_key\n")
        sys.stderr.write(f"PORT:{port}\n")

    async def on_ready(self, outbound: Outbound, permissions: PermissionBroker) -> None:
        self._inlet, self._permissions = Inlet(outbound), permissions

    async def serve(self) -> None:
        from server import Server  # aiohttp, see above

        brokers = self._permissions, self.elicitations
        server = Server(self._inlet, *brokers, self._broadcast, self._shelf, self._api_key)
        await server.serve(self._socket)

    async def deliver_message(self, delivery: Delivery) -> None:
        """Hand it to whoever listens now; with that it has arrived, be it with nobody."""
        event = event_of(delivery.content, self._shelf.put)
        if event is not None:
            is_of_earlier = bool(delivery.delivery_id) and not self._inlet.has_spoken
            self._broadcast.publish(event._replace(id=delivery.delivery_id), is_kept=is_of_earlier)

    async def show_permission_prompt(self, request: PermissionRequest) -> None:
        """Nothing to push: clients read GET /permissions/pending."""

    async def show_elicitation(self, request: Elicitation) -> None:
        """Nothing to push: clients read GET /elicitations/pending."""


def checked(request: CheckRequest) -> Iterator[CheckFinding]:
    """Whether it could listen, and whom it would let in. Raises RpcError for a wrong option."""
    options = request.options
    host, port = host_of(options.get("host")), port_of(options.get("port"))
    api_key = api_key_of(options.get("api_key"))
    if importlib.util.find_spec("aiohttp") is None:
        yield CheckFinding.error("the library aiohttp is missing", "install python3-aiohttp")
    try:
        # While it runs the port is its own, and another one tells as well whether the host is ours.
        with listen(host, 0 if request.is_running else port) as listener:
            address = listener.getsockname()[0]
    except RpcError as error:
        yield CheckFinding.error(error.message)
        return
    if not api_key and not is_loopback(address):
        text = f"open to everybody who reaches {address}"
        yield CheckFinding.warning(text, "set option api_key, or host to 127.0.0.1")
    else:
        yield CheckFinding.ok(f"listens on {host}:{port or 'a free port'}")


def is_loopback(address: str) -> bool:
    return address == "::1" or address.startswith("127.")


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


if __name__ == "__main__":
    if sys.argv[1:] and not is_check_asked(sys.argv[1:]):
        sys.stderr.write("arguments are ignored; set options host, port and api_key instead\n")
    run(DebugHttp())

"""The socket that agents reach their tools by, bound before anybody serves it.

Where it listens follows from the name that agents are given: an address of this machine is bound as
it is, and anything else, such as the name of a container, says that agents are elsewhere, so that
all addresses have to be listened on. Nothing is looked up for that; no name is worth a wait here.
"""

import errno
import ipaddress
import os
import socket
from typing import NamedTuple

from anyclawd.model.errors import AnyclawError

BACKLOG = 128

_EVERYWHERE = "0.0.0.0"  #: only where the configuration asks for it, and with a warning


class CannotListen(AnyclawError, OSError):
    """The socket cannot be made; the text says what to do.

    It is an OSError as well, since that is what the start of a core unit may fail with.
    """


class Bound(NamedTuple):
    """A socket that listens."""

    socket: socket.socket
    port: int
    warning: str = ""  #: who may reach it beyond this machine


def listen(host: str, port: int) -> Bound:
    """Listen for agents that are told to connect to `host`; port 0 takes a free one.

    Raises CannotListen.
    """
    address = address_of(host)
    if address is not None and not address.is_unspecified:
        try:
            return _bind(str(address), port, "")
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL or address.is_loopback:
                raise _cannot(str(address), port, error) from error
    everywhere = (
        "::" if address is not None and address == ipaddress.ip_address("::") else _EVERYWHERE
    )
    warning = (
        f"mcp.core listens on all addresses of this machine, since tools_manager.tools_server_host "
        f"is {host!r}; whoever can reach it needs a token all the same"
    )
    try:
        return _bind(everywhere, port, warning)
    except OSError as error:
        raise _cannot(everywhere, port, error) from error


def address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is, or is known to be; None for a name of anything else."""
    try:
        return ipaddress.ip_address(
            "127.0.0.1" if host.lower() == "localhost" else host.strip("[]")
        )
    except ValueError:
        return None


def url(host: str, port: int) -> str:
    """What agents are given, without a path."""
    address = address_of(host)
    is_v6 = address is not None and address.version == 6
    return f"http://[{address}]:{port}" if is_v6 else f"http://{host}:{port}"


def _bind(address: str, port: int, warning: str) -> Bound:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.create_server((address, port), family=family, backlog=BACKLOG)
    listening.setblocking(False)
    return Bound(listening, listening.getsockname()[1], warning)


def _cannot(address: str, port: int, error: OSError) -> CannotListen:
    shown = f"[{address}]" if ":" in address else address
    # `create_server` makes a text of its own of `strerror`
    text = f"cannot listen on {shown}:{port}: {os.strerror(error.errno or 0)}"
    if error.errno == errno.EADDRINUSE:
        text += "; set tools_manager.tools_server_port to another port, or to 0"
    return CannotListen(text)

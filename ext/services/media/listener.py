"""Where the service listens, and how others reach it."""

import errno
import ipaddress
import os
import socket
import stat
import sys
from pathlib import Path
from urllib.parse import quote

from options import Options

from anyclaw_sdk.types import SERVER_ERROR, RpcError

_BACKLOG = 128


def listen(options: Options, last_port: int) -> tuple[socket.socket, int]:
    """Bind and listen, so that from here on nobody is refused; the port, or 0. Raises RpcError.

    A free port is the one of the last run where that can be had, so that links go on to lead here.
    """
    if options.socket:
        return _listen_unix(options.socket), 0
    if options.port == 0 and last_port:
        try:
            return _listen_tcp(options.host, last_port)
        except OSError as error:
            reason = f"port {last_port} of the last run is not to be had: {error.strerror}"
            sys.stderr.write(f"{reason}; links that were given out before lead nowhere\n")
    try:
        return _listen_tcp(options.host, options.port)
    except OSError as error:
        where = f"{options.host}:{options.port}"
        raise _refusal(where, error, "set option port to another one, or to 0") from error


def base_url_of(options: Options, port: int) -> str:
    """What links begin with."""
    if options.public_url:
        return options.public_url
    if options.socket:
        return f"http+unix://{quote(options.socket, safe='')}"
    host = options.host
    if _is_any(host):
        host = "127.0.0.1" if host != "::" else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listen_tcp(host: str, port: int) -> tuple[socket.socket, int]:
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    bound, port = listener.getsockname()[:2]
    if not ipaddress.ip_address(bound).is_loopback:
        sys.stderr.write(f"reachable beyond this machine, at {bound}:{port}\n")
    return listener, port


def _listen_unix(path: str) -> socket.socket:
    """A socket that only processes of this user reach; one that is left over is replaced."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_left_over(path):
            Path(path).unlink()
        mask = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(mask)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _refusal(path, error, "set option socket to another path") from error
    return listener


def _is_left_over(path: str) -> bool:
    """Whether a socket is there that nobody listens on."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
    return False


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _refusal(where: str, error: OSError, hint: str) -> RpcError:
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    more = f"; {hint}" if error.errno == errno.EADDRINUSE else ""
    return RpcError(SERVER_ERROR, f"cannot listen on {where}: {reason}{more}")

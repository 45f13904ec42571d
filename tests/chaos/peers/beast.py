"""The program of the chaos suite's units: `beast.py SORT`. It never forks more than it is told to.

It imports little, so that hundreds of starts cost little.
"""

import os
import signal
import sys

_POLITE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def forever() -> None:
    while True:
        signal.pause()


def ignore_polite_signals() -> None:
    for number in _POLITE:
        signal.signal(number, signal.SIG_IGN)


def child(*, leaves_session: bool = False, sheds_variables: bool = False) -> None:
    """One process that nothing but SIGKILL ends; its parent is gone if it leaves the session."""
    if os.fork():
        return
    if leaves_session:
        os.setsid()
        if os.fork():
            os._exit(0)
    ignore_polite_signals()
    if sheds_variables:
        os.execve("/bin/sleep", ["sleep", "1000000"], {})
    forever()


def plain() -> None:
    forever()


def stubborn() -> None:
    ignore_polite_signals()
    forever()


def family() -> None:
    """Children in its group, and one that never goes by itself."""
    child()
    child()
    forever()


def forker() -> None:
    """Grandchildren in sessions of their own; one has no variable left."""
    child(leaves_session=True)
    child(leaves_session=True, sheds_variables=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    forever()


def once() -> None:
    """Ends in success, and leaves somebody behind."""
    child(leaves_session=True)


def server() -> None:
    """Speaks the service protocol."""
    import json

    for line in sys.stdin:
        frame = json.loads(line)
        answer = {"jsonrpc": "2.0", "id": frame.get("id"), "result": {}}
        os.write(1, json.dumps(answer).encode() + b"\n")
        if frame["method"] == "shutdown":
            os._exit(0)


def notifier() -> None:
    """Says that it is ready, and that it is alive, on its notification socket."""
    import select
    import socket

    address = os.environ["NOTIFY_SOCKET"]
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.connect(address)
        connection.send(b"READY=1\nSTATUS=here I am")
        every_s = int(os.environ.get("WATCHDOG_USEC", "3000000")) / 3e6
        while True:
            select.select([], [], [], every_s)
            connection.send(b"WATCHDOG=1")


SORTS = {sort.__name__: sort for sort in (plain, stubborn, family, forker, once, server, notifier)}

if __name__ == "__main__":
    SORTS[sys.argv[1]]()

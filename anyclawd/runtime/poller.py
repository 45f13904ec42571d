"""Watches the descriptors of all processes through one epoll that the event loop watches.

To a loop a thousand pipes are one descriptor. A watched pipe costs a dictionary entry instead of
a handle of the loop, which is a fifth of the memory under uvloop, and both loops behave alike.
"""

import select
from asyncio import AbstractEventLoop
from collections.abc import Callable

READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT
EXCEPTIONAL = select.EPOLLPRI  #: how files of the kernel say that they have changed

#: Callbacks of one wake-up; the rest waits for the next one, and the kernel takes turns.
_BATCH = 64


class Poller:
    """Calls back once a wake-up for each descriptor that is ready, for as long as it is ready.

    A callback must bear to be called in vain: an earlier one of the same batch may have closed
    its descriptor and opened another of the same number.
    """

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        loop.add_reader(self._epoll.fileno(), self._dispatch)

    def watch(self, descriptor: int, events: int, callback: Callable[[], None]) -> None:
        self._epoll.register(descriptor, events)
        self._callbacks[descriptor] = callback

    def forget(self, descriptor: int) -> None:
        """Stop watching; to be called before the descriptor is closed."""
        del self._callbacks[descriptor]
        self._epoll.unregister(descriptor)

    def close(self) -> None:
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _dispatch(self) -> None:
        for descriptor, _ in self._epoll.poll(0, _BATCH):
            callback = self._callbacks.get(descriptor)
            if callback is not None:
                callback()

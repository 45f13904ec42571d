"""A message on its way into a router, past a store that keeps it at once."""

import itertools
from collections.abc import Callable

from anyclawd.route.commands import Command, StoreMessage
from anyclawd.route.events import MessageReceived, MessageStored
from anyclawd.route.router import Router


def take_in(router: Router, event: MessageReceived, now: float) -> list[Command]:
    """All that is decided about it, from its arrival until it is stored or refused."""
    decided = router.step(event, now)
    if any(isinstance(command, StoreMessage) for command in decided):
        decided += router.step(MessageStored(event.message), now)
    return decided


def codes() -> Callable[[], str]:
    """Pairing codes that anybody could guess."""
    numbers = itertools.count(1)
    return lambda: f"CODE{next(numbers)}"

"""Permission requests that wait for a user.

A request is answered once: by the user, by its timer, by the end of the turn it was asked in, or
by an administrator; every later answer finds nothing and is ignored. The names of requests are
the agents' own as long as they are new on their channel: an agent that was restarted counts from
the beginning, and a tap on an old button must never approve a new request.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from anyclawd.model.deps import UnitName
from anyclawd.route.commands import SessionKey, Timer, TimerKind, Token
from anyclawd.wire.acp import PermissionOption

#: So many names are remembered; an older one could be given again.
NAMES_REMEMBERED = 10_000
#: What is kept of a name that an agent gives.
NAME_MAX_CHARS = 200


def rejection_of(options: Sequence[PermissionOption]) -> str | None:
    """The option that says no; None is the outcome `cancelled`."""
    return next((option.option_id for option in options if option.rejects), None)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request that waits."""

    request_id: str
    handle: int  #: the gateway's name of the agent's request
    agent: UnitName
    channel: str
    session: SessionKey
    turn: Token | None  #: the turn it was asked in, None outside of any
    description: str
    options: tuple[PermissionOption, ...]

    @property
    def rejection(self) -> str | None:
        return rejection_of(self.options)

    @property
    def timer(self) -> Timer:
        return Timer(TimerKind.PERMISSION, self.request_id, Token(0))


class Asks:
    """Every request that waits, by its id and by its session."""

    def __init__(self) -> None:
        self._by_id: dict[str, Ask] = {}
        self._by_session: dict[SessionKey, list[str]] = {}
        self._names: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_id)

    def name(self, wanted: str) -> str:
        """`wanted` if it was never used, else a name made from it; long ones are cut."""
        wanted = wanted[:NAME_MAX_CHARS]
        used = self._names.pop(wanted, 0)
        self._names[wanted] = used + 1
        if len(self._names) > NAMES_REMEMBERED:
            self._names.popitem(last=False)
        return self.name(f"{wanted[: NAME_MAX_CHARS - 20]}-{used + 1}") if used else wanted

    def add(self, ask: Ask) -> None:
        self._by_id[ask.request_id] = ask
        self._by_session.setdefault(ask.session, []).append(ask.request_id)

    def get(self, request_id: str) -> Ask | None:
        return self._by_id.get(request_id)

    def take(self, request_id: str) -> Ask | None:
        """The request, which waits no more; None if it does not wait."""
        ask = self._by_id.pop(request_id, None)
        if ask is not None:
            waiting = self._by_session[ask.session]
            waiting.remove(request_id)
            if not waiting:
                del self._by_session[ask.session]
        return ask

    def count_of(self, session: SessionKey) -> int:
        return len(self._by_session.get(session, ()))

    def of(self, session: SessionKey) -> list[Ask]:
        return [self._by_id[request_id] for request_id in self._by_session.get(session, ())]

    def of_channel(self, channel: str) -> list[Ask]:
        return [ask for ask in self._by_id.values() if ask.channel == channel]

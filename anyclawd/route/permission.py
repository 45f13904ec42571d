"""Permission requests that wait for a user.

A request is answered once: by the user, by its timer, by the end of the turn it was asked in, or
by an administrator; every later answer finds nothing and is ignored. The names of requests are
made from the agents' own and never given twice, also not by a later daemon: an agent that was
restarted counts from the beginning, and a tap on an old button must never approve a new request.

A request whose agent has died, or died with the daemon, is *orphaned*: its button stays in the
chat, is shown again by a channel that was restarted, and is valid until its time is over. When the
agent asks the very same question of the same session again, it is given the orphan's name, and the
answer if there is one by then: so the user is not asked a second time for one thing. An answer is
used once.

Where the user has chosen *always*, the same kind of tool is answered the same way for the rest of
the conversation. That holds for kinds that ACP names; a request of no kind is asked each time.
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from anyclawd.model.deps import UnitName
from anyclawd.route.commands import SessionKey, Timer, TimerKind, Token
from anyclawd.route.record import RememberChoice, StoredAsk
from anyclawd.wire.acp import PermissionOption
from anyclawd.wire.channel import Peer

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
#: What a channel of 0.9 answers where its user has agreed.
ONCE = "once"
#: Orphaned requests that are remembered.
ORPHANS_MAX = 1000
#: Kinds of tools of one session that are remembered; ACP has ten.
KINDS_MAX = 20

#: So many names are remembered; an older one could be given again.
NAMES_REMEMBERED = 10_000
#: What is kept of a name that an agent gives.
NAME_MAX_CHARS = 200


def rejection_of(options: Sequence[PermissionOption]) -> str | None:
    """The option that says no, if it can be for this once; None is the outcome `cancelled`."""
    rejecting = sorted((one for one in options if one.rejects), key=lambda one: one.is_lasting)
    return rejecting[0].option_id if rejecting else None


def option_meant(options: Sequence[PermissionOption], option_id: str) -> PermissionOption | None:
    """The option that an answer means; None where it means none that was offered, so none is.

    Channels of 0.9 say `once` where their user has agreed, whatever the options are called.
    """
    for option in options:
        if option.option_id == option_id:
            return option
    if option_id != ONCE:
        return None
    agreeing = [option for option in options if not option.rejects]
    return next(
        (option for option in agreeing if not option.is_lasting), next(iter(agreeing), None)
    )


def standing_answer(options: Sequence[PermissionOption], *, allows: bool) -> str | None:
    """The option that says again what was said for always; None where there is none."""
    fitting = [option for option in options if option.rejects is not allows]
    lasting = next((option for option in fitting if option.is_lasting), None)
    chosen = lasting or next(iter(fitting), None)
    return None if chosen is None else chosen.option_id


def timer_of(request_id: str) -> Timer:
    return Timer(TimerKind.PERMISSION, request_id, Token(0))


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
    tool_kind: str = ""
    fingerprint: str = ""

    @property
    def row(self) -> StoredAsk:
        return StoredAsk(
            request_id=self.request_id,
            session=self.session,
            channel=self.channel,
            description=self.description,
            options=tuple((one.option_id, one.label, one.rejects) for one in self.options),
            fingerprint=self.fingerprint,
        )

    @property
    def rejection(self) -> str | None:
        return rejection_of(self.options)

    @property
    def timer(self) -> Timer:
        return timer_of(self.request_id)


class Asks:
    """Every request that waits, by its id and by its session."""

    def __init__(self, run: str = "") -> None:
        """`run` tells this daemon's names from those of earlier ones; empty adds nothing."""
        self._suffix = f"-{run}" if run else ""
        self._by_id: dict[str, Ask] = {}
        self._by_session: dict[SessionKey, list[str]] = {}
        self._names: OrderedDict[str, int] = OrderedDict()
        self._orphans: OrderedDict[str, tuple[StoredAsk, float]] = OrderedDict()
        self._standing: dict[SessionKey, dict[str, bool]] = {}  # by kind of tool: it may

    def __len__(self) -> int:
        return len(self._by_id)

    def name(self, wanted: str) -> str:
        """A name that was never given, made from the one that is wanted; long ones are cut.

        One that is a UUID is nobody else's, so it stays as the agent has chosen it.
        """
        suffix = "" if _UUID.fullmatch(wanted) else self._suffix
        return self._unused(wanted[: NAME_MAX_CHARS - len(suffix)] + suffix)

    def _unused(self, wanted: str) -> str:
        used = self._names.pop(wanted, 0)
        self._names[wanted] = used + 1
        if len(self._names) > NAMES_REMEMBERED:
            self._names.popitem(last=False)
        return self._unused(f"{wanted[: NAME_MAX_CHARS - 20]}-{used + 1}") if used else wanted

    # --- orphans ----------------------------------------------------------------------------------

    def orphan(self, row: StoredAsk, expires_at: float) -> None:
        """Nobody waits for this answer now; the agent may ask the same again."""
        self._names.setdefault(row.request_id, 1)
        self._orphans[row.request_id] = row, expires_at
        if len(self._orphans) > ORPHANS_MAX:
            self._orphans.popitem(last=False)

    def orphans_of(self, channel: str) -> list[StoredAsk]:
        """Those that can be answered."""
        rows = [row for row, _ in self._orphans.values()]
        return [row for row in rows if row.channel == channel and not row.answer]

    def is_orphan(self, request_id: str) -> bool:
        """Whether it can be answered."""
        row, _ = self._orphans.get(request_id, (None, 0.0))
        return row is not None and not row.answer

    def drop_orphan(self, request_id: str) -> StoredAsk | None:
        """Its time is over; None where it is no orphan."""
        row, _ = self._orphans.pop(request_id, (None, 0.0))
        return row

    def answer_orphan(
        self,
        channel: str | None,
        request_id: str,
        option_id: str,
        now: float,
        peer: Peer | None = None,
    ) -> StoredAsk | None:
        """Keep the answer to a question that may be asked again; None where there is none such."""
        row, expires_at = self._orphans.get(request_id, (None, 0.0))
        if row is None or row.answer or channel not in (None, row.channel) or expires_at <= now:
            return None
        if peer is not None and row.session != f"{row.channel}:{peer.kind}:{peer.peer_id}":
            return None
        if option_id not in (ONCE, *(offered for offered, _, _ in row.options)):
            return None
        answered = replace(row, answer=option_id, remaining_s=expires_at - now)
        self._orphans[request_id] = answered, expires_at
        return answered

    def adopt(self, session: SessionKey, fingerprint: str, now: float) -> StoredAsk | None:
        """The orphan that asks the same, which is none any more."""
        for request_id, (row, expires_at) in self._orphans.items():
            is_same = bool(fingerprint) and row.fingerprint == fingerprint
            if row.session == session and is_same and expires_at > now:
                del self._orphans[request_id]
                return row
        return None

    # --- what holds for always --------------------------------------------------------------------

    def remember(self, choice: RememberChoice) -> bool:
        """Whether there was room for it."""
        kinds = self._standing.setdefault(choice.session, {})
        if choice.tool_kind not in kinds and len(kinds) >= KINDS_MAX:
            return False
        kinds[choice.tool_kind] = choice.allows
        return True

    def standing(self, session: SessionKey, tool_kind: str) -> bool | None:
        """What its user has said for always about a kind of tool; None where nothing."""
        return self._standing.get(session, {}).get(tool_kind)

    def forget(self, session: SessionKey) -> None:
        self._standing.pop(session, None)

    def forget_orphans(self, session: SessionKey) -> None:
        for name in [name for name, (row, _) in self._orphans.items() if row.session == session]:
            del self._orphans[name]

    # --- what waits -------------------------------------------------------------------------------

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

    def by_handle(self, agent: UnitName, handle: int) -> Ask | None:
        """The request that an agent has made under this handle."""
        waiting = self._by_id.values()
        return next((one for one in waiting if (one.agent, one.handle) == (agent, handle)), None)

    def count_of(self, session: SessionKey) -> int:
        return len(self._by_session.get(session, ()))

    def of(self, session: SessionKey) -> list[Ask]:
        return [self._by_id[request_id] for request_id in self._by_session.get(session, ())]

    def of_channel(self, channel: str) -> list[Ask]:
        return [ask for ask in self._by_id.values() if ask.channel == channel]

"""Who may talk to which agent: rules, peers that were admitted by hand, and pairing codes.

Looked at before anything is kept. The first rule that matches decides; where none does, a peer that
was admitted by hand is let in, and everybody else as the default says. Where the configuration has
no `access:` everybody is let in here: the channel has its own rules, as in the original.

A peer that is kept out is told so politely, once in `REFUSAL_INTERVAL_S`. With pairing, an unknown
peer that a rule does not turn away by name gets a code instead; whoever runs the daemon approves
it. Asking again tells the same code, and no more than a few are out at a time, so that a crowd of
strangers costs a bounded amount of everything.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from anyclawd.model.conversation import ANY, Access, AccessDefault, AccessRule
from anyclawd.route.record import Grant, PairingCode, SessionKey
from anyclawd.wire.channel import Peer

#: A peer that keeps asking is told so once in this time.
REFUSAL_INTERVAL_S = 600.0
#: So many peers are remembered as told.
TOLD_MAX = 1000
#: Letters and digits that are not taken for each other.
CODE_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
CODE_LENGTH = 8


class Verdict(StrEnum):
    ADMITTED = "admitted"
    DENIED = "denied"
    UNKNOWN = "unknown"  #: denied by default: pairing may help


@dataclass(frozen=True, slots=True)
class _Pending:
    row: PairingCode
    expires_at: float


class Gate:
    """All that decides about peers. `draw` gives a new code; see `make_code`."""

    def __init__(self, access: Access | None, draw: Callable[[], str]) -> None:
        self.access = access
        self._draw = draw
        self._grants: dict[Grant, None] = {}
        self._codes: dict[str, _Pending] = {}
        self._told: OrderedDict[SessionKey, float] = OrderedDict()

    @property
    def grants(self) -> tuple[Grant, ...]:
        return tuple(self._grants)

    def codes(self, now: float) -> tuple[PairingCode, ...]:
        """The codes that can be approved."""
        self._expire(now)
        waiting = self._codes.values()
        return tuple(replace(one.row, remaining_s=one.expires_at - now) for one in waiting)

    def judge(self, channel: str, peer: Peer, agent: str) -> Verdict:
        """Whether a peer may talk to an agent; names as in the configuration."""
        if self.access is None:
            return Verdict.ADMITTED
        for rule in self.access.rules:
            if _matches(rule, channel, peer, agent):
                return Verdict.ADMITTED if rule.allow else Verdict.DENIED
        if grant_of(channel, peer) in self._grants:
            return Verdict.ADMITTED
        is_open = self.access.default is AccessDefault.OPEN
        return Verdict.ADMITTED if is_open else Verdict.UNKNOWN

    def offer_code(
        self, channel: str, session: SessionKey, peer: Peer, now: float
    ) -> PairingCode | None:
        """A new code for an unknown peer, where pairing is on, it has none, and few are out."""
        pairing = self.access.pairing if self.access is not None else None
        if pairing is None or not pairing.enabled:
            return None
        self._expire(now)
        grant = grant_of(channel, peer)
        waiting = [one.row.grant for one in self._codes.values()]
        has_room = sum(one.channel == channel for one in waiting) < pairing.max_pending
        if grant in waiting or not has_room:
            return None
        code = self._draw()
        while code in self._codes:
            code = self._draw()
        row = PairingCode(
            code=code, grant=grant, session=session, peer=peer, remaining_s=pairing.ttl_s
        )
        self.add_code(row, now)
        return row

    def code_of(self, channel: str, peer: Peer, now: float) -> PairingCode | None:
        """The code that a peer was given and that can still be approved."""
        grant = grant_of(channel, peer)
        return next((row for row in self.codes(now) if row.grant == grant), None)

    def add_code(self, row: PairingCode, now: float) -> None:
        self._codes[row.code] = _Pending(row, now + row.remaining_s)

    def find(self, code: str, now: float) -> PairingCode | None:
        """The code as a person has typed it; None where it is unknown or has expired."""
        self._expire(now)
        found = self._codes.get(code.strip().upper().replace("-", ""))
        return None if found is None else found.row

    def approve(self, code: str, now: float) -> PairingCode | None:
        """Admit who was given this code; None where it is unknown or has expired."""
        row = self.find(code, now)
        if row is not None:
            del self._codes[row.code]
            self.admit(row.grant)
            self._told.pop(row.session, None)
        return row

    def admit(self, grant: Grant) -> None:
        self._grants[grant] = None

    def revoke(self, grant: Grant) -> bool:
        """Whether the peer was admitted until now."""
        was_admitted = grant in self._grants
        self._grants.pop(grant, None)
        return was_admitted

    def may_tell(self, session: SessionKey, now: float) -> bool:
        """Whether a peer that is kept out shall be told so now; it is noted as told."""
        told_at = self._told.get(session)
        if told_at is not None and now - told_at < REFUSAL_INTERVAL_S:
            return False
        self._told[session] = now
        self._told.move_to_end(session)
        if len(self._told) > TOLD_MAX:
            self._told.popitem(last=False)
        return True

    def _expire(self, now: float) -> None:
        late = [code for code, waiting in self._codes.items() if waiting.expires_at <= now]
        for code in late:
            del self._codes[code]


def grant_of(channel: str, peer: Peer) -> Grant:
    return Grant(channel=channel, kind=peer.kind, peer_id=peer.peer_id)


def make_code(choose: Callable[[str], str]) -> str:
    """A code of letters and digits; `choose` picks one of them at random."""
    return "".join(choose(CODE_ALPHABET) for _ in range(CODE_LENGTH))


def _matches(rule: AccessRule, channel: str, peer: Peer, agent: str) -> bool:
    wanted = (rule.channel, rule.peer, rule.kind, rule.agent)
    found = (channel, peer.peer_id, peer.kind, agent)
    return all(want in (ANY, have) for want, have in zip(wanted, found, strict=True))

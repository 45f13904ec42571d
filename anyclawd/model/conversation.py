"""How conversations are kept: who may have one, how messages queue, what outlives a crash.

Durations are seconds; every default is the one of the reference page and is written once, here.
"""

from dataclasses import dataclass
from enum import StrEnum

from anyclawd.model.deps import UnitName

#: Anything, where a rule of access asks for a name.
ANY = "*"


class QueueMode(StrEnum):
    """What becomes of a message that arrives while a turn of its session runs."""

    COLLECT = "collect"  #: all that wait become one prompt once the turn has ended
    FOLLOWUP = "followup"  #: each that waits becomes a prompt of its own, in order
    STEER = "steer"  #: the turn ends after its running tool call, then as `collect`
    INTERRUPT = "interrupt"  #: the turn is cancelled at once, then as `collect`


class Overflow(StrEnum):
    """What happens to a message for which a queue has no room."""

    REFUSE = "refuse"
    DROP_OLDEST = "drop-oldest"  #: the oldest that waits is refused in its place


class Recovery(StrEnum):
    """What becomes of a message whose turn was running when the daemon died."""

    NOTIFY = "notify"  #: its user is told that it was interrupted
    RETRY = "retry"  #: it is prompted again, with all its side effects


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePolicy:
    mode: QueueMode = QueueMode.COLLECT
    cap: int = 1000  #: messages that wait in one session
    overflow: Overflow = Overflow.REFUSE


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """Of one session, or of a whole channel; 0 sets no limit."""

    messages_per_minute: int = 0
    queue_depth: int = 0  #: messages that have been accepted and have no outcome yet


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    session: RateLimit = RateLimit()
    channel: RateLimit = RateLimit()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAccess:
    """Which of ACP's `fs` methods an agent is served, within its workspace."""

    read: bool = False
    write: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryReplay:
    """What a new ACP session is told of the conversation that it goes on with; 0 turns is off."""

    turns: int = 20
    max_bytes: int = 32 * 2**10


class HookEvent(StrEnum):
    """What a hook of an agent is shown."""

    PROMPT = "prompt"
    UPDATE = "update"
    PERMISSION = "permission"


class HookFailure(StrEnum):
    """What a hook that fails, or does not answer in time, means."""

    SKIP = "skip"  #: all goes on as if it were not there
    REFUSE = "refuse"  #: the prompt is refused, the update left out, the permission denied


@dataclass(frozen=True, slots=True, kw_only=True)
class HookUse:
    """One process between the orchestrator and an agent; the agent's hooks are asked in order."""

    unit: UnitName
    events: tuple[HookEvent, ...] = tuple(HookEvent)
    timeout_s: float = 5.0
    on_failure: HookFailure = HookFailure.REFUSE


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The workers of one agent: `name@1.agent` to `name@<max_workers>.agent`."""

    agent: UnitName  #: what routes name: `name.agent`, which is no unit
    min_workers: int = 1
    max_workers: int = 1
    idle_s: float = 300.0  #: a worker above the minimum is stopped after so long without a turn


class AccessDefault(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRule:
    """Who may talk to which agent; the first that matches decides.

    An absent part matches everybody. Peers are spelled as their channel spells them.
    """

    channel: str = ANY
    peer: str = ANY
    kind: str = ANY
    agent: str = ANY
    allow: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """A code that an unknown peer is given, by which an administrator can admit it."""

    enabled: bool = False
    ttl_s: float = 3600.0  #: how long a code can be approved
    max_pending: int = 3  #: codes a channel may have out at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """`access:`; where the key is absent, channels decide by rules of their own."""

    default: AccessDefault = AccessDefault.CLOSED
    rules: tuple[AccessRule, ...] = ()
    pairing: Pairing = Pairing()


class Unroutable(StrEnum):
    """The answer to a request for permission that nobody can be asked about."""

    DENY = "deny"
    ALLOW_FIRST = "allow_first"  #: as the original did

"""In which era a tool is spoken to, and in which revision: one table.

Theory
------
Before anything else is said it is settled how a server is spoken to. `handshake` and `modern` are
what the configuration says, and then nothing is tried: a server that is of the other era is refused
with a text that names the setting. `auto` asks first, by `server/discover`.

Some servers take their era from the first request that they get, and refuse the other era from then
on. So whoever has been asked is not asked again in the other era, unless it has refused the
question. A server that has not answered is in doubt: it may know no such request and be silent, or
be slow to start and answer later. After a time it is sent `initialize`, and whatever comes first
holds: an answer to the question, late as it is, or one to `initialize`. If `initialize` is refused
because the connection is modern by now, the question was taken up after all and is put again.

States. `PROBING`: asked by `server/discover`, may fall back. `DOUBTING`: the same, with
`initialize` sent after it. `ASKING`: asked by `server/discover`, nothing else is possible.
`SHAKING`: sent `initialize`, nothing else is possible. `SETTLED` and `REFUSED` are final.

Who may cause what. Answers come from the server, `Silent` from a clock that runs while `PROBING`.
An answer that comes after it is settled, to a request that nobody needs any more, changes nothing.

Deliberately impossible: a second `initialize`; `Silent` anywhere but in `PROBING` (the clock is
stopped with that state); a revision that we do not know.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, TypeAlias, assert_never

from anyclawd.model.errors import IllegalTransition
from anyclawd.model.tool import Era
from anyclawd.wire.mcp import (
    HANDSHAKE_REVISIONS,
    MODERN_REVISIONS,
    NEWEST_MODERN,
    UNSUPPORTED_REVISION,
)


class Stage(StrEnum):
    PROBING = "probing"
    DOUBTING = "doubting"
    ASKING = "asking"
    SHAKING = "shaking"
    SETTLED = "settled"
    REFUSED = "refused"


# --- what happens ---------------------------------------------------------------------------------


class Discovered(NamedTuple):
    """`server/discover` is answered."""

    supported: tuple[str, ...]


class Initialized(NamedTuple):
    """`initialize` is answered."""

    revision: str


class DiscoverRefused(NamedTuple):
    code: int
    text: str
    supported: tuple[str, ...] = ()  #: of UNSUPPORTED_REVISION


class InitializeRefused(NamedTuple):
    code: int
    text: str
    supported: tuple[str, ...] = ()


class Silent(NamedTuple):
    """The time for the first answer is over."""


Event: TypeAlias = Discovered | Initialized | DiscoverRefused | InitializeRefused | Silent


# --- what is to be done ---------------------------------------------------------------------------


class Discover(NamedTuple):
    """Send `server/discover`, in this revision."""

    revision: str = NEWEST_MODERN


class Initialize(NamedTuple):
    """Send `initialize`."""


class Settle(NamedTuple):
    """From here on it is spoken to like this."""

    era: Era  #: never AUTO
    revision: str


class GiveUp(NamedTuple):
    reason: str  #: for people


Action: TypeAlias = Discover | Initialize | Settle | GiveUp


def begin(era: Era) -> tuple[Stage, Action]:
    match era:
        case Era.AUTO:
            return Stage.PROBING, Discover()
        case Era.MODERN:
            return Stage.ASKING, Discover()
        case Era.HANDSHAKE:
            return Stage.SHAKING, Initialize()
        case _:
            assert_never(era)


def step(stage: Stage, event: Event) -> tuple[Stage, Action | None]:
    """Decide what an answer means; raises IllegalTransition for a pair without a row."""
    match stage:
        case Stage.PROBING:
            match event:
                case Discovered(supported):
                    return _settle_modern(supported) or (Stage.SHAKING, Initialize())
                case DiscoverRefused():
                    return _after_refused_probe(event)
                case Silent():
                    return Stage.DOUBTING, Initialize()
        case Stage.DOUBTING:
            match event:
                case Discovered(supported):
                    return _settle_modern(supported) or (Stage.SHAKING, None)
                case DiscoverRefused():
                    return Stage.SHAKING, None
                case Initialized(revision):
                    return _settle_handshake(revision)
                case InitializeRefused():
                    return _ask_again(event) or _refuse("initialize", event)
        case Stage.ASKING:
            match event:
                case Discovered(supported):
                    return _settle_modern(supported) or _give_up_modern(supported)
                case DiscoverRefused():
                    return _refuse("server/discover", event)
        case Stage.SHAKING:
            match event:
                case Initialized(revision):
                    return _settle_handshake(revision)
                case InitializeRefused():
                    return _refuse("initialize", event)
        case Stage.SETTLED | Stage.REFUSED:
            if not isinstance(event, Silent):
                return stage, None  # late
        case _:
            assert_never(stage)
    raise IllegalTransition(f"era: {stage} has no row for {event}")


def _settle_modern(supported: Sequence[str]) -> tuple[Stage, Action] | None:
    """The newest revision that both know; None where there is none."""
    mutual = [revision for revision in MODERN_REVISIONS if revision in supported]
    return (Stage.SETTLED, Settle(Era.MODERN, mutual[-1])) if mutual else None


def _settle_handshake(revision: str) -> tuple[Stage, Action]:
    if revision in HANDSHAKE_REVISIONS:
        return Stage.SETTLED, Settle(Era.HANDSHAKE, revision)
    known = ", ".join(HANDSHAKE_REVISIONS)
    return Stage.REFUSED, GiveUp(f"answered initialize with revision {revision!r}; known: {known}")


def _after_refused_probe(event: DiscoverRefused) -> tuple[Stage, Action]:
    """Any refusal means that it is of the other era, unless it names its revisions."""
    if event.code == UNSUPPORTED_REVISION and event.supported:
        if again := _ask_again(event):
            return again
        if not set(event.supported) & set(HANDSHAKE_REVISIONS):
            return _give_up_modern(event.supported)
    return Stage.SHAKING, Initialize()


def _ask_again(event: DiscoverRefused | InitializeRefused) -> tuple[Stage, Action] | None:
    """It is modern, and names a revision that we know."""
    mutual = [revision for revision in MODERN_REVISIONS if revision in event.supported]
    if event.code != UNSUPPORTED_REVISION or not mutual:
        return None
    return Stage.ASKING, Discover(mutual[-1])


def _give_up_modern(supported: Sequence[str]) -> tuple[Stage, Action]:
    theirs, known = ", ".join(supported) or "none", ", ".join(MODERN_REVISIONS)
    hint = "; set mcp_era: handshake" if set(supported) & set(HANDSHAKE_REVISIONS) else ""
    reason = f"supports revisions {theirs:.200} of the stateless protocol; known: {known}{hint}"
    return Stage.REFUSED, GiveUp(reason)


def _refuse(method: str, event: DiscoverRefused | InitializeRefused) -> tuple[Stage, Action]:
    reason = f"answered {method} with an error: {event.text:.300} ({event.code})"
    if isinstance(event, InitializeRefused) and event.code == UNSUPPORTED_REVISION:
        reason += "; it speaks the stateless protocol: set mcp_era: modern"
    elif isinstance(event, DiscoverRefused):
        reason += "; one that knows only the handshake needs mcp_era: handshake"
    return Stage.REFUSED, GiveUp(reason)

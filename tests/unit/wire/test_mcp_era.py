"""In which era a tool is spoken to: every pair of a stage and an event."""

import pytest

from anyclawd.model.errors import IllegalTransition
from anyclawd.model.tool import Era
from anyclawd.wire.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND
from anyclawd.wire.mcp import UNSUPPORTED_REVISION
from anyclawd.wire.mcp_era import (
    Action,
    Discover,
    Discovered,
    DiscoverRefused,
    Event,
    GiveUp,
    Initialize,
    Initialized,
    InitializeRefused,
    Settle,
    Silent,
    Stage,
    begin,
    step,
)

NOW, OLD = "2026-07-28", "2025-06-18"
MODERN, HANDSHAKE = Settle(Era.MODERN, NOW), Settle(Era.HANDSHAKE, OLD)
UNKNOWN_METHOD = DiscoverRefused(METHOD_NOT_FOUND, "no method")
LOCKED = InitializeRefused(UNSUPPORTED_REVISION, "modern by now", (NOW,))
BROKEN = InitializeRefused(INVALID_PARAMS, "cannot")

BEGINNINGS = {
    Era.AUTO: (Stage.PROBING, Discover(NOW)),
    Era.MODERN: (Stage.ASKING, Discover(NOW)),
    Era.HANDSHAKE: (Stage.SHAKING, Initialize()),
}


@pytest.mark.parametrize("era", Era)
def test_begin(era: Era) -> None:
    assert begin(era) == BEGINNINGS[era]


ROWS: dict[str, tuple[Stage, Event, Stage, Action | None]] = {
    "asked-and-modern": (Stage.PROBING, Discovered((OLD, NOW)), Stage.SETTLED, MODERN),
    "asked-and-of-the-handshake": (Stage.PROBING, Discovered((OLD,)), Stage.SHAKING, Initialize()),
    "asked-and-refused": (Stage.PROBING, UNKNOWN_METHOD, Stage.SHAKING, Initialize()),
    "asked-in-another-revision": (
        Stage.PROBING,
        DiscoverRefused(UNSUPPORTED_REVISION, "no", (NOW,)),
        Stage.ASKING,
        Discover(NOW),
    ),
    "asked-and-refused-for-the-handshake": (
        Stage.PROBING,
        DiscoverRefused(UNSUPPORTED_REVISION, "no", (OLD,)),
        Stage.SHAKING,
        Initialize(),
    ),
    "asked-and-refused-without-a-name": (
        Stage.PROBING,
        DiscoverRefused(UNSUPPORTED_REVISION, "no"),
        Stage.SHAKING,
        Initialize(),
    ),
    "asked-and-silent": (Stage.PROBING, Silent(), Stage.DOUBTING, Initialize()),
    "late-but-modern": (Stage.DOUBTING, Discovered((NOW,)), Stage.SETTLED, MODERN),
    "late-and-of-the-handshake": (Stage.DOUBTING, Discovered((OLD,)), Stage.SHAKING, None),
    "late-and-refused": (Stage.DOUBTING, UNKNOWN_METHOD, Stage.SHAKING, None),
    "in-doubt-and-initialized": (Stage.DOUBTING, Initialized(OLD), Stage.SETTLED, HANDSHAKE),
    "in-doubt-and-locked": (Stage.DOUBTING, LOCKED, Stage.ASKING, Discover(NOW)),
    "modern": (Stage.ASKING, Discovered((NOW,)), Stage.SETTLED, MODERN),
    "initialized": (Stage.SHAKING, Initialized(OLD), Stage.SETTLED, HANDSHAKE),
    "settled-and-late": (Stage.SETTLED, Discovered((NOW,)), Stage.SETTLED, None),
    "settled-and-locked": (Stage.SETTLED, LOCKED, Stage.SETTLED, None),
    "refused-and-late": (Stage.REFUSED, Initialized(OLD), Stage.REFUSED, None),
}


@pytest.mark.parametrize(("stage", "event", "to", "action"), ROWS.values(), ids=ROWS)
def test_step(stage: Stage, event: Event, to: Stage, action: Action | None) -> None:
    assert step(stage, event) == (to, action)


REFUSALS: dict[str, tuple[Stage, Event, str]] = {
    "unknown-modern-revision": (
        Stage.PROBING,
        DiscoverRefused(UNSUPPORTED_REVISION, "no", ("2030-01-01",)),
        "supports revisions 2030-01-01 of the stateless protocol; known: 2026-07-28",
    ),
    "unknown-handshake-revision": (
        Stage.SHAKING,
        Initialized("1"),
        "answered initialize with revision '1'; known: 2024-11-05, 2025-03-26, 2025-06-18",
    ),
    "no-revision": (Stage.DOUBTING, Initialized(""), "answered initialize with revision ''"),
    "modern-only-on-paper": (
        Stage.ASKING,
        Discovered((OLD,)),
        (
            "supports revisions 2025-06-18 of the stateless protocol; known: 2026-07-28; "
            "set mcp_era: handshake"
        ),
    ),
    "nothing-supported": (Stage.ASKING, Discovered(()), "supports revisions none"),
    "handshake-only": (
        Stage.ASKING,
        UNKNOWN_METHOD,
        (
            "answered server/discover with an error: no method (-32601); "
            "one that knows only the handshake needs mcp_era: handshake"
        ),
    ),
    "modern-only": (
        Stage.SHAKING,
        LOCKED,
        (
            "answered initialize with an error: modern by now (-32022); "
            "it speaks the stateless protocol: set mcp_era: modern"
        ),
    ),
    "initialize-fails": (
        Stage.SHAKING,
        BROKEN,
        "answered initialize with an error: cannot (-32602)",
    ),
    "initialize-fails-in-doubt": (Stage.DOUBTING, BROKEN, "answered initialize with an error"),
}


@pytest.mark.parametrize(("stage", "event", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_a_server_that_cannot_be_spoken_to_is_refused_with_a_text(
    stage: Stage, event: Event, reason: str
) -> None:
    to, action = step(stage, event)
    assert to is Stage.REFUSED
    assert isinstance(action, GiveUp)
    assert action.reason.startswith(reason)


#: Pairs that cannot be: nothing is under way that could be answered so.
IMPOSSIBLE = {
    (Stage.PROBING, Initialized),
    (Stage.PROBING, InitializeRefused),
    (Stage.DOUBTING, Silent),
    (Stage.ASKING, Initialized),
    (Stage.ASKING, InitializeRefused),
    (Stage.ASKING, Silent),
    (Stage.SHAKING, Discovered),
    (Stage.SHAKING, DiscoverRefused),
    (Stage.SHAKING, Silent),
    (Stage.SETTLED, Silent),
    (Stage.REFUSED, Silent),
}
EXAMPLES: tuple[Event, ...] = (
    Discovered((NOW,)),
    Initialized(OLD),
    UNKNOWN_METHOD,
    BROKEN,
    Silent(),
)


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_every_pair_is_decided_or_named_impossible(stage: Stage, event: Event) -> None:
    if (stage, type(event)) in IMPOSSIBLE:
        with pytest.raises(IllegalTransition):
            step(stage, event)
    else:
        step(stage, event)

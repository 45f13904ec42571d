"""What streams from an agent to a channel, and how long a message takes to its answer.

The peers are plain scripts (peers/), the same ones on all sides. The delay of an update is taken
from right before the agent's write to right after the channel's read; what the relay *adds* to it
is the difference to the same two programs with nothing but a pipe between them. Rows whose key has
`kept` are measured with a store on disk, beside the same without.
"""

from tests.bench.budget import Row, Samples, at_least_x, at_most
from tests.bench.experiment import Experiment
from tests.bench.lab import Lab, LabError
from tests.bench.talk import Result, Talk, through_bare, through_daemon, through_pipe

_BURST = 50_000
_PACED, _RATE = 3_000, 1_000
_TURNS = 1_000
_COMMANDS = [f"burst {_BURST}", f"pace {_PACED} {_RATE}", f"turns {_TURNS}"]

_BARE = "uvloop program between two pipes: parse, wrap, write"
_MEMORY = "the same with the store in memory"
RATE = Row(
    key="relay-rate",
    what=f"updates a second, agent -> orchestrator -> channel, a burst of {_BURST:,}",
    unit="/s",
    bare=_BARE,
    more_is_better=True,
    must=at_least_x(0.6),
    moonshot=at_least_x(0.85),
)
RATE_KEPT = Row(
    key="relay-rate-kept",
    what="the same with a store on disk",
    unit="/s",
    bare=_MEMORY,
    more_is_better=True,
)
DELAY = Row(
    key="relay-delay",
    what=f"p99 of the delay that is added to an update, at {_RATE:,} a second",
    bare=_BARE,
    must=at_most(1),
    moonshot=at_most(0.3),
)
DELAY_50 = Row(key="relay-delay-p50", what="the median of that delay", bare=_BARE)
DELAY_KEPT = Row(key="relay-delay-kept", what="its p99 with a store on disk", bare=_MEMORY)
DELAY_KEPT_50 = Row(key="relay-delay-kept-p50", what="its median", bare=_MEMORY)
TURN = Row(
    key="turn",
    what=f"p99 from a message to the first word of its answer, {_TURNS:,} one after the other",
    bare=_BARE,
)
TURN_50 = Row(key="turn-p50", what="the median of that", bare=_BARE)
TURN_KEPT = Row(
    key="turn-kept", what="p99 with a store on disk: a row is synced before", bare=_MEMORY
)
TURN_KEPT_50 = Row(key="turn-kept-p50", what="the median of that", bare=_MEMORY)


class _Run:
    """All three commands, performed one after the other."""

    def __init__(self, talk: Talk) -> None:
        self.burst, self.paced, self.turns = talk.perform(), talk.perform(), talk.perform()
        if self.burst["count"] != _BURST:
            raise LabError(f"{self.burst['count']} of {_BURST} updates arrived")


def _stream(lab: Lab) -> dict[str, Samples]:
    floor = through_pipe(lab, _COMMANDS[1])
    with through_daemon(lab, "relay", _COMMANDS) as (talk, _):
        ours = _Run(talk)
    with through_daemon(lab, "relay", _COMMANDS, is_kept=True) as (talk, _):
        kept = _Run(talk)
    with through_bare(lab, _COMMANDS) as talk:
        bare = _Run(talk)
    return {
        RATE.key: Samples([ours.burst.rate()], [bare.burst.rate()]),
        RATE_KEPT.key: Samples([kept.burst.rate()], [ours.burst.rate()]),
        **_delays((DELAY, DELAY_50), ours.paced, bare.paced, floor),
        **_delays((DELAY_KEPT, DELAY_KEPT_50), kept.paced, ours.paced, floor),
        **_delays((TURN, TURN_50), ours.turns, bare.turns),
        **_delays((TURN_KEPT, TURN_KEPT_50), kept.turns, ours.turns),
    }


def _delays(
    rows: tuple[Row, Row], ours: Result, other: Result, floor: Result | None = None
) -> dict[str, Samples]:
    """The 99th percentile and the median, above those of a floor where there is one."""

    def above(result: Result, percent: int) -> float:
        least = 0.0 if floor is None else floor.percentile_ms(percent)
        return result.percentile_ms(percent) - least

    return {
        row.key: Samples([above(ours, percent)], [above(other, percent)])
        for row, percent in zip(rows, (99, 50), strict=True)
    }


EXPERIMENTS = (
    Experiment(
        rows=(
            *(RATE, RATE_KEPT, DELAY, DELAY_50, DELAY_KEPT, DELAY_KEPT_50),
            *(TURN, TURN_50, TURN_KEPT, TURN_KEPT_50),
        ),
        run=_stream,
    ),
)

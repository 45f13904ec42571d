"""What the gateway has done, as plain numbers for whoever wants to show them."""

from collections import Counter
from dataclasses import dataclass, field

from anyclawd.route.commands import MessageId

#: Tools that are counted by name; what is called beyond them is counted together.
TOOL_NAMES_MAX = 1000
OTHER_TOOLS = "(others)"


@dataclass(slots=True)
class TurnTimes:
    """The ended turns of one agent, or the ended calls of one tool."""

    count: int = 0
    sum_s: float = 0.0


@dataclass(slots=True)
class Counters:
    """Totals since the daemon began; they never decrease."""

    messages: int = 0  #: received from channels and administrators
    refusals: Counter[str] = field(default_factory=Counter)  #: of messages, by reason
    outcomes: Counter[str] = field(default_factory=Counter)  #: of messages
    duplicates: int = 0  #: messages whose source was known already
    turns: int = 0  #: begun
    updates: int = 0  #: received from agents
    turn_times: dict[str, TurnTimes] = field(default_factory=dict)  #: by agent, as users name it
    tool_calls: Counter[tuple[str, str]] = field(default_factory=Counter)  #: by tool, `ok|error`
    tool_times: dict[str, TurnTimes] = field(default_factory=dict)  #: by tool, as its unit names it

    def note_refusal(self, reason: str) -> None:
        self.refusals[str(reason)] += 1

    def note_outcome(self, outcome: str) -> None:
        self.outcomes[str(outcome)] += 1

    def note_turn_ended(self, agent: str, seconds: float) -> None:
        times = self.turn_times.setdefault(agent, TurnTimes())
        times.count += 1
        times.sum_s += seconds

    def note_tool_call(self, tool: str, seconds: float, *, is_success: bool) -> None:
        if tool not in self.tool_times and len(self.tool_times) >= TOOL_NAMES_MAX:
            tool = OTHER_TOOLS
        times = self.tool_times.setdefault(tool, TurnTimes())
        times.count += 1
        times.sum_s += seconds
        self.tool_calls[tool, "ok" if is_success else "error"] += 1


class TurnClock:
    """Measures turns: from when their messages go to the agent until the first of them is done."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._begun: dict[MessageId, tuple[str, float]] = {}  # agent and instant, by first message

    def begin(self, first: MessageId, agent: str, now: float) -> None:
        self._begun[first] = agent, now

    def end(self, message: MessageId, now: float) -> None:
        """Nothing, where no turn began with it."""
        if (begun := self._begun.pop(message, None)) is not None:
            agent, began_at = begun
            self._counters.note_turn_ended(agent, now - began_at)

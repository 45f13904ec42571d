"""One prompt turn: from the prompt that leaves until its messages have their outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from anyclawd.model.value import Json
from anyclawd.route.commands import MessageId, Token

#: Of an answer's text that is kept, for its delivery and for the history.
SAID_MAX_CHARS = 256 * 1024
#: Tool calls that run at a time and are counted; one more does not hold up a turn's making way.
OPEN_TOOLS_MAX = 1000
#: Of the first message, where the agent gives a conversation no title.
TITLE_CHARS = 60


@dataclass(frozen=True, slots=True)
class Message:
    """An accepted message that waits for its turn."""

    id: MessageId
    content: Sequence[Json]
    metadata: Mapping[str, Json] | None
    size_bytes: int
    is_again: bool = False  #: an agent has died of it, or with it


@dataclass(slots=True)
class Turn:
    """What is known of a running turn; owned by its session.

    Written on the hot path too: `touched_at` moves with every update, the timer of the silence is
    armed once and compares when it elapses.
    """

    token: Token
    batch: tuple[Message, ...]
    touched_at: float  #: the last sign of life of the agent
    is_first: bool = False  #: the ACP session has seen no prompt before this
    is_started: bool = False  #: the channel was told that the response has started
    is_streaming: bool = False  #: some update came
    result: dict[str, Json] | None = None  #: the agent's own, which ends the answer
    asks: int = 0  #: questions that wait for the user
    withdrawn: set[MessageId] = field(default_factory=set)  #: messages whose answer nobody reads
    #: Set when the turn is over for the user while the agent still owes the prompt's answer.
    is_settled: bool = False
    is_torn: bool = False  #: the channel has a new process, which has not seen all of the answer
    is_superseded: bool = False  #: it makes room for newer messages
    open_tools: set[str] = field(default_factory=set)  #: tool calls that run
    said: list[str] = field(default_factory=list)  #: what the answer consists of so far
    said_chars: int = 0

    @property
    def messages(self) -> tuple[MessageId, ...]:
        return tuple(message.id for message in self.batch)

    @property
    def answer(self) -> str:
        return "".join(self.said)

    def say(self, text: str) -> None:
        """More of the answer; what is beyond the bound is shown and not kept."""
        if self.said_chars < SAID_MAX_CHARS:
            self.said.append(text[: SAID_MAX_CHARS - self.said_chars])
            self.said_chars += len(self.said[-1])

    def note_tool(self, update: Mapping[str, Json]) -> None:
        """Keep count of the tool calls that run; one may be updated that was never begun."""
        tool = update.get("toolCallId")
        if isinstance(tool, str):
            if update.get("status") in ("completed", "failed"):
                self.open_tools.discard(tool)
            elif len(self.open_tools) < OPEN_TOOLS_MAX:
                self.open_tools.add(tool)


def collect(messages: Sequence[Message]) -> tuple[list[Json], dict[str, Json] | None]:
    """Many messages as one prompt: contents in order, the last metadata that is not null."""
    content = [part for message in messages for part in message.content]
    given = (message.metadata for message in reversed(messages) if message.metadata is not None)
    metadata = next(given, None)
    return content, None if metadata is None else dict(metadata)


def text_of(messages: Sequence[Message]) -> str:
    """What the user said, as far as it is text; other parts are named by their type."""
    return "\n".join(_shown(part) for message in messages for part in message.content)


def title_of(messages: Sequence[Message]) -> str:
    """What a conversation is called whose agent gives it no title: how it began."""
    lines = text_of(messages).strip().splitlines() or [""]
    first = lines[0].strip()
    return first if len(first) <= TITLE_CHARS else f"{first[: TITLE_CHARS - 1]}…"


def _shown(part: Json) -> str:
    text = part.get("text")
    return text if isinstance(text, str) else f"<{part.get('type')!s:.40}>"

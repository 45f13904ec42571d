"""One prompt turn: from the prompt that leaves until its messages have their outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from anyclawd.model.value import Json
from anyclawd.route.commands import MessageId, Token


@dataclass(frozen=True, slots=True)
class Message:
    """An accepted message that waits for its turn."""

    id: MessageId
    content: list[Json]
    metadata: Mapping[str, Json] | None
    size_bytes: int


@dataclass(slots=True)
class Turn:
    """What is known of a running turn; owned by its session.

    Written on the hot path too: `touched_at` moves with every update, the timer of the silence is
    armed once and compares when it elapses.
    """

    token: Token
    messages: tuple[MessageId, ...]
    touched_at: float  #: the last sign of life of the agent
    is_started: bool = False  #: the channel was told that the response has started
    is_streaming: bool = False  #: some update came
    has_result: bool = False  #: the agent streamed a `result` of its own
    asks: int = 0  #: permission requests that wait for the user
    withdrawn: set[MessageId] = field(default_factory=set)  #: messages whose answer nobody reads
    #: Set when the turn is over for the user while the agent still owes the prompt's answer.
    is_settled: bool = False


def collect(messages: list[Message]) -> tuple[list[Json], dict[str, Json] | None]:
    """Many messages as one prompt: contents in order, the last metadata that is not null."""
    content = [part for message in messages for part in message.content]
    given = (message.metadata for message in reversed(messages) if message.metadata is not None)
    metadata = next(given, None)
    return content, None if metadata is None else dict(metadata)

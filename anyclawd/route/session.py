"""A session: the one lane between a chat and its agent, as data.

Theory
------
A chat (`{channel}:{kind}:{peer_id}`) has one session. What it consists of while nobody speaks is a
row (`record.Conversation`), so a session that rests may be put away and made again. It is in one of
five phases:

    idle        nothing waits, nothing runs
    waiting     messages wait: the agent is not connected, or the routes do not stand yet
    opening     an ACP session is being resumed, loaded or made; messages wait
    prompting   one prompt is out; later messages wait, by the channel's queue mode
    cancelling  the prompt was cancelled or has timed out and is still unanswered; messages wait

Here is what it is. What becomes of it is decided by functions that take it first; each module has
those of one concern and calls only modules above it:

    chat          what it says to its chat, and in which order
    conversation  what is remembered of what is spoken about
    ending        the outcome of its messages, and the end of its turn
    prompting     the prompt that is out: what comes of it, and how it is cancelled
    opening       the way to an ACP session
    lane          what is next; all that others want of it

Whoever decides is a generator of commands; its caller runs it to its end.

Impossible on purpose: two prompts at a time; a prompt that is sent a second time where the channel
does not ask for it (`recovery: retry`, and then once); an accepted message that leaves without
`Settle`; two answers for one message; an update of an abandoned ACP session that reaches the chat.
"""

from collections.abc import Callable
from enum import StrEnum

from anyclawd.model.unit import ChannelRole
from anyclawd.model.value import Json
from anyclawd.route.agent import Agent
from anyclawd.route.commands import Attempt, DeliveryId, MessageId, SessionKey, Token
from anyclawd.route.record import Conversation
from anyclawd.route.turn import Message, Turn
from anyclawd.wire.acp import Choices
from anyclawd.wire.channel import Peer


class Phase(StrEnum):
    IDLE = "idle"
    WAITING = "waiting"
    OPENING = "opening"
    PROMPTING = "prompting"
    CANCELLING = "cancelling"


def session_key(channel: str, peer: Peer) -> SessionKey:
    return SessionKey(f"{channel}:{peer.kind}:{peer.peer_id}")


class Session:
    """One lane; see the theory of this module. `issue_token` numbers the calls of all sessions."""

    __slots__ = (
        *("acp_id", "agent", "askers", "attempt", "channel", "chosen", "failures", "greetings"),
        *("has_turns", "heir", "held", "is_announced", "is_fresh", "is_open", "is_replaying"),
        *("issue_token", "key", "latest", "number", "options", "past", "peer", "phase", "queue"),
        *("refused", "role", "stale_id", "title", "token", "turn", "ways"),
    )

    def __init__(
        self,
        key: SessionKey,
        channel: str,
        peer: Peer,
        agent: Agent,
        role: ChannelRole,
        issue_token: Callable[[], Token],
    ) -> None:
        self.key, self.channel, self.peer, self.agent = key, channel, peer, agent
        self.role = role  # the channel's policies
        self.issue_token = issue_token
        self.heir: Agent | None = None  # takes over before anything else begins
        self.phase = Phase.IDLE
        self.is_open = False  # the routes stand and the daemon does not stop
        self.token = Token(0)  # of the call under way

        # What waits, and what runs.
        self.queue: list[Message] = []
        self.greetings: list[MessageId] = []  # `/new` that wait for their ACP session
        self.askers: list[MessageId] = []  # commands that wait for what an ACP session offers
        self.turn: Turn | None = None

        # The ACP session.
        self.acp_id = ""  # the live one
        self.stale_id = ""  # one that the agent may still know, from before it was lost
        self.attempt: Attempt | None = None  # to open one
        self.ways: list[Attempt] = []  # those that were not tried yet
        self.is_fresh = True  # it has seen no prompt of ours
        self.is_replaying = False
        self.failures = 0
        self.options: Choices = ()  # what can be set, as the agent has told

        # The conversation.
        self.number = self.latest = 1  # its own, and the highest so far
        self.has_turns = False  # something was said in it
        self.title = ""
        self.chosen: dict[str, Json] = {}  # what the user has set, for the next ACP session
        self.past = ""  # what was said before, for the next prompt

        # The chat.
        self.is_announced = False  # this process of the channel knows of the session
        self.held: list[tuple[Json, DeliveryId | None]] = []  # until the turn has ended
        self.refused = 0  # messages refused for want of room since the turn began

    @property
    def has_work(self) -> bool:
        return bool(self.queue or self.greetings or self.askers)

    @property
    def is_resting(self) -> bool:
        """Whether all there is to know of it is in its row."""
        return self.phase is Phase.IDLE and self.heir is None and not self.held

    @property
    def can_return(self) -> bool:
        """Whether nothing is lost that the agent knows, when it is put away."""
        can = self.agent.capabilities
        return not self.acp_id or can.resume or can.load

    @property
    def running_turn(self) -> Turn:
        """The turn, where the phase says that there is one."""
        assert self.turn is not None, f"{self.key}: no turn runs in phase {self.phase}"
        return self.turn

    # --- its row ----------------------------------------------------------------------------------

    @property
    def known_id(self) -> str:
        """The ACP session to come back to; one that has seen no prompt of ours knows nothing."""
        return self.stale_id if self.is_fresh or not self.acp_id else self.acp_id

    @property
    def row(self) -> Conversation:
        return Conversation(
            session=self.key,
            number=self.number,
            channel=self.channel,
            peer=self.peer,
            agent=self.agent.route.unit,
            acp_id=self.known_id,
            title=self.title,
            has_turns=self.has_turns,
            choices=dict(self.chosen),
            latest=self.latest,
        )

    def take_up(self, row: Conversation, *, knows_it: bool) -> None:
        """Be the session of a row; `knows_it` says whether its agent may know the ACP session."""
        self.number, self.latest = row.number, max(row.latest, row.number, self.latest)
        self.title, self.has_turns, self.chosen = row.title, row.has_turns, dict(row.choices)
        self.stale_id = row.acp_id if knows_it else ""

    # --- its ACP session --------------------------------------------------------------------------

    def bind(self, acp_id: str) -> None:
        """What the agent says of this ACP session is for this chat."""
        self.acp_id = acp_id
        self.agent.sessions[acp_id] = self

    def unbind(self) -> None:
        """Whatever the agent says of it from now on, the chat is told nothing."""
        if self.agent.sessions.get(self.acp_id) is self:
            del self.agent.sessions[self.acp_id]
        self.acp_id = ""

    def make_stale(self) -> None:
        """What was live is stale: the next prompt comes back to it, or begins anew."""
        if self.acp_id:
            known_id = self.known_id
            self.unbind()
            self.stale_id, self.ways, self.failures = known_id, [], 0

    # --- signs of life ----------------------------------------------------------------------------

    def hear(self, now: float) -> None:
        """The agent lives, though it says nothing that could be shown."""
        if self.turn is not None:
            self.turn.touched_at = now

    def accept_stream(self, text: str, now: float) -> bool:
        """Whether a plain update may go straight to the channel; notes the sign of life.

        The short way of `prompting.show` for the hot path: True exactly where that would yield one
        `Deliver` and nothing else. `text` is what the update adds to the answer.
        """
        turn = self.turn
        if turn is None or not turn.is_started or self.is_replaying or not self.is_announced:
            return False
        if turn.is_superseded or turn.is_settled:
            return False
        turn.touched_at, turn.is_streaming = now, True
        if text:
            turn.say(text)
        return True

    def channel_lost(self) -> None:
        """What the channel was shown of a running answer may be gone with its process."""
        if self.turn is not None and self.turn.is_streaming:
            self.turn.is_torn = True

    def channel_returned(self) -> None:
        """The channel has a new process: it knows nothing of this session."""
        self.is_announced = False

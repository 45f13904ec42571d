"""A router on a desk: chats, one agent and a store on paper, all of them in one thread of thought.

What is recorded goes into the store at once; what it says is told to the router, unless
`is_store_slow`. Every step is held against the invariants.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from anyclawd.model.conversation import Access, Unroutable
from anyclawd.model.deps import UnitName
from anyclawd.model.unit import ChannelRole
from anyclawd.model.value import Json
from anyclawd.route import commands, events, invariants
from anyclawd.route.commands import Command, MessageId, Outcome, SessionKey, TimerKind, Token
from anyclawd.route.events import Event
from anyclawd.route.record import AddMessage, MessageState, Restored
from anyclawd.route.router import Router
from anyclawd.route.session import Session
from anyclawd.route.table import AgentRoute, Limits, Routes
from anyclawd.store.failure import AlreadyKnown, NotWritten
from anyclawd.wire.acp import Capabilities
from anyclawd.wire.channel import Peer
from tests.fakes.intake import codes
from tests.fakes.store import PaperStore

AGENT = UnitName("a.agent")
ROUTE = AgentRoute(unit=AGENT, name="a", prompt_idle_timeout_s=60.0, answer_timeout_s=30.0)
ANN, BOB = (Peer("chat", name, "direct") for name in ("ann", "bob"))
KEY = SessionKey("web:direct:ann")

Found = TypeVar("Found", bound=Command)


def routes(
    *channels: str,
    role: ChannelRole | None = None,
    route: AgentRoute = ROUTE,
    limits: Limits | None = None,
    access: Access | None = None,
    unroutable: Unroutable = Unroutable.DENY,
) -> Routes:
    """Channels of one agent that all have the same policies."""
    names = channels or ("web",)
    return Routes(
        agents=MappingProxyType({route.unit: route}),
        channels=MappingProxyType(dict.fromkeys(names, route.unit)),
        roles=MappingProxyType(dict.fromkeys(names, role or ChannelRole(agent=route.unit))),
        permission_timeout_s=300.0,
        limits=limits or Limits(),
        access=access,
        unroutable=unroutable,
    )


class Desk:
    """The daemon as far as it decides; `restored` is what an earlier one has left."""

    def __init__(self, table: Routes | None = None, restored: Restored | None = None) -> None:
        self.router = Router(table or routes(), codes())
        self.store = PaperStore(restored)
        self.now, self.is_store_slow = 0.0, False
        self.decided: list[Command] = []  # all of it
        self.timers: dict[commands.Timer, float] = {}
        self._storing: list[commands.StoreMessage] = []
        self._count = 0
        for row in restored.messages if restored is not None else ():
            self.store.append((AddMessage(row),), is_durable=False)
        self.step(events.StoreRead(restored or Restored(is_durable=True)))

    # --- what happens -----------------------------------------------------------------------------

    def step(self, event: Event, *, after_s: float = 1.0) -> list[Command]:
        self.now += after_s
        decided = self.router.step(event, self.now)
        invariants.check(self.router)
        for command in decided:
            match command:
                case commands.Record(_, entries):
                    self.store.append(entries, is_durable=False)
                case commands.StoreMessage():
                    self._storing.append(command)
                case commands.ArmTimer(timer, at):
                    self.timers[timer] = at
                case commands.CancelTimer(timer):
                    self.timers.pop(timer, None)
                case _:
                    pass  # only looked at
        self.decided += decided
        return decided if self.is_store_slow else decided + self.store_all()

    def store_all(self) -> list[Command]:
        """What is being stored is stored, or not."""
        decided = []
        while self._storing:
            message = self._storing.pop(0).entry.message
            self.store.append((AddMessage(message),), self._note, is_durable=True)
            match self._failure:
                case None:
                    told: Event = events.MessageStored(message.id)
                case AlreadyKnown():
                    told = events.MessageKnown(message.id)
                case NotWritten(reason):
                    told = events.MessageNotStored(message.id, reason)
            decided += self.step(told, after_s=0.0)
        return decided

    def _note(self, failure: AlreadyKnown | NotWritten | None) -> None:
        self._failure = failure

    def open_intake(self) -> list[Command]:
        return self.step(events.IntakeOpened())

    def ready(self, agent: UnitName = AGENT, **can: Json) -> list[Command]:
        decided = self.step(events.AgentStarted(agent))
        return decided + self.step(events.AgentReady(agent, Capabilities(**can)))

    def channel_ready(
        self, *held: SessionKey, channel: str = "web", receipts: bool = False, forms: bool = False
    ) -> list[Command]:
        return self.step(events.ChannelReady(channel, held, has_receipts=receipts, has_forms=forms))

    def say(self, text: str, peer: Peer = ANN, channel: str = "web", **more: Json) -> list[Command]:
        """A message of a peer; its id is the number of messages so far."""
        self._count += 1
        message = MessageId(str(self._count))
        content: list[Json] = [{"type": "text", "text": text}]
        event = events.MessageReceived(message, channel, peer, content, None, 10)
        return self.step(replace(event, **more))

    def opened(self, session_id: str, key: SessionKey = KEY, **more: Json) -> list[Command]:
        """The agent has made, loaded or resumed the session that it was asked for."""
        return self.step(events.SessionOpened(self.token(key), session_id, **more))

    def answer(self, stop_reason: str = "end_turn", key: SessionKey = KEY) -> list[Command]:
        return self.step(events.PromptAnswered(self.token(key), stop_reason))

    def update(self, kind: str, session_id: str = "s1", **members: Json) -> list[Command]:
        params = {"sessionId": session_id, "update": {"sessionUpdate": kind, **members}}
        return self.step(events.UpdateReceived(AGENT, session_id, params, 10))

    def chunk(self, text: str, session_id: str = "s1") -> list[Command]:
        content = {"type": "text", "text": text}
        return self.update("agent_message_chunk", session_id, content=content)

    def elapse(self, kind: TimerKind) -> list[Command]:
        """The one timer of this kind that runs has elapsed."""
        [timer] = [timer for timer in self.timers if timer.kind is kind]
        self.now = self.timers.pop(timer)
        return self.step(events.TimerElapsed(timer), after_s=0.0)

    # --- where it has come to ---------------------------------------------------------------------

    def prompting(self, text: str = "hello", **can: Json) -> "Desk":
        """A turn runs in the ACP session `s1`."""
        self.open_intake()
        self.channel_ready()
        self.ready(**can)
        self.say(text)
        self.opened("s1")
        return self

    def rested(self, **can: Json) -> "Desk":
        """One turn was answered in the ACP session `s1`."""
        self.prompting(**can)
        self.answer()
        return self

    def next_daemon(self, table: Routes | None = None, *, age_s: float = 1.0) -> "Desk":
        """It dies now, and so much later there is another one."""
        return Desk(table or self.router.routes, self.store.left(age_s=age_s))

    def token(self, key: SessionKey = KEY) -> Token:
        return self.session(key).token

    def session(self, key: SessionKey = KEY) -> Session:
        return self.router.sessions[key]

    def state(self, message: str) -> MessageState | None:
        return self.store.state_of(MessageId(message))


# --- what was decided -----------------------------------------------------------------------------


def only(decided: Iterable[Command], kind: type[Found]) -> list[Found]:
    return [command for command in decided if isinstance(command, kind)]


def outcomes(decided: Iterable[Command]) -> dict[str, Outcome]:
    return {one.message: one.outcome for one in only(decided, commands.Settle)}


def shown(decided: Iterable[Command]) -> list[str]:
    """What the chat reads, text by text."""
    return [text for one in only(decided, commands.Deliver) if (text := words(one.content))]


def prompted(decided: Iterable[Command]) -> list[str]:
    """What the agent reads, prompt by prompt; blocks are joined."""
    return [
        "|".join(block["text"] for block in one.blocks) for one in only(decided, commands.Prompt)
    ]


def words(content: Json) -> str:
    if isinstance(content, str):
        return content
    update: Mapping[str, Json] = content["update"]
    inner = update.get("content", "")
    return inner if isinstance(inner, str) else inner["text"]

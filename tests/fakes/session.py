"""A session without a router, for tests of the functions that decide about one."""

import itertools

from anyclawd.model.conversation import QueuePolicy
from anyclawd.model.unit import ChannelRole
from anyclawd.model.value import Json
from anyclawd.route.agent import Agent
from anyclawd.route.commands import MessageId, Token
from anyclawd.route.session import Session, session_key
from anyclawd.route.turn import Message, Turn
from anyclawd.wire.acp import Capabilities
from tests.fakes.desk import ANN, ROUTE


def make_agent(*, is_connected: bool = True, **can: Json) -> Agent:
    return Agent(ROUTE, is_connected=is_connected, capabilities=Capabilities(**can))


def make_session(agent: Agent | None = None, queue: QueuePolicy | None = None) -> Session:
    """A session of Ann's that rests; the routes stand, and its agent is there."""
    agent = agent or make_agent()
    role = ChannelRole(agent=agent.route.unit, queue=queue or QueuePolicy())
    numbers = itertools.count(1)
    key = session_key("web", ANN)
    session = Session(key, "web", ANN, agent, role, lambda: Token(next(numbers)))
    session.is_open = True
    agent.members.append(session)
    return session


def make_message(name: str) -> Message:
    return Message(MessageId(name), ({"type": "text", "text": name},), None, 10)


def make_turn(*names: str) -> Turn:
    return Turn(Token(1), tuple(map(make_message, names)), 0.0)

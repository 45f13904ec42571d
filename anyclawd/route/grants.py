"""Who an agent's MCP client is: the token that its session was given, and what comes of it.

A token is made for each ACP session that is opened, and is worth nothing for any other chat. It
ends with the agent's process, with its session, and when the same chat is given another. What a
token may see is not kept with it: that is looked up whenever it is asked, so that a changed
configuration holds at once.
"""

from typing import NamedTuple

from anyclawd.model.deps import UnitName
from anyclawd.route.record import SessionKey

#: Tokens that hold at a time; one more, and the oldest holds no longer.
GRANTS_MAX = 100_000


class Grant(NamedTuple):
    """What a token says: that an agent asks, for this chat."""

    session: SessionKey
    agent: UnitName


class Grants:
    """All tokens that hold."""

    def __init__(self) -> None:
        self._by_token: dict[str, Grant] = {}
        self._tokens: dict[Grant, str] = {}

    def __len__(self) -> int:
        return len(self._by_token)

    def begin(self, token: str, grant: Grant) -> None:
        """Let a token hold, in place of the one that this chat had with this agent."""
        self.end(grant)
        self._by_token[token], self._tokens[grant] = grant, token
        if len(self._by_token) > GRANTS_MAX:
            self.end(next(iter(self._tokens)))

    def find(self, token: str) -> Grant | None:
        return self._by_token.get(token)

    def holds(self, grant: Grant) -> bool:
        """Whether anybody has a token for it."""
        return grant in self._tokens

    def end(self, grant: Grant) -> str:
        """The session is over; its token, or nothing where it has none."""
        token = self._tokens.pop(grant, "")
        self._by_token.pop(token, None)
        return token

    def end_agent(self, agent: UnitName) -> None:
        """The process of an agent is gone, and with it whoever held its tokens."""
        for grant in [one for one in self._tokens if one.agent == agent]:
            self.end(grant)

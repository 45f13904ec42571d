"""Chats that live in memory: implements `anyclawd.admin.conversations.Conversations`.

One of them has been talked in, one rests, and one belongs to a user of `anyclawctl`.
"""

from collections.abc import AsyncIterator, Sequence

from anyclawd.admin import pattern
from anyclawd.admin.conversations import NoSessionMatches, SessionVerb, Whose
from anyclawd.admin.fanout import Fanout
from anyclawd.model.errors import RequestError, UnknownMessage, UnknownSession, UnknownUnit
from anyclawd.model.value import Json

SAID_AT = "2026-01-02T03:04:05.678Z"

LIVE = "debug-http:local:local"
RESTING = "telegram:direct:4711"
OWN = "@anyclawctl:local:alice"

#: What was said in the first chat; private, so that no log may ever hold it.
ASKED, ANSWERED = "what is the airspeed of a swallow", "an african or a european one"


def session_row(key: str, state: str = "idle", **more: Json) -> Json:
    channel, kind, peer = key.split(":", 2)
    return {
        "session": key,
        "channel": channel,
        "kind": kind,
        "peer": peer,
        "agent": "default",
        "agent_session": None if state == "resting" else "acp-1",
        "state": state,
        "queued": 0,
        "title": "",
        "conversation": 1,
        "idle_s": 12.5,
        "worker": "default.agent",
        **more,
    }


def message_row(number: int, state: str = "delivered", text: str = ANSWERED) -> Json:
    return {
        "messageId": f"m{number}",
        "session": LIVE,
        "channel": "debug-http",
        "state": state,
        "text": text,
        "stopReason": "end_turn" if state == "delivered" else "",
        "deliveryId": f"m{number}" if state == "delivered" else "",
        "receivedAt": SAID_AT,
        "updatedAt": SAID_AT,
    }


def conversation_row(number: int, *, is_current: bool) -> Json:
    return {
        "number": number,
        "title": "swallows" if is_current else "",
        "agent": "default.agent",
        "agent_session": f"acp-{number}",
        "idle_s": 12.5,
        "current": is_current,
    }


def kept_conversation(number: int, *, is_current: bool) -> Json:
    """As an export has it."""
    return {
        "number": number,
        "agent": "default.agent",
        "agentSessionId": f"acp-{number}",
        "title": "swallows" if is_current else "",
        "hasTurns": True,
        "choices": {},
        "isCurrent": is_current,
        "createdAt": SAID_AT,
        "activeAt": SAID_AT,
    }


def kept_row(agent_session: str, session: str | None = None, **more: Json) -> Json:
    """A session as its agent tells of it."""
    return {
        "agent": "default.agent",
        "agent_session": agent_session,
        "title": "swallows",
        "cwd": "/work",
        "updated_at": SAID_AT,
        "session": session,
        **more,
    }


def turn_row(number: int, prompt: str, answer: str) -> Json:
    return {
        "conversation": number,
        "prompt": prompt,
        "answer": answer,
        "stopReason": "end_turn",
        "endedAt": SAID_AT,
    }


class FakeConversations:
    """Three chats, until a test says otherwise."""

    def __init__(self) -> None:
        rows = [
            session_row(LIVE, title="swallows", conversation=2, queued=1),
            session_row(RESTING, "resting", idle_s=86_400.0),
            session_row(OWN),
        ]
        self.rows: dict[str, Json] = {row["session"]: row for row in rows}
        self.turns = [turn_row(1, "hi", "hello"), turn_row(2, ASKED, ANSWERED)]
        self.messages = {
            row["messageId"]: row for row in (message_row(1), message_row(2, "queued", ""))
        }
        self.codes = [
            {
                "code": "K7PM2QXA",
                "channel": "telegram",
                "kind": "direct",
                "peer": "815",
                "session": "telegram:direct:815",
                "remaining_s": 1800,
            }
        ]
        self.grants = [{"channel": "telegram", "kind": "direct", "peer": "4711"}]
        self.methods = [
            {"id": "api-key", "name": "API key", "type": "agent"},
            {"id": "browser", "name": "Log in", "type": "terminal"},
        ]
        self.refusals: list[str] = []  #: of agents that shall erase a session
        self.can_fork = self.can_list = True
        kept = [kept_row("acp-1", LIVE), kept_row("by-hand", updated_at=None)]
        self.kept: Json = {"sessions": kept, "complete": True}
        self.shown = Fanout()
        self.calls: list[tuple[str, ...]] = []

    async def sessions(self, patterns: Sequence[str] | None) -> AsyncIterator[Json]:
        keys = (
            list(self.rows)
            if patterns is None
            else pattern.expand(patterns, self.rows, NoSessionMatches)
        )
        return _each([self._row(key) for key in keys])

    async def session(self, key: str) -> Json:
        return {
            **self._row(key),
            "conversations": [
                conversation_row(2, is_current=True),
                conversation_row(1, is_current=False),
            ],
            "choices": [
                {
                    "option": "model",
                    "name": "Model",
                    "category": "model",
                    "current": "small",
                    "values": [{"id": "small", "name": "Small"}, {"id": "large", "name": "Large"}],
                }
            ],
            "messages": list(self.messages.values()),
        }

    async def history(self, key: str, turns: int) -> Json:
        self._row(key)
        return {"session": key, "turns": self.turns[-turns:] if turns else []}

    async def command(self, key: str, verb: SessionVerb) -> Json:
        was = self._row(key)["state"]
        self.calls.append((str(verb), key))
        return {"session": key, "was": was}

    async def fork(self, key: str) -> Json:
        self._row(key)
        if not self.can_fork:
            raise RequestError("agent 'default' does not offer to fork a conversation")
        self.calls.append(("fork", key))
        return {"session": "debug-http:fork:acp-3", "agent_session": "acp-3", "from": key}

    async def export(self, key: str) -> Json:
        self._row(key)
        return {
            "session": key,
            "conversations": [
                kept_conversation(1, is_current=False),
                kept_conversation(2, is_current=True),
            ],
            "messages": [
                {**row, "content": [], "metadata": None} for row in self.messages.values()
            ],
            "turns": self.turns,
        }

    async def delete(self, key: str) -> Json:
        self._row(key)
        del self.rows[key]
        self.messages = {id_: row for id_, row in self.messages.items() if row["session"] != key}
        self.calls.append(("delete", key))
        erased = {"conversations": 2, "messages": 2, "turns": 2}
        return {"session": key, "erased": erased, "refusals": self.refusals}

    async def follow(self, key: str) -> AsyncIterator[Json]:
        self._row(key)
        return self.shown.subscribe()

    async def message(self, message_id: str) -> Json:
        if message_id not in self.messages:
            raise UnknownMessage(message_id)
        return self.messages[message_id]

    async def pairing(self) -> Json:
        return {"codes": self.codes, "grants": self.grants}

    async def approve(self, code: str, origin: str) -> Json:
        for row in self.codes:
            if row["code"] == code:
                self.calls.append(("approve", code))
                return {name: row[name] for name in ("channel", "kind", "peer", "session")}
        raise RequestError(f"no code {code!r} can be approved; pair list has those that can")

    async def revoke(self, whose: Whose, origin: str) -> Json:
        row = {"channel": whose.channel, "kind": whose.kind, "peer": whose.peer}
        if row not in self.grants:
            raise RequestError(f"{whose.channel}:{whose.kind}:{whose.peer} was not let in by hand")
        self.grants.remove(row)
        return row

    async def kept_by(self, agent: str) -> Json:
        unit = self._agent(agent)
        if not self.can_list:
            raise RequestError(f"{unit} does not offer session/list")
        return self.kept

    async def login_methods(self, agent: str) -> Json:
        return {"agent": self._agent(agent), "methods": self.methods}

    async def authenticate(self, agent: str, method: str) -> Json:
        self.calls.append(("authenticate", self._agent(agent), method))
        return {"agent": self._agent(agent), "method": method}

    async def logout(self, agent: str) -> Json:
        self.calls.append(("logout", self._agent(agent)))
        return {"agent": self._agent(agent)}

    def _agent(self, name: str) -> str:
        if name not in ("default", "default.agent"):
            raise UnknownUnit(name, "default.agent")
        return "default.agent"

    def _row(self, key: str) -> Json:
        if key not in self.rows:
            near = [known for known in self.rows if known.startswith(key[:3])]
            raise UnknownSession(key, near[0] if near else "")
        return self.rows[key]


async def _each(rows: list[Json]) -> AsyncIterator[Json]:
    for row in rows:
        yield row

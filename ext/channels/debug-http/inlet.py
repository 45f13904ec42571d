"""The way in: hands what HTTP clients say to the supervisor, and asks what has become of it.

Every wait is bounded. What ends in doubt says so: sent again with the same key, it is there once.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from refusal import Refusal

from anyclaw_sdk.channel import Outbound
from anyclaw_sdk.types import (
    SERVER_ERROR,
    Accepted,
    Message,
    MessageRefused,
    MessageState,
    PeerInfo,
    RpcError,
    SupervisorGone,
)

#: Whoever reaches the port is one and the same.
PEER = PeerInfo("debug-http", "local", "local")

#: For the supervisor's answer; it writes a row, which takes milliseconds.
ANSWER_TIMEOUT_S = 30.0

#: Refusals of these reasons pass by themselves.
PASSING = ("rate-limit", "queue")

IN_DOUBT = (
    "whether the message was accepted is not known; send it again with the same Idempotency-Key, "
    "or look for its answer in GET /events"
)


class Inlet:
    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self.has_spoken = False  #: a message came through this process

    async def hand_over(self, content: str | list[Message], key: str = "") -> Accepted:
        """Return once the message is kept. Raises Refusal where it is not, or nobody knows."""
        self.has_spoken = True
        async with _answered(IN_DOUBT):
            try:
                return await self._outbound.send_message(PEER, content, source_id=key)
            except MessageRefused as refused:
                raise _refusal(refused) from refused

    async def state_of(self, message_id: str) -> MessageState:
        """What has become of a message. Raises Refusal where that is not known."""
        async with _answered("the state of the message is not known; ask again later"):
            found = await self._outbound.message_state(message_id)
        if found is None:
            raise Refusal(404, f"no message {message_id!r:.80} is known")
        return found


@asynccontextmanager
async def _answered(in_doubt: str) -> AsyncIterator[None]:
    """Bound the wait for the supervisor; `in_doubt` is what it means that no answer came."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            yield
    except TimeoutError as error:
        text = f"the supervisor has not answered for {ANSWER_TIMEOUT_S:g} s: {in_doubt}"
        raise Refusal(504, text) from error
    except SupervisorGone as error:
        raise Refusal(503, f"the supervisor has gone: {in_doubt}") from error
    except RpcError as error:
        if error.code == SERVER_ERROR:
            raise Refusal(503, str(error), retry_after_s=1) from error
        raise Refusal(502, f"the supervisor answered {error.code}: {error}") from error


def _refusal(refused: MessageRefused) -> Refusal:
    members: Message = {"messageId": refused.message_id, "state": "refused"}
    wait_s = None if refused.retry_after_s is None else max(1, math.ceil(refused.retry_after_s))
    passes = refused.reason in PASSING
    return Refusal(
        429 if passes else 503,
        refused.message,
        members=members | {"reason": refused.reason},
        retry_after_s=wait_s or (1 if passes else None),
    )

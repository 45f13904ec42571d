"""The supervisor's side of one channel."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from anyclaw_sdk._channel_harness import ChannelHarness
from anyclaw_sdk._connection import Connection
from anyclaw_sdk.channel import Channel
from anyclaw_sdk.check import CheckFinding
from anyclaw_sdk.testing.tester import Tester, checked
from anyclaw_sdk.types import (
    UNKNOWN_MESSAGE,
    Elicitation,
    Json,
    Message,
    MethodNotFound,
    PeerInfo,
    PermissionRequest,
    RpcError,
    map_of,
)

AnyChannel = TypeVar("AnyChannel", bound=Channel)


def accept_all() -> Callable[[str, Message], Json]:
    """Answer that every message is accepted, as m1, m2 and so on, and know none afterwards."""
    numbers = itertools.count(1)

    def answer(method: str, params: Message) -> Json:
        match method:
            case "channel/sendMessage":
                return {"accepted": True, "messageId": f"m{next(numbers)}"}
            case "channel/messageState":
                raise RpcError(UNKNOWN_MESSAGE, f"no message {params.get('messageId')!r} is known")
            case _:
                raise MethodNotFound(method)

    return answer


class ChannelTester(Tester, Generic[AnyChannel]):
    """The supervisor's side of one channel; leaving the context is the end of stdin.

    `answer` serves what the channel asks; raise RpcError in it, such as MessageRefused, to refuse.
    """

    def __init__(
        self, channel: AnyChannel, answer: Callable[[str, Message], Json] | None = None
    ) -> None:
        super().__init__()
        self.channel = channel
        self._answers = accept_all() if answer is None else answer
        self._sent: asyncio.Queue[Message] = asyncio.Queue()

    def _make_harness(
        self, connection: Connection, on_failure: Callable[[str, Exception], None]
    ) -> ChannelHarness:
        return ChannelHarness(self.channel, connection, on_failure)

    def _answer(self, method: str, params: Message) -> Json:
        return self._answers(method, params)

    async def _take(self, message: Message) -> None:
        self._sent.put_nowait(message)

    async def initialize(
        self, options: Message | None = None, *, channel_id: str = "test", ack: Json = None
    ) -> Message:
        """The handshake's result; raises RpcError if the channel refuses it."""
        offered = {"acceptance": True, "deliveryReceipts": True, "elicitation": True}
        params = {
            "protocolVersion": 1,
            "channelId": channel_id,
            "capabilities": offered,
            "options": options or {},
        }
        result = await self._near.request("initialize", params | ({"ack": ack} if ack else {}))
        return map_of(result)

    async def check(
        self, options: Message | None = None, *, is_running: bool = False
    ) -> list[CheckFinding]:
        """What its check finds; the context need not be entered for it."""
        channel = self.channel
        return await checked(channel.check, options, channel.defaults(), is_running=is_running)

    async def deliver(
        self,
        session_id: str,
        content: Json,
        *,
        delivery_id: str = "",
        message_ids: Sequence[str] = (),
        is_redelivered: bool = False,
    ) -> None:
        """Deliver and return once the channel has handled it; the end of a turn has an id."""
        params = {"sessionId": session_id, "content": content}
        if delivery_id:
            meta = {"anyclaw/deliveryId": delivery_id, "anyclaw/messageIds": list(message_ids)}
            params["_meta"] = meta | ({"anyclaw/redelivered": True} if is_redelivered else {})
        await self.notify("channel/deliverMessage", params)

    async def create_session(self, session_id: str, peer: PeerInfo) -> None:
        params = {"sessionId": session_id, "peerInfo": peer.to_wire()}
        await self.notify("channel/sessionCreated", params)

    async def show_permission_prompt(self, request: PermissionRequest) -> asyncio.Future[Json]:
        """Ask; the future gets the channel's answer `{"requestId", "optionId"}`."""
        answer = self._near.call("channel/requestPermission", request.to_wire())
        await self._handled()
        return answer

    async def show_elicitation(self, request: Elicitation) -> asyncio.Future[Json]:
        """Ask; the future gets the channel's answer `{"action", "content"}`."""
        answer = self._near.call("channel/elicit", request.to_wire())
        await self._handled()
        return answer

    async def withdraw(self, request_id: str) -> None:
        """Take a permission request or an elicitation back."""
        await self.notify("channel/withdrawRequest", {"requestId": request_id})

    async def notify(self, method: str, params: Message) -> None:
        """Send any notification and return once the channel has handled it."""
        self._near.notify(method, params)
        await self._handled()

    async def next_outbound(self) -> Message:
        """The next message that the channel sends: its parameters are under `params`."""
        return await self._sent.get()

"""What administrators may do to chats: send a message and read what comes of it, notify, answer."""

import logging
from collections.abc import AsyncIterator, Mapping

from anyclawd.gateway.address import content_of, destination_of, need_channel, peer_of
from anyclawd.gateway.caller import Caller, Callers
from anyclawd.gateway.inlet import Inlet, Received
from anyclawd.gateway.outbox import Outboxes
from anyclawd.gateway.steps import Steps
from anyclawd.model.errors import RequestError
from anyclawd.model.value import Json
from anyclawd.route import events
from anyclawd.route.desk import Intake
from anyclawd.route.router import Router
from anyclawd.route.session import session_key
from anyclawd.route.table import VIRTUAL
from anyclawd.wire import channel, jsonrpc
from anyclawd.wire.channel import Inbound

log = logging.getLogger("anyclawd.gateway")


class AdminDesk:
    """Of one gateway."""

    def __init__(
        self, router: Router, steps: Steps, inlet: Inlet, callers: Callers, outboxes: Outboxes
    ) -> None:
        self._router, self._steps, self._inlet = router, steps, inlet
        self._callers, self._outboxes = callers, outboxes

    def send(self, message: Mapping[str, Json]) -> AsyncIterator[dict[str, Json]]:
        """Send a message and stream what comes of it.

        Raises RequestError where it is not accepted, at once or before the first event.
        """
        content = content_of(message)
        name, peer, agent = destination_of(message, self._router)
        if self._router.intake is Intake.CLOSED:
            raise RequestError("anyclawd is stopping; send the message after it has started again")
        caller = Caller(
            session_key(name, peer),
            follows=message.get("follow") is True,
            can_ask=message.get("can_ask") is not False,
        )
        inbound, size_bytes = Inbound(peer, content, None), len(jsonrpc.encode_value(content))
        id_ = self._inlet.mint()
        self._inlet.receive(Received(id_, name, inbound, size_bytes, agent, None, caller))
        self._steps.flush()
        return self._stream(caller, name, peer)

    async def _stream(
        self, caller: Caller, name: str, peer: channel.Peer
    ) -> AsyncIterator[dict[str, Json]]:
        try:
            async for event in caller.events():
                yield event
        finally:
            for message in self._callers.leave(caller):
                if name == VIRTUAL:  # a chat keeps its answer; this one nobody else would read
                    self._steps.tell(events.MessageWithdrawn(message, name, peer))

    def notify(self, channel_name: str, peer_id: str, text: str) -> None:
        """Send a text to a chat; no agent is involved."""
        need_channel(channel_name, self._router.routes)
        if not self._outboxes[channel_name].is_connected:
            raise RequestError(f"channel {channel_name!r} is not connected; see anyclawctl status")
        peer = peer_of(channel_name, peer_id, "direct", self._router)
        self._steps.tell(events.NotificationReceived(channel_name, peer, text))

    def answer_permission(self, request_id: str, option_id: str, origin: str) -> None:
        """Answer in place of the user; `origin` says for people who does."""
        ask = self._router.questions.asks.get(request_id)
        if ask is None:
            raise RequestError(f"no permission request {request_id!r} is waiting")
        offered = [option.option_id for option in ask.options]
        if option_id not in offered:
            raise RequestError(f"option {option_id!r} was not offered; expected one of {offered}")
        fields = {"unit": ask.agent, "session": ask.session}
        log.info("%s: permission %r answered by %s", ask.agent, request_id, origin, extra=fields)
        self._steps.tell(events.PermissionAnswered(None, request_id, option_id))

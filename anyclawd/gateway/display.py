"""What chats are shown: the frames of it for their channels, and the same for callers who read."""

from collections.abc import Callable
from functools import partial

from anyclawd.gateway.caller import Callers
from anyclawd.gateway.inlet import Received
from anyclawd.gateway.outbox import Outboxes
from anyclawd.gateway.steps import Steps
from anyclawd.route import events
from anyclawd.route.commands import CompleteResponse, Deliver, StartResponse
from anyclawd.route.router import Router
from anyclawd.route.session import session_key
from anyclawd.wire import channel
from anyclawd.wire.channel import Refusal


class Display:
    """Of all chats of one gateway. `wall_ms` tells the instant that is stamped on what is shown."""

    def __init__(
        self,
        router: Router,
        steps: Steps,
        callers: Callers,
        outboxes: Outboxes,
        wall_ms: Callable[[], int],
    ) -> None:
        self._router, self._steps = router, steps
        self._callers, self._outboxes = callers, outboxes
        self._wall_ms = wall_ms

    def deliver(self, command: Deliver) -> None:
        name, session, content = command.channel, command.session, command.content
        for caller in self._callers.reading(session):
            caller.show(content)
        if (outbox := self._outboxes.get(name)) is None:
            return  # it is nobody's but the callers', or its channel has gone meanwhile
        frame, written = self.frame(command), None
        if command.delivery is not None:
            written = partial(self._steps.take, events.DeliveryWritten(command.delivery))
        is_update = isinstance(content, dict) and content["update"].get("sessionUpdate") != "result"
        if is_update and written is None:
            outbox.stream(session, frame)
        else:
            outbox.send(session, frame, written)

    def frame(self, command: Deliver) -> bytes:
        """It, as its channel is sent it."""
        session, content, meta = command.session, command.content, None
        if command.delivery is not None:
            pending = self._router.deliveries.get(command.delivery)
            messages = () if pending is None else pending.row.messages
            meta = channel.delivery_meta(command.delivery, messages, is_repeat=command.is_repeat)
        if isinstance(content, dict):
            content = {**content, "sessionId": session, "_received_at_ms": self._wall_ms()}
        return channel.deliver(session, content, meta)

    def start_response(self, command: StartResponse) -> None:
        session = command.session
        frame = channel.ack_lifecycle(session, "response_started")
        self._outboxes.send(command.channel, session, frame)

    def complete_response(self, command: CompleteResponse) -> None:
        name, session = command.channel, command.session
        frame = channel.ack_lifecycle(session, "response_completed", command.stop_reason)
        self._outboxes.send(name, session, frame)
        if outbox := self._outboxes.get(name):
            outbox.end_stream(session)

    def refuse(self, received: Received, refusal: Refusal) -> None:
        """Show whoever cannot be answered that nothing was accepted."""
        name, peer = received.channel, received.inbound.peer
        key = session_key(name, peer)
        self._outboxes.send(name, key, channel.session_created(key, peer))
        self.deliver(Deliver(name, key, channel.error_content(refusal.text)))

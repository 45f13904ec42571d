"""All channels: which process each has, what that reports, and what it alone can be told or asked.

A channel is known here by its key in the configuration. What is on its way to it is its outbox's,
which outlives the processes; here is what has to do with the one that is there now.
"""

import logging
from collections.abc import Iterable

from anyclawd.gateway.channel import ChannelPeer, OnAccepted, OnState
from anyclawd.gateway.display import Display
from anyclawd.gateway.inlet import Inlet, Received
from anyclawd.gateway.lookups import Lookups
from anyclawd.gateway.outbox import Outboxes
from anyclawd.gateway.processes import Processes
from anyclawd.gateway.steps import Steps
from anyclawd.model.unit import Ack, Unit
from anyclawd.model.value import Json
from anyclawd.route import commands, events
from anyclawd.route.commands import Command, DeliveryId
from anyclawd.route.router import Router
from anyclawd.runtime.connection import Connection
from anyclawd.runtime.seam import Report, Wire
from anyclawd.wire import channel
from anyclawd.wire.channel import Inbound

log = logging.getLogger("anyclawd.gateway")


class Channels:
    """Of one gateway; it is the host of their connections."""

    def __init__(
        self,
        router: Router,
        steps: Steps,
        *,
        outboxes: Outboxes,
        display: Display,
        inlet: Inlet,
        lookups: Lookups,
        processes: Processes,
    ) -> None:
        self._router, self._steps, self._outboxes = router, steps, outboxes
        self._display, self._inlet, self._lookups = display, inlet, lookups
        self._processes = processes
        self._peers: dict[str, ChannelPeer] = {}  # those that have answered their handshake
        self._acks: dict[str, Ack | None] = {}  # outlive the processes

    def connect(
        self, unit: Unit, wire: Wire, report: Report, options: dict[str, Json]
    ) -> Connection:
        """Speak with a process that has just been started."""
        return ChannelPeer(unit, wire, report, self, options).connection

    def forget(self, name: str) -> None:
        """The channel is configured no more, and its process has come to rest."""
        held = len(self._outboxes[name].held_sessions())
        if held:
            log.warning("%s: answers in %d of its chats were not delivered", name, held)
        self._steps.tell(events.ChannelRemoved(name))
        self._acks.pop(name, None)
        self._outboxes.forget(name)

    # --- what is told and asked -------------------------------------------------------------------

    def announce(self, command: commands.Announce) -> None:
        """Introduce a chat; it is done for all chats at once when the channel is there later."""
        name, session = command.channel, command.session
        if name in self._peers:
            self._outboxes.send(name, session, channel.session_created(session, command.peer))

    def acknowledge(self, command: commands.Acknowledge) -> None:
        """Tell that these messages go to the agent, as its `ack` settings say."""
        name, session = command.channel, command.session
        self._outboxes.send(name, session, channel.ack_message(session, command.peer))
        ack = self._acks.get(name)
        if ack is None or ack.typing:
            self._outboxes.send(name, session, channel.typing_indicator(session, command.peer))

    def ask(self, command: commands.AskPermission | commands.AskForm) -> None:
        """Put a question in its place among what the chat is sent."""

        def ask() -> None:
            peer = self._peers.get(command.channel)
            if peer is None or not self._router.questions.waits(command.request_id):
                return
            if isinstance(command, commands.AskForm):
                peer.ask_form(command)
            else:
                peer.ask(command)

        if command.channel in self._peers:  # else it is asked when it is back
            self._outboxes[command.channel].send(command.session, ask)

    def withdraw(self, command: commands.WithdrawPermission) -> None:
        if peer := self._peers.get(command.channel):
            peer.withdraw(command.request_id)

    # --- their processes --------------------------------------------------------------------------

    def channel_ready(self, peer: ChannelPeer, handshake: channel.Handshake) -> None:
        if former := self._peers.get(peer.name):
            self.channel_lost(former)  # its pipe is open still, somewhere
        self._peers[peer.name] = peer
        self._acks[peer.name] = _effective_ack(peer.unit, handshake)
        self._processes.note_defaults(peer.unit.name, handshake.defaults)
        outbox = self._outboxes[peer.name]
        event = events.ChannelReady(
            peer.name,
            outbox.held_sessions(),
            has_acceptance=handshake.has_acceptance,
            has_receipts=handshake.has_receipts,
            has_forms=handshake.has_forms,
        )
        others: list[Command] = []  # questions, and what the event has begun elsewhere

        def introduce() -> Iterable[bytes]:
            """Whose sessions there are, and what was answered before all that waits."""
            for command in self._steps.decide(event):
                match command:
                    case commands.Announce(peer.name, session, who):
                        yield channel.session_created(session, who)
                    case commands.Deliver(peer.name, delivery=str(again), is_repeat=True):
                        self._steps.note(events.DeliveryWritten(DeliveryId(again)))
                        yield self._display.frame(command)
                    case _:
                        others.append(command)

        outbox.connect(peer.connection, introduce)
        self._steps.perform(others)
        self._steps.flush()

    def channel_paused(self, peer: ChannelPeer, *, is_paused: bool) -> None:
        if self._peers.get(peer.name) is peer:
            outbox = self._outboxes[peer.name]
            if is_paused:
                outbox.pause()
            else:
                outbox.resume()
            self._steps.flush()

    def channel_lost(self, peer: ChannelPeer) -> None:
        if self._peers.get(peer.name) is peer:
            del self._peers[peer.name]
            self._outboxes[peer.name].disconnect()
            self._steps.tell(events.ChannelLost(peer.name))

    def flush(self) -> None:
        self._steps.flush()

    # --- what they report -------------------------------------------------------------------------

    def channel_message(
        self, name: str, message: Inbound, size_bytes: int, answer: OnAccepted | None
    ) -> None:
        """Take a message; `answer` is told what has become of it."""
        id_ = self._inlet.mint()
        self._inlet.receive(Received(id_, name, message, size_bytes, None, answer))

    def channel_receipt(self, name: str, delivery_id: str) -> None:
        self._steps.tell(events.DeliveryConfirmed(name, DeliveryId(delivery_id)))

    def channel_message_state(self, name: str, message_id: str, answer: OnState) -> None:
        self._lookups.tell_state(name, message_id, answer)

    def channel_permission(
        self, name: str, request_id: str, option_id: str, peer: channel.Peer | None
    ) -> None:
        self._steps.tell(events.PermissionAnswered(name, request_id, option_id, peer))

    def channel_elicitation(
        self, name: str, request_id: str, answer: channel.ElicitationAnswer
    ) -> None:
        action, content, peer = answer
        self._steps.tell(events.ElicitationAnswered(name, request_id, action, content, peer))

    def channel_question_waits(self, request_id: str) -> bool:
        return self._router.questions.waits(request_id)

    def channel_cannot_ask(self, name: str, request_id: str) -> None:
        self._steps.tell(events.PermissionUndeliverable(name, request_id))


def _effective_ack(unit: Unit, handshake: channel.Handshake) -> Ack | None:
    """The user's `ack`, else the one among the channel's own defaults."""
    if unit.channel is not None and unit.channel.ack is not None:
        return unit.channel.ack
    given = handshake.defaults.get("ack")
    return Ack(typing=given.get("typing") is True) if isinstance(given, dict) else None

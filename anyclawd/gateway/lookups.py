"""What is looked up in the store, for the router and for channels: one task for each question."""

import logging

from anyclawd.gateway.channel import OnState
from anyclawd.gateway.seam import Store
from anyclawd.gateway.steps import Steps
from anyclawd.gateway.tasks import Spawn
from anyclawd.model.errors import RequestError
from anyclawd.route import events
from anyclawd.route.commands import ListConversations, ReadHistory

log = logging.getLogger("anyclawd.gateway")


class Lookups:
    """Of one gateway. What cannot be read is answered as if there were none of it."""

    def __init__(self, store: Store, steps: Steps, spawn: Spawn) -> None:
        self._store, self._steps, self._spawn = store, steps, spawn

    def read_history(self, wanted: ReadHistory) -> None:
        self._spawn(self._read_history(wanted), "read what was said")

    def list_conversations(self, wanted: ListConversations) -> None:
        self._spawn(self._list_conversations(wanted), "list conversations")

    def tell_state(self, channel: str, message_id: str, answer: OnState) -> None:
        """What has become of a message of this channel, or why that cannot be told."""
        self._spawn(self._tell_state(channel, message_id, answer), "tell the state of a message")

    async def _read_history(self, wanted: ReadHistory) -> None:
        try:
            turns = await self._store.history(
                wanted.session, wanted.number, wanted.turns, wanted.max_bytes
            )
        except RequestError as error:
            log.warning("%s: cannot read what was said before: %s", wanted.session, error)
            turns = ()
        self._steps.tell(events.HistoryRead(wanted.token, turns))

    async def _list_conversations(self, wanted: ListConversations) -> None:
        session, message = wanted.session, wanted.message
        try:
            found = await self._store.conversations(session)
        except RequestError as error:
            log.warning("%s: cannot list its conversations: %s", session, error)
            found = ()
        self._steps.tell(events.ConversationsListed(session, message, found))

    async def _tell_state(self, channel: str, message_id: str, answer: OnState) -> None:
        try:
            answer(await self._store.message(message_id, channel))
        except RequestError as error:
            log.warning("%s: cannot tell the state of a message: %s", channel, error)
            answer(error)
        self._steps.flush()

"""One request of the supervisor, however it comes to be answered."""

from anyclaw_sdk import _frames
from anyclaw_sdk._connection import Connection
from anyclaw_sdk.types import Json, Message, RpcError


class Request:
    """It is answered at most once, whatever happens to the task that works on it."""

    def __init__(self, connection: Connection, message: Message) -> None:
        self.method: str = message["method"]
        self.params = _frames.params_of(message)
        self.id: Json = message["id"]
        self._connection: Connection | None = connection

    @property
    def is_answered(self) -> bool:
        return self._connection is None

    def is_named(self, request_id: Json) -> bool:
        """Whether this is its id; 1 is not "1", and not True."""
        return type(self.id) is type(request_id) and bool(self.id == request_id)

    def answer(self, value: Json, max_bytes: int | None = None) -> None:
        """Send the result.

        Unanswered, raises TypeError or ValueError for what is no JSON, and FrameTooLarge for what
        is more than `max_bytes`.
        """
        if self._connection is not None:
            self._connection.answer(self.id, value, max_bytes)
            self._connection = None

    def refuse(self, error: RpcError) -> None:
        if self._connection is not None:
            self._connection.refuse(self.id, error)
            self._connection = None

    def withdraw(self) -> None:
        """Nobody waits for the answer: none is sent."""
        self._connection = None

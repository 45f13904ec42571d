"""A request that is answered with an error: its status, its text, and what else the answer says."""

from anyclaw_sdk.types import Message


class Refusal(Exception):
    def __init__(
        self,
        status: int,
        text: str,
        *,
        members: Message | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.members = members or {}  #: of the answer, beside its `error`
        self.retry_after_s = retry_after_s  #: for the header of that name

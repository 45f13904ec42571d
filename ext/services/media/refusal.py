"""A request that is answered with an error: `{"error": {"code", "message"}}`."""

from collections.abc import Mapping
from types import MappingProxyType


class Refusal(Exception):
    def __init__(
        self,
        status: int,
        code: str,
        text: str,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(text)
        self.status = status
        self.code = code  #: for programs: one word for one thing that can be done about it
        self.headers = headers

"""Where the endpoint meets what is behind it: a few small promises, no code.

The endpoint speaks MCP with agents: HTTP, both eras, sessions, streams. What it is asked for by a
client whose token holds it hands to the `Host`, as a method and its parameters, and gets back what
the tool has said, as it has said it: a result is JSON text that nobody reads on its way.
"""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.route.grants import Grant
from anyclawd.wire.jsonrpc import RpcError

#: The JSON text of a result, an object; or why there is none.
Answer: TypeAlias = bytes | RpcError
#: The unit that is asked, or None for all that the client may use.
View: TypeAlias = UnitName | None


class Call(Protocol):
    """One request that is under way."""

    def cancel(self, reason: str) -> None:
        """The client does not wait any more; nothing comes of it but the tool being told."""


class Host(Protocol):
    """All tools, as clients see them. All methods are called from the loop."""

    def grant(self, token: str) -> Grant | None:
        """Who has this token; None where it does not hold."""

    def view(self, grant: Grant, key: str) -> UnitName | None:
        """The unit of a configuration key; None where it is none that the client is granted."""

    def capabilities(self, grant: Grant, view: View) -> Mapping[str, Json]:
        """What is offered, as `ServerCapabilities` of MCP: tools, resources, prompts and so on."""

    def tool(self, grant: Grant, view: View, name: str) -> bytes | None:
        """The JSON text of a tool as it is listed; None where the client sees none of this name."""

    def ask(
        self,
        grant: Grant,
        view: View,
        method: str,
        params: Mapping[str, Json],
        *,
        answered: Callable[[Answer], None],
        progressed: Callable[[Mapping[str, Json]], None] | None,
    ) -> Call | None:
        """Begin a request (`tools/...`, `resources/...`, `prompts/...`, `completion/complete`).

        `answered` is called once, maybe before this returns, unless the call is cancelled.
        `progressed` is given the parameters of each progress notification, without their token.
        None where it has been answered already.
        """

    def follow(
        self, grant: Grant, view: View, tell: Callable[[str, Mapping[str, Json]], None]
    ) -> Callable[[], None]:
        """Have told what changes, as method and parameters of notifications; returns its end.

        These are `.../list_changed`, `message`, and `resources/updated` of what it has subscribed.
        """

"""The http-request tool: HTTP for an agent, with credentials that the agent never sees.

Whoever runs the agent says which hosts, methods and paths may be asked, and which credential goes
with each; the credential is put in here, and taken out of whatever comes back.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from checkup import checked
from options import Settings, settings_of
from refusal import Refusal
from request import request_of
from rules import METHODS

from anyclaw_sdk.check import CheckFinding, CheckRequest
from anyclaw_sdk.tool import Call, Host, Tool, ToolError, ToolServer, run_server
from anyclaw_sdk.types import INVALID_PARAMS, Message, RpcError

if TYPE_CHECKING:
    from exchange import Exchange

NOT_TRUSTED = (
    "options: this unit is not trusted, so its options, and the credentials among them, would have "
    "to come as variables; set trusted: true"
)
#: So many rules are told to the model; the rest it learns by asking.
RULES_TOLD_MAX = 32


class HttpRequest(Tool):
    name = "http_request"
    title = "HTTP request"
    about = (
        "Make an HTTP request to one of the hosts that are allowed here; the result is status, "
        "headers and body. Credentials are added on the way where they are configured: send none. "
        "Redirects are followed, long answers are cut off with a mark."
    )
    input_schema: Message = {  # noqa: RUF012 - never changed
        "type": "object",
        "properties": {
            "url": {"type": "string", "description": "The whole address, with https:// or http://"},
            "method": {"type": "string", "enum": list(METHODS), "default": "GET"},
            "headers": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "Headers to send, such as Accept",
            },
            "body": {"type": "string", "description": "Text to send"},
            "json": {"description": "A value to send as JSON, instead of a body"},
        },
        "required": ["url"],
        "additionalProperties": False,
    }
    annotations: Message = {"openWorldHint": True}  # noqa: RUF012 - never changed

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self.description = self.about
        self._exchange: Exchange | None = None

    def adopt(self, settings: Settings) -> None:
        """Ask as these settings allow, and say so."""
        self.settings = settings
        rules = [f"\n- {rule.text}" for rule in settings.rules]
        more = f"\n- and {len(rules) - RULES_TOLD_MAX} more" if rules[RULES_TOLD_MAX:] else ""
        allowed = "".join([*rules[:RULES_TOLD_MAX], more]) or " nothing yet"
        self.description = f"{self.about} Allowed here:{allowed}"

    def use(self, exchange: "Exchange") -> None:
        """Ask by it, instead of by one made of the settings."""
        self._exchange = exchange

    async def execute(self, arguments: Message, call: Call) -> str:
        try:
            return await self._ask(arguments)
        except Refusal as refusal:
            raise ToolError(str(refusal)) from refusal

    async def _ask(self, arguments: Message) -> str:
        if self.settings is None:
            raise Refusal("the tool has not been given its options")
        request = request_of(arguments, self.settings.request_max_bytes)
        if self._exchange is None:
            from exchange import Exchange  # aiohttp, 200 ms that the handshake need not wait for

            self._exchange = Exchange(self.settings)
        return (await self._exchange.ask(request)).to_text()


class Program(ToolServer):
    name = "http-request"

    def __init__(self) -> None:
        self._tool = HttpRequest()
        self.tools = (self._tool,)

    async def check(self, request: CheckRequest) -> Sequence[CheckFinding]:
        return await checked(request)

    async def on_start(self, host: Host) -> None:
        if not host.is_trusted:
            raise RpcError(INVALID_PARAMS, NOT_TRUSTED)
        self._tool.adopt(settings_of(host.options))


if __name__ == "__main__":
    run_server(Program())

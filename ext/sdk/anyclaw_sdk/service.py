"""Write a service: subclass `Service`, end the program with `run_service(MyService())`.

    class Shelf(Service):
        async def start(self, initialize: ServiceInitialize) -> Started:
            self.server = await asyncio.start_server(self.serve, "127.0.0.1", initialize.port)
            port = self.server.sockets[0].getsockname()[1]
            return Started(port, Installation(urls={"shelf": f"http://127.0.0.1:{port}"}))

        async def stop(self) -> None:
            self.server.close()

The unit is ready when `start` has returned. What it returns, its installation, is handed to the
processes whose units list the service: variables, and addresses as variables `ANYCLAW_<NAME>_URL`.
`stop` is called once, at `shutdown` or at the end of stdin, whichever is first.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple, NoReturn

from anyclaw_sdk._stdio import Stdio
from anyclaw_sdk.check import CheckFinding, CheckRequest, is_check_asked, run_check
from anyclaw_sdk.types import Json, Message, MethodNotFound
from anyclaw_sdk.types import ServiceInitialize as ServiceInitialize  # what `start` is given


class Installation(NamedTuple):
    """What the processes that use the service are given; all of it counts as secret."""

    environment: Mapping[str, str] = {}  #: variables, weaker than those of the unit itself
    urls: Mapping[str, str] = {}  #: addresses by name; `media` becomes ANYCLAW_MEDIA_URL
    volumes: Sequence[Json] = ()  #: kept and shown, applied to nothing yet

    def to_wire(self) -> Message:
        wire: Message = {"environment": dict(self.environment), "urls": dict(self.urls)}
        return {key: value for key, value in wire.items() if value} | (
            {"volumes": list(self.volumes)} if self.volumes else {}
        )


class Started(NamedTuple):
    """How the service runs."""

    port: int = 0  #: where it listens; 0 where nowhere
    installation: Installation = Installation()

    def to_wire(self) -> Message:
        return {"port": self.port, "installation": self.installation.to_wire()}


class Health(NamedTuple):
    """How the service is: unhealthy restarts it by its policy, degraded is shown."""

    status: str = "healthy"
    message: str = ""

    @classmethod
    def healthy(cls, message: str = "") -> Health:
        return cls("healthy", message)

    @classmethod
    def degraded(cls, message: str = "") -> Health:
        return cls("degraded", message)

    @classmethod
    def unhealthy(cls, message: str = "") -> Health:
        return cls("unhealthy", message)

    def to_wire(self) -> Message:
        return {"status": self.status} | ({"message": self.message} if self.message else {})


class Service:
    """The base class: override what your service does."""

    #: How long running requests may go on after the end of stdin, in seconds.
    eof_grace_s = 1.0

    def defaults(self) -> Message:
        """Options that hold where the user sets none."""
        return {}

    async def start(self, initialize: ServiceInitialize) -> Started:
        """Get ready for use; raise RpcError to refuse with a reason."""
        return Started()

    async def serve(self) -> None:
        """Do the service's own work, from the answered start on; cancelled before `stop`.

        Returning early is fine. An exception ends the program with status 1.
        """

    async def health(self) -> Health:
        """How it is; asked where the unit has `health: {type: rpc}`."""
        return Health.healthy()

    async def stop(self) -> None:
        """Let go of everything; called once, after `start` has returned."""

    async def check(self, request: CheckRequest) -> Sequence[CheckFinding]:
        """Look at what it needs of the world, instead of its work; see `anyclaw_sdk.check`."""
        return ()

    async def handle_unknown(self, method: str, params: Message) -> Json:
        """Answer any other request; for a notification the result is dropped."""
        raise MethodNotFound(method)


def run_service(service: Service) -> NoReturn:
    """Speak the service protocol on stdin and stdout until stdin ends, then exit.

    With `--check` make its check instead.
    """
    if is_check_asked(sys.argv[1:]):
        run_check(service.check, service.defaults())
    stdio = Stdio.take()
    import asyncio  # 40 ms that no importer of this module shall pay

    from anyclaw_sdk._service_harness import run_stdio

    sys.exit(asyncio.run(run_stdio(service, stdio)))

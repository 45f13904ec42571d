"""The supervisor's side of one service."""

from collections.abc import Callable
from typing import Generic, TypeVar

from anyclaw_sdk._connection import Connection
from anyclaw_sdk._service_harness import ServiceHarness
from anyclaw_sdk.check import CheckFinding
from anyclaw_sdk.service import Health, Installation, Service, Started
from anyclaw_sdk.testing.tester import Tester, checked
from anyclaw_sdk.types import Message, list_of, map_of, text_of

AnyService = TypeVar("AnyService", bound=Service)


class ServiceTester(Tester, Generic[AnyService]):
    """Starts a service, asks how it is and stops it."""

    def __init__(self, service: AnyService, *, namespace: str = "test") -> None:
        super().__init__()
        self.service = service
        self._namespace = namespace

    def _make_harness(
        self, connection: Connection, on_failure: Callable[[str, Exception], None]
    ) -> ServiceHarness:
        return ServiceHarness(self.service, connection, on_failure)

    async def start(self, options: Message | None = None, *, port: int = 0) -> Started:
        """What the service answers, as the supervisor reads it; raises RpcError if it refuses."""
        params: Message = {"namespace": self._namespace, "options": options or {}}
        answer = map_of(await self.request("initialize", params | ({"port": port} if port else {})))
        raw = map_of(answer.get("installation"))
        variables, urls = map_of(raw.get("environment")), map_of(raw.get("urls"))
        installation = Installation(variables, urls, tuple(list_of(raw.get("volumes"))))
        return Started(answer.get("port", 0), installation)

    async def check(
        self, options: Message | None = None, *, is_running: bool = False
    ) -> list[CheckFinding]:
        """What its check finds; the context need not be entered for it."""
        service = self.service
        return await checked(service.check, options, service.defaults(), is_running=is_running)

    async def health(self) -> Health:
        answer = map_of(await self.request("health", {}))
        return Health(text_of(answer.get("status")), text_of(answer.get("message")))

    async def stop(self) -> None:
        """Ask for the end and return once the service has let go of everything."""
        await self.request("shutdown", {})

"""One service process: its handshake, its health and its goodbye."""

import logging
from collections.abc import Callable

from anyclawd.gateway.handshake import refusal
from anyclawd.model.deps import UnitName
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from anyclawd.runtime.connection import Connection, Reply
from anyclawd.runtime.seam import Report, Wire
from anyclawd.wire import service
from anyclawd.wire.jsonrpc import RpcError
from anyclawd.wire.service import Installation

log = logging.getLogger("anyclawd.gateway")


class ServicePeer:
    """Speaks the service protocol with one process."""

    def __init__(
        self,
        unit: Unit,
        wire: Wire,
        report: Report,
        namespace: str,
        options: dict[str, Json],
        installed: Callable[[UnitName, Installation], None],
    ) -> None:
        """`installed` is told what the service offers, before it is ready."""
        self.unit, self._report, self._installed = unit, report, installed
        self._is_degraded = False  # by its own words
        self.connection = Connection(wire, report, self)
        params = service.initialize_params(namespace, options)
        self.connection.call("initialize", params, self._initialized)

    def _initialized(self, result: Json, error: RpcError | None) -> None:
        if error is not None:
            self.connection.fail(refusal(error))
            return
        offered = service.read_installation(result)
        for name in offered.ignored:
            log.debug("%s: installation: %.100s ignored", self.unit.name, name)
        self._installed(self.unit.name, offered)
        log.info("%s: initialized", self.unit.name, extra={"unit": self.unit.name})
        self._report.ready()

    @property
    def health_method(self) -> str:
        return "health"

    def health_answered(self, result: Json, error: RpcError | None) -> str:
        """A service that says it is degraded lives; what it has to say of that is for people."""
        health = service.read_health(result, error)
        if health.is_degraded:
            self._is_degraded = True
            self._report.degraded(health.text)
        elif self._is_degraded and not health.failure:
            self._is_degraded = False
            self._report.recovered()
        return health.failure

    def frame_received(self, frame: bytes) -> bool:
        return False

    def request_received(self, method: str, params: Json, reply: Reply, size_bytes: int) -> bool:
        return False

    def notification_received(self, method: str, params: Json, size_bytes: int) -> None:
        log.debug("%s: notification %s ignored", self.unit.name, method)

    def batch_ended(self) -> None:
        pass

    def writing_paused(self) -> None:
        pass

    def writing_resumed(self) -> None:
        pass

    def closing(self) -> None:
        self.connection.call("shutdown", {}, self._shut_down)

    def _shut_down(self, result: Json, error: RpcError | None) -> None:
        if error is not None:
            log.debug("%s: answered shutdown with an error: %s", self.unit.name, error)

    def ended(self) -> None:
        pass

    def lost(self) -> None:
        pass

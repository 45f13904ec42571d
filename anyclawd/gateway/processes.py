"""What is known of the processes of units, whatever they speak: their noise, and their defaults."""

from collections.abc import Mapping

from anyclawd.model.deps import UnitName
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from anyclawd.runtime.connection import Connection


class Processes:
    """Of all units that have had one. A unit is known until `forget`."""

    def __init__(self) -> None:
        self._connections: dict[UnitName, Connection] = {}  # to the latest process
        self._past_noise: dict[UnitName, int] = {}
        self._defaults: dict[UnitName, dict[str, Json]] = {}

    def begin(self, unit: UnitName, connection: Connection) -> None:
        """A process has been started, and is spoken with."""
        if (former := self._connections.get(unit)) is not None:
            self._past_noise[unit] = self._past_noise.get(unit, 0) + former.noise
        self._connections[unit] = connection

    def note_defaults(self, unit: UnitName, defaults: dict[str, Json]) -> None:
        """Its handshake has told by which options it goes where its user gives none."""
        self._defaults[unit] = defaults

    def forget(self, unit: UnitName) -> None:
        self._connections.pop(unit, None)
        self._past_noise.pop(unit, None)
        self._defaults.pop(unit, None)

    def adopt(self, units: Mapping[UnitName, Unit]) -> None:
        """From now on their lines may be as long as these say."""
        for name, connection in self._connections.items():
            if name in units:
                connection.limit_lines(units[name].stdout_line_max_bytes)

    def noise(self, unit: UnitName) -> int:
        """Lines on its stdout that were no message, over all its runs."""
        connection = self._connections.get(unit)
        return self._past_noise.get(unit, 0) + (connection.noise if connection else 0)

    def defaults(self, unit: UnitName) -> Mapping[str, Json]:
        """Those of its last handshake."""
        return self._defaults.get(unit, {})

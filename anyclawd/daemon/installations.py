"""What services offer to the processes of the units that list them, as variables.

A service says it in its handshake, before it is ready, so that whoever is started after it finds
it. What it has said holds until it says something else: also while it is down, since those who use
it run on meanwhile. It is forgotten with the unit, and with the daemon.

A process cannot be given other variables. So a service that comes back and offers something else
has its users restarted, those that run: their stops begin at once, and their starts wait for the
service. What a unit does not come to see, since it declares the variable itself or a service that
it lists later does, restarts nothing.

Every value counts as a secret: it is told to the processes and to nobody else.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from anyclawd.daemon.workers import say_refusal
from anyclawd.engine.events import Asker
from anyclawd.model.deps import UnitName
from anyclawd.model.state import JobType
from anyclawd.model.unit import Protocol, Unit
from anyclawd.model.value import Json
from anyclawd.runtime.driver import Driver
from anyclawd.runtime.seam import Variables
from anyclawd.wire.service import NO_INSTALLATION, Installation

log = logging.getLogger("anyclawd.daemon")

#: The protocols in which a service says what it offers.
_OFFERING = frozenset({Protocol.SERVICE, Protocol.HOOK})
_NOTHING: Mapping[UnitName, Installation] = MappingProxyType({})


class Installations:
    """The last installation of each service. One object a daemon."""

    def __init__(self) -> None:
        self._offered: dict[UnitName, Installation] = {}
        #: called with a service, and what it has offered before, when it offers something else
        self.changed: list[Callable[[UnitName, Installation], None]] = []

    def take(self, service: UnitName, offered: Installation) -> None:
        """A service has said what it offers."""
        former = self._offered.get(service, NO_INSTALLATION)
        self._offered[service] = offered
        if offered != former:
            for tell in self.changed:
                tell(service, former)

    def forget(self, service: UnitName) -> None:
        """The unit is not in the plan any more."""
        former = self._offered.pop(service, NO_INSTALLATION)
        if former != NO_INSTALLATION:
            for tell in self.changed:
                tell(service, former)

    def of(self, unit: Unit, instead: Mapping[UnitName, Installation] = _NOTHING) -> Variables:
        """What the processes of a unit are given; of services, those listed later are stronger.

        `instead` is what some services are taken to offer in place of what they do.
        """
        merged: dict[str, str] = {}
        for service in unit.services:
            merged.update((instead.get(service) or self.offered(service)).variables)
        return tuple((name, text) for name, text in merged.items() if name not in unit.environment)

    def offered(self, service: UnitName) -> Installation:
        return self._offered.get(service, NO_INSTALLATION)

    def urls(self, name: str) -> tuple[str, ...]:
        """All URLs that services offer under this name."""
        offered = self._offered.values()
        return tuple(url for one in offered for known, url in one.urls if known == name)

    def view(self, unit: Unit) -> dict[str, Json]:
        """What a unit is given and what it offers, by names alone."""
        offered = self.offered(unit.name)
        installation = {
            "environment": [name for name, _ in offered.environment],
            "urls": [name for name, _ in offered.urls],
            "volumes": len(offered.volumes),
        }
        return {
            "installed": [name for name, _ in self.of(unit)],
            "installation": installation if unit.protocol in _OFFERING else None,
        }


class Renewal:
    """Restarts who runs with what a service does not offer any more."""

    def __init__(self, driver: Driver, installations: Installations) -> None:
        self._driver, self._installations = driver, installations
        installations.changed.append(self._renew)

    def _renew(self, service: UnitName, former: Installation) -> None:
        units = tuple(unit.name for unit in self._outdated(service, former))
        if not units or self._driver.manager.is_stopping:
            return
        log.info("%s has another installation, and has restarted: %s", service, ", ".join(units))
        why = f"{service} has another installation"
        asked = self._driver.submit_by_itself(JobType.TRY_RESTART, units, why, Asker.SERVICE)
        asked.add_done_callback(say_refusal)

    def _outdated(self, service: UnitName, former: Installation) -> Iterator[Unit]:
        """The units that run and would be given something else now."""
        for name in self._driver.processes:
            unit = self._driver.plan.units[name]
            if service in unit.services:
                before = self._installations.of(unit, {service: former})
                if dict(before) != dict(self._installations.of(unit)):
                    yield unit

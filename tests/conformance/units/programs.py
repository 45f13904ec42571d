"""Programs of units for these tests, as entries of the section `units`, and a daemon's reload."""

import sys
from collections.abc import Mapping

from anyclawd.model.value import Json
from tests.fakes.daemon import Daemon, contained, system, write_config

#: Comes back at once and for ever.
TOUGH: Json = {
    "backoff": {"initial": 0, "factor": 1, "max": 0, "jitter": 0},
    "start_limit": {"burst": 0},
}


def service(code: str, **settings: Json) -> Json:
    return {"exec": [sys.executable, "-ISc", code], "protocol": "none", **settings}


def idle(**settings: Json) -> Json:
    return {"exec": ["/bin/sleep", "1000000"], "protocol": "none", **settings}


def rewrite(daemon: Daemon, units: Mapping[str, Json]) -> None:
    """Give it another section `units`; nothing happens before it is told to reload."""
    write_config(daemon.config, contained(system(units=units)))


def reload(daemon: Daemon, units: Mapping[str, Json]) -> Json:
    """What a reload of these units has come to, when its jobs have ended."""
    rewrite(daemon, units)
    return daemon.client.post("/v1/reload", {}, waits=True)


def runs(daemon: Daemon) -> dict[str, str]:
    """The run that each service is in, by name."""
    rows = (row for row in daemon.status()["units"] if row["kind"] == "service")
    return {row["name"]: daemon.unit(row["name"])["invocation"] for row in rows}

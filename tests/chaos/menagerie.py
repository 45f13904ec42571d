"""The units of the chaos suite, one of each sort, and what they are to each other."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from anyclawd.model.value import Json

BEAST = str(Path(__file__).parent / "peers" / "beast.py")

#: Comes back at once and for ever, and goes within a moment, so that a run has many lives in it.
TOUGH: Json = {
    "backoff": {"initial": 0.01, "factor": 1, "max": 0.01, "jitter": 0},
    "start_limit": {"burst": 0},
    "timeouts": {"start": 20, "stop": 0.3, "eof_grace": 0.2},
}


def beast(sort: str, **settings: Json) -> Json:
    exec_ = [sys.executable, "-I", "-S", BEAST, sort]
    return {"exec": exec_, "protocol": "none", **TOUGH, **settings}


@dataclass(frozen=True, slots=True, kw_only=True)
class Menagerie:
    """A configuration, and what of it matters to what is to be expected of a unit."""

    units: Mapping[str, Json]
    needs: Mapping[str, frozenset[str]]  #: a unit is blocked while one of these is down
    wholes: Mapping[str, str]  #: a part to what it is a part of


def menagerie() -> Menagerie:
    units = {
        "plain.service": beast("plain"),
        "stubborn.service": beast("stubborn"),
        "family.service": beast("family"),
        "forker.service": beast("forker"),
        "once.service": beast("once", readiness={"type": "exited"}),
        "server.service": beast("server", protocol="service"),
        "base.service": beast("plain"),
        "top.service": beast("forker", requires=["base.service"]),
        "roof.service": beast("plain", requires=["top.service"]),
        "wheel.service": beast("stubborn", binds_to=["base.service"], after=["base.service"]),
        "part.service": beast("family", part_of=["base.service"]),
        "after.service": beast("plain", requires=["once.service"]),
    }
    return Menagerie(
        units=MappingProxyType(units),
        needs=MappingProxyType(
            {
                name: frozenset([*settings.get("requires", ()), *settings.get("binds_to", ())])
                for name, settings in units.items()
            }
        ),
        wholes=MappingProxyType({"part.service": "base.service"}),
    )

"""The units of the chaos suite, one of each sort, and what they are to each other."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from anyclawd.model.value import Json
from tests.chaos.wishes import Ties
from tests.fakes.daemon import mock

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


def program(*words: str) -> list[str]:
    """A command of a hook, of which nothing may be left either."""
    return [sys.executable, "-I", "-S", BEAST, *words]


@dataclass(frozen=True, slots=True, kw_only=True)
class Menagerie:
    """A configuration, and what of it matters to what is to be expected of a unit."""

    agents: Mapping[str, Json]  #: the section `agents_manager.agents`
    config: Mapping[str, Json]  #: the section `units`
    spares: Mapping[str, Json]  #: units that come and go, instances of a template among them
    ties: Ties
    illness: Path  #: while this file is there, the unit with a health check is ill

    @property
    def names(self) -> set[str]:
        """Of the units that a daemon begins with and that have a process."""
        names = {name for name in self.config if "@." not in name}
        return names | {f"{name}.agent" for name in self.agents}


def menagerie(directory: Path) -> Menagerie:
    illness = directory / "ill"
    look = {"type": "command", "exec": ["/bin/sh", "-c", f"! test -e {illness}"]}
    config = {
        "plain.service": beast("plain"),
        "stubborn.service": beast("stubborn"),
        "family.service": beast("family"),
        "forker.service": beast("forker"),
        "once.service": beast("once", readiness={"type": "exited"}),
        "server.service": beast("server", protocol="service"),
        "notifier.service": beast("notifier", readiness={"type": "notify"}, watchdog=1),
        "patient.service": beast(
            "forker", health={**look, "interval": 0.1, "timeout": 10, "failures": 2}
        ),
        "hooked.service": beast(
            "plain",
            condition={"path_exists": [str(directory)], "command": program("once")},
            exec_start_pre=program("once"),
            exec_start_post=program("once"),
            exec_reload=program("once"),
            exec_stop_post=program("once"),
        ),
        "worker@.service": beast("family"),
        "base.service": beast("plain"),
        "top.service": beast("forker", requires=["base.service"]),
        "roof.service": beast("plain", requires=["top.service"]),
        "wheel.service": beast("stubborn", binds_to=["base.service"], after=["base.service"]),
        "loose.service": beast("plain", binds_to=["base.service"]),
        "part.service": beast("family", part_of=["base.service"]),
        "after.service": beast("plain", requires=["once.service"]),
        "day.service": beast("plain"),
        "night.service": beast("stubborn", conflicts=["day.service"]),
    }
    if can_isolate():
        config["isolated.service"] = beast("forker", isolate="pid")
    spares = {
        "worker@one.service": {},
        "worker@two.service": {},
        "spare.service": beast("forker"),
        "late.service": beast("plain", requires=["once.service"]),
    }
    return Menagerie(
        agents=MappingProxyType({"default": {**mock(), **TOUGH}}),
        config=MappingProxyType(config),
        spares=MappingProxyType(spares),
        ties=Ties(
            needs={
                name: frozenset([*settings.get("requires", ()), *settings.get("binds_to", ())])
                for name, settings in (config | spares).items()
            },
            wholes={"part.service": "base.service"},
            rivals={"day.service": "night.service", "night.service": "day.service"},
        ),
        illness=illness,
    )


def can_isolate() -> bool:
    """Whether a program can be given a PID namespace here."""
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "true"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False

"""Others who live in the same daemon as the one that suffers: nothing may reach them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anyclawd.model.value import Json
from tests.fakes.daemon import Daemon, debug_http, mock, running, system, wait_no_zombie

AGENT, CHANNEL = "bystander.agent", "debug-http.channel"


def beside(agents: Json, channels: Json | None = None, **sections: Json) -> Json:
    """A configuration of what suffers, with an agent and a channel that must not notice."""
    return system(
        {"bystander": mock(), **agents},
        {"debug-http": debug_http("bystander"), **(channels or {})},
        **sections,
    )


@contextmanager
def unharmed(directory: Path, config: Json) -> Iterator[Daemon]:
    """A running daemon whose bystanders answer at the end and are the processes they were.

    That no process is left and the daemon ends well is looked at by `running`.
    """
    with running(directory, config) as daemon:
        before = pids(daemon)
        yield daemon
        daemon.chat().converse("are you well?", "Echo: are you well?")
        assert pids(daemon) == before
        assert not wait_no_zombie(daemon)


def pids(daemon: Daemon) -> dict[str, int]:
    units = daemon.units()
    return {name: units[name]["pid"] for name in (AGENT, CHANNEL)}

"""What a service offers reaches those who list it, is shown to nobody, and is renewed."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from anyclawd.model.value import Json
from tests.fakes.daemon import Daemon, Deadline, contained, mock, running, system, write_config

#: Answers its handshake with what lies in a file.
SERVICE = """
import json, os, sys
for line in sys.stdin:
    frame = json.loads(line)
    result = {}
    if frame["method"] == "initialize":
        with open(frame["params"]["options"]["offer"]) as file:
            result = {"port": 8080, "installation": json.load(file)}
    print(json.dumps({"jsonrpc": "2.0", "id": frame.get("id"), "result": result}), flush=True)
    if frame["method"] == "shutdown":
        os._exit(0)
"""
FIRST = '{"environment": {"SHELF_KEY": "s3cret-one"}, "urls": {"shelf": "http://s3cret-url"}}'
SECOND = FIRST.replace("s3cret-one", "s3cret-two")
BROKEN = '{"environment": {"SHELF_KEY": ["s3cret-two"]}}'
#: Notes what it was given in its own directory, and stays.
USER = 'echo "$SHELF_KEY $ANYCLAW_SHELF_URL $MINE" >>"$STATE_DIRECTORY/given"; exec sleep 1000'


class Place:
    """One daemon with a service, and units that use it or do not."""

    def __init__(self, daemon: Daemon, directory: Path) -> None:
        self.daemon = daemon
        self._offer = directory / "offer"
        self._state = directory / "state" / "units"

    def offer(self, text: str) -> None:
        self._offer.write_text(text)

    def given(self, name: str) -> list[str]:
        path = self._state / f"{name}.service" / "given"
        return path.read_text().splitlines() if path.exists() else []

    def pids(self) -> dict[str, int]:
        units = self.daemon.units()
        return {name: units[f"{name}.service"]["pid"] for name in ("user", "other")}

    def crash_service(self) -> None:
        """Kill it, and wait until it is back."""
        pid = self.daemon.unit("shelf.service")["pid"]
        os.kill(pid, signal.SIGKILL)
        self.daemon.wait_restarted("shelf.service", pid)


def user(**settings: Json) -> Json:
    argv = ["/bin/sh", "-c", USER]
    return {"exec": argv, "protocol": "none", "state_directory": True, **settings}


def config(directory: Path, **other: Json) -> Json:
    """A service, a unit that uses it, and another one."""
    shelf = {
        "binary": sys.executable,
        "args": ["-SE", "-c", SERVICE],
        "options": {"offer": str(directory / "offer")},
        "backoff": {"initial": 0.01, "factor": 1, "jitter": 0},
        "start_limit": {"burst": 0},
    }
    return system(
        {"default": mock()},
        services_manager={"services": {"shelf": shelf}},
        units={
            "user.service": user(services=["shelf"], environment={"MINE": "m"}),
            "other.service": user(**other),
        },
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("installations")
    (directory / "offer").write_text(FIRST)
    with running(directory, config(directory)) as daemon:
        yield Place(daemon, directory)


def test_a_unit_starts_with_what_its_service_offers(place: Place) -> None:
    place.daemon.wait_unit("user.service", "active")
    wait_given(place, "user", 1)
    assert place.given("user") == ["s3cret-one http://s3cret-url m"]
    wait_given(place, "other", 1)
    assert place.given("other") == ["  "]


@pytest.mark.parametrize("verb", ["show", "status", "cat", "explain"])
@pytest.mark.parametrize("unit", ["user.service", "shelf.service"])
def test_no_face_shows_a_value(place: Place, verb: str, unit: str) -> None:
    shown = place.daemon.ctl(verb, unit)
    assert shown.returncode in (0, 3)
    assert "s3cret" not in shown.stdout + shown.stderr


def test_show_tells_the_names(place: Place) -> None:
    shown = place.daemon.ctl("show", "user.service", "shelf.service").stdout.splitlines()
    assert "installed=SHELF_KEY ANYCLAW_SHELF_URL" in shown
    assert {"installation.environment=SHELF_KEY", "installation.urls=shelf"} <= set(shown)


def test_the_same_installation_touches_nobody_and_another_one_who_uses_it(place: Place) -> None:
    before = place.pids()
    place.crash_service()
    assert place.daemon.ctl_json("list-jobs") == {"jobs": []}
    assert place.pids() == before
    place.offer(SECOND)
    place.crash_service()
    place.daemon.wait_restarted("user.service", before["user"])
    wait_given(place, "user", 2)
    assert place.given("user")[-1] == "s3cret-two http://s3cret-url m"
    assert place.pids()["other"] == before["other"]
    said = place.daemon.ctl("explain", "user.service").stdout
    assert "It was restarted because shelf.service has another installation." in said
    assert "s3cret" not in place.daemon.log_text()


def test_an_installation_that_cannot_be_used_fails_the_service_alone(place: Place) -> None:
    before = place.pids()
    place.offer(BROKEN)
    pid = place.daemon.unit("shelf.service")["pid"]
    os.kill(pid, signal.SIGKILL)
    text = "installation that cannot be used: environment.SHELF_KEY is a list, expected text"
    with closing(place.daemon.log_lines("shelf.service")) as lines:
        found = next(line["text"] for line in lines if "cannot be used" in line["text"])
    assert text in found
    assert place.pids() == before
    place.offer(SECOND)
    place.daemon.wait_unit("shelf.service", "active")
    assert place.pids() == before


def test_a_unit_that_comes_to_list_a_service_is_started_anew(place: Place) -> None:
    before, starts = place.pids(), len(place.given("other"))
    write_config(place.daemon.config, contained(config(place.daemon.directory, services=["shelf"])))
    assert place.daemon.ctl("reload").returncode == 0
    wait_given(place, "other", starts + 1)
    assert place.given("other")[-1] == "s3cret-two http://s3cret-url "
    assert place.pids()["user"] == before["user"]
    write_config(place.daemon.config, contained(config(place.daemon.directory)))
    assert place.daemon.ctl("reload").returncode == 0
    wait_given(place, "other", starts + 2)
    assert place.given("other")[-1] == "  "


def wait_given(place: Place, name: str, count: int) -> None:
    """Wait until a unit has noted so many starts, of which the daemon knows nothing."""
    deadline = Deadline()
    while len(place.given(name)) < count:
        deadline.left(f"{count} starts of {name}")
        place.daemon.status()

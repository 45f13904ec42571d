"""The sandbox of the service: what it refuses to units, and what its manual says how to allow."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from anyclawd.model.value import Json
from tests.system.deployment import CONFIG, PEERS, STATE, configured, overridden
from tests.system.machine import Machine

MANUAL = Path(__file__).parents[2] / "docs" / "how-to" / "secure.md"
PROGRAM = "/opt/sandboxed.py"
UNIT = f"""
probe.service:
  exec: [/usr/bin/python3, {PROGRAM}]
  protocol: none
  restart: never
  state_directory: true
"""
REFUSED = {
    "write below /etc": "EROFS",
    "write below the configuration": "EROFS",
    "write below /srv": "EROFS",
    "write below /srv/project": "EROFS",
    "write below a home": "EACCES",
    "look into homes": "EACCES",
    "open the kernel's log": "ENOENT",
    "leave a setuid program": "EPERM",
    "make a namespace": "EPERM",
    "mount": "EPERM",
    "go round the filter": "EPERM",
    "send raw packets": "EAFNOSUPPORT",
}


def of_the_manual(line: str) -> str:
    """The lines of the one drop-in in the manual that has a line."""
    drop_in = re.compile(r"^```ini\n\[Service\]\n(.*?)^```", re.MULTILINE | re.DOTALL)
    drop_ins = drop_in.findall(MANUAL.read_text())
    [found] = [text for text in drop_ins if line in text.splitlines()]
    return str(found)


@pytest.fixture
def place(machine: Machine) -> Iterator[Machine]:
    """With directories that the service's user could write, and the program that tries to."""
    machine.push(PEERS / "sandboxed.py", PROGRAM)
    machine.run("mkdir", "-p", "/home/alice/project", "/home/bob", "/srv/project")
    machine.run("chown", "anyclawd:", "/home/alice/project", "/srv/project")
    machine.run("chmod", "0755", "/home/alice")
    yield machine
    machine.run("rm", "-r", PROGRAM, "/home/alice/project", "/srv/project")


def told(machine: Machine) -> Json:
    """What the probe has met in a run of it that begins now."""
    path = f"{STATE}/units/probe.service/told.json"
    machine.run("rm", "--force", path)  # it may be another user's
    machine.run("anyclawctl", "restart", "probe.service")
    machine.run("anyclawctl", "wait", "probe.service")
    return json.loads(machine.read(path))


def test_the_exposure_is_two_at_most_and_all_of_it_is_explained(machine: Machine) -> None:
    machine.run("systemd-analyze", "security", "--threshold=20", "anyclawd")
    verdicts = json.loads(
        machine.run("systemd-analyze", "security", "--json=short", "anyclawd").stdout
    )
    unit = machine.run("systemctl", "cat", "anyclawd").stdout
    explained = unit.partition("# What is left open")[2]
    names = {one["name"].partition("=")[0] for one in verdicts if one["exposure"]}
    assert names
    assert [name for name in sorted(names) if f"{name}=" not in explained] == []


def test_a_unit_reaches_what_it_needs_and_nothing_else(place: Machine) -> None:
    with configured(place, "probe", UNIT):
        found = told(place)
    assert found["refused"] == REFUSED
    assert (found["strangers"], found["core"], found["shell"]) == (0, [0, 0], "/bin/sh")


def test_a_workspace_elsewhere_is_opened_as_the_manual_says(place: Machine) -> None:
    with configured(place, "probe", UNIT):
        with overridden(place, of_the_manual("ReadWritePaths=/srv/project")):
            assert told(place)["refused"].keys() == REFUSED.keys() - {"write below /srv/project"}
        with overridden(place, of_the_manual("BindPaths=/home/alice/project")):
            found = told(place)
            opened = {"write below a home", "look into homes"}
            assert found["refused"].keys() == REFUSED.keys() - opened
            assert found["homes"] == ["alice"]


def test_units_are_apart_from_each_other_where_the_manual_says_how(place: Machine) -> None:
    apart = f"{UNIT}  user: nobody\n  isolate: pid\n"
    with configured(place, "probe", UNIT), overridden(place, of_the_manual("User=")):
        place.write("/etc/anyclawd/units.d/probe.yaml", apart)
        place.run("systemctl", "reload", "anyclawd")
        found = told(place)
        assert found["uid"] == 65534
        assert found["refused"]["read the store"] == "EACCES"
        assert found["processes"] <= 2  # its own, and the init before it
        place.write("/etc/anyclawd/units.d/probe.yaml", UNIT)
    assert place.run("stat", "-c", "%U", f"{STATE}/sessions.db").stdout == "anyclawd\n"
    assert place.run("anyclawctl", "validate", CONFIG).returncode == 0

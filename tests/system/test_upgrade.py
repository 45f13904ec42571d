"""What becomes of configuration, state and messages when the package changes or goes."""

import json
from collections.abc import Iterator

import pytest

from anyclawd.model.value import Json
from tests.system.deployment import (
    CONFIG,
    SECOND,
    SERVICE,
    STATE,
    TALK,
    answer,
    apt,
    assert_delivered,
    configured,
    ctl,
    install,
    main_pid,
    make_previous,
    sending,
    start_second,
    status,
)
from tests.system.machine import Machine, booted
from tests.system.package import Built
from tests.system.tree import Release, ready

_WORKSPACE = 'workspace: {type: local, binary: "@built-in/agents/mock"}'


@pytest.fixture
def site(release: Release, package: Built) -> Iterator[Machine]:
    """A machine of its own, without the package but with all that it needs of Debian."""
    with booted(ready(release)) as machine:
        yield machine


def changed(machine: Machine) -> str:
    """A change of the administrator's to the configuration; the file as it is then.

    An agent that loads a session calls it "resumed" from then on.
    """
    config = machine.read(CONFIG)
    assert _WORKSPACE in config
    options = "{echo_prefix: Changed, recovery_new_id: resumed}"
    config = config.replace(_WORKSPACE, f"{_WORKSPACE}\n      options: {options}")
    machine.write(CONFIG, config, "0640", "root:anyclawd")
    machine.run("systemctl", "reload", "anyclawd")
    return config


def sessions(machine: Machine) -> dict[str, Json]:
    """The agent's own id of each session."""
    rows = json.loads(ctl(machine, "--json", "sessions").stdout)["sessions"]
    return {row["session"]: row["agent_session"] for row in rows}


def test_an_upgrade_under_traffic_loses_nothing_and_sessions_go_on(
    site: Machine, package: Built
) -> None:
    apt(site, "install", make_previous(site, package.deb))
    assert status(site)["version"] == "0.0.9"
    start_second(site)
    config, old, second = changed(site), main_pid(site), main_pid(site, SECOND)
    with configured(site, "talk", TALK), sending(site) as sender:
        sender.wait_accepted(20)
        install(site, package.deb)
        sender.wait_accepted(20)
        assert_delivered(sender.outcomes())
        assert sessions(site) == {"debug-http:local:local": "resumed"}
    assert status(site)["version"] != "0.0.9"
    assert main_pid(site) != old
    assert main_pid(site, SECOND) not in (0, second)
    assert site.property(SERVICE, "NRestarts") == "0"
    assert site.read(CONFIG) == config
    assert not site.exists(f"{CONFIG}.dpkg-dist")


def test_remove_keeps_what_is_the_administrators_and_purge_removes_it(
    site: Machine, package: Built
) -> None:
    install(site, package.deb)
    config = changed(site)
    site.run("anyclawctl", "set-property", "default.agent", "options.echo_prefix=Dropped")
    assert answer(site, "hello") == "Dropped: hello"
    assert sessions(site) != {"debug-http:local:local": "resumed"}
    kept = ("find", "/etc/anyclawd", STATE, "-type", "f", "-not", "-name", "*-wal", "-not", "-name")
    files = site.run(*kept, "*-shm").stdout
    start_second(site)

    apt(site, "remove", "anyclawd")
    for user in ("anyclawd", "anyclawd-second"):
        assert site.run("pgrep", "--uid", user, check=False).stdout == ""
    assert site.property(SERVICE, "LoadState") in ("not-found", "masked")
    assert not site.exists("/usr/bin/anyclawd")
    assert site.read(CONFIG) == config
    assert set(files.split()) - set(site.run(*kept, "*-shm").stdout.split()) <= {f"{STATE}/running"}

    install(site, package.deb)
    assert site.property(SERVICE, "ActiveState") == "active"
    assert site.read(CONFIG) == config
    assert answer(site, "hello") == "Dropped: hello"
    assert sessions(site) == {"debug-http:local:local": "resumed"}

    apt(site, "purge", "anyclawd")
    left = [path for path in _PLACES if site.exists(path)]
    assert left == []
    assert site.run("systemctl", "is-system-running").stdout == "running\n"

    install(site, package.deb)
    assert answer(site, "hello") == "Echo: hello"


_PLACES = (
    *("/etc/anyclawd", STATE, "/run/anyclawd", "/usr/share/anyclawd"),
    *("/var/lib/anyclawd@second", "/run/anyclawd@second"),
    "/usr/lib/python3/dist-packages/anyclawd",
    "/etc/systemd/system/multi-user.target.wants/anyclawd.service",
)

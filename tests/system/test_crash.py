"""What systemd and the next daemon make of one that dies or hangs, inside a Debian."""

from tests.system.deployment import (
    SERVICE,
    STATE,
    TALK,
    configured,
    main_pid,
    overridden,
    sending,
    status,
    wait_replaced,
)
from tests.system.machine import Machine


def processes(machine: Machine) -> set[str]:
    """The pids of all that runs as the service's user."""
    return set(machine.run("pgrep", "--uid", "anyclawd").stdout.split())


def test_a_killed_daemon_is_started_again_and_loses_nothing(machine: Machine) -> None:
    restarts = int(machine.property(SERVICE, "NRestarts"))
    instance = machine.read(f"{STATE}/instance")
    with configured(machine, "talk", TALK), sending(machine) as sender:
        sender.wait_accepted(20)
        old, left = main_pid(machine), processes(machine)
        machine.run("kill", "-KILL", str(old))
        wait_replaced(machine, old)
        assert not processes(machine) & left
        sender.wait_accepted(20)
        outcomes = sender.outcomes()
    assert int(machine.property(SERVICE, "NRestarts")) == restarts + 1
    assert machine.read(f"{STATE}/instance") == instance
    # Whatever was queued is answered; the one turn that ran is told to have been interrupted.
    states = [told["state"] for told in outcomes.values()]
    assert set(states) <= {"delivered", "interrupted"}
    assert states.count("interrupted") <= 1
    assert all(len(told["shown"]) <= 1 for told in outcomes.values())


def test_the_watchdog_starts_a_daemon_again_that_hangs(machine: Machine) -> None:
    with overridden(machine, "WatchdogSec=5"):
        old, left = main_pid(machine), processes(machine)
        machine.run("kill", "-STOP", str(old))
        wait_replaced(machine, old)
        machine.wait_journal("Watchdog timeout", "-u", "anyclawd")
        assert not processes(machine) & left
        assert status(machine)["state"] == "running"


def test_what_a_unit_starts_in_a_session_of_its_own_dies_with_the_daemon(machine: Machine) -> None:
    """The control group alone knows of it: neither a parent nor a group of processes does."""
    escape = "setsid bash -c 'exec -a runaway sleep infinity' & exec sleep infinity"
    runaway = f'runaway.service: {{exec: [/bin/bash, -c, "{escape}"], protocol: none}}'
    with configured(machine, "runaway", runaway):
        [pid] = machine.wait_until(
            lambda: machine.run("pgrep", "-f", "^runaway", check=False).stdout.split(), "a runaway"
        )
        old = main_pid(machine)
        machine.run("kill", "-KILL", str(old))
        wait_replaced(machine, old)
        assert not machine.exists(f"/proc/{pid}")

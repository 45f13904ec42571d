"""From `apt install` on, everything an administrator does with the service, inside a Debian.

All tests of a release share a machine; each finds the service running, and leaves it so.
"""

import json
import re

import pytest

from tests.fakes.daemon import TestFailure
from tests.system.deployment import (
    CONFIG,
    SERVICE,
    STATE,
    TALK,
    answer,
    assert_delivered,
    configured,
    ctl,
    main_pid,
    sending,
    status,
    units,
)
from tests.system.machine import Machine


def test_apt_installs_the_one_file_and_the_service_runs(machine: Machine) -> None:
    assert "Setting up anyclawd" in machine.read("/root/apt.log")
    assert machine.run("systemctl", "is-enabled", "anyclawd").stdout == "enabled\n"
    assert machine.run("systemctl", "is-active", "anyclawd").stdout == "active\n"
    assert machine.run("systemctl", "is-system-running").stdout == "running\n"
    assert machine.run("dpkg", "--verify", "anyclawd").stdout == ""
    owners = machine.run("stat", "-c", "%a %U:%G", "/etc/anyclawd", CONFIG, STATE, "/run/anyclawd")
    assert owners.stdout.split("\n")[:4] == [
        "750 root:anyclawd",
        "640 root:anyclawd",
        "700 anyclawd:anyclawd",
        "750 anyclawd:anyclawd",
    ]


def test_systemctl_status_shows_what_the_daemon_says_of_itself(machine: Machine) -> None:
    assert_status_text(machine, "5 active")
    assert 'Status: "5 active"' in machine.run("systemctl", "status", "anyclawd").stdout
    with configured(machine, "idle", "idle.service: {exec: [sleep, infinity], protocol: none}"):
        assert machine.property(SERVICE, "StatusText") == "6 active"
    assert_status_text(machine, "5 active")


def assert_status_text(machine: Machine, text: str) -> None:
    """The end of what a reload has removed may take longer than the command."""
    machine.wait_until(lambda: machine.property(SERVICE, "StatusText") == text, f"status {text!r}")


def test_each_unit_has_a_control_group_of_its_own(machine: Machine) -> None:
    assert status(machine)["containment"].startswith("guaranteed: a cgroup for each unit")
    rows = units(machine)
    for name in ("default.agent", "debug-http.channel"):
        group = machine.read(f"/proc/{rows[name]['pid']}/cgroup").rpartition("0::")[2].strip()
        assert re.fullmatch(
            rf"/system\.slice/anyclawd\.service/[^/]+/{re.escape(name)}/main", group
        )


def test_root_and_members_of_the_group_use_anyclawctl_and_others_are_told_why(
    machine: Machine,
) -> None:
    machine.run("useradd", "--groups", "anyclawd", "member")
    machine.run("useradd", "stranger")
    for user in ("root", "member"):
        done = ctl(machine, "status", user=user)
        assert (done.returncode, done.stderr) == (0, "")
        assert "default.agent" in done.stdout
    done = ctl(machine, "status", user="stranger")
    assert (done.returncode, done.stdout) == (77, "")
    assert done.stderr == (
        "anyclawctl: no permission to open /run/anyclawd/admin.sock;"
        " ask its owner to let you into its group, or use sudo\n"
    )


def test_curl_is_answered_by_the_mock(machine: Machine) -> None:
    assert answer(machine, "hello") == "Echo: hello"


def test_the_journal_has_fields(machine: Machine) -> None:
    of_agent = (f"_PID={main_pid(machine)}", "ANYCLAWD_UNIT=default.agent")
    machine.wait_journal("default.agent: running", *of_agent)
    for record in machine.journal(*of_agent):
        assert record["ANYCLAWD_UNIT"] == "default.agent"
        assert record["_SYSTEMD_UNIT"] == SERVICE
        assert record["LOGGER"].startswith("anyclawd.")
        assert record["PRIORITY"] == "6"


def test_the_journal_has_what_a_unit_prints_by_its_stream(machine: Machine) -> None:
    matches = ("ANYCLAWD_UNIT=debug-http.channel", "ANYCLAWD_STREAM=stderr")
    assert machine.wait_journal("PORT:", *matches)["MESSAGE"] == "PORT:8080"


def test_a_reload_is_in_force_when_the_command_returns(machine: Machine) -> None:
    former = machine.read(CONFIG)
    channel = units(machine)["debug-http.channel"]["pid"]
    workspace = 'workspace: {type: local, binary: "@built-in/agents/mock"}'
    assert workspace in former
    changed = former.replace(workspace, f"{workspace}\n      options: {{echo_prefix: Changed}}")
    machine.write(CONFIG, changed, "0640", "root:anyclawd")
    machine.run("systemctl", "reload", "anyclawd")
    assert answer(machine, "hello") == "Changed: hello"
    assert units(machine)["debug-http.channel"]["pid"] == channel
    machine.write(CONFIG, former, "0640", "root:anyclawd")
    machine.run("systemctl", "reload", "anyclawd")
    assert answer(machine, "hello") == "Echo: hello"


def test_a_bad_file_keeps_the_running_plan_and_is_told(machine: Machine) -> None:
    former, pid = machine.read(CONFIG), main_pid(machine)
    agent = units(machine)["default.agent"]["pid"]
    since = machine.journal_end()
    machine.write(CONFIG, former + "\naccess_typo: 1\nunits: {x.agent: {bogus: 1}}\n")
    done = machine.run("systemctl", "reload", "anyclawd", check=False)
    assert done.returncode != 0
    machine.wait_journal(f"{CONFIG}:", "-u", "anyclawd", since=since)
    assert (main_pid(machine), units(machine)["default.agent"]["pid"]) == (pid, agent)
    assert machine.property(SERVICE, "ActiveState") == "active"
    assert answer(machine, "hello") == "Echo: hello"
    machine.write(CONFIG, former, "0640", "root:anyclawd")
    machine.run("systemctl", "reload", "anyclawd")


def test_a_configuration_that_cannot_be_used_is_not_started_again(machine: Machine) -> None:
    former = machine.read(CONFIG)
    machine.write(CONFIG, former + "\nunits: {x.agent: {bogus: 1}}\n", "0640", "root:anyclawd")
    with pytest.raises(TestFailure, match="exits with 1"):
        machine.run("systemctl", "restart", "anyclawd")
    found = {
        name: machine.property(SERVICE, name)
        for name in ("ActiveState", "SubState", "ExecMainStatus", "NRestarts")
    }
    assert found == {
        "ActiveState": "failed",
        "SubState": "failed",
        "ExecMainStatus": "78",
        "NRestarts": "0",
    }
    machine.write(CONFIG, former, "0640", "root:anyclawd")
    machine.run("systemctl", "start", "anyclawd")
    assert answer(machine, "hello") == "Echo: hello"


def test_a_restart_under_traffic_loses_nothing(machine: Machine) -> None:
    with configured(machine, "talk", TALK), sending(machine) as sender:
        sender.wait_accepted(20)
        machine.run("systemctl", "restart", "anyclawd")
        sender.wait_accepted(20)
        assert_delivered(sender.outcomes())


def test_nothing_is_left_of_it_at_a_stop(machine: Machine) -> None:
    """Not even of who has left its session and does not listen to a request to end."""
    stubborn = "trap : TERM; setsid sleep infinity & setsid sleep infinity & wait; wait"
    exec_ = json.dumps(["/bin/sh", "-c", stubborn])
    unit = f"stubborn.service: {{exec: {exec_}, protocol: none, timeouts: {{stop: 0.5}}}}"
    machine.write("/etc/anyclawd/units.d/stubborn.yaml", unit)
    machine.run("systemctl", "restart", "anyclawd")
    machine.run("systemctl", "stop", "anyclawd")
    assert machine.property(SERVICE, "Result") == "success"
    assert not machine.exists("/sys/fs/cgroup/system.slice/anyclawd.service")
    assert machine.run("pgrep", "--uid", "anyclawd", check=False).stdout == ""
    assert not machine.exists("/run/anyclawd")
    machine.run("rm", "-r", "/etc/anyclawd/units.d")
    machine.run("systemctl", "start", "anyclawd")

"""What an administrator looks after: credentials, what doctor says, what needs a restart."""

import json
from dataclasses import dataclass

import pytest

from tests.system.deployment import (
    CONFIG,
    STATE,
    ctl,
    main_pid,
    overridden,
    units,
)
from tests.system.machine import Machine

_SECRET = "xk-4711-do-not-tell"


def test_a_credential_reaches_its_unit_and_is_told_to_nobody_else(machine: Machine) -> None:
    machine.write("/root/agent-key", f"{_SECRET}\n", "0600")
    machine.write(
        "/etc/anyclawd/units.d/key.yaml",
        "default.agent: {environment: {AGENT_KEY: !credential agent-key}}\n",
    )
    with overridden(machine, "LoadCredential=agent-key:/root/agent-key"):
        pid = units(machine)["default.agent"]["pid"]
        variables = machine.read(f"/proc/{pid}/environ").split("\0")
        assert f"AGENT_KEY={_SECRET}" in variables
        daemon = main_pid(machine)
        told = [
            machine.read(f"/proc/{daemon}/environ"),
            *(ctl(machine, *words).stdout for words in _TELLING),
            machine.journal_text(10_000),
            machine.run("ps", "axww").stdout,
            machine.run("systemctl", "show", "anyclawd").stdout,
        ]
        assert not [text for text in told if _SECRET in text]
        places = (STATE, "/run/anyclawd", "/etc", "/var/log", "/tmp")
        grep = ("grep", "-rlF", "--binary-files=text", _SECRET, *places)
        assert machine.run(*grep, check=False).stdout == ""
        credential = "/run/credentials/anyclawd.service/agent-key"
        assert machine.read(credential).strip() == _SECRET
        assert machine.run("cat", credential, user="daemon", check=False).returncode == 1
        done = ctl(machine, "validate", CONFIG)
        assert (done.returncode, "agent-key" in done.stdout + done.stderr) == (0, True)
        machine.run("rm", "-r", "/etc/anyclawd/units.d")


_TELLING = (
    ("--json", "status"),
    ("--json", "status", "default.agent"),
    ("--json", "show", "default.agent"),
    ("cat", "default.agent"),
    ("graph",),
    ("logs", "default.agent"),
    ("doctor",),
)


def test_a_credential_that_is_missing_is_a_configuration_that_cannot_be_used(
    machine: Machine,
) -> None:
    machine.write(
        "/etc/anyclawd/units.d/key.yaml",
        "default.agent: {environment: {AGENT_KEY: !credential agent-key}}\n",
    )
    done = machine.run("systemctl", "restart", "anyclawd", check=False)
    assert done.returncode == 1
    assert machine.property("anyclawd", "ExecMainStatus") == "78"
    machine.wait_journal("LoadCredential", "-u", "anyclawd")
    machine.run("rm", "-r", "/etc/anyclawd/units.d")
    machine.run("systemctl", "start", "anyclawd")


def findings(machine: Machine, *options: str, user: str = "root") -> tuple[int, dict[str, str]]:
    """The exit status of doctor, and the worst severity of each of its checks."""
    done = ctl(machine, "--json", "doctor", *options, user=user)
    worst: dict[str, str] = {}
    ranks = ("ok", "note", "warning", "error")
    for row in json.loads(done.stdout)["findings"]:
        known = worst.get(row["check"], "ok")
        worst[row["check"]] = max(known, row["severity"], key=ranks.index)
        assert row["severity"] in ("ok", "note") or row["remedy"] or "; " in row["text"], row
    return done.returncode, worst


def test_doctor_finds_nothing_wrong_with_what_the_package_installs(machine: Machine) -> None:
    for user in ("root", "anyclawd"):
        code, worst = findings(machine, user=user)
        assert (code, set(worst.values()) <= {"ok", "note"}) == (0, True), worst
    machine.run("systemctl", "stop", "anyclawd")
    code, worst = findings(machine)
    machine.run("systemctl", "start", "anyclawd")
    assert (code, set(worst.values()) <= {"ok", "note"}) == (0, True), worst


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that an administrator may have done wrong, by shell commands."""

    made: str
    mended: str
    check: str
    severity: str
    fixes: bool = False  #: `--fix` mends it as well


FAULTS = {
    "the-state-is-open": Fault(
        made=f"chmod 0755 {STATE}; chmod 0644 {STATE}/sessions.db",
        mended=f"chmod 0700 {STATE}; chmod 0600 {STATE}/sessions.db",
        check="permissions",
        severity="warning",
        fixes=True,
    ),
    "the-configuration-has-changed-and-is-bad": Fault(
        made=f"cp -a {CONFIG} /root/good; echo 'units: {{x.agent: {{bogus: 1}}}}' >>{CONFIG}",
        mended=f"cp -a /root/good {CONFIG}",
        check="configuration",
        severity="error",
    ),
    "a-program-is-not-there": Fault(
        made="mkdir /etc/anyclawd/units.d; echo 'x.service: {exec: [nowhere], protocol: none}'"
        " >/etc/anyclawd/units.d/x.yaml",
        mended="rm -r /etc/anyclawd/units.d",
        check="programs",
        severity="error",
    ),
    "a-port-is-taken": Fault(
        made="systemctl stop anyclawd; systemd-run --unit=squatter --property=Type=exec"
        " python3 -m http.server --bind 127.0.0.1 8080;"
        " until curl -s http://127.0.0.1:8080/ >/dev/null; do :; done",
        mended="systemctl stop squatter; systemctl start anyclawd",
        check="ports",
        severity="error",
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_doctor_finds_a_fault(machine: Machine, fault: Fault) -> None:
    machine.run("sh", "-euc", fault.made)
    code, worst = findings(machine)
    assert (code, worst[fault.check]) == (
        {"warning": 5, "error": 1}[fault.severity],
        fault.severity,
    )
    if fault.fixes:
        ctl(machine, "doctor", "--fix")
        assert findings(machine)[0] == 0
    machine.run("sh", "-euc", fault.mended)
    assert findings(machine)[0] == 0


def test_needrestart_tells_of_the_service_when_a_library_was_replaced(machine: Machine) -> None:
    batch = ("needrestart", "-b", "-r", "l")
    assert "anyclawd" not in machine.run(*batch).stdout
    library = machine.run("find", "/usr/lib", "/lib", "-name", "libsqlite3.so.0.*").stdout.split()[
        0
    ]
    machine.run("cp", "--archive", library, f"{library}.new")
    machine.run("mv", f"{library}.new", library)
    assert "NEEDRESTART-SVC: anyclawd.service\n" in machine.run(*batch).stdout
    machine.run("systemctl", "restart", "anyclawd")
    assert "anyclawd" not in machine.run(*batch).stdout

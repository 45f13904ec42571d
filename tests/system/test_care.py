"""What an administrator looks after: credentials, what doctor says, what needs a restart."""

import json
from dataclasses import dataclass

import pytest

from tests.system.deployment import (
    CONFIG,
    PRISTINE,
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


RANKS = ("ok", "note", "warning", "error")


def findings(machine: Machine, *options: str, user: str = "root") -> tuple[int, dict[str, str]]:
    """The exit status of doctor, and the worst severity of each of its checks."""
    done = ctl(machine, "--json", "doctor", *options, user=user)
    worst: dict[str, str] = {}
    for row in json.loads(done.stdout)["findings"]:
        known = worst.get(row["check"], "ok")
        worst[row["check"]] = max(known, row["severity"], key=RANKS.index)
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


def in_unit(
    made: str, *, check: str, severity: str, fixes: bool = False, before: str = ""
) -> Fault:
    """A fault that a drop-in of the service makes, once it is started again."""
    directory = "/etc/systemd/system/anyclawd.service.d"
    restart = "systemctl daemon-reload; systemctl restart anyclawd"
    return Fault(
        made=f"{before}mkdir {directory}; echo '[Service]\n{made}' >{directory}/x.conf; {restart}",
        mended=f"rm -r {directory}; rm -rf /etc/anyclawd/units.d; {restart}",
        check=check,
        severity=severity,
        fixes=fixes,
    )


def in_units(made: str, *, after: str, check: str, severity: str) -> Fault:
    """A fault that a drop-in of units makes, with or without a daemon that has taken it up."""
    return Fault(
        made=f"mkdir /etc/anyclawd/units.d; echo '{made}' >/etc/anyclawd/units.d/x.yaml; {after}",
        mended="rm -r /etc/anyclawd/units.d; systemctl start anyclawd; systemctl reload anyclawd",
        check=check,
        severity=severity,
    )


_USED = (
    "mkdir /etc/anyclawd/units.d; echo 'default.agent: {environment: {KEY: !credential key}}'"
    " >/etc/anyclawd/units.d/x.yaml"
)
FAULTS = {
    "the-state-is-open": Fault(
        made=f"chmod 0755 {STATE}; chmod 0644 {STATE}/sessions.db",
        mended=f"chmod 0700 {STATE}; chmod 0600 {STATE}/sessions.db",
        check="permissions",
        severity="warning",
        fixes=True,
    ),
    "the-configuration-has-become-bad": Fault(
        made=f"echo 'units: {{x.agent: {{bogus: 1}}}}' >>{CONFIG}",
        mended=f"cp -a {PRISTINE} {CONFIG}",
        check="configuration",
        severity="error",
    ),
    "a-program-is-not-there": in_units(
        "x.service: {exec: [nowhere], protocol: none}",
        after="",
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
    "a-credential-is-for-all-to-read": in_unit(
        "LoadCredential=key:/srv/key",
        before=f"echo 4711 >/srv/key; chmod 0644 /srv/key; {_USED}; ",
        check="credentials",
        severity="warning",
        fixes=True,
    ),
    "a-credential-is-not-handed-over": in_units(
        "default.agent: {environment: {KEY: !credential key}}",
        after="",
        check="credentials",
        severity="error",
    ),
    "the-store-is-damaged": Fault(
        made=f"systemctl stop anyclawd; cp -a {STATE}/sessions.db /root;"
        f" head -c 3000 /dev/urandom | dd of={STATE}/sessions.db bs=1 seek=4096 conv=notrunc",
        mended=f"cp -a /root/sessions.db {STATE}; systemctl start anyclawd",
        check="store",
        severity="error",
    ),
    "no-control-groups-are-delegated": in_unit(
        "Delegate=no", check="containment", severity="warning"
    ),
    "a-crash-is-the-end": in_unit("Restart=no", check="service", severity="warning"),
    "an-agent-does-not-answer": in_units(
        "mute.agent: {exec: [sleep, infinity], timeouts: {start: 1}}",
        after="systemctl stop anyclawd",
        check="agents",
        severity="error",
    ),
    "a-unit-fails": in_units(
        'bad.service: {exec: ["false"], protocol: none, readiness: {type: exited}, restart: never}',
        after="systemctl reload anyclawd || true",
        check="units",
        severity="error",
    ),
    "a-chat-is-open-to-the-network": in_units(
        "debug-http.channel: {options: {host: 0.0.0.0}}",
        after="systemctl reload anyclawd",
        check="extensions",
        severity="warning",
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_doctor_finds_a_fault(machine: Machine, fault: Fault) -> None:
    machine.run("sh", "-euc", fault.made)
    code, worst = findings(machine)
    assert worst[fault.check] == fault.severity, worst
    assert code == {"warning": 5, "error": 1}[max(worst.values(), key=RANKS.index)]
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

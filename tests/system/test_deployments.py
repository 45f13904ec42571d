"""More than one anyclawd in a Debian: a second deployment of the system, and one of a user."""

from tests.system.deployment import CONFIG, answer, main_pid, status
from tests.system.machine import Machine

_SECOND = "anyclawd@second.service"


def elsewhere(machine: Machine, state: str) -> str:
    """The packaged configuration for another place and other ports."""
    packaged = machine.read(CONFIG)
    assert "port: 8080" in packaged
    moved = packaged.replace("port: 8080", "port: 8081").replace("/var/lib/anyclawd", state)
    return f"{moved}\nsupervisor: {{admin_port: 0}}\n"


def test_a_second_deployment_runs_beside_the_first(machine: Machine) -> None:
    first = main_pid(machine)
    machine.run("useradd", "--system", "--user-group", "anyclawd-second")
    config = elsewhere(machine, "/var/lib/anyclawd@second")
    machine.write("/etc/anyclawd@second/anyclaw.yaml", config)
    machine.run("systemctl", "start", _SECOND)
    assert answer(machine, "hello", port=8081) == "Echo: hello"
    second = status(machine, "-s", "/run/anyclawd@second/admin.sock")
    assert second["pid"] == main_pid(machine, _SECOND)
    assert second["containment"].startswith("guaranteed")
    assert machine.exists("/var/lib/anyclawd@second/sessions.db")
    machine.run("systemctl", "stop", _SECOND)
    assert machine.property(_SECOND, "Result") == "success"
    assert machine.run("pgrep", "--uid", "anyclawd-second", check=False).stdout == ""
    assert (main_pid(machine), status(machine)["pid"]) == (first, first)


def test_a_user_runs_one_of_their_own(machine: Machine) -> None:
    machine.run("useradd", "--create-home", "alice")
    number = machine.run("id", "-u", "alice").stdout.strip()
    machine.run("systemd-run", "--quiet", "--pipe", "--wait", "loginctl", "enable-linger", "alice")
    machine.wait_until(lambda: machine.exists(f"/run/user/{number}/systemd/private"), "a session")
    session = {"XDG_RUNTIME_DIR": f"/run/user/{number}", "HOME": "/home/alice"}

    def run(*argv: str) -> str:
        return machine.run(*argv, user="alice", environment=session).stdout

    config = elsewhere(machine, "/home/alice/.local/state/anyclawd")
    machine.write("/home/alice/.config/anyclawd/anyclaw.yaml", config)
    machine.run("chown", "-R", "alice:", "/home/alice/.config")
    run("systemctl", "--user", "start", "anyclawd")
    assert answer(machine, "hello", port=8081) == "Echo: hello"
    assert "processes: guaranteed: a cgroup for each unit" in run("anyclawctl", "status")
    run("systemctl", "--user", "stop", "anyclawd")
    assert run("systemctl", "--user", "show", "--value", "-p", "Result", "anyclawd") == "success\n"
    machine.run("systemd-run", "--quiet", "--pipe", "--wait", "loginctl", "disable-linger", "alice")

"""More than one anyclawd in a Debian: a second deployment of the system, and one of a user."""

from tests.system.deployment import SECOND, answer, elsewhere, main_pid, start_second, status
from tests.system.machine import Machine


def test_a_second_deployment_runs_beside_the_first(machine: Machine) -> None:
    first = main_pid(machine)
    start_second(machine)
    assert answer(machine, "hello", port=8081) == "Echo: hello"
    second = status(machine, "-s", "/run/anyclawd@second/admin.sock")
    assert second["pid"] == main_pid(machine, SECOND)
    assert second["containment"].startswith("guaranteed")
    assert machine.exists("/var/lib/anyclawd@second/sessions.db")
    machine.run("systemctl", "stop", SECOND)
    assert machine.property(SECOND, "Result") == "success"
    assert machine.run("pgrep", "--uid", "anyclawd-second", check=False).stdout == ""
    assert (main_pid(machine), status(machine)["pid"]) == (first, first)


def test_a_user_runs_one_of_their_own(machine: Machine) -> None:
    machine.run("useradd", "--create-home", "alice")
    number = machine.run("id", "-u", "alice").stdout.strip()
    machine.run("systemd-run", "--quiet", "--pipe", "--wait", "loginctl", "enable-linger", "alice")
    session = {"XDG_RUNTIME_DIR": f"/run/user/{number}", "HOME": "/home/alice"}

    def run(*argv: str, check: bool = True) -> str:
        return machine.run(*argv, user="alice", environment=session, check=check).stdout

    machine.wait_until(lambda: run("systemctl", "--user", "show", check=False), "a session")

    config = elsewhere(machine, "/home/alice/.local/state/anyclawd")
    machine.write("/home/alice/.config/anyclawd/anyclaw.yaml", config)
    machine.run("chown", "-R", "alice:", "/home/alice/.config")
    run("systemctl", "--user", "start", "anyclawd")
    assert answer(machine, "hello", port=8081) == "Echo: hello"
    assert "processes: guaranteed: a cgroup for each unit" in run("anyclawctl", "status")
    run("systemctl", "--user", "stop", "anyclawd")
    assert run("systemctl", "--user", "show", "--value", "-p", "Result", "anyclawd") == "success\n"
    machine.run("systemd-run", "--quiet", "--pipe", "--wait", "loginctl", "disable-linger", "alice")

"""How units are held, by control groups and without: what `status` says of it, and what is left."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from anyclawd.model.value import Json
from anyclawd.runtime import cgroup
from tests.fakes.daemon import (
    WAIT_S,
    Daemon,
    contained,
    daemon_argv,
    environment,
    running,
    started,
    system,
    wait_dead,
    write_config,
)

needs_cgroups = pytest.mark.skipif(
    cgroup.find("probe", "auto")[0] is None,
    reason=f"needs a writable cgroup v2 subtree: {cgroup.find('probe', 'auto')[1]}",
)
CONTAINMENTS = [pytest.param("cgroup", marks=needs_cgroups), "marks"]

#: Says the pid of a process that has shed its variables, its brand, its session and its parent.
BARE = "env -i prlimit --rttime=unlimited setsid --fork sh -c 'echo $$; exec sleep 1000'"


def shell(script: str, **settings: Json) -> Json:
    return {"exec": ["/bin/sh", "-c", script], "protocol": "none", **settings}


def units(**services: Json) -> Json:
    return system(units={f"{name}.service": unit for name, unit in services.items()})


def said_pid(daemon: Daemon, unit: str) -> int:
    with_pid = next(line["text"] for line in daemon.log_lines(unit) if line["text"].isdecimal())
    return int(with_pid)


def cgroup_of(pid: int) -> str:
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return next(line for line in lines if line.startswith("0::")).partition("/anyclawd-")[2]


@needs_cgroups
def test_each_unit_has_a_cgroup_compiled_or_cached(tmp_path: Path) -> None:
    up = shell("echo $$; exec sleep 1000")
    config = units(a=up, b=up)
    for _ in range(2):
        with running(tmp_path, config, containment="cgroup") as daemon:
            daemon.wait_until(lambda _: (daemon.state / "plan").exists(), "the cached plan")
            for name in ("a.service", "b.service"):
                pid = said_pid(daemon, name)  # what has not said so may be on its way there
                assert pid == daemon.units()[name]["pid"]
                assert cgroup_of(pid) == f"{daemon.instance}/{name}/main"
            boot, path = (daemon.state / "running").read_text().splitlines()
            assert boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            assert path == str(daemon.subtree())
        assert not (daemon.state / "running").exists()


@needs_cgroups
def test_a_stopped_unit_leaves_no_cgroup_and_nothing_that_hides(tmp_path: Path) -> None:
    config = units(a=shell(f"{BARE}; exec sleep 1000"))
    with running(tmp_path, config, containment="cgroup") as daemon:
        pid = said_pid(daemon, "a.service")
        subtree = daemon.subtree()
        assert subtree is not None
        assert (subtree / "a.service").is_dir()
        assert daemon.job("stop", "a.service")[0]["result"] == "done"
        wait_dead(pid)
        assert not (subtree / "a.service").exists()


WORDS = {"cgroup": "guaranteed: a cgroup for each unit", "marks": "best effort: sessions"}


@pytest.mark.parametrize("containment", CONTAINMENTS)
def test_status_says_how_units_are_held(tmp_path: Path, containment: str) -> None:
    with running(tmp_path, units(), containment=containment) as daemon:
        assert daemon.status()["containment"].startswith(WORDS[containment])
        assert WORDS[containment] in daemon.ctl("status").stdout


@needs_cgroups
def test_after_sigkill_the_next_start_ends_what_has_shed_every_mark(tmp_path: Path) -> None:
    """Invariant I2, and the promise of a cgroup: nothing in it can hide."""
    config = units(a=shell(f"{BARE}; exec sleep 1000"))
    with started(tmp_path, config, containment="cgroup") as daemon:
        daemon.wait_ready()
        pid = said_pid(daemon, "a.service")
        daemon.kill()
        assert daemon.descendants().get(pid) is None
        with running(tmp_path) as successor:
            wait_dead(pid)
            assert f"ended process {pid} of a.service, left by the last run" in successor.log_text()
            assert said_pid(successor, "a.service") != pid


@pytest.mark.parametrize("containment", CONTAINMENTS)
def test_the_sweep_leaves_another_instance_alone(tmp_path: Path, containment: str) -> None:
    """Two daemons in one cgroup, of which one is killed and comes back."""
    config = units(a=shell("exec sleep 1000"))
    directories = [tmp_path / name for name in ("one", "other")]
    for directory in directories:
        directory.mkdir()
    with (
        running(directories[1], config, containment=containment) as other,
        started(directories[0], config, containment=containment) as killed,
    ):
        killed.wait_ready()
        left, neighbour = (daemon.units()["a.service"]["pid"] for daemon in (killed, other))
        killed.kill()
        with running(directories[0]):
            wait_dead(left)
        assert other.units()["a.service"]["pid"] == neighbour
        assert other.units()["a.service"]["active"] == "active"


@needs_cgroups
def test_a_required_cgroup_that_cannot_be_had_is_the_reason_not_to_start(tmp_path: Path) -> None:
    """Started in a cgroup that nobody has handed over to it."""
    found, _ = cgroup.find(f"test-{os.urandom(8).hex()}", "auto")
    assert found is not None
    found.enter()
    directory = found.open("outer.service")
    write_config(tmp_path / "anyclaw.yaml", contained(units(), "cgroup"))
    arguments = ("-c", "anyclaw.yaml", "--state-dir", "state", "--runtime-dir", "run")
    argv = ("/bin/sh", "-c", f'echo 0 >{directory}/cgroup.procs && exec "$@"', "sh")
    done = subprocess.run(
        [*argv, *daemon_argv(), *arguments],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    assert done.returncode == 1
    assert "supervisor.cgroup is required, and there is none" in done.stderr
    assert "is not delegated to the daemon" in done.stderr
    assert not (tmp_path / "state" / "running").exists()
    assert found.leave()


@pytest.mark.parametrize("containment", CONTAINMENTS)
def test_a_crash_takes_its_helpers_with_it_and_the_unit_comes_back(
    tmp_path: Path, containment: str
) -> None:
    script = "env -i setsid --fork sh -c 'echo $$; exec sleep 1000'; exec sleep 1000"
    config = units(a=shell(script, backoff={"initial": 0}))
    with running(tmp_path, config, containment=containment) as daemon:
        helper, pid = said_pid(daemon, "a.service"), daemon.units()["a.service"]["pid"]
        os.kill(pid, signal.SIGKILL)
        daemon.wait_restarted("a.service", pid)
        wait_dead(helper)


@pytest.mark.skipif(os.geteuid() != 0, reason="making a PID namespace takes root")
@pytest.mark.parametrize("containment", CONTAINMENTS)
def test_an_isolated_unit_runs_notifies_and_ends_with_all_it_has_started(
    tmp_path: Path, containment: str
) -> None:
    """What it sends comes with its pid as the daemon sees it: the kernel translates."""
    code = (
        "import os, signal, socket, subprocess\n"
        "subprocess.Popen(['setsid', '--fork', 'sleep', '1000'], env={})\n"
        "with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:\n"
        "    notify.sendto(b'READY=1\\nSTATUS=pid %d' % os.getpid(), os.environ['NOTIFY_SOCKET'])\n"
        "signal.pause()\n"
    )
    isolated = {
        "exec": ["@python", "-c", code],
        "protocol": "none",
        "readiness": {"type": "notify"},
        "isolate": "pid",
    }
    with running(tmp_path, units(a=isolated), containment=containment) as daemon:
        unit = daemon.wait_unit("a.service", "active")
        assert unit["status_text"] == "pid 2"
        left = daemon.descendants()
        assert daemon.job("stop", "a.service")[0]["result"] == "done"
        for pid in left:
            wait_dead(pid)
        assert daemon.unit("a.service")["active"] == "inactive"

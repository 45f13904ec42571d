"""Limits and out-of-memory kills where the kernel's controllers hold them, and not rlimits."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from anyclawd.model.value import Json
from anyclawd.runtime import cgroup
from tests.fakes.daemon import Daemon, contained, running, system, write_config

NEEDED = {"memory", "pids", "cpu"}


def _own() -> Path | None:
    """The cgroup that the tests run in."""
    found, _ = cgroup.find("probe", "auto")
    return None if found is None else Path(found.path).parent


def _parent() -> Path | None:
    """A cgroup that hands the controllers on to its children, and in which we may make one."""
    own = _own()
    for candidate in () if own is None else (own, own.parent):
        control = candidate / "cgroup.subtree_control"
        if control.exists() and set(control.read_text().split()) >= NEEDED:
            return candidate
    return None


pytestmark = pytest.mark.skipif(
    _parent() is None, reason="needs cgroup v2 with the memory, pids and cpu controllers handed on"
)


@pytest.fixture
def delegated() -> Iterator[Path]:
    """A cgroup that a service manager has handed over."""
    parent = _parent()
    assert parent is not None
    path = parent / f"test-{os.urandom(8).hex()}"
    path.mkdir()
    os.setxattr(path, "user.delegate", b"1")
    yield path
    assert not [child for child in path.iterdir() if child.is_dir()], "cgroups are left"
    path.rmdir()


def python(code: str, **settings: Json) -> Json:
    return {"exec": ["@python", "-c", code], "protocol": "none", "restart": "never", **settings}


def units(**services: Json) -> Json:
    return system(units={f"{name}.service": unit for name, unit in services.items()})


def subtree(daemon: Daemon, delegated: Path) -> Path:
    return delegated / f"anyclawd-{daemon.instance}"


#: Says so once it is where it is held, and stays.
STAYING = "import signal; print('up', flush=True); signal.pause()"
GREEDY = "import time; held = b'x' * 10**9; time.sleep(1000)"


def test_limits_are_the_units_and_the_daemon_is_in_a_leaf(tmp_path: Path, delegated: Path) -> None:
    resources = {"memory_max": "64MiB", "tasks_max": 7, "cpu_weight": 50}
    config = units(a=python(STAYING, resources=resources))
    for _ in range(2):  # compiled, then cached
        with running(tmp_path, config, containment="cgroup", within=delegated) as daemon:
            daemon.wait_until(lambda _: (daemon.state / "plan").exists(), "the cached plan")
            assert "(v2, with limits)" in daemon.status()["containment"]
            daemon.wait_log("a.service", "up")
            unit = subtree(daemon, delegated) / "a.service"
            files = ("memory.max", "pids.max", "cpu.weight")
            assert [(unit / name).read_text().strip() for name in files] == [
                str(64 * 2**20),
                "7",
                "50",
            ]
            pid = daemon.unit("a.service")["pid"]
            limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
            (data,) = (line for line in limits if line.startswith("Max data size"))
            assert "unlimited" in data
            leaf = (subtree(daemon, delegated) / "daemon" / "cgroup.procs").read_text().split()
            assert leaf == [str(daemon.pid)]
            assert 0 < daemon.unit("a.service")["memory_bytes"] <= 64 * 2**20


def test_other_limits_hold_while_the_process_runs_on(tmp_path: Path, delegated: Path) -> None:
    code = "import time; time.sleep(1000)"

    def config(**resources: Json) -> Json:
        return contained(units(a=python(code, resources=resources)), "cgroup")

    with running(
        tmp_path, config(memory_max="64MiB", tasks_max=7), containment="cgroup", within=delegated
    ) as daemon:
        pid = daemon.unit("a.service")["pid"]
        write_config(daemon.config, config(tasks_max=9, cpu_weight=50))
        answer = daemon.client.post("/v1/reload", {}, waits=True)
        [changed] = answer["modified"]
        assert (changed["effect"], answer["jobs"]) == ("live", [])
        unit = subtree(daemon, delegated) / "a.service"
        files = ("memory.max", "pids.max", "cpu.weight")
        assert [(unit / name).read_text().strip() for name in files] == ["max", "9", "50"]
        assert daemon.unit("a.service")["pid"] == pid
        write_config(daemon.config, config(tasks_max=9, cpu_weight=50, nofile=100))
        answer = daemon.client.post("/v1/reload", {}, waits=True)
        assert [change["effect"] for change in answer["modified"]] == ["restart"]
        assert daemon.unit("a.service")["pid"] != pid


def test_a_unit_over_its_memory_ends_by_an_oom_kill(tmp_path: Path, delegated: Path) -> None:
    config = units(
        a=python(GREEDY, resources={"memory_max": "64MiB"}),
        b=python("import time; time.sleep(1000)"),
    )
    with running(tmp_path, config, containment="cgroup", within=delegated) as daemon:
        assert daemon.wait_unit("a.service", "failed")["result"] == "oom-kill"
        assert daemon.units()["b.service"]["active"] == "active"


def test_a_helper_over_the_memory_takes_its_unit_with_it(tmp_path: Path, delegated: Path) -> None:
    """The main process lives: what the kernel has done is read from memory.events."""
    child = f"subprocess.Popen([sys.executable, '-c', {GREEDY!r}])"
    code = f"import subprocess, sys, time; {child}; time.sleep(1000)"
    config = units(a=python(code, resources={"memory_max": "64MiB"}))
    with running(tmp_path, config, containment="cgroup", within=delegated) as daemon:
        assert daemon.wait_unit("a.service", "failed")["result"] == "oom-kill"


def test_a_unit_has_no_more_tasks_than_it_may(tmp_path: Path, delegated: Path) -> None:
    code = (
        "import os, time\n"
        "for count in range(100):\n"
        "    try:\n"
        "        if os.fork() == 0:\n"
        "            time.sleep(1000)\n"
        "    except BlockingIOError:\n"
        "        print('bound', count, flush=True)\n"
        "        time.sleep(1000)\n"
    )
    config = units(a=python(code, resources={"tasks_max": 5}))
    with running(tmp_path, config, containment="cgroup", within=delegated) as daemon:
        assert daemon.wait_log("a.service", "bound") == "bound 4"
        assert daemon.unit("a.service")["tasks"] == 5


def test_a_stranger_in_the_daemons_cgroup_costs_the_limits_only(
    tmp_path: Path, delegated: Path
) -> None:
    with running(tmp_path, units(), containment="cgroup", within=delegated) as first:
        assert "(v2, with limits)" in first.status()["containment"]
    own = _own()
    (delegated / "cgroup.procs").write_text(str(os.getpid()))
    try:
        with running(tmp_path, units(), containment="cgroup", within=delegated) as daemon:
            assert "holds processes beside the daemon" in daemon.status()["containment"]
    finally:
        assert own is not None
        (own / "cgroup.procs").write_text(str(os.getpid()))

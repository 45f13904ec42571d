"""Where the time of real boots went: with the daemon, after it, and before the next one."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from anyclawd.client import boots as files
from anyclawd.model.value import Json
from tests.fakes.daemon import Daemon, debug_http, mock, running, system

BROKEN = {"workspace": {"type": "local", "binary": "/nowhere/agent"}}
CONFIG = system(
    {"default": mock(), "broken": BROKEN},
    {"debug-http": debug_http()},
    units={
        "late.service": {"exec": ["/bin/sleep", "600"], "protocol": "none", "enabled": True},
    },
)


def check_chain(daemon: Daemon, *words: str) -> Json:
    """Behaviour 77: the critical chain adds up to the boot."""
    chain = daemon.ctl_json("analyze", "critical-chain", *words)["critical-chain"]
    boot = daemon.ctl_json("analyze", "time", *words)["time"]
    assert sum(row["share_s"] for row in chain) == pytest.approx(boot["settled_s"], abs=0.001)
    assert chain[0]["unit"] == "default.target"
    assert all(row["share_s"] >= 0 for row in chain)
    return chain


def test_boots_are_told_with_the_daemon_and_after_it(tmp_path: Path) -> None:
    """A failed unit appears with its failure; what was started later does not appear."""
    with running(tmp_path, CONFIG) as daemon:
        check_chain(daemon)
        first = daemon.ctl_json("analyze", "dump")
        assert daemon.ctl("restart", "default.agent").returncode == 0
        again = daemon.ctl_json("analyze", "dump")
        assert again == first
        text = daemon.ctl("analyze", "blame").stdout
        assert "broken.agent (failed: " in text
        assert "/nowhere/agent" in text
    with running(tmp_path) as daemon:
        check_chain(daemon)
        check_chain(daemon, "--boot", "-1")
        assert daemon.ctl_json("analyze", "dump", "--boot", "-1") == first
        rows = daemon.client.get("/v1/boots")["boots"]
        assert [(row["boot"], row["failed_units"]) for row in rows] == [(0, 1), (-1, 1)]
        done = daemon.ctl("analyze", "--boot", "-2")
        assert (done.returncode, done.stderr) == (
            1,
            "anyclawctl: no boot -2 is kept; the earliest one is -1\n",
        )
        second = daemon.ctl_json("analyze", "dump")
        assert daemon.ctl_json("analyze", "boots")["boots"] == rows
        shows_early_processes(daemon, first, second)
        predicted = daemon.ctl_json("analyze", "simulate")["simulate"]
        assert predicted["started_at"] is None
        assert (predicted["boots"], predicted["comparison"]["settled_s"]) == (
            2,
            second["settled_s"],
        )
        page = daemon.ctl("graph", "--format", "html", "--state").stdout
        assert '"boot":{"end_s":' in page
        assert "failed (failed)" not in page
    offline = ("--state-dir", str(daemon.state))
    assert daemon.ctl_json("analyze", "dump", *offline) == second
    assert daemon.ctl_json("analyze", "dump", "--boot", "-1", *offline) == first
    assert daemon.ctl_json("analyze", "boots", *offline)["boots"] == rows
    assert len(daemon.ctl("analyze", "boots", *offline).stdout.splitlines()) == 3
    picture = tmp_path / "boot.svg"
    done = daemon.ctl("analyze", "plot", "-o", str(picture), *offline)
    assert (done.returncode, done.stdout) == (0, "")
    titles = {
        element.text for element in ET.parse(picture).iter("{http://www.w3.org/2000/svg}title")
    }
    assert {unit["name"] for unit in second["units"]} < titles
    check_prediction(daemon, offline, second)


def shows_early_processes(daemon: Daemon, compiled: Json, cached: Json) -> None:
    """The first wave is there before the engine is, whether or not the plan was cached."""
    for record in (compiled, cached):
        (late,) = [unit for unit in record["units"] if unit["name"] == "late.service"]
        assert late["spawned_s"] < late["queued_s"]


def check_prediction(daemon: Daemon, offline: tuple[str, ...], last: Json) -> None:
    """A boot as it was twice is predicted to be so again, in less time than it takes."""
    words = ("analyze", "simulate", "-c", str(daemon.config), *offline)
    found = daemon.ctl_json(*words)["simulate"]
    assert (found["boots"], found["comparison"]["settled_s"]) == (2, last["settled_s"])
    assert {unit["name"] for unit in found["units"]} == {unit["name"] for unit in last["units"]}
    assert found["assumed"] == ["broken.agent"]
    text = daemon.ctl(*words).stdout
    assert text.startswith("predicted from 2 kept boots; assumed to take 100.0ms, since none tells")
    shown = json.loads(daemon.ctl(*words, "--as", "dump").stdout)
    assert shown["settled_s"] == found["settled_s"]


def test_a_boot_that_is_given_up_is_kept_with_its_reason(tmp_path: Path) -> None:
    config = system({"default": {**BROKEN, "required": True}})
    with pytest.raises(AssertionError), running(tmp_path, config):
        pass
    (record,), notes = files.kept(str(tmp_path / "state"))
    assert (record["state"], notes) == ("stopping", [])
    assert "default.agent" in record["failure"]


def test_a_boot_that_cannot_be_kept_is_a_boot_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(0o700)
    (tmp_path / "state/boots").write_text("in the way")
    with running(tmp_path, system({"default": mock()})) as daemon:
        check_chain(daemon)
        daemon.wait_log_text("cannot keep the record of this boot")
        assert [row["boot"] for row in daemon.client.get("/v1/boots")["boots"]] == [0]


def test_the_plan_that_runs_is_verified(tmp_path: Path) -> None:
    config = system(
        {"default": {**mock(), "timeouts": {"stop": "1min"}}}, {"debug-http": debug_http()}
    )
    with running(tmp_path, config) as daemon:
        (found,) = daemon.ctl_json("analyze", "verify")["findings"]
        assert (found["lint"], found["unit"]) == ("stop-timeout", "default.agent")
        (line,) = daemon.ctl("analyze", "verify").stdout.splitlines()
        assert line.startswith(f"{found['span']}: warning: default.agent: may take")
        offline = daemon.ctl("analyze", "verify", "-c", str(daemon.config))
        assert (offline.returncode, offline.stdout) == (0, line + "\n")

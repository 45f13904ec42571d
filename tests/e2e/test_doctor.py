"""`anyclawctl doctor` beside a daemon: what it learns of it, and that it disturbs it not."""

import json
from pathlib import Path

import yaml

from anyclawd.model.value import Json
from tests.fakes.daemon import Daemon, debug_http, mock, running, system


def doctor(daemon: Daemon, *words: str) -> Json:
    places = ("--state-dir", str(daemon.state), "--runtime-dir", str(daemon.run))
    done = daemon.ctl("doctor", "--json", *places, *words)
    assert done.stderr == ""
    return json.loads(done.stdout)


def of(report: Json, check: str, subject: str = "") -> list[tuple[str, str]]:
    """(severity, text) of what a check says of something that has this in its name."""
    return [
        (one["severity"], one["text"])
        for one in report["findings"]
        if one["check"] == check and subject in one["subject"]
    ]


def test_a_daemon_is_looked_at_from_all_sides(tmp_path: Path) -> None:
    """One daemon, asked four times: as it is, asked from aside, changed, and misconfigured."""
    config = system({"default": mock()}, {"debug-http": debug_http(port=0)})
    config["agents_manager"]["agents"]["looping"] = {
        "exec": ["/bin/sh", "-c", "exit 3"],
        "backoff": {"initial": "10ms", "max": "10ms"},
        "start_limit": {"burst": 3, "interval": "1h", "on_limit": "fail"},
    }
    config["session_store"] = {"type": "sqlite", "path": str(tmp_path / "state" / "sessions.db")}
    with running(tmp_path, config) as daemon:
        daemon.wait_unit("looping.agent", "failed")
        daemon.answer("hello", agent="default")
        before = {name: row["pid"] for name, row in daemon.units().items()}

        report = doctor(daemon)
        assert report["online"]
        assert report["config"] == str(daemon.config)
        assert of(report, "daemon", "admin.sock")[0][0] == "warning"  # degraded
        assert of(report, "configuration") == [("ok", f"is what runs, {len(before)} units")]
        [(severity, text)] = of(report, "units", "looping.agent")
        assert severity == "error"
        assert "exited with code 3" in text
        assert of(report, "agents", "looping.agent") == [
            ("error", "does not answer: failed (failed)")
        ]
        assert of(report, "agents", "default.agent")[0][0] == "ok"
        assert of(report, "extensions", "debug-http.channel")[0][0] == "ok"
        assert [severity for severity, _ in of(report, "store")] == ["ok"]
        assert [severity for severity, _ in of(report, "messages")] == ["ok"]
        assert of(report, "ports") == [("ok", "none is asked for")]

        report = doctor(daemon, "--offline", "-c", str(daemon.config))
        assert not report["online"]
        [(severity, text)] = of(report, "daemon", "lock")
        assert (severity, text) == (
            "note",
            f"pid {daemon.pid} has the state directory, but was not asked",
        )
        assert [severity for severity, _ in of(report, "ports")] == ["ok"]
        assert {severity for severity, _ in of(report, "extensions")} == {"ok"}
        assert {severity for severity, _ in of(report, "agents")} == {"note"}

        changed = {**config, "units": {"new.target": {}}}
        daemon.config.write_text(yaml.safe_dump(changed))
        report = doctor(daemon)
        told = ("warning", "is not what runs: +new.target")
        assert told in [one for one in of(report, "configuration") if "new.target" in one[1]]

        daemon.config.write_text("agents_manager: [wrong]\n")
        report = doctor(daemon)
        assert [severity for severity, _ in of(report, "configuration")][:1] == ["error"]
        assert of(report, "agents", "default.agent")[0][0] == "ok"  # what runs goes on

        assert {name: row["pid"] for name, row in daemon.units().items()} == before
        assert daemon.stop() == 0

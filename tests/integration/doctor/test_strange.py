"""The doctor beside a daemon of another version, whose answers are not those of this one."""

import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from anyclawd import __version__
from anyclawd.model.value import Json
from tests.fakes.daemon import environment

UNIT = {"name": "a.agent", "kind": "agent", "active": "active", "sub": "levitating", "pid": None}
ANSWERS: dict[str, Json] = {
    "/v1/status": {
        "state": "running",
        "version": "0.0.1",
        "pid": os.getpid(),
        "config": "/nowhere/anyclaw.yaml",
        "warnings": [],
        "units": [{**UNIT, "result": "success"}],
    },
    "/v1/units/a.agent?n=0": UNIT,
}


class Old(BaseHTTPRequestHandler):
    """Knows little, and says so as a daemon does."""

    def do_GET(self) -> None:
        found = ANSWERS.get(self.path)
        refusal = {"error": {"code": "no-such-route", "message": "no route", "hint": ""}}
        body = json.dumps(refusal if found is None else found).encode()
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_words: object) -> None:
        """Nobody reads it."""

    def address_string(self) -> str:
        return "anyclawctl"


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "admin.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), Old) as server:
        thread = threading.Thread(target=server.serve_forever, name="stranger")
        thread.start()
        yield path
        server.shutdown()
        thread.join()


def test_a_daemon_before_its_restart_is_told_as_one(stranger: Path) -> None:
    words = ("-s", str(stranger), "--json", "doctor", "--state-dir", str(stranger.parent))
    done = subprocess.run(
        [sys.executable, "-m", "anyclawd.cli.main", *words],
        env=environment({"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    told = [
        (one["check"], one["severity"], one["text"]) for one in json.loads(done.stdout)["findings"]
    ]
    other = "a daemon of another version answers in another way"
    assert ("daemon", "warning", f"the daemon is 0.0.1, and {__version__} is installed") in told
    assert ("containment", "note", other) in told
    assert ("units", "note", other) in told
    assert ("messages", "error", "no route") in told

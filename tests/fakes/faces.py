"""Everything that a running daemon can be made to say, by whatever face it is asked."""

import socket
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import yaml

from anyclawd.cli.main import VERBS
from anyclawd.client.exchange import exchange
from tests.fakes.daemon import WAIT_S, Daemon, http_get

_API = Path(__file__).resolve().parents[2] / "schema" / "admin.openapi.yaml"

#: Routes that do not end by themselves, or that take what is not there.
_NOT_ASKED = frozenset({"/v1/wait", "/v1/events", "/v1/jobs/{id}", "/v1/messages/{id}"})

#: How verbs are asked that only look; `UNIT` stands for the unit, `CONFIG` for its configuration.
LOOKS: dict[str, list[list[str]]] = {
    "status": [["status"], ["--json", "status", "UNIT"]],
    "list-units": [["list-units"]],
    "list-dependencies": [["list-dependencies"]],
    "list-jobs": [["list-jobs"]],
    "explain": [["explain", "UNIT"]],
    "show": [["show", "UNIT"]],
    "cat": [["cat", "UNIT"]],
    "is-active": [["is-active", "UNIT"]],
    "is-failed": [["is-failed", "UNIT"]],
    "edit": [["edit", "UNIT"]],
    "reload": [["--json", "reload", "--dry-run"]],
    "logs": [["logs", "-n", "1000"]],
    "graph": [["graph", "--format", name] for name in ("dot", "svg", "html", "graphml")],
    "analyze": [
        *(["analyze", name] for name in ("time", "critical-chain", "plot", "dump")),
        *(["analyze", name] for name in ("verify", "simulate")),
    ],
    "sessions": [["sessions"]],
    "pair": [["pair"]],
    "validate": [["--json", "validate", "CONFIG"]],
    "doctor": [["--json", "doctor"], ["--json", "doctor", "--offline"]],
}
#: Verbs that change something, that a person talks to, or that ask no daemon.
OTHERS = frozenset(
    {
        *("start", "stop", "restart", "try-restart", "cancel", "wait", "kill", "reset-failed"),
        *("set-property", "top", "message", "login", "logout", "send", "notify", "chat", "schema"),
        *("init", "demo", "run"),
    }
)


def everything_said(daemon: Daemon, unit: str, *others: str) -> dict[str, bytes]:
    """By the question, every answer of the admin API, of its port, and of `anyclawctl`.

    The API is asked about all these units, `anyclawctl` about the first.
    """
    assert LOOKS.keys() | OTHERS == VERBS.keys(), (
        "a verb is to be asked, or it is one of the others"
    )
    port = daemon.status()["admin_port"]
    said = {path: http_get(port, path)[1] for path in ("/health", "/metrics")}
    said |= {path: _get(daemon, path) for path in _routes((unit, *others))}
    meant = {"UNIT": unit, "CONFIG": str(daemon.config)}
    for questions in LOOKS.values():
        for question in questions:
            done = daemon.ctl(*(meant.get(word, word) for word in question))
            said[" ".join(question)] = (done.stdout + done.stderr).encode()
    return said


def _get(daemon: Daemon, path: str) -> bytes:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        connection.settimeout(WAIT_S)
        connection.connect(daemon.socket)
        with closing(exchange(connection, "the daemon", "GET", path, None)) as response:
            return b"".join(response.pieces())


def _routes(units: tuple[str, ...]) -> list[str]:
    """What can be asked for by the description of the admin API."""
    api = yaml.safe_load(_API.read_text())
    paths = [path for path, operations in api["paths"].items() if "get" in operations]
    asked = [path for path in paths if path.startswith("/v1/") and path not in _NOT_ASKED]
    whole = [path for path in asked if "{" not in path]
    one = [path for path in asked if path.startswith("/v1/units/{name}")]
    return [*whole, *(path.replace("{name}", quote(unit)) for path in one for unit in units)]

"""How soon an agent learns that the tool it is waiting for has been killed."""

import http.client
import json
import os
import signal
import time
from contextlib import closing
from urllib.parse import urlsplit

from tests.bench.budget import Row, Samples, at_most
from tests.bench.experiment import Experiment
from tests.bench.lab import PATIENCE_S, Json, Lab, LabError
from tests.bench.talk import through_daemon
from tests.fakes.tool_process import MISBEHAVING

_KILLS = 20

ROW = Row(
    key="tool-killed",
    what="SIGKILL of a tool -> the answer to a call that it was at, with its client",
    must=at_most(100),
    moonshot=at_most(5),
)


def _kill(lab: Lab) -> dict[str, Samples]:
    told = lab.site("killed") / "told"
    told.unlink(missing_ok=True)
    at_once = {"backoff": {"initial": 0, "jitter": 0}, "start_limit": {"burst": 0}}
    tool: Json = {"binary": MISBEHAVING[0], "args": list(MISBEHAVING[1:]), **at_once}
    with through_daemon(lab, "killed", ["turns 1"], tools={"victim": tool}) as (talk, daemon):
        talk.perform()
        [entry] = json.loads(told.read_text())
        victim = _Victim(entry)
        delays = []
        for _ in range(_KILLS):
            while not victim.works():  # it is on its way back
                daemon.check()
            pid = daemon.admin().get("/v1/units/victim.tool")["pid"]
            delays.append(victim.answered_after(pid))
    return {ROW.key: Samples(delays)}


class _Victim:
    """The tool as its client sees it."""

    def __init__(self, entry: Json) -> None:
        self._where = urlsplit(entry["url"])
        self._headers = {
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            **{header["name"]: header["value"] for header in entry["headers"]},
        }

    def works(self) -> bool:
        with closing(self._sent({"text": "it works"})) as call:
            return b"it works" in call.getresponse().read()

    def answered_after(self, pid: int) -> float:
        """Milliseconds; the call has come to the tool when one after it is answered."""
        with closing(self._sent({"do": "hang"})) as call:
            if not self.works():
                raise LabError("the tool does not work")
            began = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            body = call.getresponse().read()
            elapsed_s = time.perf_counter() - began
        if b'"isError":true' not in body:
            raise LabError(f"not the answer for a tool that is gone: {body!r}")
        return elapsed_s * 1000

    def _sent(self, arguments: Json) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self._where.netloc, timeout=PATIENCE_S)
        params = {"name": "echo", "arguments": arguments}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        connection.request("POST", self._where.path, json.dumps(body), self._headers)
        return connection


EXPERIMENTS = (Experiment(rows=(ROW,), run=_kill),)

"""Files through the media service: how many bytes a second go in and come out.

The service is a process of its own, which clients reach directly; so the daemon has no part in it,
and the bench shakes hands with the service by itself.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.budget import Row, Samples, at_least_x
from tests.bench.experiment import Experiment
from tests.bench.lab import HERE, PATIENCE_S, Lab, LabError, Running

_BYTES, _TIMES = 64 * 2**20, 3
_SERVICE = HERE.parents[1] / "ext" / "services" / "media"

_BARE = "aiohttp that writes a synced file, and FileResponse"
UPLOAD = Row(
    key="media-upload",
    what=f"upload of {_BYTES >> 20} MiB until it is kept for good",
    unit="MB/s",
    bare=_BARE,
    more_is_better=True,
    must=at_least_x(0.6),
    moonshot=at_least_x(1),
)
DOWNLOAD = Row(
    key="media-download",
    what="download of the same by its link",
    unit="MB/s",
    bare=_BARE,
    more_is_better=True,
    must=at_least_x(0.6),
    moonshot=at_least_x(1),
)


def _move(lab: Lab) -> dict[str, Samples]:
    with _ours(lab) as (url, key):
        ours = _moved(lab, url, key)
    with _bare(lab) as url:
        bare = _moved(lab, url, "none")
    return {
        row.key: Samples(our, their)
        for row, our, their in zip((UPLOAD, DOWNLOAD), ours, bare, strict=True)
    }


def _moved(lab: Lab, url: str, key: str) -> tuple[list[float], list[float]]:
    """Megabytes a second, up and down."""
    line = [sys.executable, "-I", str(HERE / "peers" / "mover.py"), url, key]
    line += [str(_BYTES), str(_TIMES)]
    done = subprocess.run(
        line, env=lab.environ, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    if done.returncode:
        raise LabError(f"files do not get through {url}: {done.stderr}")
    said = json.loads(done.stdout)
    up, down = ([_BYTES / took_ns * 1e3 for took_ns in said[way]] for way in ("up_ns", "down_ns"))
    return up, down


@contextmanager
def _ours(lab: Lab) -> Iterator[tuple[str, str]]:
    """Where to upload, and the key for it."""
    options = {"directory": str(_emptied(lab, "media"))}
    params = {"namespace": "bench", "options": options}
    frame = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, str(_SERVICE)], stdin=pipe, stdout=pipe, env=lab.environ, text=True
    ) as service:
        assert service.stdin is not None
        assert service.stdout is not None
        service.stdin.write(json.dumps(frame) + "\n")
        service.stdin.flush()
        answer = json.loads(service.stdout.readline())
        given = answer["result"]["installation"]
        try:
            yield f"{given['urls']['media']}/media", given["environment"]["ANYCLAW_MEDIA_KEY"]
        finally:
            service.stdin.close()


@contextmanager
def _bare(lab: Lab) -> Iterator[str]:
    directory = _emptied(lab, "bare-files")
    line = [sys.executable, "-I", str(HERE / "bare_files.py"), str(directory)]
    running = Running(line, lab.site("bare") / "log", environ=lab.environ, cwd=directory)
    try:
        yield f"http://127.0.0.1:{running.wait_said('port')}/files"
    finally:
        running.end()


def _emptied(lab: Lab, name: str) -> Path:
    """A directory of the lab without what earlier visits have kept there."""
    directory = lab.site(name)
    for path in directory.rglob("*"):
        if path.is_file():
            path.unlink()
    return directory


EXPERIMENTS = (Experiment(rows=(UPLOAD, DOWNLOAD), run=_move),)

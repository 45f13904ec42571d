"""Sockets that are changed while they are served: nobody who is being answered notices."""

import http.client
import os
import socket
import stat
from contextlib import closing
from pathlib import Path

import pytest

from anyclawd.admin.listener import CannotListen, listen, open_port
from tests.fakes.control import log_line
from tests.fakes.daemon import reserved_port
from tests.integration.admin.conftest import Served


def get(port: int) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", "/metrics")
        return connection.getresponse().status


def move(served: Served, public: socket.socket) -> None:
    """As the daemon does it."""

    async def run() -> None:
        served.listener.move_public(public)
        await served.server.serve_public(public)

    served.run(run())


def test_the_port_moves_and_the_old_one_is_free(served: Served) -> None:
    with reserved_port() as before:
        move(served, open_port(before))
        assert get(before) == 200
        move(served, open_port(0))
        after = served.listener.port
        assert after is not None
        assert get(after) == 200
        open_port(before).close()


def test_a_port_appears_where_none_could_be_had(tmp_path: Path) -> None:
    with reserved_port() as port:
        with open_port(port):
            listener = listen(tmp_path / "admin.sock", mode=0o600, group="", port=port)
        assert (listener.port, str(port) in listener.warning) == (None, True)
        assert listener.move_public(open_port(port)) is None
        assert (listener.port, listener.warning) == (port, "")
        listener.close()


def test_a_request_on_the_socket_outlives_a_move_of_the_port(served: Served) -> None:
    stream = served.client.stream("GET", "/v1/logs?n=1&follow=1", timeout_s=60)
    with closing(stream):
        assert next(stream)["text"] == "line 2"
        move(served, open_port(0))
        line = log_line("default.agent", "after")
        served.wait_until(lambda: len(served.control.new_lines) == 1)
        served.call(lambda: served.control.new_lines.publish_nowait(line))
        assert next(stream)["text"] == "after"


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_the_mode_changes_while_it_is_served(served: Served, mode: int) -> None:
    served.call(lambda: served.listener.change_access(mode, ""))
    assert stat.S_IMODE(served.path.stat().st_mode) == mode
    assert served.client.get("/v1/status")["state"] == "running"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to any group")
def test_the_group_changes_while_it_is_served(served: Served) -> None:
    served.call(lambda: served.listener.change_access(0o660, "4711"))
    found = served.path.stat()
    assert (found.st_gid, stat.S_IMODE(found.st_mode)) == (4711, 0o660)
    served.call(lambda: served.listener.change_access(0o600, ""))
    assert served.path.stat().st_gid == os.getegid()


def test_an_unknown_group_changes_nothing(served: Served) -> None:
    with pytest.raises(CannotListen, match="no group 'no-such-group'"):
        served.call(lambda: served.listener.change_access(0o666, "no-such-group"))
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o600


def test_the_socket_of_another_daemon_is_left_to_it(served: Served) -> None:
    served.path.unlink()
    served.path.touch(mode=0o600)
    with pytest.raises(CannotListen, match="another daemon's by now"):
        served.call(lambda: served.listener.change_access(0o666, ""))
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o600

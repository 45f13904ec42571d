import socket

import pytest

from anyclawd.mcp.listener import CannotListen, address_of, listen, url

ADDRESSES = {
    "localhost": ("localhost", "127.0.0.1"),
    "in-capitals": ("LocalHost", "127.0.0.1"),
    "loopback": ("127.0.0.5", "127.0.0.5"),
    "v6": ("::1", "::1"),
    "v6-in-brackets": ("[::1]", "::1"),
    "a-name": ("tools.example", "None"),
    "nearly-an-address": ("127.0.0", "None"),
}


@pytest.mark.parametrize(("host", "address"), ADDRESSES.values(), ids=ADDRESSES)
def test_address_of(host: str, address: str) -> None:
    assert str(address_of(host)) == address


def test_url() -> None:
    assert url("anyclaw", 80) == "http://anyclaw:80"
    assert url("127.0.0.1", 80) == "http://127.0.0.1:80"
    assert url("::1", 80) == url("[::1]", 80) == "http://[::1]:80"


def test_loopback_is_bound_as_it_is() -> None:
    bound = listen("localhost", 0)
    with bound.socket:
        assert bound.socket.getsockname() == ("127.0.0.1", bound.port)
        assert bound.warning == ""


@pytest.mark.parametrize("host", ["anyclaw", "0.0.0.0", "192.0.2.1"])
def test_what_is_not_an_address_of_this_machine_opens_all_of_them(host: str) -> None:
    bound = listen(host, 0)
    with bound.socket:
        assert bound.socket.getsockname()[0] == "0.0.0.0"
        assert repr(host) in bound.warning


def test_a_port_that_is_taken_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen) as refused:
            listen("127.0.0.1", port)
    assert str(refused.value) == (
        f"cannot listen on 127.0.0.1:{port}: Address already in use; "
        "set tools_manager.tools_server_port to another port, or to 0"
    )

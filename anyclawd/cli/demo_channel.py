"""debug-http as one of its users sees it: HTTP by hand over a TCP connection."""

import socket
from collections.abc import Callable, Iterator

from anyclawd.client.exchange import ClientError, Response, exchange
from anyclawd.model.value import Json

_PEER = "the debug-http channel"


class DebugHttp:
    """The channel behind one port. Every wait ends after `timeout_s`."""

    def __init__(self, port: int, timeout_s: float) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._address, self._timeout_s = ("127.0.0.1", port), timeout_s

    def ask(self, text: str, said: Callable[[str], None]) -> tuple[list[str], str]:
        """The thoughts and the answer to a text; each thought is also said as it comes."""
        events = self._request("GET", "/events", None)
        try:
            self._request("POST", "/message", {"message": text}).close()
            thoughts: list[str] = []
            for event, data in server_sent(events.lines()):
                if event == "thought":
                    thoughts.append(data)
                    said(data)
                elif event == "" and data:
                    return thoughts, data
        finally:
            events.close()
        raise ClientError(f"{_PEER} ended the connection before it had an answer")

    def _request(self, method: str, target: str, body: Json) -> Response:
        connection = socket.create_connection(self._address, self._timeout_s)
        response = exchange(connection, _PEER, method, target, body)
        if response.status >= 400:
            response.close()
            raise ClientError(f"{_PEER} answered {method} {target} with {response.status}")
        return response


def server_sent(lines: Iterator[bytes]) -> Iterator[tuple[str, str]]:
    """(event, data) pairs. Source: HTML Living Standard, "Server-sent events"."""
    event = ""
    data: list[str] = []
    for line in (line.rstrip(b"\r").decode(errors="replace") for line in lines):
        name, _, value = line.partition(":")
        if not line:
            if data:
                yield event, "\n".join(data)
            event, data = "", []
        elif name == "event":
            event = value.removeprefix(" ")
        elif name == "data":
            data.append(value.removeprefix(" "))

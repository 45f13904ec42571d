"""Files from a chat to an agent and from an agent to a chat, past the daemon: one system for all.

Two agents: one whose strings the test holds, and a mock one that calls tools. Each has a debug-http
channel; both channels and the tool that sends files use the media service.
"""

import base64
import http.client
import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from anyclawd.model.value import Json
from tests.fakes.daemon import WAIT_S, Chat, Daemon, debug_http, mock, running, system
from tests.fakes.puppet import AgentPuppet, Stage, stage

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
TAKES: Json = {"image": True, "audio": True, "embeddedContext": True}


class Place:
    """The daemon, its chats, and the agent of one of them."""

    def __init__(self, daemon: Daemon, theatre: Stage, workspace: Path) -> None:
        self.daemon, self.workspace = daemon, workspace
        self.agent: AgentPuppet = theatre.accept_agent("looker")
        self.web, self.desk = daemon.chat("web"), daemon.chat("desk")

    def send(self, chat: Chat, message: str, **files: bytes) -> None:
        """A form, as curl sends it."""
        body = b""
        for name, filename, content in [
            ("message", "", message.encode()),
            *(("files", filename, content) for filename, content in files.items()),
        ]:
            named = f'; filename="{filename}"' if filename else ""
            head = f'--xyz\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
            body += head.encode() + content + b"\r\n"
        connection = http.client.HTTPConnection("127.0.0.1", chat.port, timeout=WAIT_S)
        with closing(connection):
            headers = {"Content-Type": "multipart/form-data; boundary=xyz"}
            connection.request("POST", "/message", body + b"--xyz--\r\n", headers)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()

    def prompt(self) -> list[Json]:
        """The blocks of the next prompt, which is answered."""
        methods = ("session/new", "session/prompt")
        request = self.agent.take(lambda frame: frame.get("method") in methods, "a prompt")
        if request["method"] == "session/new":
            self.agent.answer(request, {"sessionId": "s1"})
            request = self.agent.expect("session/prompt")
        self.agent.done(request)
        blocks: list[Json] = request["params"]["prompt"]
        return [block for block in blocks if "Platform context" not in block.get("text", "")]

    def fetch(self, chat: Chat, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", chat.port, timeout=WAIT_S)
        with closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("media")
    workspace = directory / "workspace"
    workspace.mkdir()
    greeting = {"protocolVersion": 1, "agentCapabilities": {"promptCapabilities": TAKES}}
    media = {"binary": "@built-in/services/media", "options": {"image_edge": 0}}
    sender = {"binary": "@built-in/tools/send-file", "services": ["media"]}
    worker = mock(obey=True)
    worker["workspace"]["working_dir"] = str(workspace)
    with stage(directory) as theatre:
        config = system(
            {"looker": theatre.agent("looker", greeting), "mock": worker},
            {
                "web": {**debug_http("looker"), "services": ["media"]},
                "desk": {**debug_http("mock"), "services": ["media"]},
            },
            services_manager={"services": {"media": media}},
            tools_manager={"tools": {"send-file": sender}},
        )
        with running(directory, config) as daemon:
            yield Place(daemon, theatre, workspace)


def test_a_picture_from_a_chat_reaches_the_agent(place: Place) -> None:
    place.send(place.web, "What is this?", **{"dot.png": PNG, "note.txt": b"a note"})
    text, image, note = place.prompt()
    assert text == {"type": "text", "text": "What is this?"}
    assert base64.b64decode(image["data"]) == PNG
    assert (image["type"], image["mimeType"]) == ("image", "image/png")
    assert note["resource"]["text"] == "a note"


def test_a_large_file_is_linked_and_can_be_read(place: Place) -> None:
    content = os.urandom(3_000_000)
    place.send(place.web, "Read this.", **{"large.bin": content})
    _, note, link = place.prompt()
    assert "a file 'large.bin' (application/octet-stream, 3000000 bytes)" in note["text"]
    assert (link["type"], link["name"], link["size"]) == ("resource_link", "large.bin", 3_000_000)
    host, _, target = link["uri"].removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=WAIT_S)
    with closing(connection):
        connection.request("GET", f"/{target}")
        assert connection.getresponse().read() == content


def test_what_an_agent_sends_reaches_the_chat(place: Place) -> None:
    with place.web.listening() as events:
        data = base64.b64encode(PNG).decode()
        content = {"type": "image", "data": data, "mimeType": "image/png"}
        update = {"sessionUpdate": "agent_message_chunk", "content": content}
        params = {"sessionId": "s1", "update": update}
        place.agent.say({"method": "session/update", "params": params})
        image = next(json.loads(data) for name, data in events if name == "image")
    assert place.fetch(place.web, image["path"]) == (200, PNG)


def test_a_file_that_a_tool_sends_reaches_the_chat_by_its_link(place: Place) -> None:
    content = os.urandom(2_000_000)
    (place.workspace / "report.bin").write_bytes(content)
    with place.desk.listening() as events:
        place.desk.say('!call send_file {"path": "report.bin"}')
        file = next(json.loads(data) for name, data in events if name == "file")
    assert file["filename"] == "report.bin"
    assert re.match(r"http://127\.0\.0\.1:\d+/media/", file["url"])
    assert place.fetch(place.desk, file["path"]) == (200, content)


def test_a_media_service_that_was_killed_comes_back_as_it_was(place: Place) -> None:
    """Its port, its keys and its files outlive it, so nobody who uses it is restarted."""
    place.send(place.web, "Keep this.", **{"large.bin": b"\0" * 2_000_000})
    _, _, link = place.prompt()
    users = {name: place.daemon.units()[name]["pid"] for name in ("web.channel", "send-file.tool")}
    pid = place.daemon.units()["media.service"]["pid"]
    os.kill(pid, signal.SIGKILL)
    place.daemon.wait_restarted("media.service", pid)
    host, _, target = link["uri"].removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=WAIT_S)
    with closing(connection):
        connection.request("GET", f"/{target}")
        assert connection.getresponse().read() == b"\0" * 2_000_000
    place.send(place.web, "And this.", **{"dot.png": PNG})
    assert base64.b64decode(place.prompt()[1]["data"]) == PNG
    units = place.daemon.units()
    assert users == {name: units[name]["pid"] for name in users}


def test_no_key_is_in_any_log_or_view(place: Place) -> None:
    state = json.loads((place.daemon.state / "units/media.service/keys.json").read_text())
    shown = place.daemon.log_text() + place.daemon.ctl("show", "web.channel").stdout
    shown += json.dumps(place.daemon.status())
    assert state["upload"] not in shown
    assert state["signing"] not in shown

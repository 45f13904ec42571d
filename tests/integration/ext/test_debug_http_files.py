"""Files through debug-http, both ways: with a media service beside it, and without one."""

import asyncio
import http.client
import json
import os
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from anyclaw_sdk.media import Media
from anyclaw_sdk.types import Json, Message
from tests.integration.ext.supervisor import ROOT, WAIT_S, Supervisor

DEBUG_HTTP, MEDIA = (str(ROOT / path) for path in ("ext/channels/debug-http", "ext/services/media"))
PNG = b"\x89PNG\r\n\x1a\n...."
BOUNDARY = "b0undary"
KEY = "sesame"


class Field(NamedTuple):
    name: str
    content: bytes
    filename: str = ""
    mime_type: str = ""


def form(*fields: Field, end: bytes = f"--{BOUNDARY}--\r\n".encode()) -> bytes:
    body = b""
    for name, content, filename, mime_type in fields:
        named = f'; filename="{filename}"' if filename else ""
        typed = f"Content-Type: {mime_type}\r\n" if mime_type else ""
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n{typed}\r\n'
        )
        body += head.encode() + content + b"\r\n"
    return body + end


class Chat:
    """A debug-http channel whose handshake is over, with a key of its own."""

    def __init__(self, channel: Supervisor) -> None:
        self.channel = channel
        self.sent: queue.Queue[Message] = queue.Queue()  #: messages, as the supervisor gets them
        self.answers: list[Message] = []  #: to the next messages; accepted without
        channel.answer = self._answer
        offered = {"acceptance": True, "deliveryReceipts": True}
        options = {"api_key": KEY}
        params = {"protocolVersion": 1, "channelId": "d", "capabilities": offered}
        channel.call(1, "initialize", {**params, "options": options})
        self.port = int(channel.stderr_line("PORT:").removeprefix("PORT:"))

    def _answer(self, request: Message) -> Message | None:
        if request["method"] != "channel/sendMessage":
            return None
        self.sent.put(request["params"])
        accepted = {"result": {"accepted": True, "messageId": "m1"}}
        return self.answers.pop() if self.answers else accepted

    def http(
        self, method: str, path: str, body: bytes = b"", headers: Message | None = None
    ) -> tuple[int, Message, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        connection.request(method, path, body, {"Authorization": f"Bearer {KEY}"} | (headers or {}))
        response = connection.getresponse()
        answer = response.status, dict(response.getheaders()), response.read()
        connection.close()
        return answer

    def post(self, *fields: Field, body: bytes | None = None) -> tuple[int, Json]:
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        content = form(*fields) if body is None else body
        status, _, answer = self.http("POST", "/message", content, headers)
        return status, json.loads(answer)

    def parts(self) -> list[Json]:
        """The content of the next message."""
        content: list[Json] = self.sent.get(timeout=WAIT_S)["content"]
        return content

    def event(self, **content: Json) -> tuple[str, Message]:
        """What clients are told of something that an agent sends."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        connection.request("GET", "/events", headers={"Authorization": f"Bearer {KEY}"})
        response = connection.getresponse()
        assert response.readline() == b": connected\n"
        assert response.readline() == b"\n"
        update = {"sessionUpdate": "agent_message_chunk", "content": content}
        params = {"sessionId": "s", "content": {"update": update}}
        self.channel.notify("channel/deliverMessage", params)
        name = response.readline().decode().removeprefix("event: ").rstrip("\n")
        data = response.readline().decode().removeprefix("data: ")
        response.close()
        connection.close()
        return name, json.loads(data)


@pytest.fixture(scope="module")
def chat() -> Iterator[Chat]:
    """Without a media service."""
    with Supervisor(DEBUG_HTTP) as channel:
        yield Chat(channel)


class Store(NamedTuple):
    chat: Chat
    media: Media
    directory: Path

    def items(self) -> list[str]:
        return [path.name for path in (self.directory / "items").glob("*.json")]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """With one, which takes up to a million bytes."""
    directory = tmp_path_factory.mktemp("media")
    with Supervisor(MEDIA) as service:
        options = {"directory": str(directory), "item_size": 1_000_000, "image_edge": 0}
        answer = service.call(1, "initialize", {"namespace": "x", "options": options})
        installation = answer["result"]["installation"]
        url, key = installation["urls"]["media"], installation["environment"]["ANYCLAW_MEDIA_KEY"]
        os.environ.update(ANYCLAW_MEDIA_URL=url, ANYCLAW_MEDIA_KEY=key)
        try:
            with Supervisor(DEBUG_HTTP) as channel:
                yield Store(Chat(channel), Media(url, key), directory)
        finally:
            del os.environ["ANYCLAW_MEDIA_URL"], os.environ["ANYCLAW_MEDIA_KEY"]


# --- towards the agent ----------------------------------------------------------------------------


def test_small_files_are_in_the_message(chat: Chat) -> None:
    answer = chat.post(
        Field("message", "sch\u00f6n".encode()),
        Field("files", PNG, "a.png", "image/x"),
        Field("files", b"hi", "b.txt", "text/plain"),
        Field("files", b"no image", "c.png", "image/png"),
        Field("files", b"OggS", "d.ogg", "audio/ogg"),
    )
    assert answer == (
        200,
        {
            "status": "queued",
            "message": "Message received and queued for processing",
            "messageId": "m1",
        },
    )
    text, image, note, fake, sound = chat.parts()
    assert text == {"type": "text", "text": "sch\u00f6n"}
    assert image == {
        "type": "image",
        "url": "data:image/png;base64,iVBORw0KGgouLi4u",
        "mimeType": "image/png",
        "filename": "a.png",
        "sizeBytes": len(PNG),
    }
    assert (note["type"], note["url"]) == ("file", "data:text/plain;base64,aGk=")
    assert (fake["type"], fake["mimeType"]) == ("file", "application/octet-stream")
    assert (sound["type"], sound["mimeType"]) == ("audio", "audio/ogg")


def test_a_file_needs_no_text(chat: Chat) -> None:
    assert chat.post(Field("files", b"x", "a"))[0] == 200
    assert [part["type"] for part in chat.parts()] == ["file"]


BAD = {  # behaviour: (body, status, how the error begins)
    "empty": (form(), 400, "the form is empty"),
    "other-field": (form(Field("text", b"x")), 400, "field 'text' is not known"),
    "no-utf-8": (form(Field("message", b"\xff")), 400, "'message' is not UTF-8"),
    "no-form": (b"x" * 100, 400, "the body is no form"),
    "long-text": (form(Field("message", b"x" * 1_100_000)), 413, "'message' is larger than"),
    "long-texts": (
        form(*[Field("message", b"x" * 600_000)] * 2),
        413,
        "'message' is larger than 1048576 bytes",
    ),
    "many-texts": (
        form(*[Field("message", b"x")] * 17),
        413,
        "a form takes 'message' 16 times at most",
    ),
    "many-files": (
        form(*[Field("files", b"x", str(n)) for n in range(17)]),
        413,
        "a message takes 16 files at most",
    ),
    "large-file": (
        form(Field("files", b"x" * 300_000, "a.bin")),
        413,
        "file 'a.bin': files of more than 262144 bytes together do not fit into a message; set up",
    ),
    "large-files": (
        form(*[Field("files", b"x" * 200_000, name) for name in "ab"]),
        413,
        "file 'b': files of more than",
    ),
}


@pytest.mark.parametrize(("body", "status", "text"), BAD.values(), ids=BAD)
def test_a_form_that_is_not_taken(chat: Chat, body: bytes, status: int, text: str) -> None:
    told, answer = chat.post(body=body)
    assert told == status
    assert answer["error"].startswith(text)
    assert chat.sent.empty()


def test_large_files_are_handed_to_the_media_service(store: Store) -> None:
    content = b"\1" * 900_000
    assert store.chat.post(Field("files", content, "a b.bin"), Field("message", b"look"))[0] == 200
    file, text = store.chat.parts()
    assert text == {"type": "text", "text": "look"}
    url = file.pop("url")
    assert store.media.owns(url)
    assert file == {
        "type": "file",
        "mimeType": "application/octet-stream",
        "filename": "a b.bin",
        "sizeBytes": 900_000,
    }

    async def read() -> bytes:
        async with await store.media.fetch(url) as stream:
            return await stream.read(10**6)

    assert asyncio.run(read()) == content


def test_nothing_is_left_of_a_form_that_is_not_taken(store: Store) -> None:
    before = store.items()
    small, large = Field("files", b"x", "a"), Field("files", b"x" * 1_000_001, "b")
    status, answer = store.chat.post(small, large)
    text = "file 'b': a file may have 1000000 bytes at most; option item_size allows more"
    assert (status, answer["error"]) == (413, text)
    assert store.chat.post(small, Field("other", b""))[0] == 400
    assert store.chat.post(body=form(small, end=b""))[0] in (200, 400)  # as aiohttp takes it
    data = {"messageId": "m1", "state": "refused", "reason": "queue"}
    store.chat.answers = [{"error": {"code": -32000, "message": "no", "data": data}}]
    assert store.chat.post(small)[0] == 429
    known = {"accepted": True, "messageId": "m1", "duplicate": True, "state": "running"}
    store.chat.answers = [{"result": known}]
    assert store.chat.post(small)[1]["duplicate"] is True
    left = set(store.items()) - set(before)
    taken = store.chat.sent.qsize() - 2
    assert len(left) == taken
    while not store.chat.sent.empty():
        store.chat.sent.get()


def test_a_form_takes_the_key(chat: Chat) -> None:
    for given in ({"Authorization": ""}, {"Authorization": "Bearer x"}):
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **given}
        status, _, _ = chat.http("POST", "/message", form(Field("message", b"x")), headers)
        assert status == 401
    assert chat.sent.empty()


# --- from the agent -------------------------------------------------------------------------------


def test_what_an_agent_sends_by_value_is_served(chat: Chat) -> None:
    name, image = chat.event(type="image", data="iVBORw0KGgouLi4u", mimeType="image/png")
    assert (name, image["url"]) == ("image", "data:image/png;base64,iVBORw0KGgouLi4u")
    status, headers, content = chat.http("GET", image["path"])
    assert (status, content) == (200, PNG)
    assert headers["Content-Type"] == "image/png"
    assert headers["Content-Disposition"] == "inline"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert chat.http("HEAD", image["path"])[1]["Content-Length"] == str(len(PNG))
    assert chat.http("GET", image["path"], headers={"Authorization": ""})[0] == 401
    assert chat.http("GET", "/files/none")[0] == 404


def test_nothing_is_served_that_a_browser_would_run(chat: Chat) -> None:
    page = "data:text/html,%3Cscript%3Ealert(1)%3C/script%3E"
    _, file = chat.event(type="file", url=page, filename='a"\r\n.html')
    _, headers, content = chat.http("GET", file["path"])
    assert content == b"<script>alert(1)</script>"
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''a%22%0D%0A.html"


def test_other_urls_are_told_as_they_are(chat: Chat) -> None:
    link = {"type": "resource_link", "uri": "https://x/a.pdf", "name": "a.pdf"}
    told = {"url": "https://x/a.pdf", "filename": "a.pdf", "mimeType": None}
    assert chat.event(**link) == ("file", told)


def test_a_claim_is_passed_on_with_the_rights_of_the_channel(store: Store) -> None:
    claim = asyncio.run(store.media.upload(b"x" * 900_000, "a.txt"))
    name, file = store.chat.event(**claim.part())
    assert (name, file["url"], file["filename"]) == ("file", claim.url, "a.txt")
    status, headers, content = store.chat.http("GET", file["path"])
    assert (status, content) == (200, b"x" * 900_000)
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Content-Length"] == "900000"
    asyncio.run(store.media.delete(claim.id))
    status, _, content = store.chat.http("GET", file["path"])
    assert (status, json.loads(content)["error"]) == (
        404,
        "no such file is kept; it may have expired",
    )


BLOCKS: dict[str, tuple[Message, str, bytes, str]] = {  # (block, event, content, its type)
    "audio": (
        {"type": "audio", "data": "T2dnUw==", "mimeType": "audio/ogg"},
        "audio",
        b"OggS",
        "audio/ogg",
    ),
    "embedded-text": (
        {
            "type": "resource",
            "resource": {"uri": "file:///w/a.txt", "mimeType": "text/plain", "text": "hä"},
        },
        "file",
        "hä".encode(),
        "text/plain; charset=utf-8",
    ),
    "embedded-bytes": (
        {
            "type": "resource",
            "resource": {
                "uri": "file:///w/a.pdf",
                "mimeType": "application/pdf",
                "blob": "JVBERg==",
            },
        },
        "file",
        b"%PDF",
        "application/pdf",
    ),
}


@pytest.mark.parametrize(("block", "event", "content", "type_"), BLOCKS.values(), ids=BLOCKS)
def test_every_block_with_content_is_served(
    chat: Chat, block: Message, event: str, content: bytes, type_: str
) -> None:
    name, told = chat.event(**block)
    assert name == event
    status, headers, served = chat.http("GET", told["path"])
    assert (status, served, headers["Content-Type"]) == (200, content, type_)

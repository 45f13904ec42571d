"""The client of the media service, against servers that say exactly what a test wants."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from anyclaw_sdk import _http, media
from anyclaw_sdk.media import Claim, Media, MediaError

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
FILE = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n\r\nabc"
CREATED = b'HTTP/1.1 201 Created\r\n\r\n{"id": "x", "url": "http://x/media/x", "size": 3}'


@asynccontextmanager
async def service(talk: Talk) -> AsyncIterator[Media]:
    """A service that talks like this on each connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except ConnectionError:
            return  # the client has heard enough
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield Media(f"http://127.0.0.1:{port}", "k", patience_s=10)


def saying(answer: bytes) -> Talk:
    """Says this once the head of a request is there."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if b"Connection: close" in answer:  # it takes what still comes, so that it is heard
            while await reader.read(65536):
                pass

    return talk


async def listen_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))  # type: ignore[arg-type] # a coroutine function


async def fetched(answer: bytes) -> bytes:
    async with (
        service(saying(answer)) as found,
        await found.fetch(f"{found.base_url}/media/x?signature=s3cret") as stream,
    ):
        return await stream.read(100)


GOOD = {
    "length": (FILE, b"abc"),
    "chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        b"abc",
    ),
    "until-the-end": (b"HTTP/1.0 200 OK\r\n\r\nabc", b"abc"),
    "after-another-head": (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + FILE, b"abc"),
    "empty": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
}


@pytest.mark.parametrize(("answer", "content"), GOOD.values(), ids=GOOD)
def test_a_file_is_read(answer: bytes, content: bytes) -> None:
    async def test() -> None:
        assert await fetched(answer) == content

    run(test)


BAD = {
    "nothing": (b"", "the connection was closed before an answer"),
    "no-http": (b"SSH-2.0-x\r\n\r\n", "the answer is no HTTP: 'SSH-2.0-x'"),
    "no-status": (b"HTTP/1.1 yes\r\n\r\n", "the answer is no HTTP: 'HTTP/1.1 yes'"),
    "long-line": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000, "a line of the answer is over 16384"),
    "many-lines": (
        b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200,
        "the answer has more than 100 lines",
    ),
    "cut": (FILE[:-1], "the answer ended 1 bytes before its end"),
    "cut-chunk": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "the answer ended 3 bytes before its end",
    ),
    "no-chunk": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "the size of a chunk is no number: 'zz'",
    ),
    "too-large": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n",
        "the file has 101 bytes, over the limit of 100",
    ),
    "too-large-by-and-by": (
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 101,
        "the file is over the limit of 100 bytes",
    ),
    "refused": (
        b'HTTP/1.1 410 Gone\r\n\r\n{"error": {"code": "expired", "message": "it has expired"}}',
        "it has expired",
    ),
    "refused-without-words": (b"HTTP/1.1 500 Oops\r\n\r\noops", "the media service answered 500"),
    "led-on": (
        b"HTTP/1.1 302 Found\r\nLocation: http://x\r\n\r\n",
        "the media service answered 302",
    ),
}


@pytest.mark.parametrize(("answer", "text"), BAD.values(), ids=BAD)
def test_an_answer_that_is_no_file(answer: bytes, text: str) -> None:
    async def test() -> None:
        with pytest.raises(MediaError) as told:
            await fetched(answer)
        assert text in str(told.value)
        assert "s3cret" not in str(told.value)

    run(test)


def test_a_refusal_has_the_service_s_words() -> None:
    async def test() -> None:
        body = b'{"error": {"code": "quota", "message": "full"}}'
        async with service(saying(b"HTTP/1.1 507 No\r\n\r\n" + body)) as found:
            with pytest.raises(MediaError) as told:
                await found.upload(b"x")
            assert (str(told.value), told.value.status, told.value.code) == ("full", 507, "quota")

    run(test)


def test_an_answer_before_the_end_of_an_upload_ends_it() -> None:
    """A service that refuses does not read what it refuses."""

    async def test() -> None:
        async def forever() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 65536

        body = b'{"error": {"message": "too large"}}'
        head = f"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        refusal = head.encode() + body
        async with service(saying(refusal)) as found:
            with pytest.raises(MediaError, match="too large"):
                await found.upload(forever())

    run(test)


def test_a_service_that_does_not_answer_is_not_waited_for() -> None:
    async def test() -> None:
        async with service(listen_only) as found:
            impatient = Media(found.base_url, "k", patience_s=0.05)
            with pytest.raises(MediaError, match=r"no answer came for 0\.05 s"):
                await impatient.upload(b"x")

    run(test)


def test_what_is_sent(tmp_path: Path) -> None:
    async def test() -> None:
        heads: list[bytes] = []

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            length = re.search(rb"Content-Length: (\d+)", heads[-1])
            if length is None:
                heads.append(await reader.readuntil(b"0\r\n\r\n"))
            else:
                await reader.readexactly(int(length[1]))
            writer.write(CREATED)

        async def pieces() -> AsyncIterator[bytes]:
            yield b"ab"
            yield b""
            yield b"c"

        (tmp_path / "ä b").write_bytes(b"abc")
        async with service(listen) as found:
            claim = await found.upload(tmp_path / "ä b", ttl_s=0.2, keep_original=True)
            assert claim == Claim("x", "http://x/media/x", 3, "", "", 0.0)
            with (tmp_path / "ä b").open("rb") as file:
                file.read(1)
                await found.upload(file, "n", "a/b")
            await found.upload(pieces())
        first, second, third, body = heads
        assert first.startswith(b"POST /media?ttl=1&keep_original=true HTTP/1.1\r\n")
        assert b"\r\nX-Filename: %C3%A4%20b\r\n" in first
        assert b"\r\nAuthorization: Bearer k\r\n" in first
        assert b"\r\nContent-Length: 3\r\n" in first
        assert b"\r\nContent-Type: a/b\r\n" in second
        assert b"\r\nContent-Length: 2\r\n" in second
        assert b"\r\nTransfer-Encoding: chunked\r\n" in third
        assert body == b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"

    run(test)


def test_a_file_that_changes_while_it_is_sent_is_no_upload(tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "f"
        path.write_bytes(b"x" * 10)
        for size, text in ((5, "there are 5 bytes to send instead of 10"), (20, "there is more")):
            async with service(listen_only) as found:
                with path.open("rb", buffering=0) as file:

                    class Changing:
                        """A file that is another size when it is read."""

                        fileno, tell = file.fileno, file.tell
                        left = [b"x" * size]  # noqa: RUF012 - of this one object

                        def read(self, _: int) -> bytes:
                            return self.left.pop() if self.left else b""

                    changing: Any = Changing()
                    with pytest.raises(MediaError, match=text):
                        await found.upload(changing)

    run(test)


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, None),
        ({"ANYCLAW_MEDIA_URL": ""}, None),
        ({"ANYCLAW_MEDIA_URL": "http://x/"}, "http://x"),
    ],
)
def test_a_service_is_there_where_the_unit_was_given_one(
    environ: dict[str, str], url: str | None
) -> None:
    found = Media.from_environment(environ)
    assert (found and found.base_url) == url


@pytest.mark.parametrize(
    ("url", "is_own"),
    [
        ("http://x:1/media/a", True),
        ("http://x:1/other", False),
        ("http://x:1@evil/media/a", False),
        ("http://x:12/media/a", False),
        ("https://x:1/media/a", False),
    ],
)
def test_only_urls_of_the_service_itself_are_read(url: str, is_own: bool) -> None:
    async def test() -> None:
        found = Media("http://x:1")
        assert found.owns(url) is is_own
        if not is_own:
            with pytest.raises(MediaError, match="is no url of this media service"):
                await found.fetch(url)

    run(test)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://h:8/p?q=1", (("h", 8, ""), "/p?q=1", "h:8")),
        ("http://[::1]:8", (("::1", 8, ""), "/", "[::1]:8")),
        ("http+unix://%2Frun%2Fa%20b/media/x", (("", 0, "/run/a b"), "/media/x", "localhost")),
    ],
)
def test_where_a_url_leads(url: str, address: tuple[object, str, str]) -> None:
    found, target = _http.address_of(url)
    assert (found, target, found.authority) == address


@pytest.mark.parametrize(
    "url",
    ["", "x", "https://h/", "http:///p", "http+unix:///p", "http://h/a\r\nX: y", "http://h/ä"],
)
def test_a_url_that_leads_nowhere(url: str) -> None:
    """And why is told without the query, which is what opens a file."""
    with pytest.raises(ValueError, match="URL") as caught:
        _http.address_of(f"{url}?signature=s3cr3t")
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("mime_type", "kind", "type_"),
    [("image/png", "", "image"), ("audio/ogg", "", "audio"), ("text/plain", "", "file")],
)
def test_a_claim_is_a_content_part(mime_type: str, kind: str, type_: str) -> None:
    claim = Claim("x", "u", 3, mime_type, "n", 0.0)
    expected = {"url": "u", "mimeType": mime_type, "filename": "n", "sizeBytes": 3}
    assert claim.part() == {"type": type_, **expected}
    assert claim.part("file") == {"type": "file", **expected}


def test_every_public_name_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/media.md").read_text()
    documented = set(re.findall(r"\w+", "".join(re.findall(r"`[^`\n]+`", page))))
    public = {"Media", "Claim", "Stream", "MediaError", media.URL_VARIABLE, media.KEY_VARIABLE}
    for one in (Media, Claim, media.Stream):
        public |= {name for name in vars(one) if not name.startswith("_")} - {"from_wire"}
    assert public - documented - {"base_url"} <= {"count", "index"}

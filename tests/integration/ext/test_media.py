"""The media service over HTTP: what is kept, who reads it, and what is refused."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random

import pytest

from anyclaw_sdk.media import Media, MediaError
from anyclaw_sdk.types import RpcError
from tests.fakes.loopback import own_address
from tests.integration.ext.media_house import MEDIA, House, modules, open_house
from tests.integration.ext.supervisor import WAIT_S, Supervisor


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def read(house: House, url: str) -> bytes:
    async with await house.media.fetch(url) as stream:
        return await stream.read(2**24)


async def test_what_is_uploaded_is_there(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        content = bytes(range(256)) * 20_000
        source = tmp_path / "größe.bin"
        source.write_bytes(content)
        claim = await house.media.upload(source, mime_type="application/x-thing")
        assert (claim.size, claim.mime_type) == (len(content), "application/x-thing")
        assert claim.filename == "größe.bin"
        assert claim.expires_at == house.now + 86400
        assert len(claim.id) == 24
        assert await read(house, claim.url) == content
        streamed = await house.media.upload(chunks(b"a", b"", b"b" * 3_000_000), "x.txt")
        assert await read(house, streamed.url) == b"a" + b"b" * 3_000_000
        assert streamed.mime_type == "text/plain"
        assert await read(house, (await house.media.upload(b"")).url) == b""
        assert house.vault.quota.used_bytes == len(content) + 3_000_001


async def test_how_a_file_is_served(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        claim = await house.media.upload(b"<html><script>alert(1)", "a.png", "image/png")
        assert claim.mime_type == "text/html"
        status, headers, content = await house.ask("GET", claim.url)
        assert (status, content) == (200, b"<html><script>alert(1)")
        assert headers["content-type"] == "application/octet-stream"
        assert headers["content-disposition"] == 'attachment; filename="a.png"'
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "private, max-age=86400, immutable"
        assert headers["content-security-policy"] == "sandbox; default-src 'none'"
        status, head, content = await house.ask("HEAD", claim.url)
        assert (status, head["content-length"], content) == (200, "22", b"")
        sound = await house.media.upload(b"OggS" + bytes(40), "a.ogg")
        _, headers, _ = await house.ask("GET", sound.url)
        assert headers["content-type"] == "audio/ogg"
        assert headers["content-disposition"].startswith("inline")


async def test_parts_of_a_file(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        claim = await house.media.upload(b"0123456789")
        status, headers, content = await house.ask("GET", claim.url, Range="bytes=2-4")
        assert (status, headers["content-range"], content) == (206, "bytes 2-4/10", b"234")
        status, headers, content = await house.ask("HEAD", claim.url, Range="bytes=-1")
        assert (status, headers["content-range"], content) == (206, "bytes 9-9/10", b"")
        status, headers, content = await house.ask("GET", claim.url, Range="bytes=1-2,4-5")
        assert (status, content) == (200, b"0123456789")
        etag = headers["etag"]
        assert (await house.ask("GET", claim.url, If_None_Match=etag))[0] == 304
        other = await house.ask("GET", claim.url, Range="bytes=2-4", If_Range='"x"')
        assert other[0] == 200
        status, headers, content = await house.ask("GET", claim.url, Range="bytes=10-")
        assert (status, headers["content-range"]) == (416, "bytes */10")
        async with await house.media.fetch(claim.url, start=7) as stream:
            assert await stream.read(10) == b"789"


async def test_a_link_that_does_not_hold(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        claim = await house.media.upload(b"x", ttl_s=60)
        path, _, query = claim.url.partition("?")
        for forged in (
            path,
            f"{path}?expires=9999999999&{query.partition('&')[2]}",
            claim.url[:-1],
        ):
            assert (await house.refusal("GET", forged))[:2] == (403, "forged")
        assert (await house.refusal("GET", "/media/none?" + query))[:2] == (403, "forged")
        house.now += 60
        assert await house.refusal("GET", claim.url) == (
            410,
            "expired",
            "the link has expired; ask its sender for a new one",
        )
        with pytest.raises(MediaError) as refused:
            await house.media.fetch(claim.url)
        assert (refused.value.status, refused.value.code) == (410, "expired")


async def test_what_has_expired_is_swept(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await house.media.upload(b"x", ttl_s=60)
        kept = await house.media.upload(b"y", ttl_s=61)
        house.now += 60
        assert await house.vault.sweep() == 1
        assert house.files() == [f"items/{kept.id}", f"items/{kept.id}.json"]
        assert (house.vault.quota.used_bytes, house.vault.quota.used_items) == (1, 1)


async def test_a_file_lives_as_long_as_its_last_link(tmp_path: Path) -> None:
    async with open_house(tmp_path, ttl_max="1h") as house:
        claim = await house.media.upload(b"x", ttl_s=60)
        longer = await house.media.link(claim.id, ttl_s=120)
        shorter = await house.media.link(claim.id, ttl_s=30)
        assert (longer.expires_at, shorter.expires_at) == (house.now + 120, house.now + 30)
        longest = await house.media.link(claim.id, ttl_s=1_000_000)
        assert longest.expires_at == house.now + 3600
        house.now += 100
        assert (await house.ask("GET", claim.url))[0] == 410
        assert await read(house, longer.url) == b"x"


class Late:
    """Work for threads that is put off, and then done from the last to the first."""

    def __init__(self) -> None:
        self._held: list[tuple[Callable[[], None], asyncio.Event]] = []

    async def to_thread(self, work: Callable[..., None], *arguments: object) -> None:
        over = asyncio.Event()
        self._held.append((partial(work, *arguments), over))
        await over.wait()

    async def perform(self, count: int) -> None:
        while len(self._held) < count:  # noqa: ASYNC110 - whoever holds it is a task
            await asyncio.sleep(0)
        for work, over in reversed(self._held):
            work()
            over.set()
        self._held.clear()


async def test_links_that_are_made_at_once_keep_a_file_for_the_longest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_house(tmp_path) as house:
        until = int(house.now) + 100_000
        item = house.vault.find((await house.media.upload(b"x")).id)
        late = Late()
        with monkeypatch.context() as patched:
            patched.setattr(asyncio, "to_thread", late.to_thread)
            async with asyncio.TaskGroup() as tasks:
                for more in (1, 2):
                    tasks.create_task(house.vault.keep_until(item, until + more))
                await late.perform(2)
    async with open_house(tmp_path) as house:
        assert house.vault.find(item.id).expires_at == until + 2


async def test_an_original_lives_as_long_as_the_longest_link_to_it(tmp_path: Path) -> None:
    """Also where that is made while a shorter one to what was made of it is on its way."""
    async with open_house(tmp_path) as house:
        until = int(house.now) + 100_000
        original = house.vault.find((await house.media.upload(b"x")).id)
        made = house.vault.find((await house.media.upload(b"y")).id)
        made = house.vault._items[made.id] = made._replace(original=original.id)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(house.vault.keep_until(made, until))
            tasks.create_task(house.vault.keep_until(original, until + 1))
        assert house.vault.find(original.id).expires_at == until + 1


async def test_what_is_deleted_while_it_is_linked_to_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_house(tmp_path) as house:
        item = house.vault.find((await house.media.upload(b"x")).id)
        late = Late()
        with monkeypatch.context() as patched:
            patched.setattr(asyncio, "to_thread", late.to_thread)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(house.vault.keep_until(item, int(house.now) + 100_000))
                tasks.create_task(house.vault.remove(item))
                await late.perform(2)
        assert house.files() == []


async def test_what_is_deleted_is_gone(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        claim = await house.media.upload(b"x")
        await house.media.delete(claim.id)
        assert (await house.refusal("GET", claim.url))[:2] == (404, "not-found")
        assert house.files() == []
        for gone in (house.media.delete(claim.id), house.media.link(claim.id)):
            with pytest.raises(MediaError, match="no such file is kept"):
                await gone


@pytest.mark.parametrize(
    ("method", "target"), [("POST", "/media"), ("POST", "/media/x/link"), ("DELETE", "/media/x")]
)
async def test_what_takes_the_key(tmp_path: Path, method: str, target: str) -> None:
    async with open_house(tmp_path) as house:
        for given in ({}, {"Authorization": "Bearer no"}, {"Authorization": f"Basic {house.key}"}):
            status, headers, content = await house.ask(method, target, b"x", **given)
            assert (status, headers["www-authenticate"]) == (401, "Bearer")
            assert house.key.encode() not in content
        assert house.files() == []
        with pytest.raises(MediaError, match="takes the upload key"):
            await Media(house.url, "no").upload(b"x" * 1_000_000)


async def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    async with open_house(tmp_path, item_size=1000, total_size=1500) as house:
        told = await house.refusal("POST", "/media", body=b"x" * 1001, Authorization=house.bearer)
        text = "a file may have 1000 bytes at most; option item_size allows more"
        assert told == (413, "too-large", text)
        with pytest.raises(MediaError, match="a file may have 1000 bytes at most") as refused:
            await house.media.upload(chunks(*[b"x" * 300] * 1000))
        assert (refused.value.status, refused.value.code) == (413, "too-large")
        assert house.files() == []


async def test_a_quota_that_is_reached(tmp_path: Path) -> None:
    async with open_house(tmp_path, total_size=1500, items=3) as house:
        await house.media.upload(b"x" * 1000, ttl_s=60)
        for source in (b"x" * 501, chunks(*[b"x" * 10] * 60)):
            with pytest.raises(
                MediaError, match="there is no room in 1500 bytes; files go as they expire"
            ) as refused:
                await house.media.upload(source)
            assert (refused.value.status, refused.value.code) == (507, "quota")
        assert (await house.service.health()).status == "healthy"
        await house.media.upload(b"x" * 500)
        health = await house.service.health()
        assert health.status == "degraded"
        assert health.message.startswith("nearly full: 1500 of 1500 bytes, 2 of 3 files")
        house.now += 60  # what has expired makes room, without a sweep in between
        await house.media.upload(b"x" * 900)
        await house.media.upload(b"x")
        with pytest.raises(MediaError, match="3 files are kept already"):
            await house.media.upload(b"x")


async def test_an_upload_that_is_cut_leaves_nothing(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        host, port = house.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /media HTTP/1.1\r\nHost: x\r\nAuthorization: {house.bearer}\r\n"
        writer.write(f"{head}Content-Length: 5000000\r\n\r\n".encode() + b"x" * 2_000_000)
        await writer.drain()
        await house.until(lambda: bool(house.files()))
        assert house.vault.quota.used_bytes == 5_000_000
        writer.close()
        await house.until(lambda: not house.files())
        assert (house.vault.quota.used_bytes, house.vault.quota.used_items) == (0, 0)

        async def broken() -> AsyncIterator[bytes]:
            yield b"x" * 100_000
            raise LookupError("the sender's own")

        with pytest.raises(LookupError):
            await house.media.upload(broken())
        await house.until(lambda: not house.vault.quota.used_items)
        assert house.files() == []


async def test_an_upload_that_stands_still_is_given_up(tmp_path: Path) -> None:
    async with open_house(tmp_path, upload_timeout=1) as house:
        host, port = house.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /media HTTP/1.1\r\nHost: x\r\nAuthorization: {house.bearer}\r\n"
        writer.write(f"{head}Content-Length: 10\r\n\r\nx".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
        assert b"the upload took longer than 1 s" in await reader.readuntil(b"}")
        writer.close()
        assert house.files() == []


async def test_no_more_uploads_at_once_than_there_may_be(tmp_path: Path) -> None:
    async with open_house(tmp_path, uploads=1) as house:
        gate = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b"x"
            await gate.wait()

        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(house.media.upload(slow()))
            await house.until(lambda: bool(house.files()))
            with pytest.raises(MediaError, match="1 uploads are under way already") as refused:
                await house.media.upload(b"y")
            assert (refused.value.status, refused.value.code) == (503, "busy")
            gate.set()
        assert first.result().size == 1


async def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        claim = await house.media.upload(b"x", "a.txt")
        started = house.started
    async with open_house(tmp_path) as house:
        assert house.started == started  # the port, the key
        assert await read(house, claim.url) == b"x"
        assert house.vault.quota.used_bytes == 1


async def test_leftovers_of_a_crash_are_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_house(tmp_path) as house:
        kept, damaged, lost, short = [await house.media.upload(b"xy", f"{n}.txt") for n in range(4)]
    items = tmp_path / "items"
    (tmp_path / "incoming" / "half").write_bytes(b"x")
    (items / "no-sidecar").write_bytes(b"x")
    (items / f"{damaged.id}.json").write_text("{")
    (items / lost.id).unlink()
    (items / short.id).write_bytes(b"x")
    async with open_house(tmp_path) as house:
        assert house.files() == [f"items/{kept.id}", f"items/{kept.id}.json"]
        assert await read(house, kept.url) == b"xy"
    told = capsys.readouterr().err
    assert all(f"{one.id} is left out and removed" in told for one in (damaged, lost, short))


async def test_keys_that_were_damaged_are_made_anew(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        claim, key = await house.media.upload(b"x"), house.key
    keys = tmp_path / "keys.json"
    assert keys.stat().st_mode & 0o777 == 0o600
    keys.write_text('{"signing": "00", "upload": ""}')
    async with open_house(tmp_path) as house:
        assert house.key != key
        assert (await house.refusal("GET", claim.url))[1] == "forged"
        assert (await house.media.link(claim.id)).filename == claim.filename


async def test_a_directory_is_of_one_service(tmp_path: Path) -> None:
    async with open_house(tmp_path):
        with pytest.raises(RpcError, match="another media service uses"):
            async with open_house(tmp_path):
                pass


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "a socket"
    for _ in range(2):  # the second finds what the first has left
        async with open_house(tmp_path / "d", socket=str(path)) as house:
            assert house.started.port == 0
            assert house.url == "http+unix://" + str(path).replace("/", "%2F").replace(" ", "%20")
            assert path.stat().st_mode & 0o777 == 0o600
            claim = await house.media.upload(b"x" * 100_000)
            assert await read(house, claim.url) == b"x" * 100_000
    with pytest.raises(RpcError, match=r"cannot listen on .*: no such file or directory"):
        async with open_house(tmp_path / "e", socket=str(tmp_path / "none" / "s")):
            pass


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (("PUT", "/media"), 405, "bad-method"),
        (("GET", "/elsewhere"), 404, "not-found"),
        (("POST", "/media?ttl=0"), 400, "bad-request"),
        (("POST", "/media?ttl=soon"), 400, "bad-request"),
        (("POST", "/media?keep_original=maybe"), 400, "bad-request"),
        (("DELETE", "/media/..%2F..%2Fkeys.json"), 404, "not-found"),
    ],
)
async def test_a_request_that_is_none(
    tmp_path: Path, request_: tuple[str, str], status: int, code: str
) -> None:
    async with open_house(tmp_path) as house:
        told = await house.refusal(*request_, Authorization=house.bearer)
        assert told[:2] == (status, code)


async def test_a_name_by_either_header(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        for header, name in (
            ({"X_Filename": "..%2Fgr%C3%B6%C3%9Fe.txt"}, "größe.txt"),
            ({"Content_Disposition": 'attachment; filename="../a b.txt"'}, "a b.txt"),
            ({"Content_Disposition": "attachment; filename*=UTF-8''%C3%A4.txt"}, "ä.txt"),
        ):
            _, _, content = await house.ask(
                "POST", "/media", b"x", Authorization=house.bearer, **header
            )
            assert json.loads(content)["filename"] == name


async def test_an_upload_is_not_unpacked(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        told = await house.refusal(
            "POST", "/media", body=b"x", Authorization=house.bearer, Content_Encoding="gzip"
        )
        assert told[:2] == (415, "bad-encoding")


async def test_a_connection_that_says_nothing_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modules.server, "LOOK_S", 0.01)
    async with open_house(tmp_path) as house:
        host, port = house.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /media/x HT")
        with suppress(ConnectionResetError):  # as rude, and as good
            assert await reader.read() == b""
        writer.close()


async def test_no_more_connections_than_there_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modules.server, "CONNECTIONS_MAX", 1)
    async with open_house(tmp_path) as house:
        host, port = house.url.removeprefix("http://").split(":")
        _, first = await asyncio.open_connection(host, int(port))
        reader, second = await asyncio.open_connection(host, int(port))
        assert await reader.read() == b""
        first.close()
        second.close()


async def test_a_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_house(tmp_path) as house:
        (tmp_path / "incoming").chmod(0o500)
        (tmp_path / "items").rename(tmp_path / "away")
        try:
            with pytest.raises(MediaError, match="the file cannot be kept") as refused:
                await house.media.upload(b"x")
            assert (refused.value.status, refused.value.code) == (507, "disk")
            assert (await house.service.health()).status == "degraded"
        finally:
            (tmp_path / "away").rename(tmp_path / "items")
            (tmp_path / "incoming").chmod(0o700)
        assert house.vault.quota.used_items == 0
        assert house.files() == []
        await house.media.upload(b"x")
        assert (await house.service.health()).status == "healthy"


async def test_a_file_whose_sidecar_cannot_be_put_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take room that nobody knows of, until the next start."""
    async with open_house(tmp_path) as house:
        monkeypatch.setattr(house.vault, "_sidecar", lambda id_: tmp_path / "nowhere" / id_)
        with pytest.raises(MediaError, match="the file cannot be kept"):
            await house.media.upload(b"x")
        assert house.files() == []
        assert (house.vault.quota.used_bytes, house.vault.quota.used_items) == (0, 0)


def test_the_service_has_no_place_by_itself() -> None:
    with pytest.raises(RpcError, match="set state_directory: true on the unit"):
        modules.state.State("")


def test_the_program(tmp_path: Path) -> None:
    """A real process: ready before it has loaded what serves, and gone when it is told to."""
    with Supervisor(str(MEDIA)) as service:
        params = {"namespace": "x", "options": {"directory": str(tmp_path)}}
        answer = service.call(1, "initialize", params)["result"]
        url = answer["installation"]["urls"]["media"]
        key = answer["installation"]["environment"]["ANYCLAW_MEDIA_KEY"]
        assert url == f"http://127.0.0.1:{answer['port']}"
        with socket.create_connection(("127.0.0.1", answer["port"]), WAIT_S) as client:
            client.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
            assert client.makefile("rb").readline().startswith(b"HTTP/1.0 400 ")
        claim = asyncio.run(Media(url, key).upload(b"x"))
        assert claim.mime_type == "text/plain"
        assert service.call(2, "health", {})["result"] == {"status": "healthy"}
        assert service.call(3, "shutdown", {})["result"] == {}
        assert service.wait() == 0
        assert service.noise == []
        assert service.stderr_rest() == []


def test_options_that_cannot_be_used_refuse_the_handshake(tmp_path: Path) -> None:
    with Supervisor(str(MEDIA)) as service:
        params = {"namespace": "x", "options": {"directory": str(tmp_path), "items": 0}}
        error = service.call(1, "initialize", params)["error"]
        assert error["message"] == "option items: 0 is no whole number from 1 to 1000000"


async def test_a_directory_that_cannot_be_used_refuses_the_handshake(tmp_path: Path) -> None:
    (tmp_path / "items").write_text("no directory")
    with pytest.raises(RpcError, match=r"cannot use .*/items: file exists"):
        async with open_house(tmp_path):
            pass
    with pytest.raises(RpcError, match=r"cannot use .*/items/x: not a directory"):
        async with open_house(tmp_path / "items/x"):
            pass


def test_what_was_answered_outlives_any_kill(tmp_path: Path) -> None:
    """A real process, killed amid eight uploads again and again: no half file, and none lost."""
    kept: dict[str, bytes] = {}
    chance = Random(7)

    async def upload(media: Media, content: bytes, done: asyncio.Event) -> None:
        with suppress(MediaError):  # the service was killed
            claim = await media.upload(chunks(content[:1000], content[1000:]))
            kept[claim.url] = content
            done.set()

    async def store_and_kill(media: Media, service: Supervisor) -> None:
        done = asyncio.Event()
        async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as tasks:
            for _ in range(8):
                content = chance.randbytes(chance.randrange(2_000_000))
                tasks.create_task(upload(media, content, done))
            await done.wait()
            service.process.kill()

    async def read_all(media: Media) -> None:
        for url, content in kept.items():
            async with await media.fetch(url) as stream:
                assert await stream.read(2**24) == content

    for is_last in (False, False, False, True):
        with Supervisor(str(MEDIA)) as service:
            options = {"directory": str(tmp_path), "host": own_address()}
            params = {"namespace": "x", "options": options}
            offered = service.call(1, "initialize", params)["result"]["installation"]
            key = offered["environment"]["ANYCLAW_MEDIA_KEY"]
            media = Media(offered["urls"]["media"], key)
            assert list((tmp_path / "incoming").iterdir()) == []
            names = {path.name for path in (tmp_path / "items").iterdir()}
            sidecars = {name for name in names if name.endswith(".json")}
            assert names == sidecars | {name.removesuffix(".json") for name in sidecars}
            asyncio.run(read_all(media))
            if not is_last:
                asyncio.run(store_and_kill(media, service))
    assert len(kept) >= 3

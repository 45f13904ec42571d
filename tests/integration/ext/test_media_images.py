"""What the media service makes of images, good and bad, in its worker process."""

import asyncio
import io
import os
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from anyclaw_sdk.media import Claim, MediaError
from tests.integration.ext.media_house import House, modules, open_house
from tests.integration.ext.supervisor import WAIT_S


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """An image that no format makes small."""
    size = width * height * len(Image.new(mode, (1, 1)).tobytes())
    return Image.frombytes(mode, (width, height), os.urandom(size))


def encoded(image: Image.Image, format_: str, **more: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **more)
    return file.getvalue()


def with_place(orientation: int) -> Image.Exif:
    """EXIF as a camera writes it: how it was held, and where."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a camera"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 12.0)}
    return exif


def png_header(width: int, height: int) -> bytes:
    """A picture of that size that says nothing but zeros, as far as it goes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    pixels = zlib.compress(bytes(2**20), 9)
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


async def fetch(house: House, claim: Claim) -> Image.Image:
    async with await house.media.fetch(claim.url) as stream:
        assert stream.mime_type == claim.mime_type
        content = await stream.read(2**24)
    assert len(content) == claim.size
    return Image.open(io.BytesIO(content))


async def test_a_large_image_becomes_smaller(tmp_path: Path) -> None:
    async with open_house(tmp_path, image_edge=100) as house:
        photo = encoded(noise(400, 200), "JPEG", quality=95)
        claim = await house.media.upload(photo, "photo.jpeg")
        assert (claim.width, claim.height, claim.mime_type) == (100, 50, "image/jpeg")
        assert (claim.kind, claim.filename, claim.original_url) == ("image", "photo.jpeg", "")
        assert claim.size < len(photo)
        assert (await fetch(house, claim)).size == (100, 50)
        assert house.vault.quota.used_bytes == claim.size
        assert house.files() == [f"items/{claim.id}", f"items/{claim.id}.json"]
        modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "items").iterdir()}
        assert modes == {0o600}


async def test_an_original_is_kept_on_request(tmp_path: Path) -> None:
    async with open_house(tmp_path, image_edge=100) as house:
        photo = encoded(noise(400, 200), "JPEG")
        claim = await house.media.upload(photo, "photo.jpg", keep_original=True)
        assert (claim.width, claim.height) == (100, 50)
        async with await house.media.fetch(claim.original_url) as stream:
            assert await stream.read(2**24) == photo
        assert house.vault.quota.used_bytes == claim.size + len(photo)
        await house.media.delete(claim.id)
        assert house.files() == []
        assert house.vault.quota.used_bytes == 0


async def test_where_a_picture_was_taken_is_left_out(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        small = encoded(noise(60, 40), "JPEG", exif=with_place(6), comment=b"at home", quality=40)
        claim = await house.media.upload(small)
        assert (claim.width, claim.height) == (40, 60)  # upright
        image = await fetch(house, claim)
        assert dict(image.getexif()) == {}
        assert "comment" not in image.info
        png = encoded(noise(10, 10), "PNG", exif=with_place(1))
        assert dict((await fetch(house, await house.media.upload(png))).getexif()) == {}
        webp = encoded(noise(10, 10), "WEBP", exif=with_place(1), xmp=b"<x/>")
        assert dict((await fetch(house, await house.media.upload(webp))).getexif()) == {}


async def test_an_image_that_is_fine_stays_as_it_is(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        tiny = encoded(Image.new("L", (2, 2)), "PNG")
        claim = await house.media.upload(tiny)
        assert (claim.width, claim.height, claim.mime_type) == (2, 2, "image/png")
        async with await house.media.fetch(claim.url) as stream:
            assert await stream.read(2**20) == tiny


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG"])
async def test_a_moving_image_is_left_alone(tmp_path: Path, format_: str) -> None:
    async with open_house(tmp_path, image_edge=10) as house:
        frames = [Image.new("RGB", (40, 20), colour) for colour in ("red", "green")]
        moving = encoded(frames[0], format_, save_all=True, append_images=frames[1:])
        claim = await house.media.upload(moving)
        assert (claim.size, claim.width, claim.height) == (len(moving), 40, 20)
        assert claim.mime_type == f"image/{format_.lower()}"


@pytest.mark.parametrize(
    ("image", "format_", "mime_type"),
    [
        (noise(50, 50), "BMP", "image/png"),
        (noise(50, 50, "RGBA"), "TIFF", "image/png"),
        (noise(50, 50, "CMYK"), "JPEG", "image/jpeg"),
        (noise(50, 50, "RGBA"), "WEBP", "image/webp"),
        (noise(50, 50, "L").convert("P"), "GIF", "image/png"),
        (Image.new("1", (50, 50)), "PNG", "image/png"),
        (Image.new("LA", (50, 50)), "PNG", "image/png"),
        (Image.new("I;16", (50, 50)), "PNG", "image/png"),
    ],
    ids=["bmp", "tiff", "cmyk", "webp", "gif", "bits", "grey-alpha", "deep"],
)
async def test_an_image_of_any_kind(
    tmp_path: Path, image: Image.Image, format_: str, mime_type: str
) -> None:
    async with open_house(tmp_path, image_edge=25) as house:
        claim = await house.media.upload(encoded(image, format_), f"a.{format_.lower()}")
        assert (claim.width, claim.height, claim.mime_type) == (25, 25, mime_type)
        assert claim.warning == ""
        suffix = {"BMP": "png", "TIFF": "png", "GIF": "png"}.get(format_, format_.lower())
        assert claim.filename == f"a.{suffix}"
        assert (await fetch(house, claim)).size == (25, 25)


BAD = {  # behaviour: (content, what the warning says)
    "bomb": (png_header(60_000, 60_000), "it has 60000 x 60000 pixels, over the limit"),
    "truncated": (encoded(noise(200, 200), "JPEG")[:-3000], "it cannot be decoded: image file is"),
    "broken": (b"\x89PNG\r\n\x1a\n" + bytes(100), "it cannot be decoded"),
    "header-alone": (b"\xff\xd8\xff\xe0", "it cannot be decoded: no image looks like this"),
    "fewer-pixels-than-told": (png_header(5000, 5000), "it cannot be decoded"),
}


async def test_a_bad_image_is_a_file_and_no_image(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        for content, text in BAD.values():
            claim = await house.media.upload(content, "a.png", "image/png")
            assert claim.warning.startswith("the image is kept as a mere file: " + text)
            assert str(tmp_path) not in claim.warning
            assert (claim.kind, claim.mime_type) == ("file", "application/octet-stream")
            async with await house.media.fetch(claim.url) as stream:
                assert await stream.read(2**24) == content
        good = await house.media.upload(encoded(noise(9, 9), "PNG"))
        assert (good.width, good.warning) == (9, "")
        assert (await house.service.health()).status == "healthy"


async def test_an_image_that_takes_too_much_ends_its_worker_alone(tmp_path: Path) -> None:
    async with open_house(tmp_path, image_memory="256MiB", image_pixels=2**31) as house:
        large = png_header(20_000, 20_000)  # 1.6 GB of pixels
        claim = await house.media.upload(large)
        assert claim.warning.startswith("the image is kept as a mere file: ")
        assert claim.mime_type == "application/octet-stream"
        assert (await house.media.upload(encoded(noise(9, 9), "PNG"))).width == 9


async def test_workers_come_and_go(tmp_path: Path) -> None:
    """Real children: one that is killed is replaced, one that is idle is ended."""
    images = modules.images.Images(modules.options.ImageOptions(timeout_s=WAIT_S), 2**20)
    source = tmp_path / "a.png"
    source.write_bytes(encoded(noise(9, 9), "PNG"))
    assert (await images.shrink(source, tmp_path / "1")).state == "kept"
    process = images._idle[0]._process
    process.kill()
    await process.wait()
    assert (await images.shrink(source, tmp_path / "2")).state == "kept"
    assert images._idle[0]._process is not process
    await images.end_idle(1000)
    assert len(images._idle) == 1
    process = images._idle[0]._process
    await images.close()
    assert process.returncode is not None
    assert images._idle == []


class Leaving:
    """A worker whose end takes a turn of the loop."""

    idle_since = 0.0
    has_ended = False

    async def end(self) -> None:
        await asyncio.sleep(0)
        self.has_ended = True


async def test_a_worker_that_is_to_end_gets_nothing_to_do() -> None:
    images = modules.images.Images(modules.options.ImageOptions(workers=2), 2**20)
    leaving = [Leaving(), Leaving()]
    images._idle += leaving
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(images.end_idle(0))
        await asyncio.sleep(0)
        assert not leaving[0].has_ended
        assert images._idle == []
    assert [one.has_ended for one in leaving] == [True, True]


async def test_a_worker_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    options = modules.options.ImageOptions(timeout_s=0.0)
    images = modules.images.Images(options, 2**20)
    source = tmp_path / "a.png"
    source.write_bytes(encoded(noise(500, 500), "PNG"))
    outcome = await images._perform(source, tmp_path / "made")
    assert outcome == ("bad", "it took longer than 0 s to decode", 0, 0, "", 0)
    assert images._idle == []


async def test_an_image_that_ends_two_workers_is_a_bad_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadly = tmp_path / "worker.py"
    deadly.write_text("print('ready', flush=True); input()")
    monkeypatch.setattr(modules.images, "_WORKER", str(deadly))
    async with open_house(tmp_path / "d") as house:
        claim = await house.media.upload(encoded(noise(9, 9), "PNG"))
        told = "the image is kept as a mere file: decoding it took more than a process may use"
        assert claim.warning == told
        assert (await house.service.health()).status == "healthy"


async def test_an_original_without_its_smaller_image_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_house(tmp_path, image_edge=100) as house:
        add, calls = house.vault.add, []

        async def fail_the_second(*arguments: object) -> None:
            calls.append(arguments)
            if len(calls) == 2:
                raise OSError(28, "No space left on device")
            await add(*arguments)

        monkeypatch.setattr(house.vault, "add", fail_the_second)
        with pytest.raises(MediaError, match="the file cannot be kept: no space left on device"):
            await house.media.upload(encoded(noise(400, 200), "JPEG"), keep_original=True)
        assert house.files() == []
        assert (house.vault.quota.used_bytes, house.vault.quota.used_items) == (0, 0)


async def test_without_a_worker_images_are_kept_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_house(tmp_path) as house:
        monkeypatch.setattr(modules.images, "_WORKER", str(tmp_path / "none.py"))
        image = encoded(noise(9, 9), "PNG")
        claim = await house.media.upload(image)
        assert (claim.size, claim.mime_type, claim.width) == (len(image), "image/png", None)
        assert claim.warning == "the image is kept as it was sent: it could not be looked at"
        health = await house.service.health()
        assert (health.status, health.message) == (
            "degraded",
            "images are kept as they are: cannot start a worker: it ended before its first image",
        )


async def test_without_pillow_images_are_kept_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(modules.images.Images, "is_possible", lambda: False)
    async with open_house(tmp_path) as house:
        image = encoded(noise(9, 9), "PNG")
        claim = await house.media.upload(image)
        assert (claim.size, claim.mime_type, claim.warning) == (len(image), "image/png", "")
        assert (await house.service.health()).status == "healthy"
    assert capsys.readouterr().err.count("install pillow") == 1

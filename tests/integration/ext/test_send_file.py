"""The send-file tool: files of a workspace reach the chat of the call, and nothing else does."""

import base64
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from anyclaw_sdk.testing import ToolTester
from anyclaw_sdk.types import INVALID_PARAMS, Json, Message, RpcError
from tests.fakes.extension import load_extension
from tests.integration.ext.media_house import House, open_house

modules = load_extension("tools/send-file")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
SECRET = "nobody's business"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace, and beside it what is none of its business."""
    (tmp_path / "secret.txt").write_text(SECRET)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/secret.txt").write_text(SECRET)
    made = tmp_path / "workspace"
    (made / "below/deeper").mkdir(parents=True)
    (made / "a.txt").write_text("hello")
    (made / "below/b.txt").write_text("below")
    return made


@asynccontextmanager
async def tool(workspace: Path | str, **options: Json) -> AsyncIterator[ToolTester]:
    program = modules.main.Program()
    async with ToolTester(program, options=options, workspace=str(workspace)) as tester:
        yield tester


async def sent(tester: ToolTester, path: str, **arguments: Json) -> list[Json]:
    """What the chat is sent."""
    before = len(tester.delivered)
    result = await tester.call("send_file", {"path": path} | arguments)
    assert not result.is_error, result.text
    (delivered,) = tester.delivered[before:]
    assert delivered.session == "test:direct:user"
    return delivered.content


async def refusal(tester: ToolTester, path: str, **arguments: Json) -> str:
    result = await tester.call("send_file", {"path": path} | arguments)
    assert result.is_error
    assert tester.delivered == []
    assert SECRET not in result.text
    return result.text


def data_url(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


# --- what is sent --------------------------------------------------------------------------------


async def test_a_file_is_sent_to_the_chat_of_the_call(workspace: Path) -> None:
    (workspace / "photo.png").write_bytes(PNG)
    async with tool(workspace) as tester:
        text: Message = {"type": "file", "mimeType": "text/plain", "filename": "a.txt"}
        text |= {"url": data_url(b"hello", "text/plain"), "sizeBytes": 5}
        assert await sent(tester, "a.txt") == [text]
        assert await sent(tester, "a.txt", caption="Look", name="b.txt") == [
            {"type": "text", "text": "Look"},
            text | {"filename": "b.txt"},
        ]
        (image,) = await sent(tester, "photo.png")
        assert (image["type"], image["url"]) == ("image", data_url(PNG, "image/png"))
        result = await tester.call("send_file", {"path": "photo.png"})
        assert result.text == "sent photo.png (image/png, 28 bytes)"


async def test_a_file_without_content_is_a_file(workspace: Path) -> None:
    (workspace / "empty").touch()
    async with tool(workspace) as tester:
        (part,) = await sent(tester, "empty")
        assert part["url"] == "data:application/octet-stream;base64,"


INSIDE = {
    "plain": "below/b.txt",
    "dots": "./below/../below/deeper/.././b.txt",
    "slashes": "below//b.txt",
    "full": "{workspace}/below/b.txt",
    "link": "link.txt",
    "link-to-a-directory": "linked/b.txt",
    "full-link": "full.txt",
    "link-that-goes-back": "below/deeper/back.txt",
}


@pytest.mark.parametrize("path", INSIDE.values(), ids=INSIDE)
async def test_what_stays_inside_is_found(workspace: Path, path: str) -> None:
    (workspace / "link.txt").symlink_to("below/b.txt")
    (workspace / "linked").symlink_to("below")
    (workspace / "full.txt").symlink_to(workspace / "below/b.txt")
    (workspace / "below/deeper/back.txt").symlink_to("../../below/b.txt")
    async with tool(workspace) as tester:
        (part,) = await sent(tester, path.format(workspace=workspace))
        assert part["url"] == data_url(b"below", "text/plain")


async def test_a_workspace_may_be_reached_by_a_link(workspace: Path) -> None:
    (workspace.parent / "link").symlink_to(workspace)
    async with tool(workspace.parent / "link") as tester:
        for path in ("a.txt", f"{workspace}/a.txt", f"{workspace.parent}/link/a.txt"):
            (part,) = await sent(tester, path)
            assert part["filename"] == "a.txt"


# --- what is not ---------------------------------------------------------------------------------

OUTSIDE = {
    "up": "../secret.txt",
    "up-and-back": "../workspace/a.txt",
    "far-up": "below/../../../../../../../../etc/passwd",
    "full": "{outside}/secret.txt",
    "full-and-missing": "{outside}/nothing-there",
    "its-name-longer": "{workspace}-not/secret.txt",
    "link": "link.txt",
    "link-to-nothing": "dangling",
    "link-to-a-directory": "linked/secret.txt",
    "link-to-its-parent": "parent/secret.txt",
    "link-by-a-link": "second/secret.txt",
    "passwords": "/etc/passwd",
    "this-process": "/proc/self/environ",
}


@pytest.mark.parametrize("path", OUTSIDE.values(), ids=OUTSIDE)
async def test_nothing_leads_out(workspace: Path, path: str) -> None:
    outside = workspace.parent
    (workspace / "link.txt").symlink_to(outside / "secret.txt")
    (workspace / "dangling").symlink_to(outside / "nothing-there")
    (workspace / "linked").symlink_to("../elsewhere")
    (workspace / "parent").symlink_to("below/../..")
    (workspace / "second").symlink_to("linked")
    asked = path.format(outside=outside, workspace=workspace)
    async with tool(workspace) as tester:
        text = await refusal(tester, asked)
        assert text == f"{asked!r} leads out of the workspace; copy the file into it to send it"


async def test_a_directory_that_is_swapped_for_a_link_leads_nowhere_else(workspace: Path) -> None:
    """The walk holds the directory itself, not its name."""
    below = modules.below
    walk = below._Walk(str(workspace))
    try:
        walk._way.append(os.open("below", os.O_PATH, dir_fd=walk._way[-1]))  # so far it has come
        (workspace / "below").rename(workspace / "moved")
        (workspace / "below").symlink_to("../elsewhere")
        (workspace / "moved/secret.txt").write_text("below")
        found = walk.to("secret.txt")
        assert os.fstat(found).st_ino == (workspace / "moved/secret.txt").stat().st_ino
    finally:
        walk.close()


NO_FILES = {
    "missing": ("nothing-there", "does not exist in the workspace"),
    "missing-directory": ("nothing/there", "does not exist in the workspace"),
    "directory": ("below", "is a directory; pack it into a file"),
    "the-workspace": (".", "is a directory; pack it into a file"),
    "below-a-file": ("a.txt/b", "is no directory"),
    "pipe": ("pipe", "is no regular file"),
    "socket": ("socket", "is no regular file"),
    "link-to-itself": ("round", "has more than 40 links in it"),
    "zero-byte": ("a\0b", "is no path"),
    "half-a-letter": ("\ud8ff", "is no path"),
    "long-name": ("x" * 300, "file name too long"),
    "long-path": ("nothing-there/" * 1000, "does not exist in the workspace"),
}


@pytest.mark.parametrize(("path", "text"), NO_FILES.values(), ids=NO_FILES)
async def test_what_is_no_file_is_told(workspace: Path, path: str, text: str) -> None:
    os.mkfifo(workspace / "pipe")
    (workspace / "round").symlink_to("round")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(workspace, os.O_PATH)
        listener.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
        async with tool(workspace) as tester:
            told = await refusal(tester, path)
            assert text in told
            assert len(told) < 400


@pytest.mark.parametrize(
    "path", ["proc/self/environ", "proc/self/maps", "sys/kernel/uevent_seqnum"]
)
async def test_what_the_kernel_makes_up_is_not_sent(path: str) -> None:
    found = modules.below.open_below("/", path, 2**20)
    with found.file, pytest.raises(modules.refusal.Refusal, match="is being written to"):
        await modules.carrier.part_of(
            found.file, size=found.size, name="x", kind="text/plain", media=None
        )


def test_a_file_that_may_not_be_read_is_told(workspace: Path) -> None:
    (workspace / "a.txt").chmod(0)
    user = os.geteuid()
    if user == 0:  # who may read everything
        os.seteuid(65534)
    try:
        with pytest.raises(modules.refusal.Refusal, match="permission denied to the user"):
            modules.below.open_below(str(workspace), "a.txt", 100)
    finally:
        os.seteuid(user)


def test_no_descriptor_stays_open(workspace: Path) -> None:
    (workspace / "link").symlink_to("below/b.txt")

    def open_ones() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_ones()
    for path in ("a.txt", "below/../below/b.txt", "link", str(workspace / "a.txt")):
        modules.below.open_below(str(workspace), path, 5).file.close()
    for path in ("below", "nothing", "below/b.txt/x", "../secret.txt"):
        with pytest.raises(modules.below.Refusal):
            modules.below.open_below(str(workspace), path, 5)
    assert open_ones() == before


async def test_a_file_that_is_too_large_is_told(workspace: Path) -> None:
    async with tool(workspace, max_bytes=4) as tester:
        assert await refusal(tester, "a.txt") == (
            "'a.txt' has 5 bytes, more than the 4 that are sent; "
            "the option max_bytes of the tool sets the limit"
        )


async def test_without_a_media_service_small_files_are_sent(workspace: Path) -> None:
    limit = modules.carrier.INLINE_MAX_BYTES
    (workspace / "just.bin").write_bytes(bytes(limit))
    (workspace / "more.bin").write_bytes(bytes(limit + 1))
    async with tool(workspace) as tester:
        assert "list one in its `services`" in await refusal(tester, "more.bin")
        (part,) = await sent(tester, "just.bin")
        assert part["sizeBytes"] == limit


NAMES = {
    "slash": "../b.txt",
    "backslash": "..\\b.txt",
    "dots": "..",
    "line": "a\nb",
    "direction": "a\u202etxt.exe",
    "long": "x" * 256,
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
async def test_a_name_is_a_name(workspace: Path, name: str) -> None:
    async with tool(workspace) as tester:
        assert "name" in await refusal(tester, "a.txt", name=name)


async def test_who_does_not_know_the_chat_sends_nothing(workspace: Path) -> None:
    program = modules.main.Program()
    async with ToolTester(program, trusted=False, workspace=str(workspace)) as tester:
        assert "trusted: true" in await refusal(tester, "a.txt")
    for nowhere in ("", "/", "//"):
        async with tool(nowhere) as tester:
            assert "has to name a working_dir" in await refusal(tester, "etc/passwd")


async def test_a_chat_that_is_gone_is_told(workspace: Path) -> None:
    def refuse(_method: str, _params: Message) -> Json:
        raise RpcError(-32000, "the channel does not run")

    tester = ToolTester(modules.main.Program(), workspace=str(workspace), answer=refuse)
    async with tester:
        assert await refusal(tester, "a.txt") == "cannot deliver: the channel does not run"


@pytest.mark.parametrize("option", [0, -1, "20M", True])
async def test_a_limit_is_a_number(workspace: Path, option: Json) -> None:
    with pytest.raises(RpcError, match=r"option max_bytes: .*; expected 1 or more") as caught:
        async with tool(workspace, max_bytes=option):
            raise AssertionError
    assert caught.value.code == INVALID_PARAMS


# --- by reference --------------------------------------------------------------------------------


def give(monkeypatch: pytest.MonkeyPatch, house: House) -> None:
    """What a unit is given that lists the service."""
    monkeypatch.setenv("ANYCLAW_MEDIA_URL", house.url)
    monkeypatch.setenv("ANYCLAW_MEDIA_KEY", house.key)


async def read(house: House, url: str) -> bytes:
    async with await house.media.fetch(url) as stream:
        return await stream.read(2**24)


async def test_with_a_media_service_files_go_by_reference(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytes(range(256)) * 8192
    (workspace / "large.bin").write_bytes(content)
    (workspace / "page.png").write_text("<html>")
    async with open_house(tmp_path / "media") as house, tool(workspace) as tester:
        give(monkeypatch, house)
        text, part = await sent(tester, "large.bin", caption="Here", name="größe.bin")
        assert text == {"type": "text", "text": "Here"}
        assert (part["type"], part["filename"], part["sizeBytes"]) == (
            "file",
            "größe.bin",
            len(content),
        )
        assert part["url"].startswith(house.url)
        assert await read(house, part["url"]) == content
        (part,) = await sent(tester, "page.png")
        assert (part["type"], part["mimeType"]) == ("file", "text/html")
        (part,) = await sent(tester, "a.txt")
        assert await read(house, part["url"]) == b"hello"


async def test_what_the_media_service_refuses_is_told(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_house(tmp_path / "media", item_size=4) as house, tool(workspace) as tester:
        give(monkeypatch, house)
        text = await refusal(tester, "a.txt")
        assert text.startswith("the file cannot be handed to the media service: ")
        assert house.key not in text
    async with tool(workspace) as tester:
        assert "cannot be handed to the media service" in await refusal(tester, "a.txt")


async def test_a_file_that_grows_meanwhile_is_not_sent(workspace: Path) -> None:
    found = modules.below.open_below(str(workspace), "a.txt", 100)
    with found.file, (workspace / "a.txt").open("a") as writer:
        writer.write(" and more")
        writer.flush()
        with pytest.raises(modules.refusal.Refusal, match="is being written to"):
            await modules.carrier.part_of(
                found.file, size=found.size, name="a.txt", kind="text/plain", media=None
            )

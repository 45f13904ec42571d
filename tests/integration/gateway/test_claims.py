"""Claim checks in prompts: a real store next door over HTTP, scripted agents on in-memory wires."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from anyclawd.gateway import claims
from anyclawd.model.value import Json
from tests.integration.gateway.peers import (
    AgentProcess,
    ChannelProcess,
    agent_unit,
    channel_unit,
    open_gateway,
    plan_of,
    running,
)

PNG = b"\x89PNG\r\n\x1a\n...."
PNG_BASE64 = "iVBORw0KGgouLi4u"
NOTE = "Its content is not in this message"
BOTH = {"image": True, "audio": True, "embeddedContext": True}
#: So long the gateway waits for a service, unless a test is about that.
PATIENCE_S = 60.0


class Shelf:
    """Files by name, served as a media service would; it waits wherever the test wants it to."""

    def __init__(self) -> None:
        self.files = {
            "a.png": (PNG, "image/png"),
            "a.ogg": (b"OggS", "audio/ogg"),
            "a.txt": ("hä".encode(), "text/plain; charset=utf-8"),
            "a.pdf": (b"%PDF", "application/pdf"),
            "large": (bytes(claims.INLINE_MAX_BYTES + 1), "image/png"),
            "full": (bytes(claims.INLINE_MAX_BYTES), "image/png"),
        }
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: asyncio.Queue[str] = asyncio.Queue()  #: paths, as they come
        self.base = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.put_nowait(request.path_qs)
        await self.gate.wait()
        name = request.match_info["name"]
        if name == "elsewhere":
            raise web.HTTPFound(f"{self.base}/media/a.png")
        if name not in self.files:
            raise web.HTTPGone
        content, mime_type = self.files[name]
        headers = {"Content-Type": mime_type, "Content-Disposition": f'inline; filename="{name}"'}
        if "stream" not in request.query:
            return web.Response(body=content, headers=headers)
        response = web.StreamResponse(headers=headers)  # which does not tell its length
        await response.prepare(request)
        await response.write(content)
        return response

    def url(self, name: str) -> str:
        return f"{self.base}/media/{name}?expires=1&signature=2"


@asynccontextmanager
async def shelf(socket: Path | None = None) -> AsyncIterator[Shelf]:
    shelf = Shelf()
    application = web.Application()
    application.add_routes([web.get("/media/{name}", shelf.answer)])
    runner = web.AppRunner(application)
    await runner.setup()
    site: web.BaseSite
    if socket is None:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        shelf.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    else:
        site = web.UnixSite(runner, str(socket))
        await site.start()
        shelf.base = "http+unix://" + str(socket).replace("/", "%2F")
    try:
        yield shelf
    finally:
        shelf.gate.set()
        await runner.cleanup()


class Stand:
    """A gateway with a channel, an agent that takes all, and a media service."""

    def __init__(self, shelf: Shelf, takes: Json) -> None:
        self.units = agent_unit(), channel_unit()
        self.gateway = open_gateway(plan_of(*self.units))
        self.gateway.claims.urls = lambda: [shelf.base]
        self.gateway.claims.deadline_s = PATIENCE_S
        self.gateway.start()
        self.channel = ChannelProcess(self.gateway, self.units[1])
        self.agent = AgentProcess(self.gateway, self.units[0])
        self.channel.initialize()
        self.agent.initialize(**({} if takes is None else {"promptCapabilities": takes}))

    async def prompt(self, *parts: Json) -> list[Json]:
        """What the agent is prompted with for these parts."""
        self.send(*parts)
        blocks: list[Json] = (await self.agent.wait_for("session/prompt"))["params"]["prompt"]
        return blocks

    def send(self, *parts: Json) -> None:
        self.channel.message("", content=list(parts))
        if not self.gateway.router.agents[self.units[0].name].sessions:
            self.agent.open("s1")

    def has_prompt(self) -> bool:
        self.agent.inbox += self.agent.wire.take()
        return any(one.get("method") == "session/prompt" for one in self.agent.inbox)


@asynccontextmanager
async def stand(
    takes: Json = BOTH, socket: Path | None = None
) -> AsyncIterator[tuple[Stand, Shelf]]:
    async with shelf(socket) as store:
        stand = Stand(store, takes)
        async with running(stand.gateway):
            yield stand, store


def part(store: Shelf, kind: str, name: str) -> Json:
    return {"type": kind, "url": store.url(name)}


async def test_the_content_of_claims_is_in_the_prompt() -> None:
    async with stand() as (here, store):
        text = {"type": "text", "text": "look"}
        image, sound = part(store, "image", "a.png"), part(store, "audio", "a.ogg")
        note, paper = part(store, "file", "a.txt"), part(store, "file", "a.pdf")
        blocks = await here.prompt(image, text, sound, note, paper)
        assert blocks == [
            {
                "type": "image",
                "uri": store.url("a.png"),
                "data": PNG_BASE64,
                "mimeType": "image/png",
            },
            text,
            {"type": "audio", "data": "T2dnUw==", "mimeType": "audio/ogg"},
            {
                "type": "resource",
                "resource": {"uri": store.url("a.txt"), "mimeType": "text/plain", "text": "hä"},
            },
            {
                "type": "resource",
                "resource": {
                    "uri": store.url("a.pdf"),
                    "mimeType": "application/pdf",
                    "blob": "JVBERg==",
                },
            },
        ]
        assert here.gateway.claims._held_bytes == 0
        assert not here.gateway.claims._waiting


async def test_a_claim_behind_a_unix_socket(tmp_path: Path) -> None:
    async with stand(socket=tmp_path / "s") as (here, store):
        blocks = await here.prompt(part(store, "image", "a.png"))
        assert blocks[0]["data"] == PNG_BASE64


@pytest.mark.parametrize(
    ("name", "query", "told"),
    [
        ("large", "", "(image/png, 1048577 bytes)"),
        ("large", "&stream=1", "(image/png)"),
        ("none", "", "(application/octet-stream)"),
        ("elsewhere", "", "(application/octet-stream)"),
        ("a.pdf", "", "(application/pdf, 4 bytes)"),
    ],
    ids=["too-large", "too-large-by-and-by", "gone", "led-on", "no-image"],
)
async def test_what_cannot_be_in_the_prompt_is_linked(name: str, query: str, told: str) -> None:
    async with stand() as (here, store):
        image = {"type": "image", "url": store.url(name) + query}
        note, link = await here.prompt(image)
        assert told in note["text"]
        assert NOTE in note["text"]
        assert (link["type"], link["uri"]) == ("resource_link", image["url"])
        assert store.asked.qsize() == 1


async def test_an_agent_without_images_is_given_a_link_and_nothing_is_read() -> None:
    async with stand(takes={}) as (here, store):
        image = {**part(store, "image", "a.png"), "filename": "x.png", "sizeBytes": 12}
        image["mimeType"] = "image/png"
        note, link = await here.prompt(image)
        assert "an image 'x.png' (image/png, 12 bytes)" in note["text"]
        assert link == {
            "type": "resource_link",
            "uri": store.url("a.png"),
            "name": "x.png",
            "mimeType": "image/png",
            "size": 12,
        }
        assert store.asked.empty()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/media/a.png",
        "{base}@127.0.0.1:1/media/a.png",
        "{base}0/media/a.png",
        "{base}/media/../a.png",
        "{base}/media/%2E%2e/a.png",
        "{base}",
        "file:///etc/passwd",
        "",
    ],
)
async def test_nothing_but_claims_is_read(url: str) -> None:
    async with stand() as (here, store):
        url = url.format(base=store.base)
        blocks = await here.prompt({"type": "image", "url": url})
        assert blocks == [{"type": "image", "uri": url, "data": "", "mimeType": ""}]
        assert store.asked.empty()


async def test_a_prompt_has_so_much_content_and_no_more() -> None:
    async with stand() as (here, store):
        images = [{"type": "image", "url": store.url("full") + f"&{number}"} for number in range(5)]
        blocks = await here.prompt(*images)
        kinds = [block["type"] for block in blocks]
        assert kinds == ["image"] * 4 + ["text", "resource_link"]
        assert here.gateway.claims._held_bytes == 0


async def test_a_claim_that_is_there_twice_is_read_once() -> None:
    async with stand() as (here, store):
        image = part(store, "image", "a.png")
        blocks = await here.prompt(image, image)
        assert [block["data"] for block in blocks] == [PNG_BASE64] * 2
        assert store.asked.qsize() == 1


async def test_a_store_that_does_not_answer_is_not_waited_for_longer_than_it_may() -> None:
    async with stand() as (here, store):
        here.gateway.claims.deadline_s = 0.05
        store.gate.clear()
        note, link = await here.prompt(part(store, "image", "a.png"))
        assert NOTE in note["text"]
        assert link["type"] == "resource_link"


async def test_a_store_that_is_gone_costs_the_content_only() -> None:
    async with stand() as (here, store):
        image = part(store, "image", "a.png")
        here.gateway.claims.urls = lambda: ["http://127.0.0.1:1"]
        image["url"] = "http://127.0.0.1:1/media/x?expires=1&signature=2"
        note, link = await here.prompt(image)
        assert NOTE in note["text"]
        assert link["uri"] == image["url"]


async def test_a_prompt_that_is_cancelled_while_it_waits_is_never_sent() -> None:
    async with stand() as (here, store):
        store.gate.clear()
        here.send(part(store, "image", "a.png"))
        await store.asked.get()
        here.channel.message("/cancel")
        kinds = [shown[0] for shown in here.channel.shown()]
        assert "result" in kinds
        assert not here.has_prompt()
        assert not any(one.get("method") == "session/cancel" for one in here.agent.inbox)
        store.gate.set()
        blocks = await here.prompt({"type": "text", "text": "next"})
        assert blocks == [{"type": "text", "text": "next"}]


async def test_who_cancels_cancels_for_nobody_else() -> None:
    async with stand() as (here, store):
        store.gate.clear()
        here.send(part(store, "image", "a.png"))
        await store.asked.get()
        here.channel.message("", peer="bob", content=[part(store, "image", "a.png")])
        here.agent.open("s2")
        await store.asked.get()
        here.channel.message("/cancel")
        store.gate.set()
        prompt = await here.agent.wait_for("session/prompt")
        assert prompt["params"]["sessionId"] == "s2"
        assert prompt["params"]["prompt"][0]["data"] == PNG_BASE64


async def test_a_new_conversation_forgets_a_prompt_that_waits() -> None:
    async with stand() as (here, store):
        store.gate.clear()
        here.send(part(store, "image", "a.png"))
        await store.asked.get()
        here.channel.message("/new")
        assert not here.gateway.claims._waiting
        store.gate.set()
        here.agent.open("s2")
        here.channel.message("next")
        prompt = await here.agent.wait_for("session/prompt")
        assert prompt["params"]["sessionId"] == "s2"
        assert prompt["params"]["prompt"] == [{"type": "text", "text": "next"}]


async def test_messages_keep_their_order_behind_a_prompt_that_waits() -> None:
    async with stand() as (here, store):
        store.gate.clear()
        here.send(part(store, "image", "a.png"))
        await store.asked.get()
        here.channel.message("second")
        here.channel.message("other", peer="bob")  # a chat of its own does not wait
        here.agent.open("s2")
        other = await here.agent.wait_for("session/prompt")
        assert other["params"]["sessionId"] == "s2"
        store.gate.set()
        first = await here.agent.wait_for("session/prompt")
        assert first["params"]["prompt"][0]["data"] == PNG_BASE64
        assert not here.has_prompt()
        here.agent.answer(first, {"stopReason": "end_turn"})
        second = await here.agent.wait_for("session/prompt")
        assert second["params"]["prompt"] == [{"type": "text", "text": "second"}]


@pytest.mark.parametrize("is_closing", [False, True], ids=["gone", "stopping"])
async def test_an_agent_that_ends_is_sent_nothing_more(is_closing: bool) -> None:
    async with stand() as (here, store):
        store.gate.clear()
        here.send(part(store, "image", "a.png"))
        await store.asked.get()
        if is_closing:
            here.agent.sink.close()
        else:
            here.agent.die()
        assert not here.gateway.claims._waiting
        assert not here.has_prompt()
        if is_closing:
            here.agent.die()
        assert [shown[0] for shown in here.channel.shown()][-1] == "result"


async def test_an_agent_of_0_9_reads_the_url_of_audio_itself() -> None:
    async with stand(takes=None) as (here, store):
        blocks = await here.prompt(part(store, "audio", "a.ogg"))
        assert blocks == [{"type": "audio", "data": store.url("a.ogg"), "mimeType": "audio/mpeg"}]
        assert store.asked.empty()

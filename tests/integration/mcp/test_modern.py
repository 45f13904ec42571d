"""The era without handshake, over real connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from anyclawd.mcp import listening as module
from anyclawd.mcp.listening import STREAMS_PER_TOKEN
from anyclawd.model.value import Json
from anyclawd.wire.jsonrpc import INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND
from anyclawd.wire.mcp import (
    HEADER_MISMATCH,
    PROTOCOL_VERSION,
    SERVER_INFO,
    SUBSCRIPTION_ID,
    UNSUPPORTED_REVISION,
)
from tests.fakes.mcp_client import Answer, Connection, Served, enveloped, heads, notice, request
from tests.fakes.mcp_host import LISTED, OTHER_TOKEN


async def post(served: Served, message: dict[str, Json], **changed: str | None) -> Answer:
    return await served.post(message, **{**heads(message), **changed})


@asynccontextmanager
async def posted(served: Served, message: dict[str, Json]) -> AsyncIterator[Connection]:
    async with served.connect() as connection:
        connection.post(message, **heads(message))
        yield connection


async def test_discovery(loop: asyncio.Runner, served: Served) -> None:
    answer = await post(served, enveloped("server/discover"))
    assert answer.status == 200
    assert "mcp-session-id" not in answer.headers
    result = answer.json["result"]
    assert result["supportedVersions"] == ["2026-07-28"]
    assert set(result["capabilities"]) == {"tools", "resources"}  # and no way to set a level
    assert result["resultType"] == "complete"
    assert (result["ttlMs"], result["cacheScope"]) == (0, "private")
    assert result["_meta"][SERVER_INFO]["name"] == "anyclaw-tools"


async def test_a_list_is_dressed_and_its_items_stay_as_they_were(
    loop: asyncio.Runner, served: Served
) -> None:
    answer = await post(served, enveloped("tools/list"))
    assert answer.body.endswith(LISTED[1:] + b"}")
    assert answer.json["result"]["resultType"] == "complete"


async def test_a_tool_is_called_without_a_session(loop: asyncio.Runner, served: Served) -> None:
    message = enveloped("tools/call", "x", name="add", arguments={"a": 1, "b": 2})
    answer = await post(served, message, Mcp_Session_Id="whatever it says")
    assert answer.json["id"] == "x"
    assert answer.json["result"]["content"][0]["text"] == "3"
    assert answer.json["result"]["resultType"] == "complete"


async def test_the_envelope_does_not_reach_the_tool(loop: asyncio.Runner, served: Served) -> None:
    message = enveloped("tools/call", name="slow", _meta={"mine": 1})
    async with posted(served, message) as connection:
        asked = await served.host.asked.get()
        assert asked.params == {"name": "slow", "_meta": {"mine": 1}}
        asked.answered(b"{}")
        assert (await connection.answer()).status == 200


ERRORS: dict[str, tuple[dict[str, Json], dict[str, str | None], int, int]] = {
    "an-unknown-method": (enveloped("tools/sing"), {}, 404, METHOD_NOT_FOUND),
    "a-method-of-the-other-era": (enveloped("ping"), {}, 404, METHOD_NOT_FOUND),
    "a-handshake": (
        enveloped("initialize", protocolVersion="2025-11-25"),
        {},
        404,
        METHOD_NOT_FOUND,
    ),
    "an-unknown-tool": (enveloped("tools/call", name="unknown"), {}, 400, INVALID_PARAMS),
    "no-such-resource": (enveloped("resources/read", uri="test://none"), {}, 400, INVALID_PARAMS),
    "no-envelope": (request("tools/list"), {"Mcp_Method": "tools/list"}, 400, INVALID_PARAMS),
    "another-method-in-the-head": (
        enveloped("tools/list"),
        {"Mcp_Method": "tools/call"},
        400,
        HEADER_MISMATCH,
    ),
    "no-method-in-the-head": (enveloped("tools/list"), {"Mcp_Method": None}, 400, HEADER_MISMATCH),
    "no-revision-in-the-head": (
        enveloped("tools/list"),
        {"MCP_Protocol_Version": None},
        400,
        HEADER_MISMATCH,
    ),
    "a-revision-of-the-other-era-in-the-head": (
        enveloped("tools/list"),
        {"MCP_Protocol_Version": "2025-11-25"},
        400,
        HEADER_MISMATCH,
    ),
    "a-revision-that-is-not-spoken": (
        enveloped("tools/list", _meta={PROTOCOL_VERSION: "2099-01-01"}),
        {"MCP_Protocol_Version": "2099-01-01"},
        400,
        UNSUPPORTED_REVISION,
    ),
    "listening-without-a-stream": (
        enveloped("subscriptions/listen", notifications={}),
        {"Accept": "application/json"},
        406,
        INVALID_REQUEST,
    ),
}


@pytest.mark.parametrize(("message", "changed", "status", "code"), ERRORS.values(), ids=ERRORS)
async def test_errors(
    loop: asyncio.Runner,
    served: Served,
    message: dict[str, Json],
    changed: dict[str, str | None],
    status: int,
    code: int,
) -> None:
    if "params" not in message:
        answer = await served.post(message, MCP_Protocol_Version="2026-07-28", **changed)
    else:
        answer = await post(served, message, **changed)
    assert (answer.status, answer.error["code"]) == (status, code)
    assert answer.json["id"] == 1


async def test_a_handshake_is_told_what_is_spoken(loop: asyncio.Runner, served: Served) -> None:
    answer = await post(served, enveloped("initialize"))
    assert "spoken here are 2026-07-28, 2025-11-25" in answer.error["message"]


async def test_what_the_era_does_not_have_is_not_allowed(
    loop: asyncio.Runner, served: Served
) -> None:
    for method in ("GET", "DELETE"):
        answer = await served.request(method, MCP_Protocol_Version="2026-07-28")
        assert (answer.status, answer.headers["allow"]) == (405, "POST")
    batch = await served.post([enveloped("tools/list")], MCP_Protocol_Version="2026-07-28")
    assert batch.status == 400
    cancelled = notice("notifications/cancelled", {"requestId": 1})
    assert (await served.post(cancelled, MCP_Protocol_Version="2026-07-28")).status == 202


async def test_hanging_up_is_how_a_request_is_cancelled(
    loop: asyncio.Runner, served: Served
) -> None:
    message = enveloped("tools/call", name="slow", _meta={"progressToken": 1})
    async with posted(served, message) as connection:
        asked = await served.host.asked.get()
        assert asked.progressed is not None
        asked.progressed({"progress": 1})
        assert (await connection.head()).headers["content-type"] == "text/event-stream"
    await asked.cancelled.wait()


# --- subscriptions --------------------------------------------------------------------------------


def listen(id_: Json = "L", **filter_: Json) -> dict[str, Json]:
    return enveloped("subscriptions/listen", id_, notifications=filter_)


def told(method: str, params: dict[str, Json]) -> dict[str, Json]:
    return notice(method, {**params, "_meta": {SUBSCRIPTION_ID: "L"}})


@asynccontextmanager
async def listening(served: Served, **filter_: Json) -> AsyncIterator[AsyncIterator[Json]]:
    async with posted(served, listen(**filter_)) as connection:
        assert (await connection.head()).headers["content-type"] == "text/event-stream"
        yield connection.events()


async def test_a_stream_says_first_what_it_will_tell(loop: asyncio.Runner, served: Served) -> None:
    asked = {
        "toolsListChanged": True,
        "promptsListChanged": True,  # which is not offered
        "resourceSubscriptions": ["test://a", "test://deaf"],
    }
    async with listening(served, **asked) as events:
        honoured = {"toolsListChanged": True, "resourceSubscriptions": ["test://a"]}
        acknowledged = "notifications/subscriptions/acknowledged"
        assert await anext(events) == told(acknowledged, {"notifications": honoured})
        served.host.tell("notifications/prompts/list_changed", {})
        served.host.tell("notifications/message", {"level": "info"})
        served.host.tell("notifications/resources/updated", {"uri": "test://b"})
        served.host.tell("notifications/resources/updated", {"uri": "test://a"})
        updated = "notifications/resources/updated"
        assert await anext(events) == told(updated, {"uri": "test://a"})
        served.host.change_tools()
        assert await anext(events) == told("notifications/tools/list_changed", {})
        served.host.watched.clear()
    await served.wait_until(lambda: bool(served.host.watched))
    assert served.host.watched == [("resources/unsubscribe", "test://a")]
    assert served.host.followers == []


async def test_what_a_stream_will_tell_is_said_once_all_tools_have_answered(
    loop: asyncio.Runner, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not when the time for it is over, if they have."""
    monkeypatch.setattr(module, "_ACKNOWLEDGE_S", 3600.0)
    uris = ["test://slow", "test://deaf", "test://a"]
    async with posted(served, listen(resourceSubscriptions=uris)) as connection:
        (await served.host.asked.get()).answered(b"{}")
        await connection.head()
        acknowledged = await anext(connection.events())
        honoured = {"resourceSubscriptions": ["test://slow", "test://a"]}
        assert acknowledged["params"]["notifications"] == honoured


async def test_who_hangs_up_before_a_tool_watches_is_not_watched_for(
    loop: asyncio.Runner, served: Served
) -> None:
    async with posted(served, listen(resourceSubscriptions=["test://slow"])):
        asked = await served.host.asked.get()
        served.host.watched.clear()
    await served.wait_until(lambda: not served.server._endpoint._running)
    asked.answered(b"{}")
    assert served.host.watched == [("resources/unsubscribe", "test://slow")]


async def test_what_was_not_opted_in_to_is_not_told(loop: asyncio.Runner, served: Served) -> None:
    async with listening(served, resourceSubscriptions=["test://a"]) as events:
        await anext(events)
        served.host.change_tools()
        served.host.tell("notifications/resources/updated", {"uri": "test://a"})
        assert (await anext(events))["method"] == "notifications/resources/updated"


async def test_a_stream_of_nothing_is_a_stream(loop: asyncio.Runner, served: Served) -> None:
    async with listening(served) as events:
        assert (await anext(events))["params"]["notifications"] == {}


async def test_too_many_resources_are_refused(loop: asyncio.Runner, served: Served) -> None:
    await served.wait_until(lambda: not served.host.followers)  # of streams that were hung up
    uris = [f"test://{number}" for number in range(257)]
    answer = await post(served, listen(resourceSubscriptions=uris))
    assert (answer.status, answer.error["code"]) == (400, INVALID_PARAMS)
    assert served.host.followers == []


async def test_too_many_streams_are_refused(loop: asyncio.Runner, served: Served) -> None:
    async with asyncio.TaskGroup() as tasks:
        done, opened = asyncio.Event(), asyncio.Semaphore(0)

        async def hold() -> None:
            async with listening(served, toolsListChanged=True):
                opened.release()
                await done.wait()

        for _ in range(STREAMS_PER_TOKEN):
            tasks.create_task(hold())
        for _ in range(STREAMS_PER_TOKEN):
            await opened.acquire()
        refused = await post(served, listen())
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        assert refused.json["id"] == "L"
        other = await post(served, enveloped("tools/list"), Authorization=f"Bearer {OTHER_TOKEN}")
        assert other.status == 200
        done.set()
    await served.wait_until(lambda: not served.host.followers)


async def test_arguments_that_stand_in_the_head_are_compared(
    loop: asyncio.Runner, served: Served
) -> None:
    message = enveloped("tools/call", name="routed", arguments={"region": "eu"})
    for wrong in ({}, {"Mcp_Param_Region": "us"}):
        answer = await post(served, message, **wrong)
        assert (answer.status, answer.error["code"]) == (400, HEADER_MISMATCH)
    for right in ({"Mcp_Param_Region": "eu"}, {"Anyclaw_Transport": "stdio"}):
        async with served.connect() as connection:
            connection.post(message, **heads(message), **right)
            (await served.host.asked.get()).answered(b"{}")
            assert (await connection.answer()).status == 200

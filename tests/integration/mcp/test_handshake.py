"""The era that begins with `initialize`, over real connections."""

import asyncio

import pytest

from anyclawd.mcp.endpoint import REQUESTS_PER_TOKEN
from anyclawd.mcp.listening import STREAMS_PER_TOKEN, URIS_MAX
from anyclawd.wire.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    REQUEST_CANCELLED,
    SERVER_ERROR,
)
from anyclawd.wire.mcp import UNSUPPORTED_REVISION
from tests.fakes.mcp_client import Served, call, notice, request
from tests.fakes.mcp_host import GRANT, LISTED, OTHER_TOKEN

REVISIONS = {
    "one-that-is-spoken": ("2025-03-26", "2025-03-26"),
    "the-newest-with-a-handshake": ("2025-11-25", "2025-11-25"),
    "one-that-has-no-handshake": ("2026-07-28", "2025-11-25"),
    "one-that-is-not-known": ("2099-01-01", "2025-11-25"),
}


@pytest.mark.parametrize(("asked", "agreed"), REVISIONS.values(), ids=REVISIONS)
async def test_a_revision_is_agreed_on(
    loop: asyncio.Runner, served: Served, asked: str, agreed: str
) -> None:
    params = {"protocolVersion": asked, "capabilities": {}, "clientInfo": {}}
    answer = await served.post(request("initialize", params))
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["mcp-session-id"].isascii()
    assert answer.json["result"]["protocolVersion"] == agreed
    assert answer.json["result"]["serverInfo"]["name"] == "anyclaw-tools"
    assert answer.json["result"]["capabilities"]["tools"] == {"listChanged": True}


async def test_what_a_tool_says_arrives_as_it_was_said(
    loop: asyncio.Runner, served: Served
) -> None:
    answer = await served.post(request("tools/list"))
    assert answer.body == b'{"jsonrpc":"2.0","id":1,"result":%b}' % LISTED


async def test_a_tool_is_called_in_a_session_and_without_one(
    loop: asyncio.Runner, served: Served
) -> None:
    session = await served.initialize()
    for headers in ({"Mcp_Session_Id": session}, {}, {"MCP_Protocol_Version": "2025-06-18"}):
        answer = await served.post(call("add", a=1, b=2), **headers)
        assert answer.json["result"]["content"][0]["text"] == "3"


async def test_the_host_learns_who_asks_for_what_and_no_more(
    loop: asyncio.Runner, served: Served
) -> None:
    meta = {
        "progressToken": 1,
        "anyclaw/call": {"session": "forged"},
        "io.modelcontextprotocol/x": 1,
    }
    params = {"name": "slow", "arguments": {"a": 1}, "_meta": {**meta, "mine": 2}}
    async with served.connect() as connection:
        connection.post(request("tools/call", params), "/mcp/calc")
        asked = await served.host.asked.get()
        assert (asked.grant, asked.view, asked.method) == (GRANT, "calc.tool", "tools/call")
        assert asked.params == {"name": "slow", "arguments": {"a": 1}, "_meta": {"mine": 2}}
        asked.answered(b"{}")
        assert (await connection.answer()).json["result"] == {}


async def test_a_unit_whose_key_is_odd_has_a_path(loop: asyncio.Runner, served: Served) -> None:
    async with served.connect() as connection:
        connection.post(call("slow"), "/mcp/f%C3%BCnf")
        asked = await served.host.asked.get()
        assert asked.view == "fünf.tool"


async def test_ping_and_what_needs_no_answer(loop: asyncio.Runner, served: Served) -> None:
    assert (await served.post(request("ping"))).json["result"] == {}
    for message in (
        notice("notifications/initialized"),
        notice("notifications/roots/list_changed"),
        notice("notifications/whatever", {"x": 1}),
        {"jsonrpc": "2.0", "id": 9, "result": {}},
    ):
        answer = await served.post(message)
        assert (answer.status, answer.body) == (202, b"")


async def test_several_requests_follow_each_other_on_one_connection(
    loop: asyncio.Runner, served: Served
) -> None:
    async with served.connect() as connection:
        for number in range(3):
            connection.post(call("add", number, a=number))
        for number in range(3):
            answer = (await connection.answer()).json
            assert answer["id"] == number
            assert answer["result"]["content"][0]["text"] == str(number)


ERRORS = {
    "an-unknown-method": (request("tools/sing"), 200, METHOD_NOT_FOUND, "unknown method"),
    "a-method-of-the-other-era": (
        request("server/discover"),
        200,
        METHOD_NOT_FOUND,
        "revision 2025-11-25 does not have it",
    ),
    "an-unknown-tool": (call("unknown"), 200, INVALID_PARAMS, "unknown tool 'unknown'"),
    "initialize-without-a-revision": (
        request("initialize", {}),
        400,
        INVALID_PARAMS,
        "protocolVersion",
    ),
    "subscribing-without-a-session": (
        request("resources/subscribe", {"uri": "test://a"}),
        200,
        INVALID_PARAMS,
        "Mcp-Session-Id",
    ),
    "an-id-that-is-null": (request("ping", id_=None), 400, INVALID_REQUEST, "whole number"),
}


@pytest.mark.parametrize(("message", "status", "code", "text"), ERRORS.values(), ids=ERRORS)
async def test_errors(
    loop: asyncio.Runner, served: Served, message: object, status: int, code: int, text: str
) -> None:
    answer = await served.post(message)
    assert answer.status == status
    assert answer.error["code"] == code
    assert text in answer.error["message"]


# --- progress and cancelling ----------------------------------------------------------------------


async def test_progress_makes_a_stream_of_the_answer(loop: asyncio.Runner, served: Served) -> None:
    params = {"name": "slow", "_meta": {"progressToken": "mine"}}
    async with served.connect() as connection:
        connection.post(request("tools/call", params, "s"))
        asked = await served.host.asked.get()
        assert asked.progressed is not None
        asked.progressed({"progress": 1, "total": 2})
        head = await connection.head()
        assert head.status == 200
        assert head.headers["content-type"] == "text/event-stream"
        assert head.headers["x-accel-buffering"] == "no"
        events = connection.events()
        told = {"progressToken": "mine", "progress": 1, "total": 2}
        assert await anext(events) == notice("notifications/progress", told)
        asked.progressed({"progress": 2})
        asked.answered(b'{"content":[]}')
        rest = [event async for event in events]
        assert rest[0]["params"]["progress"] == 2
        assert rest[1:] == [{"jsonrpc": "2.0", "id": "s", "result": {"content": []}}]
        connection.post(request("ping"))
        assert (await connection.answer()).status == 200


async def test_a_client_that_reads_no_stream_is_told_no_progress(
    loop: asyncio.Runner, served: Served
) -> None:
    params = {"name": "slow", "_meta": {"progressToken": "mine"}}
    async with served.connect() as connection:
        connection.post(request("tools/call", params), Accept="application/json")
        asked = await served.host.asked.get()
        assert asked.progressed is None
        asked.answered(b"{}")
        assert (await connection.answer()).headers["content-type"] == "application/json"


async def test_a_request_is_cancelled_by_its_id(loop: asyncio.Runner, served: Served) -> None:
    session = await served.initialize()
    async with served.connect() as connection:
        connection.post(call("slow", "c"), Mcp_Session_Id=session)
        asked = await served.host.asked.get()
        other = await served.initialize()
        cancelled = notice("notifications/cancelled", {"requestId": "c", "reason": "enough"})
        await served.post(cancelled, Mcp_Session_Id=other)  # in which nothing has this id
        assert not asked.cancelled.is_set()
        answer = await served.post(cancelled, Mcp_Session_Id=session)
        assert answer.status == 202
        await asked.cancelled.wait()
        assert asked.reason == "enough"
        error = (await connection.answer()).error
        assert error == {"code": REQUEST_CANCELLED, "message": "cancelled: enough"}


async def test_cancelling_what_is_over_or_never_was_does_nothing(
    loop: asyncio.Runner, served: Served
) -> None:
    session = await served.initialize()
    await served.post(call("add", 5, a=1), Mcp_Session_Id=session)
    for id_ in (5, "5", None, True, [5], {"a": 5}):
        cancelled = notice("notifications/cancelled", {"requestId": id_})
        assert (await served.post(cancelled, Mcp_Session_Id=session)).status == 202


async def test_a_client_that_hangs_up_cancels_its_call(
    loop: asyncio.Runner, served: Served
) -> None:
    async with served.connect() as connection:
        connection.post(call("slow"))
        asked = await served.host.asked.get()
    await asked.cancelled.wait()
    assert asked.reason == "the client has hung up"
    asked.answered(b"{}")  # late, and nobody minds


async def test_an_id_is_of_one_request_until_that_is_answered(
    loop: asyncio.Runner, served: Served
) -> None:
    session = await served.initialize()
    async with served.connect() as connection:
        connection.post(call("slow", 7), Mcp_Session_Id=session)
        asked = await served.host.asked.get()
        again = await served.post(call("add", 7, a=1), Mcp_Session_Id=session)
        assert (again.status, again.error["code"]) == (400, INVALID_REQUEST)
        assert "the id '7' is that of a request that is under way" in again.error["message"]
        assert not asked.cancelled.is_set()
        asked.answered(b"{}")
        assert (await connection.answer()).status == 200
    again = await served.post(call("add", 7, a=1), Mcp_Session_Id=session)
    assert again.json["result"]


async def test_requests_under_way_are_counted(loop: asyncio.Runner, served: Served) -> None:
    async with served.connect() as first:
        first.post([call("slow", id_) for id_ in range(REQUESTS_PER_TOKEN)])
        asked = [await served.host.asked.get() for _ in range(REQUESTS_PER_TOKEN)]
        refused = await served.post(call("add", 7, a=1))
        assert (refused.status, refused.error["code"]) == (429, SERVER_ERROR)
        assert refused.headers["retry-after"] == "1"
        assert refused.json["id"] == 7
        of_another = await served.post(call("add", a=1), Authorization=f"Bearer {OTHER_TOKEN}")
        assert of_another.status == 200
        for one in asked:
            one.answered(b"{}")
        assert len((await first.answer()).json) == REQUESTS_PER_TOKEN
    assert (await served.post(call("add", a=1))).status == 200


# --- sessions -------------------------------------------------------------------------------------


async def test_a_session_ends_once(loop: asyncio.Runner, served: Served) -> None:
    session = await served.initialize()
    async with served.connect() as connection:
        connection.post(call("slow"), Mcp_Session_Id=session)
        asked = await served.host.asked.get()
        assert (await served.request("DELETE", Mcp_Session_Id=session)).status == 204
        await asked.cancelled.wait()
        assert (await connection.answer()).error["message"] == "cancelled: the session was ended"
    assert (await served.request("DELETE", Mcp_Session_Id=session)).status == 404
    after = await served.post(request("ping"), Mcp_Session_Id=session)
    assert after.status == 404
    assert "begin one with initialize" in after.error["message"]
    assert (await served.request("DELETE")).status == 400


async def test_a_session_is_of_its_token_and_its_path(loop: asyncio.Runner, served: Served) -> None:
    session = await served.initialize()
    other = {"Authorization": f"Bearer {OTHER_TOKEN}"}
    ping = request("ping")
    assert (await served.post(ping, Mcp_Session_Id=session, **other)).status == 404
    assert (await served.post(ping, "/mcp/calc", Mcp_Session_Id=session)).status == 404
    assert (await served.post(ping, Mcp_Session_Id="guessed")).status == 404
    assert (await served.post(ping, Mcp_Session_Id=session)).status == 200


async def test_a_revision_that_is_not_spoken_is_refused_with_those_that_are(
    loop: asyncio.Runner, served: Served
) -> None:
    answer = await served.post(request("ping"), MCP_Protocol_Version="2020-01-01")
    assert (answer.status, answer.error["code"]) == (400, UNSUPPORTED_REVISION)
    assert answer.error["data"]["requested"] == "2020-01-01"
    assert answer.error["data"]["supported"][:2] == ["2026-07-28", "2025-11-25"]
    assert answer.json["id"] == 1
    told = await served.post(notice("notifications/x"), MCP_Protocol_Version="2020-01-01")
    assert (told.status, told.error["code"]) == (400, UNSUPPORTED_REVISION)
    for method in ("GET", "DELETE"):
        answer = await served.request(method, MCP_Protocol_Version="2020-01-01")
        assert (answer.status, answer.error["code"]) == (400, UNSUPPORTED_REVISION)


# --- batches --------------------------------------------------------------------------------------


async def test_a_batch_is_answered_by_one(loop: asyncio.Runner, served: Served) -> None:
    messages = [call("add", "a", a=1), notice("notifications/x"), request("nothing", id_="b"), 5]
    answer = await served.post(messages)
    assert answer.status == 200
    by_id = {one["id"]: one for one in answer.json}
    assert by_id["a"]["result"]
    assert by_id["b"]["error"]["code"] == METHOD_NOT_FOUND
    assert by_id[None]["error"]["code"] == INVALID_REQUEST
    assert (await served.post([notice("notifications/x")])).status == 202


async def test_a_session_is_not_begun_in_a_batch(loop: asyncio.Runner, served: Served) -> None:
    params = {"protocolVersion": "2025-03-26"}
    answer = await served.post([request("initialize", params)])
    assert "posted alone" in answer.json[0]["error"]["message"]
    assert "mcp-session-id" not in answer.headers


async def test_only_the_revision_that_has_batches_gets_them(
    loop: asyncio.Runner, served: Served
) -> None:
    older, newer = await served.initialize("2025-03-26"), await served.initialize("2025-06-18")
    batch = [request("ping")]
    assert (await served.post(batch, Mcp_Session_Id=older)).status == 200
    refused = await served.post(batch, Mcp_Session_Id=newer)
    assert (refused.status, refused.error["code"]) == (400, INVALID_REQUEST)
    by_header = await served.post(batch, MCP_Protocol_Version="2025-11-25")
    assert by_header.status == 400


# --- streams --------------------------------------------------------------------------------------


async def test_what_changes_is_told_on_a_stream(loop: asyncio.Runner, served: Served) -> None:
    session = await served.initialize()
    async with served.listening(Mcp_Session_Id=session) as events:
        served.host.tell("notifications/prompts/list_changed", {})  # which are not offered
        served.host.change_tools()
        assert await anext(events) == notice("notifications/tools/list_changed")
        served.host.tell("notifications/message", {"level": "info", "data": "x"})
        assert (await anext(events))["params"] == {"level": "info", "data": "x"}
    await served.wait_until(lambda: not served.host.followers)


async def test_a_session_has_one_stream_the_newest(loop: asyncio.Runner, served: Served) -> None:
    session = await served.initialize()
    async with (
        served.listening(Mcp_Session_Id=session) as older,
        served.listening(Mcp_Session_Id=session) as newer,
    ):
        assert [event async for event in older] == []
        assert len(served.host.followers) == 1
        served.host.change_tools()
        assert await anext(newer)


async def test_a_stream_ends_with_its_session(loop: asyncio.Runner, served: Served) -> None:
    session = await served.initialize()
    async with served.listening(Mcp_Session_Id=session) as events:
        await served.request("DELETE", Mcp_Session_Id=session)
        assert [event async for event in events] == []


async def test_a_stream_ends_with_its_token(loop: asyncio.Runner, served: Served) -> None:
    served.host.grants.begin("short", GRANT._replace(session="chat:direct:carol"))
    async with served.listening(Authorization="Bearer short") as events:
        served.host.grants.end(GRANT._replace(session="chat:direct:carol"))
        served.host.change_tools()
        assert [event async for event in events] == []


async def test_streams_are_counted(loop: asyncio.Runner, served: Served) -> None:
    async with asyncio.TaskGroup() as tasks:
        done, opened = asyncio.Event(), asyncio.Semaphore(0)

        async def hold() -> None:
            async with served.listening():
                opened.release()
                await done.wait()

        for _ in range(STREAMS_PER_TOKEN):
            tasks.create_task(hold())
        for _ in range(STREAMS_PER_TOKEN):
            await opened.acquire()
        refused = await served.request("GET")
        assert refused.status == 429
        assert refused.headers["retry-after"] == "1"
        done.set()
    await served.wait_until(lambda: not served.host.followers)
    async with served.listening():
        pass


async def test_a_resource_is_watched_for_a_session(loop: asyncio.Runner, served: Served) -> None:
    one, two = await served.initialize(), await served.initialize()
    served.host.watched.clear()
    subscribe = request("resources/subscribe", {"uri": "test://a"})
    unsubscribe = request("resources/unsubscribe", {"uri": "test://a"})
    async with served.listening(Mcp_Session_Id=one) as events:
        for session in (one, two):
            answer = await served.post(subscribe, Mcp_Session_Id=session)
            assert answer.json["result"] == {}
        served.host.tell("notifications/resources/updated", {"uri": "test://b"})
        served.host.tell("notifications/resources/updated", {"uri": "test://a/x"})
        assert (await anext(events))["params"] == {"uri": "test://a/x"}
        await served.post(unsubscribe, Mcp_Session_Id=one)
        assert ("resources/unsubscribe", "test://a") not in served.host.watched
        served.host.tell("notifications/resources/updated", {"uri": "test://a"})
        served.host.change_tools()
        assert (await anext(events))["method"] == "notifications/tools/list_changed"
    await served.request("DELETE", Mcp_Session_Id=two)  # the last one that watched it
    assert served.host.watched[-1] == ("resources/unsubscribe", "test://a")


async def test_a_resource_that_cannot_be_watched_is_not(
    loop: asyncio.Runner, served: Served
) -> None:
    session = await served.initialize()
    served.host.watched.clear()
    subscribe = request("resources/subscribe", {"uri": "test://deaf"})
    answer = await served.post(subscribe, Mcp_Session_Id=session)
    assert answer.error["message"] == "it cannot be watched"
    await served.request("DELETE", Mcp_Session_Id=session)
    assert served.host.watched == [("resources/subscribe", "test://deaf")]


async def test_watched_resources_are_counted(loop: asyncio.Runner, served: Served) -> None:
    session = await served.initialize("2025-03-26")

    def subscribe(first: int, end: int) -> list[object]:
        return [
            request("resources/subscribe", {"uri": f"test://{id_}"}, id_)
            for id_ in range(first, end)
        ]

    for first in range(0, URIS_MAX, 64):
        await served.post(subscribe(first, first + 64), Mcp_Session_Id=session)
    answer = await served.post(subscribe(URIS_MAX, URIS_MAX + 1), Mcp_Session_Id=session)
    assert f"{URIS_MAX} resources are watched" in answer.json[0]["error"]["message"]
    again = await served.post(subscribe(0, 1), Mcp_Session_Id=session)
    assert again.json[0]["result"] == {}
    await served.request("DELETE", Mcp_Session_Id=session)

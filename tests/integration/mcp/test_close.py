"""The end of the endpoint: whoever waits is told, and streams end as their era has it."""

import asyncio

import pytest
import uvloop

from anyclawd.wire.mcp import SUBSCRIPTION_ID
from tests.fakes.mcp_client import call, enveloped, heads, request, start
from tests.integration.mcp.conftest import BOUND_S


async def closing() -> None:
    served = await start()
    session = await served.initialize()
    listen = enveloped("subscriptions/listen", "L", notifications={"toolsListChanged": True})
    async with (
        served.connect() as idle,
        served.connect() as waiting,
        served.connect() as modern,
        served.listening(Mcp_Session_Id=session) as older,
    ):
        idle.post(request("ping"))
        await idle.answer()
        waiting.post(call("slow", 3))
        asked = await served.host.asked.get()
        modern.post(listen, **heads(listen))
        await modern.head()
        newer = modern.events()
        assert (await anext(newer))["method"] == "notifications/subscriptions/acknowledged"

        await served.server.close()

        assert (await waiting.answer()).error["message"].startswith("cancelled: mcp.core is")
        assert asked.reason.startswith("mcp.core is stopping")
        assert [event async for event in older] == []
        (last,) = [event async for event in newer]
        assert last["id"] == "L"
        assert last["result"]["_meta"][SUBSCRIPTION_ID] == "L"
        assert await idle.is_closed()
        assert served.host.followers == []
        with pytest.raises(ConnectionError):
            await served.post(request("ping"))


@pytest.mark.parametrize("factory", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_the_end_is_told_to_everybody(factory: object) -> None:
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(asyncio.wait_for(closing(), BOUND_S))

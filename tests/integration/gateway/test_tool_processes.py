"""Real processes of tools that misbehave: each harms itself, and its callers are told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeAlias

import pytest

from anyclawd.gateway import tool_greeting, tool_list
from anyclawd.model.tool import Era
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from tests.fakes.tool_process import RunningTool, Workshop
from tests.fakes.toolbed import GRANT, Toolbed, tool_unit

GOOD, BAD = tool_unit("good"), tool_unit("bad")
Opened: TypeAlias = tuple[Toolbed, Workshop]


def traits(**members: Json) -> str:
    return json.dumps(members)


@asynccontextmanager
async def opened(*units: Unit) -> AsyncIterator[Opened]:
    bed = Toolbed(*units)
    bed.follow()
    async with Workshop(bed.host) as shop:
        yield bed, shop


@asynccontextmanager
async def one(**members: Json) -> AsyncIterator[tuple[Toolbed, RunningTool]]:
    async with opened(BAD) as (bed, shop):
        yield bed, await shop.open(BAD, traits(**members))


async def does(bed: Toolbed, what: str, **arguments: Json) -> str:
    """The text of what a call is answered with."""
    return (await bed.call("echo", do=what, **arguments).wait()).text


async def test_a_good_tool_is_listed_and_called() -> None:
    async with one(tools=3, page=1) as (bed, tool):
        assert tool.report.told == [("ready", "")]
        assert bed.names() == ["tool0", "tool1", "tool2"]
        told = json.loads((await bed.call("tool1", a=1).wait()).text)
        assert told == {"name": "tool1", "arguments": {"a": 1}, "meta": {}}


ERAS = {
    "handshake-shaken": (Era.HANDSHAKE, "handshake"),
    "both-shaken": (Era.HANDSHAKE, "both"),
    "modern-asked": (Era.MODERN, "modern"),
    "both-asked": (Era.MODERN, "both"),
    "handshake-found": (Era.AUTO, "handshake"),
    "modern-found": (Era.AUTO, "modern"),
    "both-found": (Era.AUTO, "both"),
    "deaf-found": (Era.AUTO, "deaf"),
}


@pytest.mark.parametrize(("era", "server"), ERAS.values(), ids=ERAS)
async def test_each_era_meets_each_server(
    era: Era, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if server == "deaf":
        monkeypatch.setattr(tool_greeting, "PROBE_WAIT_S", 0.0)
    unit = tool_unit("bad", era=era)
    async with opened(unit) as (bed, shop):
        tool = await shop.open(unit, traits(era=server))
        assert tool.report.told == [("ready", "")]
        assert "echo" in (await bed.call("echo").wait()).text


async def test_a_tool_that_dies_in_a_call_costs_its_caller_that_call() -> None:
    async with opened(GOOD, BAD) as (bed, shop):
        await shop.open(GOOD, traits(tools=["fine"]))
        bad = await shop.open(BAD, traits())
        asking = await bed.call("echo", do="crash").wait()
        assert "tool 'echo' of unit bad.tool has ended before it answered" in asking.failure
        await bad.wait_over()
        assert bed.names() == ["fine"]
        assert not (await bed.call("fine").wait()).result.get("isError")


async def test_a_tool_that_is_killed_in_a_call_costs_its_caller_that_call() -> None:
    async with one() as (bed, tool):
        asking = bed.call("echo", do="hang")
        tool.kill()
        assert "has ended before it answered" in (await asking.wait()).failure


async def test_a_tool_that_hangs_in_its_list_holds_up_no_other() -> None:
    async with opened(GOOD, BAD) as (bed, shop):
        await shop.start(BAD, traits(list="hang"))
        await shop.open(GOOD, traits())
        assert bed.names() == ["echo"]
        assert (await bed.call("echo", text="x").wait()).text == "x"


async def test_an_answer_that_is_too_long_for_a_line_breaks_the_protocol() -> None:
    unit = replace(BAD, stdout_line_max_bytes=100_000)
    async with opened(unit) as (bed, shop):
        bad = await shop.open(unit, traits())
        asking = await bed.call("echo", do="huge", size=10_000_000).wait()
        assert "has broken the protocol: a line on stdout is longer than" in asking.failure
        [_, (told, reason)] = bad.report.told
        assert (told, "stdout_line_max" in reason) == ("failed", True)
        assert bed.names() == []


async def test_a_large_answer_comes_through_as_it_is() -> None:
    async with one() as (bed, _):
        assert await does(bed, "huge", size=3_000_000) == "x" * 3_000_000


NOISY = {"noise": {"noise": 5}, "stderr": {"stderr": 100_000}}


@pytest.mark.parametrize("members", NOISY.values(), ids=NOISY)
async def test_noise_changes_nothing(members: dict[str, Json]) -> None:
    async with one(**members) as (bed, _):
        assert await does(bed, "noise", text="x") == "x"


async def test_what_is_answered_twice_is_answered_once() -> None:
    async with one() as (bed, _):
        asking = await bed.call("echo", do="twice", text="x").wait()
        assert await does(bed, "", text="y") == "y"
        assert len(asking.answers) == 1


UNUSABLE: dict[str, list[Json]] = {
    "duplicates": ["echo", "echo"],
    "no-schema": [{"name": "bad"}, "echo"],
    "schema-is-text": [{"name": "bad", "inputSchema": "x"}, "echo"],
    "no-name": [{"inputSchema": {}}, 7, None, "echo"],
}


@pytest.mark.parametrize("tools", UNUSABLE.values(), ids=UNUSABLE)
async def test_what_cannot_be_used_of_a_list_leaves_the_rest_usable(
    tools: list[Json],
) -> None:
    async with one(tools=tools) as (bed, _):
        assert bed.names() == ["echo"]
        assert await does(bed, "", text="x") == "x"


@pytest.mark.parametrize(("members", "count"), [({"list": "endless"}, 100), ({"list": "loop"}, 1)])
async def test_a_list_without_an_end_is_cut_off(members: dict[str, Json], count: int) -> None:
    assert tool_list.PAGES_MAX == 100
    async with one(**members) as (bed, _):
        assert len(bed.names()) == count


@pytest.mark.parametrize("what", ["error", "garbage"])
async def test_a_tool_that_cannot_list_fails(what: str) -> None:
    async with one(list=what) as (_, tool):
        [(told, reason)] = tool.report.told
        assert (told, "tools/list" in reason) == ("failed", True)


async def test_a_storm_of_changes_leaves_the_tool_usable() -> None:
    async with one(list="storm") as (bed, _):
        assert await does(bed, "", text="x") == "x"
        assert bed.names() == ["echo"]


async def test_a_tool_that_offers_others_is_shown_so() -> None:
    async with one() as (bed, _):
        bed.take_told()
        changed = asyncio.Event()
        bed.host.follow(GRANT, None, lambda method, params: changed.set())
        assert await does(bed, "change", tools=["echo", "more"], text="x") == "x"
        await changed.wait()
        assert bed.names() == ["echo", "more"]


async def test_progress_for_ever_does_not_extend_a_call() -> None:
    unit = tool_unit("bad", call_timeout_s=0.2)
    async with opened(unit) as (bed, shop):
        await shop.open(unit, traits())
        asking = await bed.call("echo", progress=True, do="forever").wait()
        assert "did not answer within 0.2 seconds" in asking.failure
        bed.adopt(BAD)  # which has time enough
        assert (await bed.call("echo", text="x").wait()).text == "x"


async def test_an_answer_to_what_was_cancelled_goes_nowhere() -> None:
    async with one() as (bed, _):
        asking = bed.call("echo", do="hang", cancelled=True)
        assert asking.call is not None
        asking.call.cancel("gone")
        assert await does(bed, "", text="x") == "x"
        assert asking.answers == []


async def test_progress_arrives_in_order_and_before_the_answer() -> None:
    async with one() as (bed, _):
        asking = await bed.call("echo", progress=True, do="progress", times=5).wait()
        assert [told["progress"] for told in asking.progress] == [1, 2, 3, 4, 5]


async def test_a_tool_is_refused_what_it_must_not_ask() -> None:
    async with one() as (bed, _):
        answer = await does(bed, "request", method="sampling/createMessage")
        assert json.loads(answer)["code"] == -32601
        assert await does(bed, "request", method="ping") == "{}"


async def test_a_resource_that_changes_is_told() -> None:
    resources = [{"uri": "x:1", "name": "one"}]
    async with one(resources=resources) as (bed, _):
        assert (await bed.ask("resources/read", uri="x:1").wait()).result["contents"]
        await bed.ask("resources/subscribe", uri="x:1").wait()
        await does(bed, "update", uri="x:1")
        assert ("notifications/resources/updated", {"uri": "x:1"}) in bed.told


async def test_many_calls_at_once_find_their_own_answers() -> None:
    async with one() as (bed, _):
        askings = [bed.call("echo", text=f"text {number}") for number in range(500)]
        for number, asking in enumerate(askings):
            assert (await asking.wait()).text == f"text {number}"

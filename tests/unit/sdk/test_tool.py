import asyncio
from collections.abc import Coroutine
from typing import Annotated

import pytest

from anyclaw_sdk.blocks import image_block
from anyclaw_sdk.testing import ToolTester
from anyclaw_sdk.tool import Call, InvalidInput, Tool, ToolError, server_of, tool
from anyclaw_sdk.types import (
    INVALID_PARAMS,
    Json,
    Message,
    RpcError,
)


def run(test: Coroutine[None, None, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await test

    asyncio.run(bounded())


@tool(read_only=True)
async def add(a: int, b: Annotated[int, "what to add"] = 2) -> int:
    """Add two numbers."""
    return a + b


@tool(description="says where", title="Where")
def where(call: Call) -> Message:
    return {"session": call.session, "workspace": call.workspace}


class Weather(Tool):
    """Tell the weather."""

    name = "weather"
    input_schema: Message = {  # noqa: RUF012 - never changed
        "type": "object",
        "properties": {"place": {"type": "string"}},
        "required": ["place"],
    }

    async def execute(self, arguments: Message, call: Call) -> Json:
        if arguments["place"] == "sea":
            raise ToolError("no such place; ask for a town")
        if arguments["place"] == "":
            raise InvalidInput("place must not be empty")
        return ["sunny", image_block(b"\x00", "image/png")]


def test_a_function_is_a_tool_and_still_a_function() -> None:
    async def test() -> None:
        async with ToolTester(add) as tester:
            [listed] = await tester.list()
            assert listed == {
                "name": "add",
                "description": "Add two numbers.",
                "inputSchema": {
                    "type": "object",
                    "properties": {
                        "a": {"type": "integer"},
                        "b": {"type": "integer", "description": "what to add", "default": 2},
                    },
                    "required": ["a"],
                    "additionalProperties": False,
                },
                "annotations": {"readOnlyHint": True},
            }
            assert (await tester.call("add", {"a": 3})).text == "5"
        assert await add(1, 1) == 2

    run(test())


def test_a_function_that_is_no_coroutine_runs_in_a_thread() -> None:
    async def test() -> None:
        async with ToolTester(where, session="web:direct:ann", workspace="/w") as tester:
            [listed] = await tester.list()
            assert listed["title"] == "Where"
            assert listed["inputSchema"]["properties"] == {}
            result = await tester.call("where")
            assert result.structured == {"session": "web:direct:ann", "workspace": "/w"}
            assert result.text == '{"session": "web:direct:ann", "workspace": "/w"}'

    run(test())


def test_a_class_is_a_tool() -> None:
    async def test() -> None:
        async with ToolTester(Weather()) as tester:
            assert (await tester.list())[0]["description"] == "Tell the weather."
            result = await tester.call("weather", {"place": "Bern"})
            assert (result.text, len(result.blocks), result.is_error) == ("sunny", 2, False)
            refused = await tester.call("weather", {"place": "sea"})
            assert refused.is_error
            assert refused.text == "no such place; ask for a town"

    run(test())


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("add", {"b": 1}, "add: a: is missing"),
        ("add", {"a": "x"}, "add: a: expected an integer, found 'x'"),
        ("add", {"a": 1, "B": 2}, "add: B: is unknown; known is a, b"),
        ("weather", {"place": ""}, "place must not be empty"),
        ("whether", {}, "unknown tool 'whether'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(name: str, arguments: Message, text: str) -> None:
    async def test() -> None:
        async with ToolTester(server_of(add, Weather())) as tester:
            with pytest.raises(RpcError) as raised:
                await tester.call(name, arguments)
            assert (raised.value.code, raised.value.message) == (INVALID_PARAMS, text)

    run(test())

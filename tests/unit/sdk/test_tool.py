import asyncio
import threading
from collections.abc import Coroutine
from typing import Annotated

import pytest

from anyclaw_sdk._thread import Threads
from anyclaw_sdk._tool_harness import ToolHarness
from anyclaw_sdk.blocks import image_block, link_block, text_block
from anyclaw_sdk.content import file_part
from anyclaw_sdk.testing import Delivered, Progress, ToolTester, connection_pair
from anyclaw_sdk.tool import (
    Call,
    Host,
    InvalidInput,
    Tool,
    ToolError,
    ToolResult,
    ToolServer,
    server_of,
    tool,
)
from anyclaw_sdk.types import (
    INVALID_PARAMS,
    SERVER_ERROR,
    Json,
    Message,
    MessageRefused,
    RpcError,
)


def run(test: Coroutine[None, None, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
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


def test_the_end_of_the_program_waits_for_no_function() -> None:
    @tool
    def is_waited_for() -> bool:
        return not threading.current_thread().daemon

    async def test() -> None:
        async with ToolTester(is_waited_for) as tester:
            assert (await tester.call("is_waited_for")).text == "false"

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
    ],
)
def test_the_model_reads_what_does_not_fit(name: str, arguments: Message, text: str) -> None:
    async def test() -> None:
        async with ToolTester(server_of(add, Weather())) as tester:
            result = await tester.call(name, arguments)
            assert (result.text, result.is_error) == (text, True)

    run(test())


def test_an_unknown_name_is_an_error_of_the_request() -> None:
    async def test() -> None:
        async with ToolTester(add) as tester:
            with pytest.raises(RpcError) as raised:
                await tester.call("sub")
            assert (raised.value.code, raised.value.message) == (
                INVALID_PARAMS,
                "unknown tool 'sub'",
            )

    run(test())


@pytest.mark.parametrize("returned", [object(), float("nan"), {1, 2}], ids=["object", "nan", "set"])
def test_a_fault_of_a_tool_is_told_to_its_log_and_not_to_the_model(returned: Json) -> None:
    @tool
    async def broken() -> Json:
        return returned

    @tool
    def divides(by: int) -> float:
        return 1 / by

    async def test() -> None:
        near, far = connection_pair()
        failures: list[str] = []
        harness = ToolHarness(
            server_of(broken, divides), far, lambda *told: failures.append(*told[:1])
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(harness.serve())
            await near.request("initialize", {})
            for name, arguments in (("broken", {}), ("divides", {"by": 0})):
                result = await near.request("tools/call", {"name": name, "arguments": arguments})
                text = f"the tool '{name}' failed; why is in the log of its unit"
                assert result == {"content": [{"type": "text", "text": text}], "isError": True}
            far.end()
        assert failures == ["tools/call", "tools/call"]

    run(test())


def test_a_tester_raises_what_a_tool_did_not_mean_to() -> None:
    @tool
    async def divides(by: int) -> float:
        return 1 / by

    async def test() -> None:
        async with ToolTester(divides) as tester:
            with pytest.raises(ZeroDivisionError):
                await tester.call("divides", {"by": 0})

    run(test())


@pytest.mark.parametrize(
    ("returned", "blocks", "structured"),
    [
        (None, [], None),
        ("text", [text_block("text")], None),
        (["a", link_block("x:y", "x")], [text_block("a"), link_block("x:y", "x")], None),
        ({"type": "text", "text": "x"}, [text_block("x")], None),
        ({"type": "text"}, [text_block('{"type": "text"}')], {"type": "text"}),
        ({"é": 1}, [text_block('{"é": 1}')], {"é": 1}),
        ([], [text_block("[]")], None),
        ([1, "a"], [text_block('[1, "a"]')], None),
        (True, [text_block("true")], None),
        (ToolResult([text_block("x")], {"a": 1}), [text_block("x")], {"a": 1}),
    ],
)  # fmt: skip
def test_what_a_tool_returns_becomes_its_result(
    returned: Json, blocks: list[Json], structured: Json
) -> None:
    @tool
    async def say() -> Json:
        return returned

    async def test() -> None:
        async with ToolTester(say) as tester:
            assert await tester.call("say") == ToolResult(blocks, structured)

    run(test())


def test_a_result_that_would_end_the_program_is_told_of_instead() -> None:
    class Small(ToolServer):
        answer_max_bytes = 200

        def make_tools(self) -> list[Tool]:
            return [tool(self.say)]

        async def say(self, size: int) -> str:
            return "x" * size

    async def test() -> None:
        async with ToolTester(Small()) as tester:
            assert not (await tester.call("say", {"size": 100})).is_error
            result = await tester.call("say", {"size": 1000})
            assert result.is_error
            assert result.text.endswith("bytes, over the limit of 200; ask for less")
        async with ToolTester(server_of(add, Weather(), where)) as tester:
            tester.server.answer_max_bytes = 200
            with pytest.raises(RpcError, match="over the limit of 200; ask for less"):
                await tester.list()

    run(test())


def test_an_output_schema_is_a_promise() -> None:
    @tool(output_schema={"type": "object", "required": ["degrees"]})
    async def measure(honest: bool) -> Message:
        return {"degrees": 3} if honest else {}

    async def test() -> None:
        async with ToolTester(measure) as tester:
            [listed] = await tester.list()
            assert listed["outputSchema"] == {"type": "object", "required": ["degrees"]}
            assert (await tester.call("measure", {"honest": True})).structured == {"degrees": 3}
            with pytest.raises(
                TypeError, match="measure: the result is not what output_schema says"
            ):
                await tester.call("measure", {"honest": False})

    run(test())


@tool
async def back(call: Call, text: str = "") -> Message:
    """Everything that leads back."""
    await call.progress(1, 3)
    await call.progress(2, message="half")
    await call.deliver("look", file_part("https://x/y", "y"))
    message = await call.inject("do it", source_id="s1")
    other = await call.host.inject("web:direct:bob", [{"type": "text", "text": text}])
    call.host.log("warning", "done")
    return {"messages": [message, other], "unit": call.option("unit", "?")}


def test_a_trusted_tool_delivers_and_injects() -> None:
    async def test() -> None:
        me = "web:direct:ann"
        async with ToolTester(back, session=me, options={"unit": "u"}) as tester:
            result = await tester.call("back", {"text": "and that"})
            assert result.structured == {"messages": ["m1", "m2"], "unit": "u"}
            parts = [{"type": "text", "text": "look"}, file_part("https://x/y", "y")]
            assert tester.delivered == [Delivered(me, parts)]
            first, second = tester.injected
            assert (first.session, first.text, first.source_id) == (me, "do it", "s1")
            assert (second.session, second.text) == ("web:direct:bob", "and that")
            assert tester.progress == [Progress(1, 3, ""), Progress(2, None, "half")]
            assert tester.logged == [("warning", "done")]

    run(test())


def test_what_is_refused_reaches_the_model() -> None:
    def refuse(method: str, params: Message) -> Json:
        if method == "anyclaw/inject":
            raise MessageRefused("the queue is full", "queue", retry_after_s=2)
        raise RpcError(SERVER_ERROR, "the channel cannot show files")

    reasons = []

    @tool
    async def write(call: Call, where: str) -> str:
        try:
            await (call.deliver("x") if where == "chat" else call.inject("x"))
        except MessageRefused as refused:
            reasons.append((refused.reason, refused.retry_after_s))
            raise
        return "done"

    async def test() -> None:
        async with ToolTester(write, answer=refuse) as tester:
            result = await tester.call("write", {"where": "chat"})
            assert result.is_error
            assert result.text == "cannot deliver: the channel cannot show files"
            result = await tester.call("write", {"where": "session"})
            assert (result.is_error, result.text) == (True, "the queue is full")
        assert reasons == [("queue", 2)]

    run(test())


@tool
async def untrusted(call: Call) -> Message:
    refused = []
    for attempt in (call.deliver("x"), call.inject("x", "s")):
        try:
            await attempt
        except ToolError as error:
            refused.append(str(error))
    return {
        "who": [call.id, call.session, call.agent, call.workspace, call.channel],
        "is_trusted": [call.is_trusted, call.host.is_trusted],
        "options": call.options,
        "found": [call.option("TEXT", ""), call.option("TEXT"), call.option("LIST")],
        "default": call.option("NONE", 7),
        "refused": refused,
    }


def test_an_untrusted_tool_knows_its_options_as_variables_and_nobody_s_name() -> None:
    async def test() -> None:
        options = {"TEXT": "12", "LIST": [1, "a"]}
        async with ToolTester(untrusted, options=options, trusted=False) as tester:
            told = (await tester.call("untrusted")).structured
            assert told["who"] == ["", "", "", "", ""]
            assert told["is_trusted"] == [False, False]
            assert told["options"] == {}
            assert told["found"] == ["12", 12, [1, "a"]]
            assert told["default"] == 7
            assert told["refused"] == [
                "cannot deliver: the unit of this tool is not trusted",
                "cannot inject: the unit of this tool is not trusted",
            ]

    run(test())


def test_a_cancelled_call_is_cancelled_and_not_answered() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()
    calls: list[Call] = []

    @tool
    async def wait(call: Call) -> str:
        calls.append(call)
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await call.progress(9)  # nobody is told any more
            ended.set()
        return "swallowed"

    async def test() -> None:
        async with ToolTester(server_of(wait, add)) as tester:
            call = tester.start_call("wait")
            await begun.wait()
            await tester.cancel(call)
            await ended.wait()
            assert calls[0].is_cancelled
            assert (await tester.call("add", {"a": 1})).text == "3"
            assert tester.progress == []

    run(test())


def test_a_thread_sees_that_its_call_is_cancelled() -> None:
    begun, ended = threading.Event(), threading.Event()

    @tool
    def spin(call: Call) -> str:
        begun.set()
        while not call.is_cancelled:
            pass
        ended.set()
        return "late"

    async def test() -> None:
        async with ToolTester(spin) as tester:
            call = tester.start_call("spin")
            await asyncio.to_thread(begun.wait)
            await tester.cancel(call)
            await asyncio.to_thread(ended.wait)

    run(test())


def test_what_a_thread_says_leaves_by_the_thread_of_the_loop() -> None:
    """Two threads that write to one pipe tear each other's frames."""
    writers: list[int] = []

    def changed() -> None:
        writers.append(threading.get_ident())
        raise ValueError("two tools are called 'put'")

    async def test() -> None:
        connection, _ = connection_pair()
        host = Host(
            connection,
            Threads(),
            {},
            changed=changed,
            logged=lambda *_: writers.append(threading.get_ident()),
        )
        await host.threads.run(lambda: host.log("warning", "from a thread"))
        with pytest.raises(ValueError, match="two tools"):
            await host.threads.run(host.notify_list_changed)
        assert writers == [threading.get_ident()] * 2

    run(test())


def test_a_thread_s_fault_is_a_fault_of_its_call() -> None:
    @tool
    def stops() -> str:
        raise StopIteration("dry")

    async def test() -> None:
        async with ToolTester(stops) as tester:
            with pytest.raises(RuntimeError, match="StopIteration: dry"):
                await tester.call("stops")

    run(test())


class Program(ToolServer):
    """Several tools with a common state."""

    name, version, instructions = "program", "2.0", "count things"

    def __init__(self) -> None:
        self.count = 0
        self.extra: list[Tool] = []
        self.story: list[str] = []

    async def on_start(self, host: Host) -> None:
        self.host, self.count = host, host.option("first", 0)
        if host.option("refuse"):
            raise RpcError(SERVER_ERROR, "option refuse: set")
        if host.option("break"):
            raise ZeroDivisionError("by zero")
        self.story.append("start")

    def make_tools(self) -> list[Tool]:
        return [tool(self.next_number), *self.extra]

    async def next_number(self, step: int = 1) -> int:
        """Count on."""
        self.count += step
        return self.count

    async def serve(self) -> None:
        self.story.append("serve")
        if self.host.option("fail"):
            raise ZeroDivisionError("by zero")
        try:
            await asyncio.Event().wait()
        finally:
            self.story.append("served")

    async def on_close(self) -> None:
        self.story.append("close")


def test_nothing_comes_of_a_call_that_is_answered() -> None:
    """A tool that goes on behind its answer has nobody to tell, and no chat to show things in."""
    kept: list[Call] = []

    @tool
    async def keep(call: Call) -> str:
        kept.append(call)
        await call.deliver("before")
        return "kept"

    async def test() -> None:
        async with ToolTester(keep) as tester:
            assert (await tester.call("keep")).text == "kept"
            [call] = kept
            assert (call.is_answered, call.is_cancelled) == (True, False)
            await call.progress(1)
            with pytest.raises(ToolError, match="no call 'call-1' is under way"):
                await call.deliver("after")
            await tester.list()
            assert tester.progress == []
            assert [one.content[0]["text"] for one in tester.delivered] == ["before"]

    run(test())


def test_what_mcp_does_not_know_is_the_program_s_own() -> None:
    told: list[str] = []

    class Own(ToolServer):
        async def handle_unknown(self, method: str, params: Message) -> Json:
            told.append(method)
            return params

    async def test() -> None:
        near, far = connection_pair()
        harness = ToolHarness(Own(), far)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(harness.serve())
            await near.request("initialize", {})
            near.notify("notifications/initialized", {})
            near.notify("notifications/own", {})
            assert await near.request("own/method", {"a": 1}) == {"a": 1}
            near.end()
            far.end()
        assert told == ["notifications/own", "own/method"]

    run(test())


def test_tools_of_a_program_share_its_state() -> None:
    async def test() -> None:
        program = Program()
        async with ToolTester(program, options={"first": 5}) as tester:
            assert (await tester.call("next_number", {"step": 2})).text == "7"
            assert (await tester.call("next_number")).text == "8"
        assert program.story == ["start", "serve", "served", "close"]

    run(test())


def test_a_program_whose_own_work_fails_ends_with_1() -> None:
    async def test() -> None:
        program = Program()
        near, far = connection_pair()
        failures: list[str] = []
        harness = ToolHarness(program, far, lambda method, _: failures.append(method))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(harness.serve())
            await near.request("initialize", {"_meta": {"anyclaw/options": {"fail": True}}})
        assert (harness.exit_code, failures) == (1, ["serve"])
        assert program.story == ["start", "serve", "close"]

    run(test())


@pytest.mark.parametrize(
    ("option", "text"),
    [("refuse", "option refuse: set"), ("break", "ZeroDivisionError: by zero")],
)
def test_a_program_that_cannot_start_says_why(option: str, text: str) -> None:
    async def test() -> None:
        program = Program()
        with pytest.raises(RpcError, match=text):
            async with ToolTester(program, options={option: True}):
                pytest.fail("it has started")
        assert program.story == ["close"]

    run(test())


def test_a_program_says_when_its_tools_are_others() -> None:
    async def test() -> None:
        program = Program()
        async with ToolTester(program) as tester:
            program.extra.append(add)
            assert len(await tester.list()) == 1
            program.host.notify_list_changed()
            assert [one["name"] for one in await tester.list()] == ["next_number", "add"]
            assert tester.lists_changed == 1
            program.extra.append(add)
            with pytest.raises(ValueError, match="two tools are called 'add'; rename one"):
                program.host.notify_list_changed()

    run(test())


class Nameless(Tool):
    pass


class Spaced(Tool):
    name = "two words"


class Bare(Tool):
    name = "bare"
    input_schema: Message = {}  # noqa: RUF012 - never changed


def plain() -> None:
    """No tool."""


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (Nameless(), "Nameless: name is '', expected 1 to 128 letters, digits, "),
        (Spaced(), "Spaced: name is 'two words', expected 1 to 128 letters"),
        (Bare(), "bare: input_schema has to be of type 'object'"),
        (plain, "plain .* is no tool; decorate it with @tool"),
    ],
)
def test_what_clients_could_not_use_does_not_start(made: Tool, text: str) -> None:
    async def test() -> None:
        with pytest.raises(RpcError, match=text):
            async with ToolTester(server_of(made)):
                pytest.fail("it has started")

    run(test())


def test_what_is_logged_before_anyone_listens_is_in_the_log_of_the_unit(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Early(ToolServer):
        async def on_start(self, host: Host) -> None:
            host.log("notice", "good morning")

    async def test() -> None:
        async with ToolTester(Early()) as tester:
            assert tester.logged == []

    run(test())
    assert "notice: good morning" in caplog.text


def test_levels_of_messages_are_known() -> None:
    async def test() -> None:
        program = Program()
        async with ToolTester(program) as tester:
            await tester.request("logging/setLevel", {"level": "error"})
            program.host.log("warning", "not told")
            program.host.log("critical", "told")
            await tester.list()
            assert tester.logged == [("critical", "told")]
            with pytest.raises(RpcError, match="level must be one of debug, info"):
                await tester.request("logging/setLevel", {"level": "loud"})
            with pytest.raises(ValueError, match="log level 'loud': expected one of debug, info"):
                program.host.log("loud", "x")

    run(test())

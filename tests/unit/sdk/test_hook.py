import asyncio
from collections.abc import Coroutine

import pytest

from anyclaw_sdk import agent
from anyclaw_sdk._hook_harness import HookHarness
from anyclaw_sdk.hook import (
    Answer,
    Change,
    Drop,
    Hook,
    HookPermission,
    HookPrompt,
    HookUpdate,
    Pass,
    PermissionVerdict,
    PromptVerdict,
    Refuse,
    Select,
    UpdateVerdict,
    run_hook,
)
from anyclaw_sdk.testing import HookTester, connection_pair
from anyclaw_sdk.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    REQUEST_CANCELLED,
    HookInitialize,
    Json,
    Message,
    RpcError,
)


def run(test: Coroutine[None, None, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(bounded())


class Guard(Hook):
    def __init__(self) -> None:
        self.gate = asyncio.Event()  #: a prompt `wait` is decided when it is set
        self.waits = asyncio.Event()
        self.story: list[str] = []

    def defaults(self) -> Message:
        return {"word": "secret", "mark": "***"}

    def on_initialize(self, request: HookInitialize) -> None:
        if request.options.get("refuse"):
            raise RpcError(INVALID_PARAMS, "option refuse: set")
        if request.options.get("break"):
            raise ZeroDivisionError("by zero")
        self.story.append(request.namespace)

    async def on_ready(self) -> None:
        self.story.append("ready")

    async def on_prompt(self, prompt: HookPrompt) -> PromptVerdict:
        match prompt.text:
            case "wait":
                self.waits.set()
                await self.gate.wait()
                return Pass()
            case "fail":
                raise ZeroDivisionError("by zero")
            case "deny":
                raise RpcError(-32001, "not today")
            case "drop":
                return Drop()  # type: ignore[return-value]  # a mistake authors make
            case "nothing":
                return None  # type: ignore[return-value]  # another
            case "who":
                return Answer(f"{prompt.session} {prompt.agent} {prompt.acp_session_id}")
            case "no":
                return Refuse("because")
        return prompt.map_text(str.upper)

    async def on_update(self, update: HookUpdate) -> UpdateVerdict:
        if update.kind == "agent_thought_chunk":
            return Drop()
        word, mark = self.options["word"], self.options["mark"]
        return update.map_text(lambda text: text.replace(word, mark))

    async def on_permission(self, permission: HookPermission) -> PermissionVerdict:
        rejection = permission.option("reject_once")
        if permission.title == "rm" and rejection is not None:
            return Select(rejection)
        if permission.tool_call.get("kind") == "edit":
            return Change({**permission.request, "options": permission.options[1:]})
        return Pass()

    async def on_close(self) -> None:
        self.story.append("close")


class Reader(Hook):
    async def on_update(self, update: HookUpdate) -> UpdateVerdict:
        return Pass()


OPTIONS: list[Message] = [
    {"optionId": "yes", "name": "Yes", "kind": "allow_once"},
    {"optionId": "no", "name": "No", "kind": "reject_once"},
]


def chunk(said: Json) -> Message:
    return {"sessionUpdate": "agent_message_chunk", "content": said}


def test_a_hook_is_asked_what_its_class_overrides() -> None:
    async def test() -> None:
        async with HookTester(Guard()) as tester:
            assert await tester.initialize({"mark": "-"}) == ["prompt", "update", "permission"]
            assert tester.hook.options == {"word": "secret", "mark": "-"}
        assert tester.hook.story == ["test", "ready", "close"]
        async with HookTester(Reader()) as reader:
            assert await reader.initialize() == ["update"]
            assert await reader.prompt("hello") == {"action": "pass"}
            assert await reader.permission({}, OPTIONS) == {"action": "pass"}
        async with HookTester(Hook()) as idle:
            assert await idle.initialize() == []
            assert await idle.update("hello") == {"action": "pass"}

    run(test())


def test_prompts_are_passed_changed_refused_and_answered() -> None:
    async def test() -> None:
        async with HookTester(Guard(), session="web:direct:ann", agent="coder") as tester:
            await tester.initialize()
            assert await tester.prompt("no") == {"action": "refuse", "reason": "because"}
            told = {"action": "answer", "text": "web:direct:ann coder s1"}
            assert await tester.prompt("who") == told
            image: Message = {"type": "image", "data": "", "mimeType": "image/png"}
            blocks: list[Message] = [{"type": "text", "text": "hi", "_meta": {}}, image]
            changed = [{"type": "text", "text": "HI", "_meta": {}}, image]
            assert await tester.prompt(blocks) == {"action": "change", "prompt": changed}

    run(test())


def test_updates_are_changed_and_dropped() -> None:
    async def test() -> None:
        async with HookTester(Guard()) as tester:
            await tester.initialize()
            shown = chunk({"type": "text", "text": "it is ***"})
            assert await tester.update("it is secret") == {"action": "change", "update": shown}
            pushed = [{"type": "text", "text": "secret"}, "secret"]
            changed = await tester.update(chunk(pushed))
            assert changed["update"]["content"] == [{"type": "text", "text": "***"}, "secret"]
            assert (await tester.update(chunk("secret")))["update"]["content"] == "***"
            output = [{"type": "content", "content": {"type": "text", "text": "a secret"}}]
            call = {"sessionUpdate": "tool_call_update", "toolCallId": "t", "content": output}
            [item] = (await tester.update(call))["update"]["content"]
            assert item["content"]["text"] == "a ***"
            plan = {"sessionUpdate": "plan", "entries": []}
            assert await tester.update(plan) == {"action": "change", "update": plan}
            assert await tester.update({"sessionUpdate": "agent_thought_chunk"}) == {
                "action": "drop"
            }

    run(test())


def test_permissions_are_passed_changed_and_selected() -> None:
    async def test() -> None:
        async with HookTester(Guard()) as tester:
            await tester.initialize()
            answer = await tester.permission({"title": "rm"}, OPTIONS)
            assert answer == {"action": "select", "optionId": "no"}
            assert await tester.permission({"title": "rm"}, OPTIONS[:1]) == {"action": "pass"}
            changed = await tester.permission({"kind": "edit"}, OPTIONS)
            assert changed["request"]["options"] == OPTIONS[1:]

    run(test())


def test_verdicts_of_two_kinds_are_never_equal() -> None:
    verdicts = [Pass(), Drop(), Change("x"), Refuse("x"), Answer("x"), Select("x")]
    assert len(set(verdicts)) == len(verdicts)


@pytest.mark.parametrize(
    ("said", "code", "text"),
    [
        ("fail", INTERNAL_ERROR, "ZeroDivisionError: by zero"),
        ("drop", INTERNAL_ERROR, "expected one of Pass, Change, Refuse, Answer"),
        ("nothing", INTERNAL_ERROR, "hook/prompt was answered with None"),
        ("deny", -32001, "not today"),
    ],
)
def test_a_hook_that_fails_is_answered_for_with_an_error(said: str, code: int, text: str) -> None:
    async def test() -> None:
        near, far = connection_pair()
        failures: list[str] = []
        harness = HookHarness(Guard(), far, lambda method, _: failures.append(method))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(harness.serve())
            prompt = [{"type": "text", "text": said}]
            with pytest.raises(RpcError, match=text) as raised:
                await near.request("hook/prompt", {"prompt": prompt})
            far.end()
        assert raised.value.code == code
        assert failures == ([] if code == -32001 else ["hook/prompt"])

    run(test())


def test_a_slow_question_holds_up_no_other_and_can_be_taken_back() -> None:
    async def test() -> None:
        near, far = connection_pair()
        hook = Guard()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(HookHarness(hook, far).serve())
            await near.request("initialize", {})
            slow = near.call("hook/prompt", {"prompt": [{"type": "text", "text": "wait"}]}, 7)
            await hook.waits.wait()
            quick = await near.request("hook/prompt", {"prompt": [{"type": "text", "text": "no"}]})
            assert quick["action"] == "refuse"
            near.notify("$/cancel_request", {"requestId": "7"})
            near.notify("$/cancel_request", {"requestId": 7})
            near.notify("$/unknown", {})
            with pytest.raises(RpcError) as raised:
                await slow
            far.end()
        assert raised.value.code == REQUEST_CANCELLED

    run(test())


def test_the_end_of_stdin_lets_a_question_finish() -> None:
    async def test() -> None:
        near, far = connection_pair()
        hook = Guard()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(HookHarness(hook, far).serve())
            slow = near.call("hook/prompt", {"prompt": [{"type": "text", "text": "wait"}]})
            await hook.waits.wait()
            far.end()
            hook.gate.set()
            assert await slow == {"action": "pass"}
        assert hook.story == ["close"]

    run(test())


def test_a_refused_handshake_says_why() -> None:
    async def test() -> None:
        async with HookTester(Guard()) as tester:
            with pytest.raises(RpcError, match="option refuse: set"):
                await tester.initialize({"refuse": True})
            assert tester.hook.story == []

    run(test())


def test_a_broken_handshake_is_told_too(capsys: pytest.CaptureFixture[str]) -> None:
    async def test() -> None:
        async with HookTester(Guard()) as tester:
            with pytest.raises(RpcError, match="ZeroDivisionError: by zero"):
                await tester.initialize({"break": True})

    run(test())
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_hook_is_a_service_too() -> None:
    async def test() -> None:
        async with HookTester(Guard()) as tester:
            await tester.initialize()
            assert await tester.request("health", {}) == {"status": "healthy"}
            assert await tester.request("shutdown", {}) == {}
            with pytest.raises(RpcError) as raised:
                await tester.request("hook/other", {})
            assert raised.value.code == METHOD_NOT_FOUND
            with pytest.raises(RpcError, match="hook/update: update must be an object"):
                await tester.request("hook/update", {"update": "text"})

    run(test())


def test_whoever_writes_agents_finds_hooks_there_too() -> None:
    assert (agent.Hook, agent.run_hook) == (Hook, run_hook)
    with pytest.raises(AttributeError, match="no attribute 'run_dog'"):
        _ = agent.run_dog  # type: ignore[attr-defined]  # a mistake is told as ever

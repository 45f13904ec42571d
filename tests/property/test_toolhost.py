"""Whatever tools do, in whatever order: what is asked is answered once, unless it is cancelled."""

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.toolbed import Asking, Toolbed, ToolProcess, text_result, tool, tool_unit

UNITS = tuple(tool_unit(key) for key in ("a", "b"))
ASKED = ("call", "prompt", "read", "search", "list", "complete")
STEPS = (
    *ASKED,
    *("start", "die", "stop", "break", "pause", "resume", "change", "noise"),
    *("answer", "refuse", "garbage", "twice", "progress", "cancel"),
)
Step = tuple[str, int]


class Life:
    """Two tools, their clients, and whatever happens to them."""

    def __init__(self) -> None:
        self.bed = Toolbed(*UNITS)
        self.bed.follow()
        self.running: dict[int, ToolProcess] = {}
        self.askings: list[Asking] = []
        self.cancelled: list[Asking] = []

    def step(self, what: str, which: int) -> None:
        if what in ASKED:
            self.askings.append(self.ask(what, UNITS[which].name.removesuffix(".tool")))
        elif what == "cancel":
            self.cancel(which)
        elif what == "start":
            self.start(which)
        elif which in self.running:
            self.happen(what, which, self.running[which])

    def ask(self, what: str, key: str) -> Asking:
        bed = self.bed
        match what:
            case "call":
                return bed.call(f"{key}__x", progress=True)
            case "prompt":
                return bed.ask("prompts/get", name=f"{key}__p")
            case "read":
                return bed.ask("resources/read", uri=f"{key}:1")
            case "search":
                return bed.ask("resources/read", uri="nobody:1")
            case "complete":
                ref = {"type": "ref/prompt", "name": f"{key}__p"}
                return bed.ask("completion/complete", ref=ref)
            case _:
                return bed.ask("prompts/list")

    def cancel(self, which: int) -> None:
        waiting = [one for one in self.askings if one.call is not None and not one.answers]
        for one in waiting[which : which + 1]:
            assert one.call is not None
            one.call.cancel("gone")
            self.cancelled.append(one)

    def start(self, which: int) -> None:
        if which not in self.running:
            process = self.running[which] = self.bed.run(UNITS[which])
            process.greet(prompts={}, resources={}, completions={})
            process.list(tool("x"))

    def happen(self, what: str, which: int, process: ToolProcess) -> None:
        match what:
            case "die":
                process.die()
                del self.running[which]
            case "stop":
                process.sink.close()
                process.die()
                del self.running[which]
            case "break":
                process.sink.fail("broken")
                process.die()
                del self.running[which]
            case "pause":
                process.sink.pause_writing()
            case "resume":
                process.sink.resume_writing()
            case "change":
                process.notify("notifications/tools/list_changed")
            case "noise":
                process.sink.data_received(b"noise\n")
            case "progress":
                process.notify("notifications/progress", progressToken=1, progress=1)
            case _:
                self.say(what, process)

    def say(self, what: str, process: ToolProcess) -> None:
        """Do something about the oldest request that the tool has been sent."""
        requests = [one for one in process.read() if "id" in one and "method" in one]
        if not requests:
            return
        request = process.take(requests[0]["method"])
        match what:
            case "refuse":
                process.refuse(request, -32603)
            case "garbage":
                process.answer(request, 7)
            case _:
                for _ in range(2 if what == "twice" else 1):
                    process.answer(request, _result(request["method"], process))


def _result(method: str, process: ToolProcess) -> dict[str, object]:
    key = process.unit.name.removesuffix(".tool")
    lists: dict[str, dict[str, object]] = {
        "tools/list": {"tools": [tool("x")]},
        "prompts/list": {"prompts": [{"name": "p"}]},
        "resources/list": {"resources": [{"uri": f"{key}:1"}]},
        "resources/templates/list": {"resourceTemplates": []},
    }
    return lists.get(method, text_result("done"))


async def live(steps: Sequence[Step]) -> Life:
    life = Life()
    for what, which in steps:
        life.step(what, which)
        for asking in life.askings:
            assert len(asking.answers) <= 1
    return life


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from((0, 1))), max_size=40))
def test_what_is_asked_is_answered_once_unless_it_is_cancelled(steps: list[Step]) -> None:
    async def whole() -> None:
        life = await live(steps)
        for process in life.running.values():
            process.die()
        for asking in life.askings:
            assert len(asking.answers) == (0 if asking in life.cancelled else 1)
        count = sum(life.bed.counters.tool_calls.values())
        assert count == sum(times.count for times in life.bed.counters.tool_times.values())

    asyncio.run(whole())

"""Prompts, resources, and what tools tell by themselves; scripted tools on in-memory wires."""

from functools import partial

import pytest

from anyclawd.gateway import audience, tool_voice, tool_waits
from anyclawd.model.value import Json
from anyclawd.route.record import SessionKey
from anyclawd.wire.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, RpcError
from tests.fakes.toolbed import (
    GRANT,
    Asking,
    Toolbed,
    ToolProcess,
    routes_of,
    tool,
    tool_unit,
)

CLOCK, FILES = tool_unit("clock"), tool_unit("files")
PROMPTS_CHANGED = "notifications/prompts/list_changed"
RESOURCES_CHANGED = "notifications/resources/list_changed"


# --- prompts and resources ------------------------------------------------------------------------


def offering(bed: Toolbed, key: str = "clock") -> ToolProcess:
    """A tool with prompts and resources; its lists are not read yet."""
    capabilities = {"prompts": {}, "resources": {"subscribe": True}, "completions": {}}
    return bed.start(tool_unit(key), tool(f"{key}-tool"), **capabilities)


def list_all(
    process: ToolProcess,
    prompts: tuple[str, ...] = (),
    resources: tuple[str, ...] = (),
    templates: tuple[str, ...] = (),
) -> None:
    for method, result in {
        "prompts/list": {"prompts": [{"name": one} for one in prompts]},
        "resources/list": {"resources": [{"uri": one, "name": one} for one in resources]},
        "resources/templates/list": {
            "resourceTemplates": [{"uriTemplate": one, "name": one} for one in templates]
        },
    }.items():
        process.answer(process.take(method), result)


async def test_lists_of_all_tools_are_merged() -> None:
    bed = Toolbed(CLOCK, FILES)
    for key in ("clock", "files"):
        list_all(offering(bed, key), (key, "same"), (f"{key}:1", "x:1"), (f"{key}:{{n}}",))
    prompts = bed.ask("prompts/list").result["prompts"]
    assert [one["name"] for one in prompts] == ["clock", "clock__same", "files", "files__same"]
    found = bed.ask("resources/list").result["resources"]
    assert [one["uri"] for one in found] == ["clock:1", "x:1", "files:1"]
    templates = bed.ask("resources/templates/list").result["resourceTemplates"]
    assert [one["uriTemplate"] for one in templates] == ["clock:{n}", "files:{n}"]


async def test_the_first_page_waits_for_lists_that_are_still_read() -> None:
    bed = Toolbed(CLOCK)
    clock = offering(bed)
    bed.follow()
    asking = bed.ask("prompts/list")
    assert asking.answers == []
    list_all(clock, ("a",))
    assert [one["name"] for one in asking.result["prompts"]] == ["a"]
    assert bed.take_told() == [PROMPTS_CHANGED, RESOURCES_CHANGED, RESOURCES_CHANGED]


async def test_who_is_granted_other_prompts_and_resources_is_told_so() -> None:
    bed = Toolbed(CLOCK)
    list_all(offering(bed), ("a",), ("c:1",))
    bed.follow()
    bed.routes = routes_of(FILES)
    bed.adopt()
    changed = ["notifications/tools/list_changed", PROMPTS_CHANGED, RESOURCES_CHANGED]
    assert bed.take_told() == changed
    assert bed.ask("prompts/list").result == {"prompts": []}


async def test_a_wait_for_lists_can_be_cancelled_and_ends_with_the_tool() -> None:
    bed = Toolbed(CLOCK)
    clock = offering(bed)
    asking, other = bed.ask("prompts/list"), bed.ask("prompts/list")
    assert asking.call is not None
    asking.call.cancel("gone")
    clock.die()
    assert asking.answers == []
    assert other.result == {"prompts": []}


async def test_a_tool_that_does_not_finish_its_list_keeps_nobody_waiting_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tool_waits, "LIST_WAIT_S", 0.01)
    bed = Toolbed(CLOCK, FILES)
    offering(bed, "clock")
    list_all(offering(bed, "files"), ("a",))
    asking = await bed.ask("prompts/list").wait()
    assert [one["name"] for one in asking.result["prompts"]] == ["a"]
    assert bed.ask("prompts/list").result == asking.result
    assert bed.names() == ["clock-tool", "files-tool"]


async def test_a_server_with_resources_may_lack_templates() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"), resources={})
    clock.refuse(clock.take("resources/templates/list"), METHOD_NOT_FOUND)
    assert bed.ask("resources/templates/list").result == {"resourceTemplates": []}


async def test_a_prompt_is_got_from_the_unit_whose_it_is() -> None:
    bed = Toolbed(CLOCK, FILES)
    clock, files = offering(bed, "clock"), offering(bed, "files")
    list_all(clock, ("p",))
    list_all(files, ("p",))
    asking = bed.ask("prompts/get", name="files__p", arguments={"a": "b"})
    request = files.take("prompts/get")
    assert request["params"] == {"name": "p", "arguments": {"a": "b"}}
    files.answer_raw(request, b'{"messages" : []}')
    assert asking.raw == b'{"messages" : []}'
    assert bed.ask("prompts/get", name="q").error.message == "unknown prompt 'q'"
    assert bed.ask("prompts/get", name="p").error.message == (
        "prompt 'p' may be 'clock__p' or 'files__p'; say which"
    )


async def test_a_resource_is_read_from_whoever_lists_it_or_has_its_template() -> None:
    bed = Toolbed(CLOCK, FILES)
    clock, files = offering(bed, "clock"), offering(bed, "files")
    list_all(clock, (), ("c:1",))
    list_all(files, (), (), ("f:{n}",))
    for process, uri in ((clock, "c:1"), (files, "f:7")):
        asking = bed.ask("resources/read", uri=uri)
        process.answer(process.take("resources/read"), {"contents": []})
        assert asking.result == {"contents": []}


async def test_a_resource_that_nobody_lists_is_looked_for_in_one_unit_after_the_other() -> None:
    bed = Toolbed(CLOCK, FILES)
    clock, files = offering(bed, "clock"), offering(bed, "files")
    asking = bed.ask("resources/read", uri="x:1")
    assert not files.has("resources/read")
    clock.refuse(clock.take("resources/read"), -32002, "not here")
    files.answer(files.take("resources/read"), {"contents": []})
    assert asking.result == {"contents": []}
    asking = bed.ask("resources/read", uri="x:1")
    clock.refuse(clock.take("resources/read"), -32002, "not here")
    files.refuse(files.take("resources/read"), -32002, "nor here")
    assert asking.error == RpcError(-32002, "nor here")
    asking = bed.ask("resources/read", uri="x:1")
    clock.die()
    assert asking.error.code == INTERNAL_ERROR
    assert "unit clock.tool has ended" in asking.error.message


async def test_a_unit_that_has_gone_when_its_turn_comes_keeps_nobody_waiting() -> None:
    bed = Toolbed(CLOCK, FILES)
    clock, files = offering(bed, "clock"), offering(bed, "files")
    asking = bed.ask("resources/read", uri="x:1")
    files.die()
    clock.refuse(clock.take("resources/read"), -32002, "not here")
    assert asking.error.code == INTERNAL_ERROR
    assert "unit files.tool is not running" in asking.error.message


async def test_a_search_can_be_cancelled_while_any_unit_is_asked() -> None:
    bed = Toolbed(CLOCK, FILES)
    clock, files = offering(bed, "clock"), offering(bed, "files")
    asking = bed.ask("resources/read", uri="x:1")
    clock.refuse(clock.take("resources/read"), -32002)
    assert asking.call is not None
    asking.call.cancel("gone")
    files.take("notifications/cancelled")
    assert asking.answers == []


async def test_what_nobody_can_have_is_unknown() -> None:
    bed = Toolbed(CLOCK)
    bed.start(CLOCK, tool("now"))
    for uri in ("x:1", None, 1):
        assert bed.ask("resources/read", uri=uri).error.code == -32002


async def test_a_dead_units_resources_and_prompts_are_errors() -> None:
    bed = Toolbed(CLOCK)
    clock = offering(bed)
    list_all(clock, ("p",), ("c:1",))
    clock.die()
    for asking in (bed.ask("resources/read", uri="c:1"), bed.ask("prompts/get", name="p")):
        assert asking.error.code == INTERNAL_ERROR
        assert "unit clock.tool is not running" in asking.error.message


async def test_an_error_between_us_and_a_tool_is_not_taken_for_one_of_the_client() -> None:
    bed = Toolbed(CLOCK)
    clock = offering(bed)
    list_all(clock, ("p",))
    for code in (METHOD_NOT_FOUND, -32022, -32600):
        asking = bed.ask("prompts/get", name="p")
        clock.refuse(clock.take("prompts/get"), code, "what")
        assert asking.error == RpcError(
            INTERNAL_ERROR,
            f"prompts/get: unit clock.tool answered with an error: what ({code})",
        )
    asking = bed.ask("prompts/get", name="p")
    clock.answer(clock.take("prompts/get"), [])
    assert "its result is no object" in asking.error.message


async def test_completions_come_from_the_unit_whose_the_prompt_or_template_is() -> None:
    bed = Toolbed(CLOCK, FILES)
    clock, files = offering(bed, "clock"), offering(bed, "files")
    list_all(clock, ("p",), (), ("c:{n}",))
    list_all(files, ("p",))
    argument = {"name": "n", "value": "1"}
    asking = bed.ask(
        "completion/complete", ref={"type": "ref/prompt", "name": "files__p"}, argument=argument
    )
    request = files.take("completion/complete")
    ref = {"type": "ref/prompt", "name": "p"}
    assert request["params"] == {"ref": ref, "argument": argument}
    files.answer(request, {"completion": {"values": ["12"]}})
    assert asking.result == {"completion": {"values": ["12"]}}
    ref = {"type": "ref/resource", "uri": "c:{n}"}
    bed.ask("completion/complete", ref=ref, argument=argument)
    assert clock.take("completion/complete")["params"]["ref"] == ref
    for strange in ({"type": "ref/prompt", "name": "x"}, {"type": "ref/resource"}, None):
        assert bed.ask("completion/complete", ref=strange).error.code == INVALID_PARAMS


async def test_a_unit_that_completes_nothing_has_no_values() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"), prompts={})
    clock.answer(clock.take("prompts/list"), {"prompts": [{"name": "p"}]})
    asking = bed.ask("completion/complete", ref={"type": "ref/prompt", "name": "p"})
    assert asking.result == {"completion": {"values": []}}


async def test_a_cursor_of_another_list_is_refused() -> None:
    bed = Toolbed(CLOCK)
    bed.start(CLOCK, tool("now"))
    strangers: list[Json] = ["x", 1, {}, True]
    for cursor in strangers:
        asking = bed.ask("tools/list", cursor=cursor)
        assert asking.error.code == INVALID_PARAMS
        assert "list again from the start" in asking.error.message


# --- what tools tell ------------------------------------------------------------------------------


async def test_updates_of_a_resource_are_told_to_those_who_subscribed() -> None:
    bed = Toolbed(CLOCK)
    clock = offering(bed)
    list_all(clock, (), ("c:1",))
    bed.follow()
    asking = bed.ask("resources/subscribe", uri="c:1")
    clock.answer(clock.take("resources/subscribe"), {})
    assert asking.result == {}
    for uri in ("c:1", "c:1/part", "c:12", "c:2"):
        clock.notify("notifications/resources/updated", uri=uri)
    assert [params["uri"] for _, params in bed.told] == ["c:1", "c:1/part"]
    bed.ask("resources/unsubscribe", uri="c:1")
    clock.answer(clock.take("resources/unsubscribe"), {})
    clock.notify("notifications/resources/updated", uri="c:1")
    assert len(bed.told) == 2


async def test_a_subscription_that_is_refused_is_none() -> None:
    bed = Toolbed(CLOCK)
    clock = offering(bed)
    bed.follow()
    asking = bed.ask("resources/subscribe", uri="c:1")
    clock.refuse(clock.take("resources/subscribe"), -32002, "no")
    assert asking.error.code == -32002
    clock.notify("notifications/resources/updated", uri="c:1")
    assert bed.told == []


async def test_what_was_wanted_of_a_tool_is_wanted_of_the_one_after_it() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"), resources={"subscribe": True}, logging={})
    bed.follow()
    bed.ask("resources/subscribe", uri="c:1")
    clock.answer(clock.take("resources/subscribe"), {})
    bed.ask("logging/setLevel", level="error")
    clock.die()
    again = bed.start(CLOCK, tool("now"), resources={"subscribe": True}, logging={})
    assert again.take("resources/subscribe")["params"] == {"uri": "c:1"}
    assert again.take("logging/setLevel")["params"] == {"level": "error"}


async def test_what_a_client_wants_is_kept_while_its_stream_is_cut() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"), resources={"subscribe": True})
    end = bed.follow()
    bed.ask("resources/subscribe", uri="c:1")
    clock.answer(clock.take("resources/subscribe"), {})
    end()
    assert not clock.has("resources/unsubscribe")
    bed.follow()
    clock.notify("notifications/resources/updated", uri="c:1")
    assert bed.take_told() == ["notifications/resources/updated"]


async def test_a_tool_is_told_when_nobody_is_left_who_wants_a_resource() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"), resources={"subscribe": True})
    for view in (None, CLOCK.name):
        bed.ask("resources/subscribe", view, uri="c:1")
        clock.answer(clock.take("resources/subscribe"), {})
    bed.ask("resources/unsubscribe", uri="c:1")
    assert not clock.has("resources/unsubscribe")
    bed.ask("resources/unsubscribe", CLOCK.name, uri="c:1")
    clock.take("resources/unsubscribe")


async def test_what_a_client_wants_ends_with_its_grant() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"), resources={"subscribe": True}, logging={})
    end = bed.follow()
    bed.ask("resources/subscribe", uri="c:1")
    clock.answer(clock.take("resources/subscribe"), {})
    bed.ask("logging/setLevel", level="debug")
    end()
    bed.grants.end(GRANT)
    bed.follow(CLOCK.name)
    assert clock.take("resources/unsubscribe")["params"] == {"uri": "c:1"}


async def test_a_client_whose_chat_is_known_only_later_is_the_same_client() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"), resources={"subscribe": True})
    bed.follow()
    named = GRANT._replace(session=SessionKey("web:direct:fork"))
    bed.host.move(GRANT.agent, GRANT.session, named.session)
    asking = Asking()
    ask = partial(bed.host.ask, named, None, answered=asking.take, progressed=None)
    ask("resources/subscribe", {"uri": "c:1"})
    clock.answer(clock.take("resources/subscribe"), {})
    clock.notify("notifications/resources/updated", uri="c:1")
    assert bed.take_told() == ["notifications/resources/updated"]
    ask("resources/unsubscribe", {"uri": "c:1"})
    clock.take("resources/unsubscribe")


async def test_a_client_that_only_listened_is_forgotten_with_its_stream() -> None:
    bed = Toolbed(CLOCK)
    bed.follow()()
    assert list(bed.host._audience) == []


async def test_of_too_many_clients_that_do_not_listen_the_oldest_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audience, "IDLE_MAX", 1)
    bed = Toolbed(CLOCK, FILES)
    for view in (None, CLOCK.name, FILES.name):
        bed.ask("logging/setLevel", view, level="debug")
    assert [one.view for one in bed.host._audience] == [CLOCK.name, FILES.name]


async def test_log_messages_are_told_from_the_level_on_that_each_client_wants() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"), logging={})
    bed.follow()
    clock.notify("notifications/message", level="debug", data=1, logger="inner", _meta={})
    assert bed.ask("logging/setLevel", level="error").result == {}
    assert clock.take("logging/setLevel")["params"] == {"level": "error"}
    for level in ("info", "error", "alert", "strange"):
        clock.notify("notifications/message", level=level, data=level)
    assert [params["data"] for _, params in bed.told] == [1, "error", "alert", "strange"]
    assert [params["logger"] for _, params in bed.told] == ["clock/inner", *["clock"] * 3]
    assert "_meta" not in bed.told[0][1]


async def test_a_tool_that_talks_without_end_is_heard_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each word costs as much as there are listeners, and the loop is everybody's."""
    monkeypatch.setattr(tool_voice, "WINDOW_S", 3600.0)
    bed = Toolbed(CLOCK, FILES)
    clock, files = (bed.start(unit, tool("now"), logging={}) for unit in (CLOCK, FILES))
    bed.follow()
    for number in range(tool_voice.WORDS_MAX + 10):
        clock.notify("notifications/message", level="info", data=number)
    assert [params["data"] for _, params in bed.told] == [*range(tool_voice.WORDS_MAX)]
    files.notify("notifications/message", level="info", data="another")
    assert bed.told[-1][1]["data"] == "another"


async def test_a_tool_is_asked_for_the_most_that_anybody_wants() -> None:
    bed = Toolbed(CLOCK)
    clock = bed.start(CLOCK, tool("now"), logging={})
    bed.ask("logging/setLevel", level="info")
    bed.ask("logging/setLevel", CLOCK.name, level="error")
    levels = [clock.take("logging/setLevel")["params"]["level"] for _ in range(2)]
    assert levels == ["info", "info"]
    assert bed.ask("logging/setLevel", level="loud").error.code == INVALID_PARAMS

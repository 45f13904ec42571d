"""What trusted tools are told, and what they may do to chats; scripted, on in-memory wires."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest

from anyclawd.model.tool import Era
from anyclawd.model.value import Json
from anyclawd.route.table import Routes
from anyclawd.wire.channel import Acceptance, Refusal, RefusalReason
from anyclawd.wire.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND, SERVER_ERROR
from tests.fakes.toolbed import AGENT, CHAT, Toolbed, ToolProcess, tool, tool_unit

MAIL = tool_unit("mail", is_trusted=True)
PART: dict[str, Json] = {"type": "text", "text": "look"}
ROOTS_CHANGED = "notifications/roots/list_changed"
OURS: dict[str, Json] = {"experimental": {"anyclaw": {"deliver": {}, "inject": {}}}}


def asked(process: ToolProcess, method: str, **params: Json) -> Mapping[str, Json]:
    """What a request of the tool is answered with."""
    process.say({"id": "t", "method": method, "params": params})
    return process.answer_to("t")


async def test_it_is_told_its_options_and_what_it_may_do() -> None:
    bed = Toolbed(MAIL)
    params = bed.run(MAIL, {"host": "example.org"}).greet()
    assert params["_meta"] == {"anyclaw/options": {"host": "example.org"}}
    assert params["capabilities"] == {"roots": {"listChanged": True}, **OURS}


async def test_another_is_told_nothing_of_it() -> None:
    unit = tool_unit("mail")
    bed = Toolbed(unit)
    mail = bed.run(unit, {"host": "example.org"})
    assert "_meta" not in mail.greet()
    mail.list(tool("send"))
    bed.call("send")
    assert mail.take("tools/call")["params"] == {"name": "send", "arguments": {}}


async def test_it_is_told_who_calls() -> None:
    bed = Toolbed(MAIL)
    mail = bed.start(MAIL, tool("send"))
    bed.call("send")
    told = mail.take("tools/call")["params"]["_meta"]["anyclaw/call"]
    assert told.pop("id")
    assert told == {
        "session": CHAT,
        "agent": "default",
        "workspace": f"/work/{AGENT}",
        "channel": "web",
    }


async def test_a_worker_of_a_pool_has_the_name_of_its_pool() -> None:
    bed = Toolbed(MAIL)
    route = replace(bed.routes.agents[AGENT], name="pool")
    bed.routes = Routes(agents=MappingProxyType({AGENT: route}))
    mail = bed.start(MAIL, tool("send"))
    bed.call("send")
    assert mail.take("tools/call")["params"]["_meta"]["anyclaw/call"]["agent"] == "pool"


async def test_it_is_told_so_in_the_modern_era_as_well() -> None:
    unit = tool_unit("mail", is_trusted=True, era=Era.MODERN)
    bed = Toolbed(unit)
    mail = bed.run(unit, {"a": 1})
    request = mail.take("server/discover")
    assert request["params"]["_meta"]["anyclaw/options"] == {"a": 1}
    mail.answer(request, {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}})
    mail.list(tool("send"))
    bed.call("send")
    meta = mail.take("tools/call")["params"]["_meta"]
    assert meta["anyclaw/call"]["session"] == CHAT
    assert meta["io.modelcontextprotocol/clientCapabilities"] == OURS
    assert "anyclaw/options" not in meta


async def test_it_delivers_to_the_chat_that_calls_while_it_calls() -> None:
    bed = Toolbed(MAIL)
    mail = bed.start(MAIL, tool("send"))
    bed.call("send")
    request = mail.take("tools/call")
    call = request["params"]["_meta"]["anyclaw/call"]["id"]
    assert asked(mail, "anyclaw/deliver", call=call, content=[PART])["result"] == {}
    assert bed.desk.delivered == [(CHAT, [PART])]
    mail.answer(request, {"content": []})
    late = asked(mail, "anyclaw/deliver", call=call, content=[PART])["error"]
    assert late["code"] == INVALID_PARAMS
    assert late["message"].startswith(f"no call '{call}' is under way")
    assert len(bed.desk.delivered) == 1


@pytest.mark.parametrize("call", ["0", "1", "99", "x", "²", "9" * 40, 2, None])
async def test_it_delivers_for_no_other_call(call: Json) -> None:
    bed = Toolbed(MAIL)
    mail = bed.start(MAIL, tool("send"))
    bed.call("send")
    error = asked(mail, "anyclaw/deliver", call=call, content=[PART])["error"]
    assert error["code"] == INVALID_PARAMS
    assert bed.desk.delivered == []


async def test_it_is_told_why_something_cannot_be_delivered() -> None:
    bed = Toolbed(MAIL)
    bed.desk.refusal = "channel 'web' is configured no more"
    mail = bed.start(MAIL, tool("send"))
    bed.call("send")
    call = mail.take("tools/call")["params"]["_meta"]["anyclaw/call"]["id"]
    error = asked(mail, "anyclaw/deliver", call=call, content=[PART])["error"]
    assert (error["code"], error["message"]) == (SERVER_ERROR, bed.desk.refusal)


async def test_it_speaks_into_a_chat() -> None:
    bed = Toolbed(MAIL)
    mail = bed.start(MAIL, tool("send"))
    params = {"session": CHAT, "text": "wake up", "sourceId": "7"}
    assert asked(mail, "anyclaw/inject", **params)["result"] == {"messageId": "m-1"}
    content = [{"type": "text", "text": "wake up"}]
    assert bed.desk.injected == [(MAIL.name, CHAT, content, "7")]
    bed.desk.acceptance = Acceptance("m-1", is_duplicate=True)
    repeated = asked(mail, "anyclaw/inject", session=CHAT, content=[PART])["result"]
    assert repeated == {"messageId": "m-1", "duplicate": True}


async def test_it_is_told_why_something_is_not_accepted() -> None:
    bed = Toolbed(MAIL)
    mail = bed.start(MAIL, tool("send"))
    bed.desk.acceptance = Acceptance("m-1", refusal=Refusal(RefusalReason.QUEUE, "full", 2.0))
    error = asked(mail, "anyclaw/inject", session=CHAT, text="x")["error"]
    assert (error["code"], error["message"]) == (SERVER_ERROR, "full")
    assert error["data"]["reason"] == "queue"
    assert error["data"]["retryAfter"] == 2.0
    error = asked(mail, "anyclaw/inject", text="x")["error"]
    assert error["code"] == INVALID_PARAMS


async def test_it_knows_the_workspaces_of_those_who_may_use_it() -> None:
    bed = Toolbed(MAIL)
    mail = bed.start(MAIL, tool("send"))
    bed.adopt()
    assert not mail.has(ROOTS_CHANGED)  # it has not asked
    assert asked(mail, "roots/list")["result"] == {
        "roots": [{"uri": f"file:///work/{AGENT}", "name": "default"}]
    }
    bed.adopt()
    assert not mail.has(ROOTS_CHANGED)
    bed.routes = Routes()
    bed.adopt()
    assert mail.take(ROOTS_CHANGED)["params"] == {}
    assert asked(mail, "roots/list")["result"] == {"roots": []}


async def test_it_may_ask_for_nothing_else() -> None:
    mail = Toolbed(MAIL).start(MAIL, tool("send"))
    for method in ("sampling/createMessage", "elicitation/create", "anyclaw/delete"):
        assert asked(mail, method)["error"]["code"] == METHOD_NOT_FOUND

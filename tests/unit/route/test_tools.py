"""What tools mean to chats: what an agent is told of them, and what they deliver."""

from anyclawd.model.deps import UnitName
from anyclawd.model.tool import ToolAccess
from anyclawd.model.value import Json
from anyclawd.route import commands, events
from anyclawd.route.commands import SessionKey
from anyclawd.route.record import AddDelivery, DeliveryId
from anyclawd.route.table import VIRTUAL, AgentRoute
from anyclawd.route.toolbox import Offered
from anyclawd.wire.channel import Peer
from tests.fakes.desk import AGENT, KEY, Desk, only, prompted, routes

CLOCK = UnitName("clock.tool")
PICTURE: Json = {"type": "image", "url": "http://127.0.0.1/media/1"}
TEXT: Json = {"type": "text", "text": "look"}


def tooled(access: ToolAccess = ToolAccess()) -> Desk:
    route = AgentRoute(unit=AGENT, name="default", granted=(CLOCK,), tool_access=access)
    return Desk(routes(route=route))


def delivered(desk: Desk, *content: Json, session: SessionKey = KEY) -> list[commands.Command]:
    return desk.step(events.ToolDelivered(session, DeliveryId("d"), content))


def shown(decided: list[commands.Command]) -> list[tuple[Json, str | None]]:
    return [
        (one.content["update"]["content"], one.delivery) for one in only(decided, commands.Deliver)
    ]


# --- what an agent is told ------------------------------------------------------------------------


def test_the_first_prompt_of_a_session_tells_which_tools_run() -> None:
    desk = tooled()
    desk.step(events.ToolsListed(CLOCK, (Offered("now", "tells the time"), Offered("zones"))))
    desk.prompting()
    first = prompted(desk.decided)[0]
    assert "- now: tells the time\n- zones: \n" in first


def test_what_has_gone_is_told_to_nobody() -> None:
    for gone in (events.ToolGone(CLOCK), events.ToolRemoved(CLOCK)):
        desk = tooled()
        desk.step(events.ToolsListed(CLOCK, (Offered("now"),)))
        desk.step(gone)
        desk.prompting()
        assert "now" not in prompted(desk.decided)[0]


def test_nobody_is_told_of_tools_that_cannot_be_reached() -> None:
    desk = tooled()
    desk.step(events.ToolsListed(CLOCK, (Offered("now"),)))
    desk.step(events.ToolsServed(is_served=False))
    assert desk.router.agents[AGENT].tools == ()
    desk.step(events.ToolsServed(is_served=True))
    assert [name for name, _ in desk.router.agents[AGENT].tools] == ["now"]


def test_what_is_denied_is_not_told_of_and_a_reload_changes_that() -> None:
    desk = tooled(ToolAccess(deny=("now",)))
    desk.step(events.ToolsListed(CLOCK, (Offered("now"), Offered("zones"))))
    agent = desk.router.agents[AGENT]
    assert [name for name, _ in agent.tools] == ["zones"]
    desk.step(events.RoutesReplaced(tooled().router.routes))
    assert [name for name, _ in agent.tools] == ["now", "zones"]


# --- what they deliver ----------------------------------------------------------------------------


def test_what_a_tool_delivers_is_shown_in_the_running_answer_part_by_part() -> None:
    desk = Desk().prompting()
    decided = delivered(desk, TEXT, PICTURE)
    assert shown(decided) == [(TEXT, "d.1"), (PICTURE, "d.2")]
    assert len(only(decided, commands.StartResponse)) == 1
    kept = [entry for record in only(decided, commands.Record) for entry in record.entries]
    assert [entry.delivery.id for entry in kept if isinstance(entry, AddDelivery)] == ["d.1", "d.2"]


def test_what_comes_after_the_answer_is_shown_as_well() -> None:
    assert shown(delivered(Desk().rested(), PICTURE)) == [(PICTURE, "d.1")]


def test_a_part_that_was_written_waits_no_more() -> None:
    desk = Desk().prompting()
    delivered(desk, PICTURE)
    assert len(desk.router.deliveries) == 1
    desk.step(events.DeliveryWritten(DeliveryId("d.1")))
    assert len(desk.router.deliveries) == 0


def test_the_chat_of_an_administrator_keeps_nothing() -> None:
    desk = Desk().prompting()
    peer = Peer(VIRTUAL, "1", "direct")
    desk.say("hello", channel=VIRTUAL, peer=peer, agent=AGENT, is_trusted=True)
    key = SessionKey(f"{VIRTUAL}:direct:1")
    decided = delivered(desk, PICTURE, session=key)
    assert shown(decided) == [(PICTURE, "d.1")]
    assert not [one for one in only(decided, commands.Record) if one.entries]


def test_what_is_for_no_chat_goes_nowhere() -> None:
    assert delivered(Desk().prompting(), PICTURE, session=SessionKey("web:direct:nobody")) == []

"""When an agent is lost, and when the daemon is: what of the messages goes on, and what is told."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from anyclawd.model.conversation import QueueMode, QueuePolicy, Recovery
from anyclawd.model.deps import UnitName
from anyclawd.model.unit import ChannelRole
from anyclawd.route import commands, events, texts
from anyclawd.route.commands import MessageId, Outcome, SessionKey
from anyclawd.route.record import MessageState
from anyclawd.route.session import Phase
from anyclawd.route.table import VIRTUAL
from anyclawd.route.toolbox import Offered
from anyclawd.wire.channel import Peer
from tests.fakes.desk import AGENT, BOB, KEY, Desk, only, outcomes, prompted, routes, shown

RETRY = routes(role=ChannelRole(agent=AGENT, recovery=Recovery.RETRY))
BOBS = SessionKey("web:direct:bob")


def lose(desk: Desk) -> list[commands.Command]:
    return desk.step(events.AgentLost(AGENT))


def come_back(desk: Desk, session_id: str = "s1") -> list[str]:
    """The agent is back and loads the session; what it is prompted."""
    desk.ready(load=True)
    return prompted(desk.opened(session_id))


# --- an agent is lost -----------------------------------------------------------------------------


def test_the_turn_ends_with_an_error_and_what_waits_goes_on() -> None:
    desk = Desk().prompting()
    desk.say("later")
    decided = lose(desk)
    assert (outcomes(decided), shown(decided)) == (
        {"1": Outcome.INTERRUPTED},
        [texts.crashed("a")],
    )
    assert come_back(desk) == ["later"]


def test_a_retried_turn_is_prompted_once_more_before_what_waits() -> None:
    desk = Desk(RETRY).prompting()
    desk.say("later")
    decided = lose(desk)
    assert (outcomes(decided), shown(decided)) == ({}, [texts.trying_again("a")])
    assert desk.state("1") is MessageState.QUEUED
    assert come_back(desk) == ["hello|later"]
    assert outcomes(lose(desk)) == {"1": Outcome.INTERRUPTED, "2": Outcome.INTERRUPTED}


def test_a_retried_turn_answers_once() -> None:
    desk = Desk(RETRY).prompting()
    desk.chunk("half an ")
    lose(desk)
    come_back(desk)
    desk.chunk("a whole answer")
    desk.answer()
    [delivery] = desk.store.left().deliveries
    assert (delivery.id, delivery.messages) == ("1", ("1",))


@pytest.mark.parametrize("how", ["stop", "cancelling", "settled"])
def test_what_was_ended_on_purpose_is_not_retried(how: str) -> None:
    desk = Desk(RETRY).prompting()
    match how:
        case "stop":
            desk.step(events.AgentClosing(AGENT))
        case "cancelling":
            desk.say("/cancel")
        case "settled":
            desk.elapse(commands.TimerKind.SILENCE)
    lose(desk)
    assert desk.state("1") is MessageState.INTERRUPTED
    assert desk.session().queue == []


def test_while_the_daemon_stops_nothing_is_retried() -> None:
    desk = Desk(RETRY).prompting()
    desk.step(events.IntakeClosed())
    assert outcomes(lose(desk)) == {"1": Outcome.INTERRUPTED}


# --- what a daemon leaves -------------------------------------------------------------------------


def queued() -> Desk:
    desk = Desk()
    desk.open_intake()
    desk.say("hello")
    return desk


def running() -> Desk:
    return Desk().prompting()


def answered() -> Desk:
    desk = running()
    desk.chunk("hi")
    desk.answer()
    return desk


def delivered() -> Desk:
    desk = answered()
    desk.step(events.DeliveryWritten(commands.DeliveryId("1")))
    return desk


def interrupted() -> Desk:
    desk = running()
    lose(desk)
    return desk


#: What was left: (its maker, whether it is retried, seconds later, its state then, what is shown
#: and whether it is marked)
LEFT: dict[str, tuple[Callable[[], Desk], bool, float, MessageState, list[tuple[str, bool]]]] = {
    "queued-runs": (queued, False, 1.0, MessageState.QUEUED, []),
    "queued-too-long": (
        queued,
        False,
        3600.0,
        MessageState.INTERRUPTED,
        [(texts.expired(3600), False)],
    ),
    "running-is-reported": (
        running,
        False,
        1.0,
        MessageState.INTERRUPTED,
        [(texts.RESTARTED, False)],
    ),
    "running-is-retried": (running, True, 1.0, MessageState.QUEUED, []),
    "running-too-long-is-not": (
        running,
        True,
        3600.0,
        MessageState.INTERRUPTED,
        [(texts.expired(3600), False)],
    ),
    "answered-is-sent-again": (answered, False, 1.0, MessageState.ANSWERED, [("hi", True)]),
    "answered-too-long-ago": (answered, False, 3600.0, MessageState.ANSWERED, []),
    "delivered": (delivered, False, 1.0, MessageState.ANSWERED, []),
    "interrupted-is-sent-again": (
        interrupted,
        False,
        1.0,
        MessageState.INTERRUPTED,
        [(texts.crashed("a"), True)],
    ),
}


@pytest.mark.parametrize(("make", "is_retried", "age_s", "state", "told"), LEFT.values(), ids=LEFT)
def test_what_becomes_of_what_is_left(
    make: Callable[[], Desk],
    is_retried: bool,
    age_s: float,
    state: MessageState,
    told: list[tuple[str, bool]],
) -> None:
    later = make().next_daemon(RETRY if is_retried else None, age_s=age_s)
    sent = [(one.content, one.is_repeat) for one in only(later.decided, commands.Deliver)]
    assert [(shown_of(content), is_repeat) for content, is_repeat in sent] == told
    if later.store.restored.messages:
        waiting = MessageState.QUEUED if later.session().queue else later.state("1")
        assert waiting is state


def shown_of(content: object) -> str:
    update = content["update"]  # type: ignore[index] # a map
    return str(update.get("content", ""))


def test_all_of_a_chat_that_has_run_is_reported_once() -> None:
    desk = Desk()
    desk.open_intake()
    desk.say("one")
    desk.say("two")
    desk.ready()
    desk.opened("s1")
    desk.say("three")
    later = desk.next_daemon()
    assert outcomes(later.decided) == dict.fromkeys(("1", "2"), Outcome.INTERRUPTED)
    assert shown(later.decided) == [texts.RESTARTED]
    later.open_intake()
    assert come_back(later) == ["three"]


def test_what_was_queued_runs_in_order_in_every_chat() -> None:
    desk = Desk()
    desk.open_intake()
    for text in ("1", "2"):
        desk.say(f"ann {text}")
        desk.say(f"bob {text}", BOB)
    later = desk.next_daemon()
    later.open_intake()
    later.ready()
    assert prompted(later.opened("s1")) == ["ann 1|ann 2"]
    assert prompted(later.opened("s2", BOBS)) == ["bob 1|bob 2"]


def test_what_comes_meanwhile_comes_after_it() -> None:
    desk = queued()
    later = desk.next_daemon()
    later.say("newer", message=MessageId("newer"))
    later.open_intake()
    later.ready()
    assert prompted(later.opened("s1")) == ["hello|newer"]


def test_a_prompt_is_retried_once_however_many_daemons_it_takes() -> None:
    desk = Desk(RETRY).prompting()
    second = desk.next_daemon()
    second.open_intake()
    assert come_back(second) == ["hello"]
    third = second.next_daemon()
    assert outcomes(third.decided) == {"1": Outcome.INTERRUPTED}


def test_a_prompt_that_waits_for_its_retry_is_retried_by_the_next_daemon_and_then_no_more() -> None:
    desk = Desk(RETRY).prompting()
    lose(desk)
    second = desk.next_daemon()
    second.open_intake()
    assert come_back(second) == ["hello"]
    assert outcomes(lose(second)) == {"1": Outcome.INTERRUPTED}


def test_what_the_agent_was_prompted_is_no_command_of_the_platform() -> None:
    """It was the agent's own."""
    desk = Desk(RETRY)
    desk.open_intake()
    desk.ready()
    desk.say("hello")
    desk.opened("s1")
    desk.answer()
    assert prompted(desk.say("//status")) == ["/status"]
    later = desk.next_daemon()
    later.open_intake()
    assert come_back(later) == ["/status"]


def test_a_command_of_the_platform_that_was_kept_is_done() -> None:
    desk = Desk().prompting()
    desk.is_store_slow = True
    desk.say("/status")
    desk.store.append(
        [one.entry for one in only(desk.decided, commands.StoreMessage)][-1:], is_durable=True
    )
    later = desk.next_daemon()
    assert outcomes(later.decided) == {"1": Outcome.INTERRUPTED, "2": Outcome.ANSWERED}


def test_a_message_of_a_caller_is_nobodys_any_more() -> None:
    desk = Desk()
    desk.open_intake()
    me = Peer("anyclawctl", "1", "cli")
    desk.say("hello", me, VIRTUAL, agent=AGENT, is_trusted=True)
    later = desk.next_daemon()
    assert later.state("1") is MessageState.INTERRUPTED
    assert len(later.router.sessions) == 0


def test_a_channel_that_has_gone_leaves_nothing_that_waits() -> None:
    desk = answered()
    desk.say("more")
    later = desk.next_daemon(routes("other"))
    assert later.state("2") is MessageState.INTERRUPTED
    left = later.store.left()
    assert (left.messages, left.deliveries) == ((), ())


def test_an_agent_that_has_failed_meanwhile_refuses_what_is_left() -> None:
    desk = queued()
    later = Desk(desk.router.routes)
    later.store = type(later.store)(desk.store.left())
    later.step(events.AgentFailed(AGENT, "gone"))
    assert outcomes(later.step(events.StoreRead(desk.store.left()))) == {"1": Outcome.REFUSED}


def test_an_answer_that_is_sent_again_precedes_what_comes() -> None:
    later = answered().next_daemon()
    first = only(later.decided, commands.Announce | commands.Deliver)  # type: ignore[arg-type]
    assert [type(one) for one in first] == [commands.Announce, commands.Deliver]
    later.open_intake()
    assert later.session().phase is Phase.IDLE


# --- queue modes ----------------------------------------------------------------------------------


def mode(mode_: QueueMode) -> Desk:
    return Desk(routes(role=ChannelRole(agent=AGENT, queue=QueuePolicy(mode=mode_)))).prompting()


def cancels(decided: list[commands.Command]) -> bool:
    return bool(only(decided, commands.CancelPrompt))


def tool(desk: Desk, status: str) -> list[commands.Command]:
    return desk.update("tool_call_update", toolCallId="t", status=status)


def test_collect_makes_one_prompt_of_all_that_wait() -> None:
    desk = mode(QueueMode.COLLECT)
    assert not cancels(desk.say("two") + desk.say("three"))
    assert prompted(desk.answer()) == ["two|three"]


def test_collect_takes_the_last_metadata_that_is_not_null() -> None:
    desk = mode(QueueMode.COLLECT)
    desk.say("two", metadata={"threadId": "old"})
    desk.say("three", metadata={"threadId": "new"})
    desk.say("four")
    assert prompted(desk.answer()) == ["[Context: thread new]|two|three|four"]


def test_followup_makes_a_prompt_of_each() -> None:
    desk = mode(QueueMode.FOLLOWUP)
    assert not cancels(desk.say("two") + desk.say("three"))
    assert prompted(desk.answer()) == ["two"]
    assert prompted(desk.answer()) == ["three"]


def test_interrupt_cancels_at_once() -> None:
    desk = mode(QueueMode.INTERRUPT)
    tool(desk, "in_progress")
    assert cancels(desk.say("two"))
    assert not cancels(desk.say("three"))
    decided = desk.answer("cancelled")
    assert outcomes(decided) == {"1": Outcome.INTERRUPTED}
    assert shown(decided) == [texts.SUPERSEDED]
    assert prompted(decided) == ["two|three"]
    assert desk.state("1") is MessageState.INTERRUPTED


def test_steer_cancels_as_soon_as_no_tool_runs() -> None:
    desk = mode(QueueMode.STEER)
    assert cancels(desk.say("two"))
    desk = mode(QueueMode.STEER)
    tool(desk, "in_progress")
    assert not cancels(desk.say("two"))
    assert cancels(tool(desk, "completed"))
    assert prompted(desk.answer("cancelled")) == ["two"]


def test_a_turn_that_ends_by_itself_before_it_is_steered_has_been_answered() -> None:
    desk = mode(QueueMode.STEER)
    tool(desk, "in_progress")
    desk.say("two")
    assert outcomes(desk.answer()) == {"1": Outcome.ANSWERED}


def test_a_turn_that_has_ended_before_its_agent_reads_that_it_shall_make_way_is_answered() -> None:
    desk = mode(QueueMode.INTERRUPT)
    assert cancels(desk.say("two"))
    assert outcomes(desk.answer("end_turn")) == {"1": Outcome.ANSWERED}


@pytest.mark.parametrize("mode_", [QueueMode.STEER, QueueMode.INTERRUPT])
def test_a_turn_that_does_not_make_way_is_given_up(mode_: QueueMode) -> None:
    desk = mode(mode_)
    desk.say("two")
    decided = desk.elapse(commands.TimerKind.CANCEL)
    assert (outcomes(decided), shown(decided)) == (
        {"1": Outcome.INTERRUPTED},
        [texts.SUPERSEDED],
    )


def test_tool_calls_that_are_never_ended_cost_a_bounded_amount() -> None:
    desk = mode(QueueMode.STEER)
    for number in range(3000):
        desk.update("tool_call", toolCallId=str(number))
    turn = desk.session().turn
    assert turn is not None
    assert len(turn.open_tools) <= 1000


# --- hooks ----------------------------------------------------------------------------------------


def intercept(desk: Desk, text: str, *, is_refusal: bool) -> list[commands.Command]:
    return desk.step(events.PromptIntercepted(desk.token(), text, is_refusal))


def with_tools() -> Desk:
    table = routes()
    clock = UnitName("clock.tool")
    route = replace(table.agents[AGENT], granted=(clock,))
    desk = Desk(routes(route=route))
    desk.step(events.ToolsListed(clock, (Offered("clock", "tells the time"),)))
    return desk.prompting()


def test_a_prompt_that_a_hook_refuses_ends_with_its_reason() -> None:
    desk = Desk().prompting()
    decided = intercept(desk, "not on sundays", is_refusal=True)
    assert (outcomes(decided), shown(decided)) == ({"1": Outcome.REFUSED}, ["not on sundays"])


def test_one_that_a_hook_answers_ends_with_its_words() -> None:
    desk = Desk().prompting()
    decided = intercept(desk, "it is five", is_refusal=False)
    assert (outcomes(decided), shown(decided)) == ({"1": Outcome.ANSWERED}, ["it is five"])
    [delivery] = desk.store.left().deliveries
    assert shown_of(delivery.content) == "it is five"


def test_what_the_agent_should_have_been_told_first_it_is_told_next() -> None:
    desk = with_tools()
    intercept(desk, "no", is_refusal=True)
    [prompt] = prompted(desk.say("two"))
    assert "clock" in prompt
    desk.answer()
    assert prompted(desk.say("three")) == ["three"]


def test_a_turn_that_is_cancelled_while_a_hook_looks_at_it_ends_as_cancelled() -> None:
    desk = Desk().prompting()
    desk.say("/cancel")
    decided = intercept(desk, "no", is_refusal=True)
    assert outcomes(decided) == {"1": Outcome.ANSWERED}
    assert shown(decided) == []


def test_a_hook_that_keeps_an_agents_words_shows_that_it_lives() -> None:
    desk = Desk().prompting()
    desk.now += 50.0
    desk.step(events.AgentHeard(AGENT, "s1"))
    desk.elapse(commands.TimerKind.SILENCE)
    assert desk.session().phase is Phase.PROMPTING
    assert desk.session(KEY).turn is not None


def test_while_the_daemon_stops_no_turn_makes_way() -> None:
    desk = mode(QueueMode.INTERRUPT)
    desk.step(events.IntakeClosed())
    assert not cancels(desk.say("for the next daemon"))
    assert outcomes(desk.answer()) == {"1": Outcome.ANSWERED}

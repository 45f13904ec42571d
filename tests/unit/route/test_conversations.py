"""What is said between two `/new`: begun, left, come back to, put away, copied, erased."""

from dataclasses import replace

from anyclawd.model.conversation import HistoryReplay
from anyclawd.route import commands, events, texts
from anyclawd.route.commands import Attempt, Outcome, SessionKey
from anyclawd.route.record import EraseSession, SaveConversation
from anyclawd.route.session import Phase
from anyclawd.route.table import Limits
from anyclawd.wire.acp import Choice
from tests.fakes.desk import AGENT, BOB, KEY, ROUTE, Desk, only, outcomes, prompted, routes, shown

BOBS = SessionKey("web:direct:bob")
MODEL = Choice("model", "Model", "model", "small", (("small", "Small"), ("big", "Big")))


def list_conversations(desk: Desk) -> list[commands.Command]:
    """The store answers the last question for them."""
    wanted = only(desk.decided, commands.ListConversations)[-1]
    rows = desk.store.conversations_of(wanted.session)
    return desk.step(events.ConversationsListed(wanted.session, wanted.message, rows))


def resume(desk: Desk, number: int) -> list[commands.Command]:
    return desk.say(f"/resume {number}") + list_conversations(desk)


def test_a_chat_counts_its_conversations_from_1() -> None:
    desk = Desk().rested()
    numbers = [desk.session().number]
    for session_id in ("s2", "s3"):
        desk.say("/new")
        desk.opened(session_id)
        desk.say("hello")
        desk.answer()
        numbers.append(desk.session().number)
    assert numbers == [1, 2, 3]


def test_a_conversation_in_which_nothing_was_said_is_begun_again_under_its_number() -> None:
    desk = Desk().rested()
    desk.say("/new")
    desk.opened("s2")
    desk.say("/new")
    desk.opened("s3")
    assert desk.session().number == 2


def test_coming_back_to_a_conversation_takes_no_number() -> None:
    desk = Desk().rested(load=True)
    desk.say("/new")
    desk.opened("s2")
    desk.say("hello")
    desk.answer()
    assert shown(resume(desk, 1)) == [texts.resumed(1)]
    desk.say("/new")
    assert desk.session().number == 3


def test_going_back_loads_the_old_acp_session() -> None:
    desk = Desk().rested(load=True)
    desk.say("/new")
    desk.opened("s2")
    decided = resume(desk, 1)
    assert outcomes(decided) == {"3": Outcome.ANSWERED}
    [opening] = only(desk.say("on"), commands.OpenSession)
    assert (opening.attempt, opening.session_id) == (Attempt.LOAD, "s1")


def test_going_back_to_where_one_is_changes_nothing_of_what_is_under_way() -> None:
    desk = Desk()
    desk.open_intake()
    desk.ready()
    desk.say("hello")
    desk.store.append((SaveConversation(desk.session().row),), is_durable=False)
    assert only(resume(desk, 1), commands.OpenSession) == []
    assert desk.session().phase is Phase.OPENING
    assert prompted(desk.opened("s1")) == ["hello"]


def test_going_back_ends_the_turn_and_what_waits_goes_along() -> None:
    desk = Desk().rested(load=True)
    desk.say("/new")
    desk.opened("s2")
    desk.say("in the second")
    desk.say("later")
    decided = resume(desk, 1)
    assert outcomes(decided) == {"3": Outcome.INTERRUPTED, "5": Outcome.ANSWERED}
    assert prompted(desk.opened("s1")) == ["later"]


def test_a_new_conversation_that_is_left_before_it_is_there_is_told_of_first() -> None:
    desk = Desk().rested(load=True)
    desk.say("/new")
    assert shown(resume(desk, 1)) == [texts.NEW_STARTED, texts.resumed(1)]
    assert desk.session().phase is Phase.IDLE


def test_a_number_that_is_none() -> None:
    desk = Desk().rested()
    assert shown(resume(desk, 7)) == [texts.NO_SUCH_NUMBER]


def test_sessions_are_listed_with_the_current_one_marked() -> None:
    desk = Desk().rested()
    desk.update("session_info_update", title="Bees")
    desk.say("/sessions")
    assert "* 1: Bees" in shown(list_conversations(desk))[0]


def test_a_long_title_is_cut_and_kept_once() -> None:
    desk = Desk().rested()
    first = desk.update("session_info_update", title="x" * 1000)
    again = desk.update("session_info_update", title="x" * 1000)
    assert (len(only(first, commands.Record)), only(again, commands.Record)) == (1, [])
    assert len(desk.session().title) == 200


# --- being told of the past -----------------------------------------------------------------------


def begun_anew(desk: Desk) -> list[commands.Command]:
    """The agent has come back and made a new ACP session; what was said is asked for."""
    desk.step(events.AgentLost(AGENT))
    desk.ready()
    desk.say("and now")
    return desk.opened("s2")


def recalled(desk: Desk) -> list[commands.Command]:
    return desk.step(events.HistoryRead(desk.token(), (("hello", "hi"),)))


def test_a_session_that_is_begun_anew_is_told_what_was_said() -> None:
    desk = Desk().rested()
    [wanted] = only(begun_anew(desk), commands.ReadHistory)
    assert (wanted.number, wanted.turns, wanted.max_bytes) == (1, 20, 32 * 2**10)
    [prompt] = prompted(recalled(desk))
    assert "User: hello\nAgent: hi" in prompt
    desk.answer()
    assert prompted(desk.say("more")) == ["more"]


def test_without_history_replay_it_is_told_nothing() -> None:
    route = replace(ROUTE, history=HistoryReplay(turns=0))
    assert prompted(begun_anew(Desk(routes(route=route)).rested())) == ["and now"]


def test_a_failed_first_prompt_is_told_again_what_was_said() -> None:
    desk = Desk().rested()
    begun_anew(desk)
    recalled(desk)
    desk.step(events.PromptFailed(desk.token(), "broken", is_unknown_session=False))
    assert "User: hello" in prompted(desk.say("again"))[0]


def test_a_new_session_that_was_lost_unused_is_no_way_back_to_the_conversation() -> None:
    """It was told nothing: an agent that could load it would know nothing of what was said."""
    desk = Desk().rested(load=True)
    desk.step(events.AgentLost(AGENT))
    desk.ready(load=True)
    desk.say("and now")
    desk.step(events.OpenFailed(desk.token(), "no"))
    desk.opened("s2")  # and while what was said is being read
    desk.step(events.AgentLost(AGENT))
    [opening] = only(desk.ready(load=True), commands.OpenSession)
    assert opening.attempt is Attempt.NEW
    assert only(desk.opened("s3"), commands.ReadHistory)


def test_nor_is_it_for_the_next_daemon() -> None:
    desk = Desk().rested(load=True)
    desk.step(events.AgentLost(AGENT))
    desk.ready()
    desk.say("and now")
    desk.opened("s2")
    later = desk.next_daemon()
    later.open_intake()
    [opening] = only(later.ready(load=True), commands.OpenSession)
    assert opening.session_id != "s2"


def test_the_next_daemon_comes_back_to_a_session_that_was_prompted() -> None:
    desk = Desk().rested()
    later = desk.next_daemon()
    later.open_intake()
    later.ready(load=True)
    [opening] = only(later.say("on"), commands.OpenSession)
    assert (opening.attempt, opening.session_id) == (Attempt.LOAD, "s1")


def test_history_that_is_not_read_in_time_is_gone_without() -> None:
    desk = Desk().rested()
    begun_anew(desk)
    assert prompted(desk.elapse(commands.TimerKind.OPEN)) == ["and now"]


# --- put away and woken ---------------------------------------------------------------------------

FEW = routes(limits=Limits(lanes=1))


def put_away(**can: bool) -> Desk:
    """Ann's session rests in its row, since Bob's has come."""
    desk = Desk(FEW).rested(load=True, **can)
    desk.say("hello", BOB)
    assert KEY in desk.router.put_away
    return desk


def test_a_session_that_rests_is_put_away_and_comes_back_to_its_acp_session() -> None:
    desk = put_away()
    [opening] = only(desk.say("on"), commands.OpenSession)
    assert (opening.attempt, opening.session_id) == (Attempt.LOAD, "s1")


def test_a_session_that_could_not_come_back_is_not_put_away() -> None:
    desk = Desk(FEW).rested()
    desk.say("hello", BOB)
    assert set(desk.router.sessions) == {KEY, BOBS}


def test_what_a_user_has_chosen_is_set_again_in_a_session_that_is_woken() -> None:
    desk = Desk(FEW).prompting(load=True)
    desk.answer()
    desk.step(events.OptionSet(KEY, "s1", commands.MessageId(""), (MODEL,)))
    desk.say("/model big")
    desk.step(
        events.OptionSet(KEY, "s1", commands.MessageId("2"), (MODEL._replace(current="big"),))
    )
    desk.say("hello", BOB)
    desk.say("on")
    [again] = only(desk.opened("s1", choices=(MODEL,)), commands.SetOption)
    assert (again.option, again.value) == ("model", "big")


def test_a_session_whose_user_waits_for_an_option_is_not_put_away() -> None:
    desk = Desk(FEW).rested(load=True)
    desk.step(events.OptionSet(KEY, "s1", commands.MessageId(""), (MODEL,)))
    desk.say("/model big")
    desk.say("hello", BOB)
    decided = desk.step(events.OptionSet(KEY, "s1", commands.MessageId("2"), None))
    assert outcomes(decided) == {"2": Outcome.ANSWERED}


def test_a_conversation_of_the_store_finds_a_chat_that_was_told_something_before() -> None:
    earlier = Desk().rested()
    left = earlier.store.left()
    desk = Desk()
    desk.step(
        events.NotificationReceived("web", only(earlier.decided, commands.Announce)[0].peer, "x")
    )
    desk.step(events.StoreRead(left))
    assert desk.session().has_turns


# --- copied, closed, erased -----------------------------------------------------------------------


def test_a_copy_is_a_chat_of_its_own_that_goes_on_from_there() -> None:
    desk = Desk().rested()
    desk.step(events.SessionForked(KEY, "s9"))
    fork = SessionKey("web:fork:s9")
    assert (desk.session(fork).acp_id, desk.session().acp_id) == ("s9", "s1")
    desk.chunk("for the copy", "s9")
    assert desk.session(fork).has_turns


def test_a_copy_under_the_id_of_another_one_is_none() -> None:
    desk = Desk(FEW).rested(load=True)
    desk.step(events.SessionForked(KEY, "s9"))
    desk.say("hello", BOB)
    assert SessionKey("web:fork:s9") in desk.router.put_away
    before = set(desk.router.sessions)
    desk.step(events.SessionForked(KEY, "s9"))
    assert set(desk.router.sessions) | {KEY} == before | {KEY}


def test_a_session_that_was_closed_is_come_back_to() -> None:
    desk = Desk().rested(load=True, close=True)
    decided = desk.step(events.SessionCommanded(KEY, "close"))
    assert only(decided, commands.CloseSession) == [commands.CloseSession(AGENT, "s1", KEY)]
    [opening] = only(desk.say("on"), commands.OpenSession)
    assert (opening.attempt, opening.session_id) == (Attempt.LOAD, "s1")


def test_an_erased_chat_ends_what_it_has_under_way_and_leaves_nothing() -> None:
    desk = Desk().prompting()
    desk.say("later")
    decided = desk.step(events.SessionDeleted(KEY))
    assert outcomes(decided) == {"1": Outcome.INTERRUPTED, "2": Outcome.INTERRUPTED}
    assert only(decided, commands.Record)[-1] == commands.Record(KEY, (EraseSession(KEY),))
    assert (desk.router.sessions, len(desk.router.deliveries)) == ({}, 0)
    assert desk.store.left().messages == ()


def test_an_erased_chat_that_was_put_away_is_forgotten() -> None:
    desk = put_away()
    desk.step(events.SessionDeleted(KEY))
    assert KEY not in desk.router.put_away
    desk.say("hello again")
    assert (desk.session().number, desk.session().stale_id) == (1, "")

"""Requests for permission: who is asked, whose answer counts, what outlives agents and daemons."""

import pytest

from anyclawd.model.conversation import Unroutable
from anyclawd.route import commands, events
from anyclawd.route.commands import AnswerPermission, AskPermission, SessionKey, TimerKind
from anyclawd.route.permission import ORPHANS_MAX, Asks
from anyclawd.route.record import CloseAsk, StoredAsk
from anyclawd.route.session import Phase
from anyclawd.wire.acp import PermissionOption, PermissionRequest
from anyclawd.wire.channel import Peer
from tests.fakes.desk import AGENT, ANN, BOB, KEY, Desk, only, routes

ONCE = PermissionOption("yes", "Yes", rejects=False)
ALWAYS = PermissionOption("ever", "Always", rejects=False, is_lasting=True)
NO = PermissionOption("no", "No", rejects=True)
NEVER = PermissionOption("never", "Never", rejects=True, is_lasting=True)
ALL = (ALWAYS, ONCE, NEVER, NO)


def ask(
    desk: Desk,
    handle: int = 1,
    name: str = "r",
    options: tuple[PermissionOption, ...] = ALL,
    session_id: str = "s1",
    kind: str = "edit",
    fingerprint: str = "the same",
) -> list[commands.Command]:
    request = PermissionRequest(session_id, name, "May I?", options, kind, fingerprint)
    return desk.step(events.PermissionAsked(AGENT, handle, request, "fallback"))


def press(
    desk: Desk,
    option: str,
    name: str = "r",
    channel: str | None = "web",
    peer: Peer | None = None,
) -> list[commands.Command]:
    return desk.step(events.PermissionAnswered(channel, name, option, peer))


def answers(decided: list[commands.Command]) -> list[tuple[int, str | None]]:
    return [(one.ask, one.option_id) for one in only(decided, AnswerPermission)]


# --- who answers ----------------------------------------------------------------------------------

PRESSED: dict[str, tuple[str, list[tuple[int, str | None]]]] = {
    "an-option-that-was-offered": ("yes", [(1, "yes")]),
    "one-that-rejects": ("no", [(1, "no")]),
    "one-that-was-not-offered-is-a-no": ("sure", [(1, "no")]),
    "older-channels-agree-once-and-not-for-ever": ("once", [(1, "yes")]),
}


@pytest.mark.parametrize(("option", "told"), PRESSED.values(), ids=PRESSED)
def test_what_an_answer_means(option: str, told: list[tuple[int, str | None]]) -> None:
    desk = Desk().prompting()
    ask(desk)
    assert answers(press(desk, option)) == told


def test_the_first_answer_counts() -> None:
    desk = Desk().prompting()
    ask(desk)
    press(desk, "yes")
    assert press(desk, "no") == []


@pytest.mark.parametrize(
    ("channel", "peer", "counts"),
    [
        ("web", None, True),
        ("web", ANN, True),
        ("web", ANN._replace(channel_name="whatever it calls itself"), True),
        ("web", BOB, False),
        ("web", ANN._replace(kind="group"), False),
        ("other", None, False),
        (None, None, True),
    ],
)
def test_an_answer_is_its_peers_own(channel: str | None, peer: Peer | None, counts: bool) -> None:
    desk = Desk().prompting()
    ask(desk)
    assert bool(answers(press(desk, "yes", channel=channel, peer=peer))) is counts


def test_the_silence_of_an_agent_is_not_counted_while_a_user_thinks() -> None:
    desk = Desk().prompting()
    ask(desk)
    desk.elapse(TimerKind.SILENCE)
    assert desk.session().phase is Phase.PROMPTING
    press(desk, "yes")
    desk.elapse(TimerKind.SILENCE)  # which counts from the answer
    assert desk.session().phase is Phase.PROMPTING
    desk.elapse(TimerKind.SILENCE)
    assert desk.session().phase is Phase.CANCELLING


def test_a_request_without_an_answer_in_time_is_a_no() -> None:
    desk = Desk().prompting()
    ask(desk)
    assert answers(desk.elapse(TimerKind.PERMISSION)) == [(1, "no")]


def test_without_an_option_that_rejects_it_is_cancelled() -> None:
    desk = Desk().prompting()
    ask(desk, options=(ONCE,))
    assert answers(desk.elapse(TimerKind.PERMISSION)) == [(1, None)]


def test_a_cancelled_turn_cancels_its_questions() -> None:
    desk = Desk().prompting()
    ask(desk)
    assert answers(desk.say("/cancel")) == [(1, None)]
    assert answers(ask(desk, 2, "late")) == [(2, None)]


def test_an_agent_takes_a_question_back_and_is_told_nothing() -> None:
    desk = Desk().prompting()
    ask(desk)
    decided = desk.step(events.PermissionCancelled(AGENT, 1))
    assert answers(decided) == []
    assert only(decided, commands.WithdrawPermission)
    assert press(desk, "yes") == []
    assert desk.step(events.PermissionCancelled(AGENT, 1)) == []


def test_a_name_is_never_used_for_another_request() -> None:
    desk = Desk().prompting()
    ask(desk)
    press(desk, "no")
    [shown] = only(ask(desk, 2), AskPermission)
    assert shown.request_id != "r"
    assert press(desk, "yes") == []


# --- nobody can be asked --------------------------------------------------------------------------

LAX = routes(unroutable=Unroutable.ALLOW_FIRST)


@pytest.mark.parametrize(("table", "told"), [(routes(), "no"), (LAX, "ever")])
def test_where_nobody_can_be_asked(table: object, told: str) -> None:
    desk = Desk(table).prompting()  # type: ignore[arg-type] # routes
    assert answers(ask(desk, session_id="unknown")) == [(1, told)]
    ask(desk, 2)
    undeliverable = events.PermissionUndeliverable("web", "r")
    assert answers(desk.step(undeliverable)) == [(2, told)]
    ask(desk, 3, "r3")
    assert answers(desk.step(events.ChannelFailed("web"))) == [(3, told)]


def test_another_channel_cannot_say_that_this_one_cannot_ask() -> None:
    desk = Desk().prompting()
    ask(desk)
    assert desk.step(events.PermissionUndeliverable("other", "r")) == []


def test_a_request_without_options_is_cancelled() -> None:
    assert answers(ask(Desk().prompting(), options=())) == [(1, None)]


def test_a_channel_that_restarts_is_asked_again() -> None:
    desk = Desk().prompting()
    ask(desk)
    [again] = only(desk.channel_ready(), AskPermission)
    assert again.request_id == "r"


# --- always ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pressed", "next_time"), [("ever", "ever"), ("never", "never")])
def test_always_holds_for_tools_of_the_same_kind(pressed: str, next_time: str) -> None:
    desk = Desk().prompting()
    ask(desk)
    press(desk, pressed)
    assert answers(ask(desk, 2, "r2", fingerprint="else")) == [(2, next_time)]
    assert only(ask(desk, 3, "r3", kind="execute", fingerprint="more"), AskPermission)


def test_a_standing_yes_is_said_with_what_is_offered() -> None:
    desk = Desk().prompting()
    ask(desk)
    press(desk, "ever")
    assert answers(ask(desk, 2, "r2", options=(NO, ONCE))) == [(2, "yes")]
    assert only(ask(desk, 3, "r3", options=(NO,)), AskPermission)


def test_always_holds_for_the_conversation_and_over_a_restart() -> None:
    desk = Desk().prompting(load=True)
    ask(desk)
    press(desk, "ever")
    desk.answer()
    later = desk.next_daemon()
    later.open_intake()
    later.ready(load=True)
    later.say("on")
    later.opened("s1")
    assert answers(ask(later, 2, "r2", fingerprint="else")) == [(2, "ever")]
    later.say("/new")
    later.opened("s2")
    assert only(ask(later, 3, "r3", session_id="s2"), AskPermission)


def test_of_no_kind_nothing_is_remembered() -> None:
    desk = Desk().prompting()
    ask(desk, kind="")
    press(desk, "ever")
    assert only(ask(desk, 2, "r2", kind=""), AskPermission)


# --- orphans --------------------------------------------------------------------------------------


def orphaned() -> Desk:
    """The agent has died under its question, has come back and runs again."""
    desk = Desk().prompting(load=True)
    ask(desk)
    desk.step(events.AgentLost(AGENT))
    return desk


def again(desk: Desk, handle: int = 2) -> list[commands.Command]:
    desk.ready(load=True)
    desk.say("on")
    desk.opened("s1")
    return ask(desk, handle, "another")


def test_an_answer_that_came_meanwhile_is_given_once() -> None:
    desk = orphaned()
    press(desk, "yes")
    decided = again(desk)
    assert (answers(decided), only(decided, AskPermission)) == ([(2, "yes")], [])
    assert only(ask(desk, 3, "third"), AskPermission)


def test_an_always_that_came_meanwhile_holds_from_then_on() -> None:
    desk = orphaned()
    press(desk, "ever")
    assert answers(again(desk)) == [(2, "ever")]
    assert answers(ask(desk, 3, "third", fingerprint="else")) == [(3, "ever")]


def test_older_channels_can_agree_meanwhile() -> None:
    desk = orphaned()
    press(desk, "once")
    assert answers(again(desk)) == [(2, "yes")]


@pytest.mark.parametrize(
    ("option", "channel", "peer"),
    [("yes", "other", None), ("yes", "web", BOB), ("sure", "web", None)],
)
def test_whose_answer_does_not_count_leaves_the_question(
    option: str, channel: str, peer: Peer | None
) -> None:
    desk = orphaned()
    assert press(desk, option, channel=channel, peer=peer) == []
    assert only(again(desk), AskPermission)


def test_a_question_without_an_answer_keeps_its_name() -> None:
    [shown] = only(again(orphaned()), AskPermission)
    assert shown.request_id == "r"


def test_its_time_goes_by() -> None:
    desk = orphaned()
    desk.now += 300.0
    assert press(desk, "yes") == []
    [shown] = only(again(desk), AskPermission)
    assert shown.request_id != "r"


def test_it_outlives_the_daemon() -> None:
    desk = Desk().prompting(load=True)
    ask(desk)
    later = desk.next_daemon()
    press(later, "yes", peer=ANN)
    later.open_intake()
    assert answers(again(later)) == [(2, "yes")]
    assert later.store.left().asks == ()


def test_what_was_asked_when_the_daemon_stops_is_kept_for_the_next_one() -> None:
    desk = Desk().prompting(load=True)
    ask(desk)
    desk.step(events.IntakeClosed())
    decided = desk.step(events.TurnsCutOff())
    assert answers(decided) == [(1, None)]
    assert [row.request_id for row in desk.store.left().asks] == ["r"]


def test_a_question_that_nothing_tells_from_others_is_closed() -> None:
    desk = Desk().prompting()
    ask(desk, fingerprint="")
    decided = desk.step(events.AgentLost(AGENT))
    closed = [entry for one in only(decided, commands.Record) for entry in one.entries]
    assert CloseAsk("r") in closed


def test_another_session_is_not_given_the_answer() -> None:
    desk = orphaned()
    press(desk, "yes")
    desk.ready(load=True)
    desk.say("hello", BOB)
    desk.opened("s2", SessionKey("web:direct:bob"))
    assert only(ask(desk, 2, "another", session_id="s2"), AskPermission)


def test_an_erased_chat_leaves_no_orphan() -> None:
    desk = orphaned()
    desk.step(events.SessionDeleted(KEY))
    assert press(desk, "yes") == []


def test_orphans_are_bounded() -> None:
    asks = Asks()
    for number in range(ORPHANS_MAX + 1):
        row = StoredAsk(
            request_id=str(number),
            session=KEY,
            channel="web",
            description="",
            options=(("yes", "Yes", False),),
            fingerprint=str(number),
        )
        asks.orphan(row, 10.0)
    assert asks.adopt(KEY, "0", 0.0) is None
    assert asks.adopt(KEY, "1", 0.0) is not None


def test_names_of_two_daemons_differ_but_for_those_that_cannot_be_alike() -> None:
    uuid = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
    assert [Asks(run).name("1") for run in ("a", "b")] == ["1-a", "1-b"]
    assert [Asks(run).name(uuid) for run in ("a", "b")] == [uuid, uuid]

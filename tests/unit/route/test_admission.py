"""Who is let in, and how much of it: refusals before anything is kept, limits, the stop."""

from dataclasses import replace

import pytest

from anyclawd.model.conversation import (
    Access,
    AccessRule,
    Overflow,
    Pairing,
    QueuePolicy,
    RateLimit,
    RateLimits,
)
from anyclawd.model.unit import ChannelRole
from anyclawd.route import access, commands, events, texts
from anyclawd.route.admission import SOURCES_MAX
from anyclawd.route.commands import MessageId, Outcome, SessionKey
from anyclawd.route.limits import BUCKETS_MAX, Buckets
from anyclawd.route.record import Grant, SaveCode
from anyclawd.route.session import Phase
from anyclawd.route.table import VIRTUAL, Limits
from anyclawd.wire.channel import Peer, RefusalReason
from tests.fakes.desk import AGENT, ANN, BOB, KEY, Desk, only, outcomes, prompted, routes, shown


def role(**fields: object) -> ChannelRole:
    return ChannelRole(agent=AGENT, **fields)  # type: ignore[arg-type] # by name


def limited(session: RateLimit = RateLimit(), channel: RateLimit = RateLimit()) -> ChannelRole:
    return role(rate_limits=RateLimits(session=session, channel=channel))


def refusals(decided: list[commands.Command]) -> list[tuple[RefusalReason | None, float]]:
    settled = only(decided, commands.Settle)
    return [(one.reason, one.retry_after_s) for one in settled if one.outcome is Outcome.REFUSED]


def is_kept(desk: Desk, message: int) -> bool:
    return desk.state(str(message)) is not None


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_so_many_messages_of_a_session_may_have_no_outcome(depth: int) -> None:
    desk = Desk(routes(role=limited(RateLimit(queue_depth=depth))))
    desk.open_intake()
    for _ in range(depth):
        assert refusals(desk.say("hello")) == []
    assert refusals(desk.say("one more")) == [(RefusalReason.QUEUE, 0.0)]
    assert not is_kept(desk, depth + 1)
    assert refusals(desk.say("hello", BOB)) == []


def test_so_many_messages_of_a_channel_may_have_no_outcome() -> None:
    desk = Desk(routes(role=limited(channel=RateLimit(queue_depth=2))))
    desk.open_intake()
    desk.say("hello")
    desk.say("hello", BOB)
    decided = desk.say("hello", Peer("chat", "eve", "direct"))
    assert refusals(decided) == [(RefusalReason.QUEUE, 0.0)]
    assert shown(decided) == [texts.too_deep(2)]


def test_an_outcome_makes_room_for_another_message() -> None:
    desk = Desk(routes(role=limited(RateLimit(queue_depth=1)))).prompting()
    assert refusals(desk.say("one more")) == [(RefusalReason.QUEUE, 0.0)]
    desk.answer()
    assert refusals(desk.say("one more")) == []


def test_a_rate_limit_says_when_it_is_worth_trying_again_and_keeps_its_word() -> None:
    desk = Desk(routes(role=limited(RateLimit(messages_per_minute=2))))
    desk.open_intake()
    desk.say("1")
    desk.say("2")
    [(reason, wait_s)] = refusals(desk.say("3"))
    assert reason is RefusalReason.RATE_LIMIT
    desk.now += wait_s - 1.0  # and one more for the step
    assert refusals(desk.say("4")) == []


def test_a_refused_message_costs_its_channel_nothing() -> None:
    limits = limited(RateLimit(messages_per_minute=1), RateLimit(messages_per_minute=2))
    desk = Desk(routes(role=limits))
    desk.open_intake()
    desk.say("1")
    assert refusals(desk.say("2")) != []
    assert refusals(desk.say("hello", BOB)) == []


def test_a_message_that_its_source_has_sent_before_costs_nothing() -> None:
    desk = Desk(routes(role=limited(RateLimit(messages_per_minute=2))))
    desk.open_intake()
    for _ in range(4):
        assert refusals(desk.say("1", source_id="s1")) == []
    assert refusals(desk.say("2", source_id="s2")) == []
    assert refusals(desk.say("3", source_id="s3")) != []
    assert refusals(desk.say("2", source_id="s2")) == []  # it was accepted, whatever comes since


def test_a_message_that_was_sent_before_takes_no_place_in_a_full_queue() -> None:
    policy = QueuePolicy(cap=1, overflow=Overflow.DROP_OLDEST)
    desk = Desk(routes(role=role(queue=policy))).prompting()
    desk.say("waits", source_id="s1")
    assert outcomes(desk.say("waits", source_id="s1")) == {}
    desk = Desk(routes(role=role(queue=replace(policy, overflow=Overflow.REFUSE)))).prompting()
    desk.say("waits", source_id="s1")
    assert refusals(desk.say("waits", source_id="s1")) == []


def test_sources_are_remembered_in_a_bounded_number() -> None:
    desk = Desk()
    desk.open_intake()
    for number in range(SOURCES_MAX + 1):
        event = events.MessageReceived(MessageId(str(number)), "web", ANN, [], None, 1)
        desk.router.admission.note_kept(replace(event, source_id=str(number)))
    first = events.MessageReceived(MessageId("x"), "web", ANN, [], None, 1, source_id="0")
    assert not desk.router.admission.is_repeat(first)
    assert desk.router.admission.is_repeat(replace(first, source_id="1"))


def test_a_message_that_cannot_be_kept_costs_nothing() -> None:
    desk = Desk(routes(role=limited(RateLimit(messages_per_minute=1))))
    desk.open_intake()
    desk.store.stuck = "no space is left"
    assert refusals(desk.say("1"))[0][0] is RefusalReason.STORE
    desk.store.stuck = ""
    assert refusals(desk.say("2")) == []


def test_what_is_given_back_is_no_more_than_a_minute_holds() -> None:
    buckets = Buckets()
    buckets.give_back("never seen", 2, 0.0)
    buckets.take("session", 2, 0.0)
    buckets.give_back("session", 2, 1.0)
    buckets.give_back("session", 2, 1.0)
    for _ in range(2):
        assert buckets.wait_s("session", 2, 1.0) == 0.0
        buckets.take("session", 2, 1.0)
    assert buckets.wait_s("session", 2, 1.0) > 0.0


def test_buckets_are_bounded() -> None:
    buckets = Buckets()
    for number in range(BUCKETS_MAX + 10):
        buckets.take(f"session {number}", 1, 0.0)
    assert len(buckets) == BUCKETS_MAX


def test_a_user_can_cancel_beyond_every_limit() -> None:
    strict = role(
        queue=QueuePolicy(cap=0),
        rate_limits=RateLimits(session=RateLimit(messages_per_minute=1, queue_depth=1)),
    )
    desk = Desk(routes(role=replace(strict, queue=QueuePolicy(cap=1)))).prompting()
    assert outcomes(desk.say("/cancel")) == {"2": Outcome.ANSWERED}


def test_a_channel_holds_so_many_bytes() -> None:
    desk = Desk(routes(limits=Limits(queue_bytes=100)))
    desk.open_intake()
    assert refusals(desk.say("hello", size_bytes=100)) == []
    assert refusals(desk.say("hello", BOB, size_bytes=1)) == [(RefusalReason.QUEUE, 0.0)]


@pytest.mark.parametrize("word", ["/new", "/status", "/sessions", "/mode"])
def test_a_command_of_the_platform_needs_no_place_in_the_queue(word: str) -> None:
    desk = Desk(routes(role=role(queue=QueuePolicy(cap=1)))).prompting()
    desk.say("it is full now")
    assert refusals(desk.say("too much")) == [(RefusalReason.QUEUE, 0.0)]
    assert refusals(desk.say(word)) == []
    assert is_kept(desk, 4)


@pytest.mark.parametrize("word", ["/cancel", "/status"])
def test_nor_does_it_take_the_place_of_the_oldest(word: str) -> None:
    queue = QueuePolicy(cap=1, overflow=Overflow.DROP_OLDEST)
    desk = Desk(routes(role=role(queue=queue))).prompting()
    desk.say("waits")
    desk.say(word)
    assert prompted(desk.answer()) == ["waits"]


def test_what_is_being_stored_counts_as_waiting() -> None:
    desk = Desk(routes(role=role(queue=QueuePolicy(cap=2))))
    desk.is_store_slow = True
    desk.open_intake()
    desk.say("1")
    desk.say("2")
    assert refusals(desk.say("3")) == [(RefusalReason.QUEUE, 0.0)]
    desk.store_all()
    assert [message.id for message in desk.session().queue] == ["1", "2"]


def test_nothing_is_left_of_messages_that_have_their_outcome() -> None:
    desk = Desk().rested()
    admission = desk.router.admission
    assert (admission.bytes, admission.storing, MessageId("1") in admission) == ({}, {}, False)


# --- reasons --------------------------------------------------------------------------------------


def test_a_failed_agent_refuses_at_once_with_its_reason() -> None:
    desk = Desk()
    desk.open_intake()
    desk.step(events.AgentFailed(AGENT, "start-limit-hit"))
    decided = desk.say("hello")
    assert refusals(decided) == [(RefusalReason.AGENT, 0.0)]
    assert shown(decided) == [texts.unavailable("a", "start-limit-hit")]
    desk.step(events.AgentStarted(AGENT))
    assert refusals(desk.say("again")) == []


def test_a_channel_that_shows_refusals_itself_is_sent_no_text() -> None:
    desk = Desk()
    desk.open_intake()
    desk.step(events.AgentFailed(AGENT, "gone"))
    decided = desk.say("hello", has_acceptance=True)
    assert (shown(decided), refusals(decided)) == ([], [(RefusalReason.AGENT, 0.0)])


def test_what_cannot_be_kept_is_refused_and_leaves_no_trace() -> None:
    desk = Desk().rested()
    desk.store.stuck = "the disk is full"
    decided = desk.say("hello")
    assert refusals(decided) == [(RefusalReason.STORE, 0.0)]
    assert shown(decided) == [texts.NOT_STORED]
    assert desk.session().phase is Phase.IDLE


def test_a_cancel_that_cannot_be_kept_is_done() -> None:
    desk = Desk().prompting()
    desk.store.stuck = "the disk is full"
    decided = desk.say("/cancel")
    assert outcomes(decided) == {"2": Outcome.ANSWERED}
    assert desk.session().phase is Phase.CANCELLING


def test_what_cannot_be_kept_of_a_channel_that_has_gone_is_refused() -> None:
    desk = Desk()
    desk.is_store_slow = True
    desk.open_intake()
    desk.say("hello", has_acceptance=True)
    desk.step(events.RoutesReplaced(routes("other")))
    desk.step(events.ChannelRemoved("web"))
    desk.store.stuck = "the disk is full"
    assert refusals(desk.store_all()) == [(RefusalReason.AGENT, 0.0)]


def test_a_second_message_of_one_source_is_none() -> None:
    desk = Desk().prompting()
    desk.say("once", source_id="x")
    assert desk.say("twice", source_id="x")[0:1] == only(desk.decided, commands.StoreMessage)[-1:]
    assert [message.id for message in desk.session().queue] == ["2"]
    assert MessageId("3") not in desk.router.admission


# --- the stop -------------------------------------------------------------------------------------


def test_without_a_store_that_lasts_the_stop_refuses_what_waits_and_what_comes() -> None:
    desk = Desk()
    desk.router.is_durable = False
    desk.prompting()
    desk.say("waits")
    assert outcomes(desk.step(events.IntakeClosed())) == {"2": Outcome.REFUSED}
    assert refusals(desk.say("comes")) == [(RefusalReason.STOPPING, 0.0)]


def test_with_one_both_are_for_the_next_daemon() -> None:
    desk = Desk().prompting()
    desk.say("waits")
    assert outcomes(desk.step(events.IntakeClosed())) == {}
    assert outcomes(desk.say("comes")) == {}
    assert only(desk.answer(), commands.ReportDrained)
    later = desk.next_daemon()
    later.open_intake()
    later.ready()
    assert prompted(later.opened("s2") + later.step(events.HistoryRead(later.token(), ())))[
        -1:
    ] == ["waits|comes"]


def test_what_is_stored_while_intake_closes_for_good_is_refused() -> None:
    desk = Desk()
    desk.router.is_durable = False
    desk.is_store_slow = True
    desk.open_intake()
    desk.say("hello")
    desk.step(events.IntakeClosed())
    assert outcomes(desk.store_all()) == {"1": Outcome.REFUSED}
    assert desk.state("1") == "refused"


def test_the_session_of_a_caller_does_not_outlive_him() -> None:
    desk = Desk()
    desk.open_intake()
    me = Peer("anyclawctl", "1", "cli")
    desk.say("hello", me, VIRTUAL, agent=AGENT, is_trusted=True, has_acceptance=True)
    assert outcomes(desk.step(events.IntakeClosed())) == {"1": Outcome.REFUSED}


def withdraw(desk: Desk, message: str, peer: Peer, channel: str) -> list[commands.Command]:
    return desk.step(events.MessageWithdrawn(MessageId(message), channel, peer))


def test_a_message_whose_caller_goes_while_it_is_stored_never_runs() -> None:
    desk = Desk()
    desk.is_store_slow = True
    desk.open_intake()
    desk.ready()
    me = Peer("anyclawctl", "1", "cli")
    desk.say("hello", me, VIRTUAL, agent=AGENT, is_trusted=True, has_acceptance=True)
    withdraw(desk, "1", me, VIRTUAL)
    decided = desk.store_all()
    assert outcomes(decided) == {"1": Outcome.INTERRUPTED}
    assert only(decided, commands.OpenSession) == []
    assert desk.state("1") == "interrupted"


# --- access and pairing ---------------------------------------------------------------------------

ALLOWS_ANN = AccessRule(peer="ann")
DENIES_BOB = AccessRule(peer="bob", allow=False)
WITH_CODES = Access(pairing=Pairing(enabled=True, ttl_s=600.0, max_pending=2))

RULES: dict[str, tuple[Access | None, Peer, bool]] = {
    "no-access-key-lets-everybody-in": (None, BOB, True),
    "closed-by-default": (Access(), BOB, False),
    "a-rule-lets-in": (Access(rules=(ALLOWS_ANN,)), ANN, True),
    "a-rule-for-another-does-not": (Access(rules=(ALLOWS_ANN,)), BOB, False),
    "the-first-rule-that-matches-decides": (Access(rules=(DENIES_BOB, AccessRule())), BOB, False),
    "and-not-the-narrowest": (Access(rules=(AccessRule(), DENIES_BOB)), BOB, True),
    "by-kind": (Access(rules=(AccessRule(kind="group"),)), BOB, False),
    "by-channel": (Access(rules=(AccessRule(channel="web"),)), BOB, True),
    "by-agent": (Access(rules=(AccessRule(agent="a"),)), BOB, True),
    "by-another-agent": (Access(rules=(AccessRule(agent="b"),)), BOB, False),
}


@pytest.mark.parametrize(("rules", "peer", "is_in"), RULES.values(), ids=RULES)
def test_who_may_talk(rules: Access | None, peer: Peer, is_in: bool) -> None:
    desk = Desk(routes(access=rules))
    desk.open_intake()
    decided = desk.say("hello", peer)
    assert (refusals(decided) == [], is_kept(desk, 1)) == (is_in, is_in)
    if not is_in:
        assert refusals(decided)[0][0] is RefusalReason.ACCESS
        assert desk.router.sessions == {}


def test_whoever_is_kept_out_is_told_so_once_in_a_while() -> None:
    desk = Desk(routes(access=Access()))
    desk.open_intake()
    assert shown(desk.say("hello")) == [texts.NOT_ADMITTED]
    decided = desk.say("hello")
    assert (shown(decided), refusals(decided)) == ([], [(RefusalReason.ACCESS, 600.0)])
    desk.now += access.REFUSAL_INTERVAL_S
    assert shown(desk.say("hello")) == [texts.NOT_ADMITTED]


def test_an_administrator_is_not_asked() -> None:
    desk = Desk(routes(access=Access()))
    desk.open_intake()
    assert refusals(desk.say("hello", is_trusted=True)) == []


def test_a_stranger_is_given_one_code_and_admitted_by_it() -> None:
    desk = Desk(routes(access=WITH_CODES))
    desk.open_intake()
    decided = desk.say("hello")
    [row] = [
        entry.code
        for one in only(decided, commands.Record)
        for entry in one.entries
        if isinstance(entry, SaveCode)
    ]
    assert shown(decided) == [texts.pairing_code(row.code, 10)]
    assert shown(desk.say("hello?")) == []
    assert shown(desk.step(events.PairingApproved(f" {row.code.lower()} "))) == [texts.ADMITTED]
    assert refusals(desk.say("now")) == []
    desk.step(events.GrantRevoked(row.grant))
    assert refusals(desk.say("and now")) != []


def test_a_stranger_who_asks_again_is_told_the_same_code() -> None:
    desk = Desk(routes(access=Access(pairing=Pairing(enabled=True, ttl_s=1200.0))))
    desk.open_intake()
    assert shown(desk.say("hello")) == [texts.pairing_code("CODE1", 20)]
    again = only(desk.say("hello?", has_acceptance=True), commands.Settle)
    assert [one.text for one in again] == [texts.pairing_code("CODE1", 20)]
    desk.now += access.REFUSAL_INTERVAL_S
    assert shown(desk.say("hello?")) == [texts.pairing_code("CODE1", 10)]


@pytest.mark.parametrize(
    ("minutes", "words"), [(0.2, "1 minute)"), (1, "1 minute)"), (9.6, "10 minutes)")]
)
def test_how_long_a_code_is_good_for_is_said_in_whole_minutes(minutes: float, words: str) -> None:
    assert texts.pairing_code("CODE1", minutes).endswith(f"valid for {words}")


def test_a_limit_of_one_is_one_message() -> None:
    assert texts.queue_full(1) == "Message not accepted: 1 message is waiting already"
    assert texts.queue_full(2) == "Message not accepted: 2 messages are waiting already"
    assert texts.too_deep(1) == "Message not accepted: 1 message has no answer yet"


def test_a_code_lasts_for_its_time_and_a_few_are_out_at_a_time() -> None:
    desk = Desk(routes(access=WITH_CODES))
    desk.open_intake()
    strangers = [Peer("chat", str(number), "direct") for number in range(4)]
    told = [shown(desk.say("hello", one))[0] for one in strangers[:3]]
    assert [text.startswith("You are not admitted yet") for text in told] == [True, True, False]
    desk.now += 600.0
    assert desk.step(events.PairingApproved("CODE1")) == []
    assert "CODE3" in shown(desk.say("hello", strangers[3]))[0]


def test_a_peer_that_a_rule_turns_away_is_given_no_code() -> None:
    desk = Desk(routes(access=replace(WITH_CODES, rules=(DENIES_BOB,))))
    desk.open_intake()
    assert shown(desk.say("hello", BOB)) == [texts.NOT_ADMITTED]


def test_grants_and_codes_outlive_the_daemon() -> None:
    desk = Desk(routes(access=WITH_CODES))
    desk.open_intake()
    desk.say("hello")
    desk.say("hello", BOB)
    desk.step(events.PairingApproved("CODE2"))
    later = desk.next_daemon()
    later.open_intake()
    assert later.router.gate.grants == (Grant(channel="web", kind="direct", peer_id="bob"),)
    assert refusals(later.say("hello", BOB)) == []
    assert shown(later.step(events.PairingApproved("CODE1"))) == [texts.ADMITTED]


def test_a_crowd_of_strangers_costs_a_bounded_amount() -> None:
    gate = access.Gate(Access(), lambda: "CODE")
    for number in range(access.TOLD_MAX + 10):
        gate.may_tell(SessionKey(f"web:direct:{number}"), 0.0)
    assert gate.may_tell(SessionKey("web:direct:0"), 1.0)
    assert not gate.may_tell(KEY, 1.0) or not gate.may_tell(KEY, 2.0)

"""Steps: one event after another, and nothing ahead of what is recorded of its session."""

from collections.abc import Callable

from anyclawd.gateway.steps import Steps
from anyclawd.route import events
from anyclawd.route.commands import (
    Command,
    CompleteResponse,
    MessageId,
    Outcome,
    Prompt,
    Record,
    ReportDrained,
    SessionKey,
    Settle,
    StartResponse,
    Token,
)
from anyclawd.route.router import Router
from anyclawd.route.table import compile_routes
from anyclawd.wire.channel import RefusalReason
from tests.fakes.store import PaperStore, SlowStore
from tests.integration.gateway.peers import agent_unit, channel_unit, plan_of

KEY, OTHER = SessionKey("web:direct:ann"), SessionKey("web:direct:bob")
BEGIN, END = StartResponse("web", KEY), CompleteResponse("web", KEY, "end_turn")
AGENT = agent_unit().name
PROMPT = Prompt(AGENT, Token(1), "s1", [], KEY)


class Hands:
    """Writes down what it is to do, and may do something more at each."""

    def __init__(self) -> None:
        self.done: list[Command] = []
        self.promised: list[Prompt] = []
        self.flushes = 0
        self.also: Callable[[Command], None] = lambda _: None

    def promise(self, prompt: Prompt) -> None:
        self.promised.append(prompt)

    def do(self, command: Command) -> None:
        self.done.append(command)
        self.also(command)

    def flush(self) -> None:
        self.flushes += 1


def begin(store: PaperStore | None = None) -> tuple[Steps, Hands]:
    routes, hands = compile_routes(plan_of(agent_unit(), channel_unit())), Hands()
    return Steps(Router(routes, lambda: "code"), store or PaperStore(), hands), hands


async def test_what_happens_meanwhile_is_decided_after_it_and_written_with_it() -> None:
    one, hands = begin()

    def also(command: Command) -> None:
        if command == BEGIN:
            one.tell(events.IntakeClosed())

    hands.also = also
    one.perform((BEGIN, END))
    assert hands.done == [BEGIN, END, ReportDrained()]
    assert hands.flushes == 0


async def test_who_tells_has_it_written_and_who_takes_sees_to_that() -> None:
    one, hands = begin()
    one.take(events.IntakeClosed())
    assert (hands.done, hands.flushes) == ([ReportDrained()], 0)
    one.tell(events.IntakeClosed())
    assert hands.flushes == 1


async def test_what_is_noted_is_decided_with_the_next() -> None:
    one, hands = begin()
    one.note(events.IntakeClosed())
    assert hands.done == []
    one.perform((BEGIN,))
    assert hands.done == [BEGIN, ReportDrained()]


async def test_a_session_waits_for_its_records_and_no_other_does() -> None:
    store = SlowStore()
    one, hands = begin(store)
    other = StartResponse("web", OTHER)
    one.perform((BEGIN, Record(KEY, ()), END, other))
    assert hands.done == [BEGIN, other]
    store.commit()
    assert hands.done == [BEGIN, other, END]
    assert hands.flushes == 1


def test_what_is_recorded_of_no_session_is_waited_for_by_nobody() -> None:
    one, hands = begin(SlowStore())
    one.perform((Record(None, ()), END))
    assert hands.done == [END]


def test_a_refusal_waits_for_no_record() -> None:
    one, hands = begin(SlowStore())
    refused = Settle(MessageId("m"), Outcome.REFUSED, "no", KEY, RefusalReason.ACCESS)
    answered = Settle(MessageId("n"), Outcome.ANSWERED, "end_turn", KEY)
    one.perform((Record(KEY, ()), answered, refused))
    assert hands.done == [refused]


async def test_a_prompt_is_promised_when_it_is_decided_and_done_when_it_is_recorded() -> None:
    store = SlowStore()
    one, hands = begin(store)
    one.perform((Record(KEY, (), needs_commit=True), PROMPT))
    assert (hands.promised, hands.done) == ([PROMPT], [])
    store.commit()
    assert (hands.promised, hands.done) == ([PROMPT], [PROMPT])


async def test_a_store_that_cannot_write_holds_up_a_prompt_and_nothing_else() -> None:
    store = PaperStore()
    store.stuck = "the disk is full"
    one, hands = begin(store)
    one.perform((Record(KEY, ()), END))
    one.perform((Record(KEY, (), needs_commit=True), PROMPT))
    assert hands.done == [END]
    one.end()


async def test_all_is_drained_once_the_end_of_the_last_turn_has_left_its_lane() -> None:
    store, drained = SlowStore(), list[bool]()
    one, hands = begin(store)
    one.when_drained(lambda: drained.append(END in hands.done))
    one.perform((Record(KEY, ()), END))
    one.note_drained()
    assert drained == []
    store.commit()
    one.note_drained()
    assert drained == [True]


async def test_who_is_in_a_hurry_is_shown_what_is_not_recorded_and_prompts_wait() -> None:
    one, hands = begin(SlowStore())
    one.perform((Record(KEY, ()), PROMPT, END))
    one.hurry()
    assert hands.done == [END]

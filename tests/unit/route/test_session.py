"""The lane of a session: every phase against everything that can happen to it."""

from dataclasses import replace
from types import MappingProxyType

import pytest

from anyclawd.model.conversation import QueueMode, QueuePolicy, Recovery
from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.route import events, invariants
from anyclawd.route.commands import (
    AnswerPermission,
    Command,
    Deliver,
    MessageId,
    Outcome,
    Settle,
    TimerKind,
    Token,
)
from anyclawd.route.commands import Timer as TimerName
from anyclawd.route.events import Event
from anyclawd.route.router import Router
from anyclawd.route.session import Phase, Session
from anyclawd.route.table import AgentRoute, Routes
from anyclawd.wire.acp import Capabilities, PermissionOption, PermissionRequest
from anyclawd.wire.channel import Peer
from tests.fakes.intake import codes, take_in

AGENT = UnitName("default.agent")
PEER = Peer("web", "ann", "direct")
KEY = "web:direct:ann"


class Lane:
    """A router with one chat."""

    def __init__(self) -> None:
        route = AgentRoute(unit=AGENT, name="default", prompt_idle_timeout_s=60.0)
        agents = MappingProxyType({AGENT: route})
        self.router = Router(
            Routes(agents=agents, channels=MappingProxyType({"web": AGENT})), codes()
        )
        self.now, self.count = 0.0, 0
        self.step(events.IntakeOpened())

    @property
    def session(self) -> Session:
        return next(iter(self.router.sessions.values()))

    def step(self, event: Event, at: float | None = None) -> list[Command]:
        self.now = self.now + 1 if at is None else at
        commands = self.router.step(event, self.now)
        invariants.check(self.router)
        return commands

    def say(self, text: str) -> list[Command]:
        self.count += 1
        content: list[Json] = [{"type": "text", "text": text}]
        message = MessageId(str(self.count))
        return self.receive(events.MessageReceived(message, "web", PEER, content, None, 1))

    def receive(self, event: events.MessageReceived) -> list[Command]:
        self.now += 1
        decided = take_in(self.router, event, self.now)
        invariants.check(self.router)
        return decided

    def elapse(self, kind: TimerKind) -> list[Command]:
        timer = TimerName(kind, KEY, self.session.token)
        return self.step(events.TimerElapsed(timer), at=self.now + 1000)


def waiting() -> Lane:
    lane = Lane()
    lane.say("first")
    return lane


def opening() -> Lane:
    lane = waiting()
    lane.step(events.AgentReady(AGENT, Capabilities()))
    return lane


def prompting() -> Lane:
    lane = opening()
    lane.step(events.SessionOpened(lane.session.token, "s1"))
    return lane


def recalling() -> Lane:
    """A new ACP session is there; what was said before is being read for it."""
    lane = idle()
    lane.step(events.AgentLost(AGENT))
    lane.say("first")
    lane.step(events.AgentReady(AGENT, Capabilities()))
    lane.step(events.SessionOpened(lane.session.token, "s2"))
    return lane


def idle() -> Lane:
    lane = prompting()
    lane.step(events.PromptAnswered(lane.session.token, "end_turn"))
    return lane


def cancelling() -> Lane:
    lane = prompting()
    lane.say("/cancel")
    return lane


PHASES = {
    Phase.IDLE: idle,
    Phase.WAITING: waiting,
    Phase.OPENING: opening,
    Phase.PROMPTING: prompting,
    Phase.CANCELLING: cancelling,
}


def happen(lane: Lane, what: str) -> list[Command]:
    token = lane.session.token
    match what:
        case "message" | "/new" | "/cancel":
            return lane.say(what)
        case "newer message, interrupt":
            set_role(lane, queue=QueuePolicy(mode=QueueMode.INTERRUPT))
            return lane.say("message")
        case "/resume":
            former = replace(lane.session.row, number=7)
            lane.say("/resume 7")
            message = MessageId(str(lane.count))
            return lane.step(events.ConversationsListed(lane.session.key, message, (former,)))
        case "closed by hand":
            return lane.step(events.SessionCommanded(lane.session.key, "close"))
        case "another agent":
            other = UnitName("other.agent")
            table = lane.router.routes
            agents = {**table.agents, other: AgentRoute(unit=other, name="other")}
            channels = MappingProxyType({"web": other})
            return lane.step(
                events.RoutesReplaced(replace(table, agents=agents, channels=channels))
            )
        case "option set":
            nobody = MessageId("")
            return lane.step(events.OptionSet(lane.session.key, "s1", nobody, (), "no such option"))
        case "channel lost":
            return lane.step(events.ChannelLost("web"))
        case "channel ready":
            return lane.step(events.ChannelReady("web"))
        case "lost, retry":
            set_role(lane, recovery=Recovery.RETRY)
            return lane.step(events.AgentLost(AGENT))
        case "intake closed, kept":
            lane.router.is_durable = True
            return lane.step(events.IntakeClosed())
        case "history read":
            return lane.step(events.HistoryRead(token, (("first", "answer"),)))
        case "intercepted":
            return lane.step(events.PromptIntercepted(token, "no", is_refusal=True))
        case "prompt not run":
            failed = events.PromptFailed(token, "unknown", is_unknown_session=True, is_unrun=True)
            return lane.step(failed)
        case "lost":
            return lane.step(events.AgentLost(AGENT))
        case "failed":
            return lane.step(events.AgentFailed(AGENT, "gone"))
        case "intake closed":
            return lane.step(events.IntakeClosed())
        case "cut off":
            return lane.step(events.TurnsCutOff())
        case "paused":
            return lane.step(events.AgentPaused(AGENT))
        case "opened":
            return lane.step(events.SessionOpened(token, "s2"))
        case "open failed":
            return lane.step(events.OpenFailed(token, "broken"))
        case "answered":
            return lane.step(events.PromptAnswered(token, "end_turn"))
        case "prompt failed":
            return lane.step(events.PromptFailed(token, "broken", is_unknown_session=False))
        case "late":
            return lane.step(events.PromptAnswered(Token(99), "end_turn"))
        case "silence":
            return lane.elapse(TimerKind.SILENCE)
        case "open timeout":
            return lane.elapse(TimerKind.OPEN)
        case "cancel timeout":
            return lane.elapse(TimerKind.CANCEL)
    raise AssertionError(what)


def set_role(lane: Lane, **policies: Json) -> None:
    """The channel has other policies from now on."""
    role = replace(lane.session.role, **policies)
    table = replace(lane.router.routes, roles=MappingProxyType({"web": role}))
    lane.step(events.RoutesReplaced(table))


IDLE, WAITING, OPENING = Phase.IDLE, Phase.WAITING, Phase.OPENING
PROMPTING, CANCELLING = Phase.PROMPTING, Phase.CANCELLING
ANSWERED, REFUSED, INTERRUPTED = Outcome.ANSWERED, Outcome.REFUSED, Outcome.INTERRUPTED

#: (phase, what happens): (phase after, outcomes). Outcomes are those of messages 1 (the first) and
#: beyond, in their order. A pair that is missing cannot come about: see IMPOSSIBLE.
TABLE: dict[tuple[Phase, str], tuple[Phase, list[Outcome]]] = {
    (IDLE, "message"): (PROMPTING, []),
    (IDLE, "/new"): (OPENING, []),
    (IDLE, "/cancel"): (IDLE, [ANSWERED]),
    (IDLE, "lost"): (IDLE, []),
    (IDLE, "failed"): (IDLE, []),
    (IDLE, "intake closed"): (IDLE, []),
    (IDLE, "cut off"): (IDLE, []),
    (IDLE, "paused"): (IDLE, []),
    (IDLE, "late"): (IDLE, []),
    (IDLE, "newer message, interrupt"): (PROMPTING, []),
    (IDLE, "/resume"): (IDLE, [ANSWERED]),
    (IDLE, "closed by hand"): (IDLE, []),
    (IDLE, "another agent"): (IDLE, []),
    (IDLE, "option set"): (IDLE, []),
    (IDLE, "channel lost"): (IDLE, []),
    (IDLE, "channel ready"): (IDLE, []),
    (IDLE, "lost, retry"): (IDLE, []),
    (IDLE, "intake closed, kept"): (IDLE, []),
    (WAITING, "message"): (WAITING, []),
    (WAITING, "/new"): (WAITING, [ANSWERED]),
    (WAITING, "/cancel"): (IDLE, [INTERRUPTED, ANSWERED]),
    (WAITING, "lost"): (WAITING, []),
    (WAITING, "failed"): (IDLE, [REFUSED]),
    (WAITING, "intake closed"): (IDLE, [REFUSED]),
    (WAITING, "cut off"): (WAITING, []),
    (WAITING, "paused"): (WAITING, []),
    (WAITING, "late"): (WAITING, []),
    (WAITING, "newer message, interrupt"): (WAITING, []),
    (WAITING, "/resume"): (WAITING, [ANSWERED]),
    (WAITING, "closed by hand"): (WAITING, []),
    (WAITING, "another agent"): (WAITING, []),
    (WAITING, "option set"): (WAITING, []),
    (WAITING, "channel lost"): (WAITING, []),
    (WAITING, "channel ready"): (WAITING, []),
    (WAITING, "lost, retry"): (WAITING, []),
    (WAITING, "intake closed, kept"): (WAITING, []),
    (OPENING, "message"): (OPENING, []),
    (OPENING, "/new"): (OPENING, []),
    (OPENING, "/cancel"): (OPENING, [INTERRUPTED, ANSWERED]),
    (OPENING, "lost"): (WAITING, []),
    (OPENING, "failed"): (IDLE, [REFUSED]),
    (OPENING, "intake closed"): (IDLE, [REFUSED]),
    (OPENING, "cut off"): (OPENING, []),
    (OPENING, "paused"): (OPENING, []),
    (OPENING, "late"): (OPENING, []),
    (OPENING, "opened"): (PROMPTING, []),
    (OPENING, "open failed"): (IDLE, [REFUSED]),
    (OPENING, "open timeout"): (IDLE, [REFUSED]),
    (OPENING, "newer message, interrupt"): (OPENING, []),
    (OPENING, "/resume"): (OPENING, [ANSWERED]),
    (OPENING, "closed by hand"): (OPENING, []),
    (OPENING, "another agent"): (WAITING, []),
    (OPENING, "option set"): (OPENING, []),
    (OPENING, "channel lost"): (OPENING, []),
    (OPENING, "channel ready"): (OPENING, []),
    (OPENING, "lost, retry"): (WAITING, []),
    (OPENING, "intake closed, kept"): (WAITING, []),
    (OPENING, "history read"): (PROMPTING, []),
    (PROMPTING, "message"): (PROMPTING, []),
    (PROMPTING, "/new"): (OPENING, [INTERRUPTED]),
    (PROMPTING, "/cancel"): (CANCELLING, [ANSWERED]),
    (PROMPTING, "lost"): (IDLE, [INTERRUPTED]),
    (PROMPTING, "failed"): (PROMPTING, []),
    (PROMPTING, "intake closed"): (PROMPTING, []),
    (PROMPTING, "cut off"): (IDLE, [INTERRUPTED]),
    (PROMPTING, "paused"): (PROMPTING, []),
    (PROMPTING, "late"): (PROMPTING, []),
    (PROMPTING, "answered"): (IDLE, [ANSWERED]),
    (PROMPTING, "prompt failed"): (IDLE, [INTERRUPTED]),
    (PROMPTING, "silence"): (CANCELLING, [INTERRUPTED]),
    (PROMPTING, "newer message, interrupt"): (CANCELLING, []),
    (PROMPTING, "/resume"): (IDLE, [INTERRUPTED, ANSWERED]),
    (PROMPTING, "closed by hand"): (IDLE, [INTERRUPTED]),
    (PROMPTING, "another agent"): (PROMPTING, []),
    (PROMPTING, "option set"): (PROMPTING, []),
    (PROMPTING, "channel lost"): (PROMPTING, []),
    (PROMPTING, "channel ready"): (PROMPTING, []),
    (PROMPTING, "lost, retry"): (WAITING, []),
    (PROMPTING, "intake closed, kept"): (PROMPTING, []),
    (PROMPTING, "intercepted"): (IDLE, [REFUSED]),
    (PROMPTING, "prompt not run"): (OPENING, []),
    (CANCELLING, "message"): (CANCELLING, []),
    (CANCELLING, "/new"): (OPENING, [INTERRUPTED]),
    (CANCELLING, "/cancel"): (CANCELLING, [ANSWERED]),
    (CANCELLING, "lost"): (IDLE, [INTERRUPTED]),
    (CANCELLING, "failed"): (CANCELLING, []),
    (CANCELLING, "intake closed"): (CANCELLING, []),
    (CANCELLING, "cut off"): (IDLE, [INTERRUPTED]),
    (CANCELLING, "paused"): (CANCELLING, []),
    (CANCELLING, "late"): (CANCELLING, []),
    (CANCELLING, "answered"): (IDLE, [ANSWERED]),
    (CANCELLING, "prompt failed"): (IDLE, [ANSWERED]),
    (CANCELLING, "cancel timeout"): (IDLE, [INTERRUPTED]),
    (CANCELLING, "newer message, interrupt"): (CANCELLING, []),
    (CANCELLING, "/resume"): (IDLE, [INTERRUPTED, ANSWERED]),
    (CANCELLING, "closed by hand"): (IDLE, [INTERRUPTED]),
    (CANCELLING, "another agent"): (CANCELLING, []),
    (CANCELLING, "option set"): (CANCELLING, []),
    (CANCELLING, "channel lost"): (CANCELLING, []),
    (CANCELLING, "channel ready"): (CANCELLING, []),
    (CANCELLING, "lost, retry"): (IDLE, [INTERRUPTED]),
    (CANCELLING, "intake closed, kept"): (CANCELLING, []),
    (CANCELLING, "intercepted"): (IDLE, [ANSWERED]),
    (CANCELLING, "prompt not run"): (IDLE, [ANSWERED]),
}
HAPPENINGS = {what for _, what in TABLE}
#: An answer or a timer of a call belongs to the phase in which that call is under way.
IMPOSSIBLE = {
    "opened": {OPENING},
    "open failed": {OPENING},
    "open timeout": {OPENING},
    "answered": {PROMPTING, CANCELLING},
    "prompt failed": {PROMPTING, CANCELLING},
    "silence": {PROMPTING},
    "cancel timeout": {CANCELLING},
    "history read": {OPENING},
    "intercepted": {PROMPTING, CANCELLING},
    "prompt not run": {PROMPTING, CANCELLING},
}
#: Where the first lane of the phase does not fit.
STARTS = {(OPENING, "history read"): recalling}


@pytest.mark.parametrize("pair", TABLE, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def test_step(pair: tuple[Phase, str]) -> None:
    phase, what = pair
    lane = STARTS.get(pair, PHASES[phase])()
    assert lane.session.phase is phase
    commands = happen(lane, what)
    outcomes = [command.outcome for command in commands if isinstance(command, Settle)]
    assert (lane.session.phase, outcomes) == TABLE[pair]


def test_the_table_is_complete() -> None:
    pairs = {
        (phase, what)
        for phase in Phase
        for what in HAPPENINGS
        if phase in IMPOSSIBLE.get(what, set(Phase))
    }
    assert pairs == set(TABLE)


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.WAITING, Phase.OPENING])
def test_the_silence_of_an_agent_means_nothing_outside_of_a_turn(phase: Phase) -> None:
    lane = PHASES[phase]()
    assert happen(lane, "silence") == []
    assert lane.session.phase is phase


def test_an_update_moves_the_silence() -> None:
    lane = prompting()
    update = {"update": {"sessionUpdate": "plan"}}
    lane.step(events.UpdateReceived(AGENT, "s1", update, 1), at=50.0)
    timer = TimerName(TimerKind.SILENCE, KEY, lane.session.token)
    (again,) = lane.step(events.TimerElapsed(timer), at=64.0)
    assert (again.timer, again.at) == (timer, 110.0)
    assert lane.step(events.TimerElapsed(timer), at=110.0)
    assert lane.session.phase is Phase.CANCELLING


def test_two_prompts_that_fail_without_any_update_make_a_session_stale() -> None:
    lane = prompting()
    happen(lane, "prompt failed")
    assert lane.session.acp_id == "s1"
    lane.say("again")
    happen(lane, "prompt failed")
    assert (lane.session.acp_id, lane.session.stale_id) == ("", "s1")


def test_an_agent_that_gives_one_id_to_two_chats_gets_one_of_them_only() -> None:
    lane = idle()
    other = Peer("web", "bob", "direct")
    content: list[Json] = [{"type": "text", "text": "x"}]
    lane.receive(events.MessageReceived(MessageId("9"), "web", other, content, None, 1))
    second = lane.router.sessions["web:direct:bob"]  # type: ignore[index]  # a key by its text
    commands = lane.step(events.SessionOpened(second.token, "s1"))
    assert [c.outcome for c in commands if isinstance(c, Settle)] == [Outcome.REFUSED]
    assert lane.router.agents[AGENT].sessions == {"s1": lane.session}


def test_a_full_queue_refuses_and_says_so_once_after_the_turn() -> None:
    lane = prompting()
    for number in range(1003):
        commands = lane.say(str(number))
    assert [c.outcome for c in commands if isinstance(c, Settle)] == [Outcome.REFUSED]
    commands = happen(lane, "answered")
    refusals = [c for c in commands if "not accepted" in str(c)]
    assert len(refusals) == 1


def test_an_agent_that_comes_back_gets_what_waits_in_bursts() -> None:
    """It may stop reading after the first of them; then the rest goes on waiting."""
    lane = Lane()
    for name in ("ann", "bob", "eve"):
        content: list[Json] = [{"type": "text", "text": "x"}]
        peer = Peer("web", name, "direct")
        message = events.MessageReceived(MessageId(name), "web", peer, content, None, 2**20)
        lane.receive(message)

    def phases() -> list[Phase]:
        return sorted(session.phase for session in lane.router.sessions.values())

    lane.step(events.AgentReady(AGENT, Capabilities()))
    assert phases() == [Phase.OPENING, Phase.WAITING, Phase.WAITING]
    lane.step(events.AgentPaused(AGENT))
    assert phases() == [Phase.OPENING, Phase.WAITING, Phase.WAITING]
    lane.step(events.AgentResumed(AGENT))
    lane.step(events.ChannelReady("web"))
    assert phases() == [Phase.OPENING] * 3


def withdraw(lane: Lane, message: int) -> list[Outcome]:
    commands = lane.step(events.MessageWithdrawn(MessageId(str(message)), "web", PEER))
    return [command.outcome for command in commands if isinstance(command, Settle)]


def test_a_message_that_is_withdrawn_from_the_queue_leaves_the_turn_alone() -> None:
    lane = prompting()
    lane.say("second")
    assert withdraw(lane, 2) == [INTERRUPTED]
    assert (lane.session.phase, len(lane.session.queue)) == (PROMPTING, 0)


def test_the_only_message_that_waits_leaves_an_idle_session() -> None:
    lane = waiting()
    assert withdraw(lane, 1) == [INTERRUPTED]
    assert lane.session.phase is IDLE


def test_a_turn_is_cancelled_when_nobody_waits_for_any_message_of_it() -> None:
    lane = waiting()
    lane.say("second")
    lane.step(events.AgentReady(AGENT, Capabilities()))
    lane.step(events.SessionOpened(lane.session.token, "s1"))
    assert withdraw(lane, 1) == []
    assert lane.session.phase is PROMPTING
    assert withdraw(lane, 2) == []
    assert lane.session.phase is CANCELLING


def ask(lane: Lane, number: int, name: str) -> list[Command]:
    options = (PermissionOption("yes", "Yes", False), PermissionOption("no", "No", True))
    request = PermissionRequest("s1", name, "May I?", options)
    return lane.step(events.PermissionAsked(AGENT, number, request, "fallback"))


def test_an_agent_that_asks_without_end_is_told_no() -> None:
    lane = prompting()
    most = lane.router.routes.limits.asks
    for number in range(most):
        ask(lane, number, f"r{number}")
    assert ask(lane, most, "more") == [AnswerPermission(AGENT, most, "no")]
    assert len(lane.router.asks) == most


def test_names_of_permissions_are_short_and_never_given_twice() -> None:
    lane = prompting()
    for number in range(3):
        ask(lane, number, "x" * 10_000)
    names = [request.request_id for request in lane.router.asks.of(lane.session.key)]
    assert len(set(names)) == 3
    assert max(map(len, names)) <= 200


def test_a_prompt_that_was_not_run_for_want_of_its_session_is_sent_anew_once() -> None:
    lane = prompting()
    unrun = events.PromptFailed(lane.session.token, "no such session", True, is_unrun=True)
    commands = lane.step(unrun)
    assert not any(isinstance(command, Settle) for command in commands)
    assert (lane.session.phase, lane.session.stale_id) == (Phase.OPENING, "s1")
    lane.step(events.SessionOpened(lane.session.token, "s2"))
    assert lane.session.phase is PROMPTING
    again = events.PromptFailed(lane.session.token, "no such session", True, is_unrun=True)
    outcomes = [c.outcome for c in lane.step(again) if isinstance(c, Settle)]
    assert outcomes == [INTERRUPTED]


def test_tool_calls_that_run_when_a_turn_is_cancelled_are_shown_to_end() -> None:
    lane = prompting()
    for tool, status in (("t1", "completed"), ("t2", "in_progress")):
        update = {"sessionUpdate": "tool_call", "toolCallId": tool, "status": status}
        lane.step(events.UpdateReceived(AGENT, "s1", {"update": update}, 1))
    lane.say("/cancel")
    commands = lane.step(events.PromptAnswered(lane.session.token, "cancelled"))
    shown = [command.content["update"] for command in commands if isinstance(command, Deliver)]
    assert [(one.get("toolCallId"), one.get("status")) for one in shown] == [
        ("t2", "failed"),
        (None, None),
    ]

"""The router and its pools: when a worker is asked for, and when one is sent away."""

from dataclasses import replace
from types import MappingProxyType

from anyclawd.model.conversation import Pool
from anyclawd.model.deps import UnitName
from anyclawd.route import commands, events, texts
from anyclawd.route.commands import (
    ArmTimer,
    MessageId,
    OpenSession,
    Prompt,
    StartWorker,
    StopWorker,
    Timer,
    TimerKind,
    Token,
)
from anyclawd.route.router import Router
from anyclawd.route.table import AgentRoute, Routes
from anyclawd.wire.acp import Capabilities
from anyclawd.wire.channel import Peer
from tests.fakes.intake import codes, take_in

AGENT = UnitName("a.agent")
W1, W2, W3 = (UnitName(f"a@{number}.agent") for number in (1, 2, 3))


def routes(*workers: UnitName, least: int = 1) -> Routes:
    """A channel whose agent is a pool of these workers."""
    pool = Pool(agent=AGENT, min_workers=least, max_workers=len(workers), idle_s=60.0)
    table = {unit: AgentRoute(unit=unit, name=unit.removesuffix(".agent")) for unit in workers}
    return Routes(
        agents=MappingProxyType({u: replace(one, pool=pool) for u, one in table.items()}),
        channels=MappingProxyType({"web": AGENT}),
        pools=MappingProxyType({AGENT: workers}),
    )


class World:
    """A router, and what it has decided since it was last asked."""

    def __init__(self, table: Routes) -> None:
        self.now, self._sent = 0.0, 0
        self.router = Router(table, codes())
        self.tell(events.IntakeOpened())

    def tell(self, *told: events.Event) -> list[commands.Command]:
        return [command for event in told for command in self.router.step(event, self.now)]

    def ready(self, unit: UnitName) -> list[commands.Command]:
        return self.tell(events.AgentStarted(unit), events.AgentReady(unit, Capabilities()))

    def message(self, peer: str) -> list[commands.Command]:
        self._sent += 1
        content = [{"type": "text", "text": "hello"}]
        number = MessageId(str(self._sent))
        who = Peer("web", peer, "direct")
        return take_in(
            self.router, events.MessageReceived(number, "web", who, content, None, 10), self.now
        )

    def prompted(self, decided: list[commands.Command], session_id: str) -> Token:
        """Let a session be opened that was asked for; the token of its prompt."""
        [opening] = [one for one in decided if isinstance(one, OpenSession)]
        [prompt] = [
            one
            for one in self.tell(events.SessionOpened(opening.token, session_id))
            if isinstance(one, Prompt)
        ]
        return prompt.token

    def rested(self, unit: UnitName) -> list[commands.Command]:
        """The worker's time without a turn is over."""
        self.now += 60.0
        return self.tell(events.TimerElapsed(Timer(TimerKind.WORKER, unit, Token(0))))


def asked(decided: list[commands.Command]) -> list[commands.Command]:
    """What was decided about workers."""
    return [one for one in decided if isinstance(one, StartWorker | StopWorker)]


def timers_of(decided: list[commands.Command], unit: UnitName) -> list[float]:
    return [one.at for one in decided if isinstance(one, ArmTimer) and one.timer.owner == unit]


def test_a_second_session_is_given_a_second_worker_and_a_third_shares() -> None:
    world = World(routes(W1, W2))
    world.ready(W1)
    first = world.message("ann")
    assert [one.agent for one in first if isinstance(one, OpenSession)] == [W1]
    assert asked(world.message("bob")) == [StartWorker(W2)]
    assert asked(world.message("bob")) == []
    started = world.ready(W2)
    assert [one.agent for one in started if isinstance(one, OpenSession)] == [W2]
    third = world.message("cat")
    assert asked(third) == []
    assert [one.agent for one in third if isinstance(one, OpenSession)] == [W1]


def test_a_worker_that_has_rested_is_stopped_and_one_that_is_always_up_is_not() -> None:
    world = World(routes(W1, W2))
    world.ready(W1)
    assert timers_of(world.ready(W2), W2) == [60.0]
    assert world.rested(W1) == []
    assert world.rested(W2) == [StopWorker(W2)]
    assert asked(world.rested(W2)) == []


def test_a_worker_in_the_place_of_a_failed_one_is_looked_at_again() -> None:
    world = World(routes(W1, W2))
    world.tell(events.AgentFailed(W1, "it is broken"))
    world.ready(W2)
    kept = world.rested(W2)
    assert (asked(kept), timers_of(kept, W2)) == ([], [120.0])
    world.ready(W1)
    assert world.rested(W2) == [StopWorker(W2)]


def test_a_reload_that_wants_fewer_workers_up_lets_one_rest() -> None:
    world = World(routes(W1, W2, least=2))
    world.ready(W1)
    world.ready(W2)
    assert world.rested(W2) == []
    decided = world.tell(events.RoutesReplaced(routes(W1, W2, least=1)))
    assert timers_of(decided, W2) == [120.0]
    assert world.rested(W2) == [StopWorker(W2)]


def test_what_waits_for_a_worker_that_a_reload_removes_starts_another() -> None:
    world = World(routes(W1, W2, W3, least=0))
    assert asked(world.message("ann")) == [StartWorker(W1)]
    assert asked(world.message("bob")) == [StartWorker(W2)]
    assert asked(world.message("cat")) == [StartWorker(W3)]
    world.ready(W1)
    world.tell(events.WorkerRests(W2))
    assert asked(world.tell(events.RoutesReplaced(routes(W1, W2, least=0)))) == [StartWorker(W2)]


def test_a_session_whose_worker_has_failed_goes_to_another_with_all_that_waits() -> None:
    world = World(routes(W1, W2))
    world.ready(W1)
    world.prompted(world.message("ann"), "s1")
    world.message("bob")
    decided = world.tell(events.AgentFailed(W2, "its exit code is 78"))
    assert [one.agent for one in decided if isinstance(one, OpenSession)] == [W1]


def test_with_all_workers_out_a_message_is_refused_with_the_reason() -> None:
    world = World(routes(W1, W2))
    world.tell(events.AgentFailed(W1, "it is broken"), events.AgentFailed(W2, "so is it"))
    [refusal] = [one for one in world.message("ann") if isinstance(one, commands.Settle)]
    assert refusal.text == texts.unavailable("a", "it is broken")

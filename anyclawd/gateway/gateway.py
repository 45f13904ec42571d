"""The gateway as one: makes its parts, follows the plan and the engine, has done what is decided.

It makes the sink of every protocol process, tells the router what becomes of units and of the plan,
and hands each command of the router's to the part that does it. It decides nothing about messages
itself.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from random import SystemRandom
from typing import assert_never

from anyclawd.gateway.admin_desk import AdminDesk
from anyclawd.gateway.agent_calls import AgentCalls
from anyclawd.gateway.agents import Agents
from anyclawd.gateway.brake import Brake
from anyclawd.gateway.caller import Callers
from anyclawd.gateway.channels import Channels
from anyclawd.gateway.chats import Chats
from anyclawd.gateway.claims import Claims
from anyclawd.gateway.counters import Counters, TurnClock
from anyclawd.gateway.display import Display
from anyclawd.gateway.handshake import revealed_options
from anyclawd.gateway.hooks import HookPeer, Hooks
from anyclawd.gateway.hot_path import HotPath
from anyclawd.gateway.inlet import Inlet
from anyclawd.gateway.lookups import Lookups
from anyclawd.gateway.mcp_servers import McpServers
from anyclawd.gateway.outbox import Outboxes
from anyclawd.gateway.overview import Overview
from anyclawd.gateway.processes import Processes
from anyclawd.gateway.seam import NO_ENDPOINT, Endpoint, Store
from anyclawd.gateway.service import ServicePeer
from anyclawd.gateway.steps import Steps
from anyclawd.gateway.tasks import Tasks
from anyclawd.gateway.timers import Timers
from anyclawd.gateway.tool_desk import ToolDesk
from anyclawd.gateway.toolhost import ToolHost
from anyclawd.model import secret
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan
from anyclawd.model.unit import Kind, Protocol, Unit, kind_of
from anyclawd.model.value import Json
from anyclawd.route import commands, events
from anyclawd.route.access import make_code
from anyclawd.route.commands import Command, MessageId, Prompt, SessionKey, Timer, TimerKind
from anyclawd.route.desk import Intake
from anyclawd.route.grants import Grants
from anyclawd.route.record import Restored
from anyclawd.route.router import Router
from anyclawd.route.table import VIRTUAL, compile_routes, entry_name
from anyclawd.runtime.connection import Connection
from anyclawd.runtime.seam import Report, Sink, Wire
from anyclawd.store.failure import Failure
from anyclawd.wire.service import Installation

#: The unit that keeps conversations.
STORE = UnitName("store.core")
#: Of the daemon's birth in the names of questions, which chat networks want short.
_RUN_CHARS = 5


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Gateway:
    """The orchestrator of one daemon. All methods are called from the loop."""

    def __init__(
        self,
        plan: Plan,
        *,
        environ: Mapping[str, str],
        store: Store,
        endpoint: Endpoint = NO_ENDPOINT,
        wall_ms: Callable[[], int] = _wall_ms,
    ) -> None:
        self._plan, self._environ, self.store = plan, environ, store
        self.start_worker: Callable[[UnitName], None] = _ignore  # of a pool, see `daemon.assemble`
        self.stop_worker: Callable[[UnitName], None] = _ignore
        self.installed: Callable[[UnitName, Installation], None] = _ignore_installation
        self._has_routes = False
        birth = f"{wall_ms():x}"  # of this daemon: ids of messages begin with it
        run = birth[-_RUN_CHARS:]
        router = Router(compile_routes(plan), lambda: make_code(SystemRandom().choice), run)
        steps = Steps(router, store, self)
        callers, outboxes, processes = Callers(), Outboxes(router.routes.channels), Processes()
        self.router, self.steps = router, steps
        self._callers, self._outboxes, self._processes = callers, outboxes, processes
        self.grants, self.counters, self._hooks = Grants(), Counters(), Hooks()
        self._turn_clock = TurnClock(self.counters)
        self._tasks, self._timers = Tasks(), Timers(self._elapsed)
        self._display = Display(router, steps, callers, outboxes, wall_ms)
        self._inlet = Inlet(birth, callers, self.counters, steps.take, self._display.refuse)
        self._lookups = Lookups(store, steps, self._tasks.spawn)
        self.channels = Channels(
            router,
            steps,
            outboxes=outboxes,
            display=self._display,
            inlet=self._inlet,
            lookups=self._lookups,
            processes=processes,
        )
        self._brake = Brake(router, steps, outboxes)
        self.claims = Claims(self._tasks.spawn, steps.flush)
        mcp_servers = McpServers(self.grants, endpoint)
        self._agents = Agents(
            router,
            steps,
            hooks=self._hooks,
            brake=self._brake,
            hot_path=HotPath(router, steps.lanes, callers, outboxes, self.counters, wall_ms),
            claims=self.claims,
            grants=self.grants,
            counters=self.counters,
            processes=processes,
        )
        self._calls = AgentCalls(router, steps, self._agents, self.claims, mcp_servers)
        self.tool_desk = ToolDesk(lambda: self._plan, router, steps, self._inlet)
        self.tools = ToolHost(
            self.tool_desk,
            routes=lambda: router.routes,
            toolbox=router.toolbox,
            grants=self.grants,
            counters=self.counters,
            listed=lambda unit, offered: steps.tell(events.ToolsListed(unit, offered)),
            gone=lambda unit: steps.tell(events.ToolGone(unit)),
        )
        self.chats = Chats(
            router,
            store,
            steps,
            callers=callers,
            agents=self._agents,
            mcp_servers=mcp_servers,
            tools=self.tools,
        )
        self.admin_desk = AdminDesk(router, steps, self._inlet, callers, outboxes)
        self.overview = Overview(lambda: self._plan, router, outboxes, processes)

    # --- for the driver ---------------------------------------------------------------------------

    def attach(self, unit: Unit, wire: Wire, report: Report) -> Sink:
        """Make the sink of a process that has just been started, and begin its handshake."""
        try:
            options = revealed_options(unit, self._environ)
        except secret.Unavailable as error:
            asyncio.get_running_loop().call_soon(report.failed, f"options: {error}")
            options = {}
        connection = self._connect(unit, wire, report, options)
        self._processes.begin(unit.name, connection)
        return connection

    def _connect(
        self, unit: Unit, wire: Wire, report: Report, options: dict[str, Json]
    ) -> Connection:
        match unit.protocol:
            case Protocol.ACP:
                return self._agents.connect(unit, wire, report, options)
            case Protocol.CHANNEL:
                return self.channels.connect(unit, wire, report, options)
            case Protocol.SERVICE | Protocol.HOOK:
                return self._service(unit, wire, report, options).connection
            case Protocol.MCP:
                return self.tools.connect(unit, wire, report, options)
            case Protocol.NONE:
                reason = f"{unit.name}: the gateway does not speak protocol {unit.protocol}"
                raise ValueError(reason)
            case _:
                assert_never(unit.protocol)

    def _service(
        self, unit: Unit, wire: Wire, report: Report, options: dict[str, Json]
    ) -> ServicePeer:
        whose = unit, wire, report, self._namespace, options, self.installed
        return (
            HookPeer(*whose, self._hooks) if unit.protocol is Protocol.HOOK else ServicePeer(*whose)
        )

    @property
    def _namespace(self) -> str:
        """What services and hooks are told about whose they are."""
        return self._environ.get("COMPOSE_PROJECT_NAME") or "anyclaw"

    # --- its life ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Live until cancelled; then no timer and no caller is left."""
        try:
            async with self._tasks.running():
                if not self._inlet.is_read:
                    self._tasks.spawn(self._read_store(), "read the store")
                await asyncio.get_running_loop().create_future()
        finally:
            self._timers.end()
            self.steps.end()
            self._callers.end_all("the daemon has stopped")

    def start(self) -> None:
        """The routes stand: what waits may run as soon as the store is read."""
        self._has_routes = True
        if self._inlet.is_read:
            self.steps.tell(events.IntakeOpened())

    async def _read_store(self) -> None:
        self.take_up(await self.store.read())

    def take_up(self, restored: Restored) -> None:
        """Go on with what an earlier daemon has left; then with what has come meanwhile."""
        self._inlet.open()
        self.steps.tell(events.StoreRead(restored))
        self.tool_desk.go_on()
        self._inlet.go_on()
        if self._has_routes and self.router.intake is Intake.WAITING:
            self.steps.tell(events.IntakeOpened())

    def close_intake(self, drained: Callable[[], None]) -> None:
        """Refuse what is new or waits; `drained` is called once no turn runs, maybe at once.

        The end of the last one is shown by then, however long the store has taken to write it.
        """
        self.steps.when_drained(drained)
        self.steps.tell(events.IntakeClosed())

    def cut_off(self) -> None:
        """End what still runs; its users are told at once, since channels are stopped soon."""
        self.steps.tell(events.TurnsCutOff())
        self.steps.hurry()

    # --- the plan and the engine ------------------------------------------------------------------

    def adopt(self, plan: Plan) -> None:
        """Take over the routes of another plan; what has gone from it is kept until `forget`.

        To be called before any unit of the plan is started.
        """
        self._plan = plan
        routes = compile_routes(plan)
        self._outboxes.adopt(routes.channels)
        self._processes.adopt(plan.units)
        self.steps.tell(events.RoutesReplaced(routes))
        self.tools.adopt(plan)

    def forget(self, unit: UnitName) -> None:
        """A unit that has gone from the plan has come to rest: nothing of it is needed."""
        self._processes.forget(unit)
        self._hooks.forget(unit)
        match kind_of(unit):
            case Kind.AGENT:
                self._agents.end_last_words(unit)
                self.steps.tell(events.AgentRemoved(unit))
            case Kind.CHANNEL if (name := entry_name(unit)) not in self.router.routes.channels:
                self.channels.forget(name)
            case Kind.TOOL if unit not in self._plan.units:
                self.steps.tell(events.ToolRemoved(unit))
                self.tools.forget(unit)
            case _:
                pass  # it is configured again, or nothing else of the gateway belongs to its kind

    def unit_failed(self, unit: Unit, reason: str) -> None:
        """The unit will not come back by itself; whoever waits for it is told."""
        match unit.kind:
            case Kind.AGENT:
                self._agents.end_last_words(unit.name)
                self.steps.tell(events.AgentFailed(unit.name, reason))
            case Kind.CHANNEL:
                self.steps.tell(events.ChannelFailed(entry_name(unit.name)))
            case Kind.TOOL:
                self.tools.unit_failed(unit.name, reason)
            case Kind.CORE if unit.name == STORE and not self._inlet.is_read:
                self._inlet.give_up(reason)
                self.tool_desk.give_up(reason)
                self.flush()
            case _:
                pass  # nothing of the gateway waits for other kinds

    def worker_rests(self, unit: UnitName) -> None:
        """This worker of a pool has no process, and gets one when it is asked for."""
        self.steps.tell(events.WorkerRests(unit))

    # --- performing -------------------------------------------------------------------------------

    def promise(self, prompt: Prompt) -> None:
        self._calls.promise(prompt)

    def flush(self) -> None:
        self._brake.flush()

    def do(self, command: Command) -> None:
        match command:
            case commands.Deliver():
                self._display.deliver(command)
            case commands.Announce():
                self.channels.announce(command)
            case commands.Acknowledge():
                self._acknowledge(command)
            case commands.StartResponse():
                self._display.start_response(command)
            case commands.CompleteResponse():
                self._display.complete_response(command)
            case commands.StoreMessage(entry):
                done = partial(self._stored, entry.message.id)
                self.store.append((entry,), done, is_durable=True)
            case commands.Settle():
                self._settle(command)
            case commands.AskPermission():
                self._ask_permission(command)
            case commands.AskForm():
                self.channels.ask(command)
            case commands.WithdrawPermission():
                self.channels.withdraw(command)
            case commands.ReadHistory():
                self._lookups.read_history(command)
            case commands.ListConversations():
                self._lookups.list_conversations(command)
            case commands.StartWorker(name):
                self.start_worker(name)
            case commands.StopWorker(name):
                self.stop_worker(name)
            case commands.ArmTimer(timer, at):
                self._timers.arm(timer, at)
            case commands.CancelTimer(timer):
                self._timers.cancel(timer)
            case commands.ReportDrained():
                self.steps.note_drained()
            case commands.Record():
                assert_never(command)  # type: ignore[arg-type] # `steps` keeps them itself
            case _:
                self._calls.perform(command)

    def _acknowledge(self, command: commands.Acknowledge) -> None:
        """It is the turn of these messages."""
        chat = self.router.sessions.get(command.session)
        self.counters.turns += 1
        if chat is not None:  # else it has gone while its row was written
            agent = chat.agent.route.name
            self._turn_clock.begin(command.messages[0], agent, self.steps.now())
        for message in command.messages:
            self._callers.read_along(message)
        self.channels.acknowledge(command)

    def _settle(self, command: commands.Settle) -> None:
        self.counters.note_outcome(command.outcome)
        self._turn_clock.end(command.message, self.steps.now())
        self._inlet.settle(command)

    def _stored(self, message: MessageId, failure: Failure | None) -> None:
        """What has become of a message in the store."""
        self._inlet.stored(message, failure)
        self.flush()

    def _ask_permission(self, command: commands.AskPermission) -> None:
        is_asked = self._callers.ask(command)
        if command.channel != VIRTUAL:
            self.channels.ask(command)
        elif not is_asked:
            self.steps.tell(events.PermissionUndeliverable(VIRTUAL, command.request_id))

    def _elapsed(self, timer: Timer) -> None:
        self.steps.take(events.TimerElapsed(timer))
        session = self.router.sessions.get(SessionKey(timer.owner))
        if timer.kind is TimerKind.SILENCE and session is not None:
            self._brake.stop_waiting(session)
        self.flush()


def _ignore_installation(service: UnitName, offered: Installation) -> None:
    """Nobody is given anything here."""


def _ignore(unit: UnitName) -> None:
    """Nobody starts or stops units here."""

"""What the router has agents told: sessions, prompts and their ends, answers to their questions."""

from functools import partial
from typing import TypeAlias, assert_never

from anyclawd.gateway.agent import AgentPeer
from anyclawd.gateway.agents import Agents
from anyclawd.gateway.claims import Claims
from anyclawd.gateway.mcp_servers import McpServers
from anyclawd.gateway.steps import Steps
from anyclawd.route import events
from anyclawd.route.commands import (
    Abandon,
    AnswerElicitation,
    AnswerPermission,
    CancelPrompt,
    CloseSession,
    OpenSession,
    Prompt,
    SetOption,
    Token,
)
from anyclawd.route.router import Router

AgentCommand: TypeAlias = (
    OpenSession
    | CloseSession
    | SetOption
    | Prompt
    | CancelPrompt
    | Abandon
    | AnswerPermission
    | AnswerElicitation
)


class AgentCalls:
    """To all agents of one gateway. What is for one that has gone is left."""

    def __init__(
        self,
        router: Router,
        steps: Steps,
        agents: Agents,
        claims: Claims,
        mcp_servers: McpServers,
    ) -> None:
        self._router, self._steps, self._agents = router, steps, agents
        self._claims, self._mcp_servers = claims, mcp_servers
        self._promised: dict[Token, AgentPeer | None] = {}  # for which process a prompt was decided

    def promise(self, prompt: Prompt) -> None:
        """It was decided just now; a process that comes later is not meant by it."""
        self._promised[prompt.token] = self._agents.find(prompt.agent)

    def perform(self, command: AgentCommand) -> None:
        agent = self._agents.find(command.agent)
        if isinstance(command, Prompt) and self._promised.pop(command.token) is not agent:
            return  # its process has gone while its row was written
        if agent is None:
            return  # it has gone; the router is told so next, or knows already
        match command:
            case OpenSession():
                route = self._router.agents[command.agent].route
                self._mcp_servers.when_reachable(route, partial(self._open_session, command))
            case CloseSession(_, session_id, chat):
                self._mcp_servers.close(command.agent, chat)
                agent.close_session(session_id)
            case SetOption():
                agent.set_option(command)
            case Prompt():
                if not self._claims.take(agent, command):
                    agent.prompt(command)
            case CancelPrompt(_, session_id):
                self._cancel(agent, session_id)
            case Abandon(_, token):
                self._claims.abandon(token)
                agent.abandon(token)
            case AnswerPermission(_, ask, option_id):
                agent.answer(ask, option_id)
            case AnswerElicitation(_, ask, action, content):
                agent.answer_elicitation(ask, action, content)
            case _:
                assert_never(command)

    def _open_session(self, command: OpenSession) -> None:
        """With all that the session is to have, unless it is not wanted any more."""
        peer, agent = self._agents.find(command.agent), self._router.agents.get(command.agent)
        if peer is not None and agent is not None and command.token in self._router.calls:
            has_http = agent.capabilities.mcp_http
            if agent.route.granted and self._mcp_servers.is_served is not self._router.serves_tools:
                self._steps.tell(events.ToolsServed(self._mcp_servers.is_served))
            entries = self._mcp_servers.entries(agent.route, command.chat, has_http=has_http)
            peer.open_session(command, entries)

    def _cancel(self, agent: AgentPeer, session_id: str) -> None:
        """A prompt that has not left yet is answered in the agent's place."""
        unsent = self._claims.cancel(agent, session_id)
        for token in unsent:
            self._steps.take(events.PromptAnswered(token, "cancelled"))
        if not unsent:
            agent.cancel(session_id)

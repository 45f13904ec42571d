"""Requests of clients for prompts, resources and completions: whose they are, and their answers.

A tool that cannot answer is an error of the protocol here, since nobody but a program has asked.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol, assert_never

from anyclawd.gateway.catalogue import Catalogue
from anyclawd.gateway.tool import ToolPeer
from anyclawd.gateway.tool_call import (
    NOT_RUNNING,
    Answer,
    NoAnswer,
    OnAnswered,
    OnProgress,
    Outcome,
    Request,
)
from anyclawd.gateway.tool_waits import Search
from anyclawd.model.deps import UnitName
from anyclawd.model.value import Json
from anyclawd.route.grants import Grant
from anyclawd.route.toolbox import Scope
from anyclawd.wire import mcp, mcp_client
from anyclawd.wire.json_text import JsonText
from anyclawd.wire.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, RpcError
from anyclawd.wire.lenient import as_map, as_text
from anyclawd.wire.mcp_lists import Offer

#: So much of what a client has sent is shown to it in an error.
SHOWN = 200

_AS_THEY_ARE: Mapping[str, Json] = MappingProxyType({})
_NO_VALUES = b'{"completion":{"values":[]}}'


class Asked(NamedTuple):
    """A client's request."""

    grant: Grant
    view: UnitName | None
    scope: Scope
    method: str
    params: Mapping[str, Json]
    answered: OnAnswered
    progressed: OnProgress | None


class Call(Protocol):
    """One request that is under way."""

    def cancel(self, reason: str) -> None:
        """The client does not wait any more."""


def _nothing(peer: ToolPeer) -> None:
    """What is to be done about an answer where nothing is."""


class Relay:
    """Between clients and those tools that may be asked; `peers` is kept by the host of tools."""

    def __init__(self, catalogue: Catalogue, peers: Mapping[UnitName, ToolPeer]) -> None:
        self._catalogue, self._peers = catalogue, peers

    def get_prompt(self, asked: Asked) -> Call | None:
        name = asked.params.get("name")
        found = self._catalogue.prompt(asked.scope, name) if isinstance(name, str) else None
        if found is None:
            why = self._catalogue.why_unknown(asked.scope, Offer.PROMPTS, name)
            asked.answered(RpcError(INVALID_PARAMS, why))
            return None
        return self.forward(asked, (found.unit,), {"name": found.name})

    def read(self, asked: Asked) -> Call | None:
        if units := self.owners(asked):
            return self.forward(asked, units)
        return None

    def owners(self, asked: Asked) -> tuple[UnitName, ...]:
        """Who may have the resource that is asked for; where nobody has, that is answered."""
        uri = asked.params.get("uri")
        units = self._catalogue.owners(asked.scope, uri) if isinstance(uri, str) else ()
        if not units:
            text = f"unknown resource {uri!r:.{SHOWN}}"
            asked.answered(RpcError(mcp.RESOURCE_NOT_FOUND, text, {"uri": uri}))
        return units

    def complete(self, asked: Asked) -> Call | None:
        ref = as_map(asked.params.get("ref"))
        if ref.get("type") == "ref/prompt":
            name = as_text(ref.get("name"))
            found = self._catalogue.prompt(asked.scope, name)
            unit, ref = (None, ref) if found is None else (found.unit, ref | {"name": found.name})
        else:
            name = as_text(ref.get("uri"))
            unit = self._catalogue.template_owner(asked.scope, name)
        if unit is None:
            text = f"unknown prompt or template {name!r:.{SHOWN}}"
            asked.answered(RpcError(INVALID_PARAMS, text))
            return None
        server = self._catalogue.server(unit)
        if server is None or not server.can_complete:
            asked.answered(_NO_VALUES)
            return None
        return self.forward(asked, (unit,), {"ref": ref})

    def forward(
        self,
        asked: Asked,
        units: tuple[UnitName, ...],
        changes: Mapping[str, Json] = _AS_THEY_ARE,
        done: Callable[[ToolPeer], None] = _nothing,
    ) -> Call | None:
        """Let one of the units answer, of which there is one at least, the likeliest first.

        `done` is called before a result is handed on.
        """
        peers = [peer for unit in units if (peer := self._peers.get(unit)) is not None]
        if not peers:
            asked.answered(_failure(units[0], asked.method, NOT_RUNNING))
            return None

        def ended(peer: ToolPeer, outcome: Outcome) -> None:
            answer = _answer(peer.unit.name, asked.method, outcome)
            if isinstance(answer, bytes):
                done(peer)
            asked.answered(answer)

        params, meta = mcp_client.forwarded(asked.params)
        search = Search(
            peers, Request(asked.method, {**params, **changes}, meta), asked.progressed, ended
        )
        search.begin()
        return None if search.is_over else search


def _answer(unit: UnitName, method: str, outcome: Outcome) -> Answer:
    match outcome:
        case JsonText():
            reason = mcp_client.unusable_answer(outcome)
            return (
                _failure(unit, method, NoAnswer(f"has answered, but {reason}"))
                if reason
                else outcome.text
            )
        case RpcError(code) if code in mcp.BETWEEN_TWO:
            reason = f"answered with an error: {mcp_client.error_text(outcome)}"
            return _failure(unit, method, NoAnswer(reason))
        case RpcError():
            return outcome
        case NoAnswer():
            return _failure(unit, method, outcome)
        case _:
            assert_never(outcome)


def _failure(unit: UnitName, method: str, outcome: NoAnswer) -> RpcError:
    advice = f"; {outcome.advice}" if outcome.advice else ""
    return RpcError(INTERNAL_ERROR, f"{method}: unit {unit} {outcome.reason}{advice}")

"""What differs between the eras: who is spoken to in which, what may be asked, how it is answered.

What tells them apart is the header with the revision, which the modern one demands of every request
and the other knows since 2025-06-18; who names none is of the other. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from anyclawd import __version__
from anyclawd.mcp import modern
from anyclawd.mcp.checks import VERSION_HEADER
from anyclawd.mcp.exchange import Manner
from anyclawd.mcp.posted import Request, read_id, shown
from anyclawd.mcp.seam import Answer
from anyclawd.mcp.session import Holder, Session
from anyclawd.model.value import Json
from anyclawd.wire import mcp
from anyclawd.wire.jsonrpc import METHOD_NOT_FOUND, RpcError
from anyclawd.wire.lenient import as_map
from anyclawd.wire.mcp import Method

SERVER_INFO: Mapping[str, Json] = {"name": "anyclaw-tools", "version": __version__}

#: What is spoken here, newest first.
REVISIONS = (*reversed(mcp.MODERN_REVISIONS), *reversed(mcp.HANDSHAKE_REVISIONS))

#: Revisions whose clients may send batches; who names none may be one of them.
BATCHING = frozenset({"2024-11-05", "2025-03-26", ""})

HANDSHAKE_METHODS = frozenset(
    {Method.INITIALIZE, Method.PING, Method.SET_LEVEL, Method.SUBSCRIBE, Method.UNSUBSCRIBE}
)
MODERN_METHODS = frozenset({Method.DISCOVER, Method.LISTEN})
#: What the host answers in both eras.
ASKED = frozenset(
    {
        Method.TOOLS_LIST,
        Method.TOOLS_CALL,
        Method.RESOURCES_LIST,
        Method.TEMPLATES_LIST,
        Method.RESOURCES_READ,
        Method.PROMPTS_LIST,
        Method.PROMPTS_GET,
        Method.COMPLETE,
    }
)
#: Names in `_meta` that are for us, or that only we may say to a tool.
_NOT_PASSED = ("io.modelcontextprotocol/", "anyclaw/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who has sent a request, as far as its head says."""

    holder: Holder
    revision: str = ""  #: as the header says it, or what the session has agreed on
    reads_stream: bool = False
    session: Session | None = None

    @property
    def is_modern(self) -> bool:
        return self.revision in mcp.MODERN_REVISIONS

    @property
    def is_understood(self) -> bool:
        return not self.revision or self.revision in REVISIONS


def check_handshake(client: Client, request: Request) -> RpcError | None:
    """Why a request is not of the era of `initialize`."""
    if not client.is_understood:
        return unsupported(client)
    if modern.claims(request.params):
        text = f"the header {VERSION_HEADER} and the revision in params._meta disagree"
        return RpcError(mcp.HEADER_MISMATCH, text)
    return None


def unsupported(client: Client) -> RpcError:
    data = mcp.unsupported(shown(client.revision), REVISIONS)
    return RpcError(mcp.UNSUPPORTED_REVISION, "the revision is not spoken here", data)


def passed(params: dict[str, Json]) -> tuple[Json, dict[str, Json]]:
    """The token under which progress is told, and the parameters as the tool may see them."""
    if not (meta := as_map(params.get("_meta"))):
        return None, params
    token = read_id(meta.get(mcp.PROGRESS_TOKEN))
    kept = {
        key: value
        for key, value in meta.items()
        if key != mcp.PROGRESS_TOKEN and not key.startswith(_NOT_PASSED)
    }
    rest = {key: value for key, value in params.items() if key != "_meta"}
    return token, rest | ({"_meta": kept} if kept else {})


def unknown(method: str, *, is_modern: bool) -> RpcError:
    text = f"unknown method {shown(method)!r}"
    if method in (HANDSHAKE_METHODS if is_modern else MODERN_METHODS):
        spoken = mcp.NEWEST_MODERN if is_modern else mcp.NEWEST_HANDSHAKE
        text += f": revision {spoken} does not have it; spoken here are {', '.join(REVISIONS)}"
    return RpcError(METHOD_NOT_FOUND, text)


class _Handshake:
    """Answers are as the host has said them."""

    def dress(self, _method: str, answer: Answer) -> Answer:
        return answer

    def status_of(self, _error: RpcError) -> int:
        return 200


class _Modern:
    def dress(self, method: str, answer: Answer) -> Answer:
        if isinstance(answer, RpcError):
            return modern.translate(answer)
        return modern.dress(method, answer, SERVER_INFO)

    def status_of(self, error: RpcError) -> int:
        return modern.STATUS.get(error.code, 200)


_HANDSHAKE, _MODERN = _Handshake(), _Modern()


def manner_of(client: Client) -> Manner:
    return _MODERN if client.is_modern else _HANDSHAKE

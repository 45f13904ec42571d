"""What becomes of messages: which are answered here, and which are the host's; knows no HTTP.

Both eras are served side by side. Requests of the modern one stand for themselves, and so do those
of a client that sends no id of a session; within a session an id belongs to one request until that
is answered, which is how it can be cancelled by it.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import assert_never

from anyclawd.mcp import frames, mirrored, modern
from anyclawd.mcp.checks import (
    SESSION_HEADER,
    TRANSPORT_HEADER,
    VERSION_HEADER,
    Entrant,
    Headers,
    Refusal,
    not_allowed,
    unauthorized,
)
from anyclawd.mcp.eras import (
    ASKED,
    BATCHING,
    SERVER_INFO,
    Client,
    check_handshake,
    manner_of,
    passed,
    unknown,
    unsupported,
)
from anyclawd.mcp.exchange import Exchange, Running
from anyclawd.mcp.feed import Feed
from anyclawd.mcp.listening import URIS_MAX, Listening, kinds_of
from anyclawd.mcp.posted import Bad, Notice, Posted, Request, read_id, shown
from anyclawd.mcp.seam import Answer, Host
from anyclawd.mcp.session import Holder, Session, Sessions
from anyclawd.wire import mcp
from anyclawd.wire.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    SERVER_ERROR,
    RpcError,
)
from anyclawd.wire.lenient import as_map, as_text
from anyclawd.wire.mcp import Method, Notification

#: Requests of one token that are under way at a time.
REQUESTS_PER_TOKEN = 64

#: How much of the reason of a cancelled request a tool is told.
_REASON_LENGTH = 500


class Endpoint:
    """Performs what clients have posted; `make_id` gives ids of sessions that nobody can guess."""

    def __init__(self, host: Host, make_id: Callable[[], str]) -> None:
        self._host = host
        self._sessions = Sessions(make_id, self._forget)
        self._listening = Listening(host)
        self._running: set[Running] = set()
        self._under_way: Counter[str] = Counter()

    # -- who it is ---------------------------------------------------------------------------------

    def identify(self, entrant: Entrant, headers: Headers) -> Client | Refusal:
        if (grant := self._host.grant(entrant.token)) is None:
            return unauthorized("the token does not hold, or holds no longer", "invalid_token")
        view = None
        if entrant.key and (view := self._host.view(grant, entrant.key)) is None:
            return Refusal(404, f"no tool unit {shown(entrant.key)!r} is granted to this session")
        holder = Holder(entrant.token, view, grant)
        revision = headers.get(VERSION_HEADER, "")
        session = None
        if revision not in mcp.MODERN_REVISIONS and (id_ := headers.get(SESSION_HEADER, "")):
            if (session := self._sessions.find(id_, holder)) is None:
                return Refusal(404, "no such session, or it has ended; begin one with initialize")
            revision = revision or session.revision
        return Client(
            holder=holder,
            revision=revision,
            reads_stream=entrant.has_stream,
            session=session,
        )

    def is_granted(self, client: Client) -> bool:
        """Whether what it came in with holds still."""
        return self._host.grant(client.holder.token) is not None

    # -- what it wants -----------------------------------------------------------------------------

    def post(self, client: Client, posted: Posted, headers: Headers) -> Exchange | Refusal:
        """Begin all that was posted; `Refusal` where it is nothing that could be."""
        if posted.is_batch and client.revision not in BATCHING:
            return Refusal(
                400, "batches ended with revision 2025-03-26; post one message at a time"
            )
        exchange = Exchange(is_batch=posted.is_batch, manner=manner_of(client))
        for item in posted.items:
            match item:
                case Request():
                    self._begin(client, item, exchange, headers)
                case Notice() if not client.is_understood:
                    exchange.refuse(None, unsupported(client), 400)
                case Notice():
                    self._notice(client, item)
                case Bad(id_, error):
                    exchange.refuse(id_, error, 400)
                case _:
                    assert_never(item)
        exchange.complete()
        return exchange

    def listen(self, client: Client) -> Feed | Refusal:
        """The stream of what changes, for a client of the handshake era."""
        if refusal := _check_bodiless(client):
            return refusal
        return self._listening.open(client.holder, client.session)

    def close_stream(self, feed: Feed) -> None:
        """Nobody reads it any more."""
        self._listening.close(feed)

    def end_session(self, client: Client) -> Refusal | None:
        """What DELETE asks for."""
        if refusal := _check_bodiless(client):
            return refusal
        if client.session is None:
            return Refusal(400, f"name the session to end in the header {SESSION_HEADER}")
        self._sessions.end(client.session)
        return None

    def close(self) -> None:
        """Answer whatever is under way, and end all streams."""
        for running in list(self._running):
            if running.method == Method.LISTEN:
                running.answered(frames.encode({"_meta": {mcp.SUBSCRIPTION_ID: running.id}}))
            else:
                running.cancel("mcp.core is stopping; connect again when it is back")
        self._listening.close_all()
        self._sessions.end_all()

    # -- messages ----------------------------------------------------------------------------------

    def _begin(
        self, client: Client, request: Request, exchange: Exchange, headers: Headers
    ) -> None:
        id_, method, _params = request
        if error := self._check_era(client, request, headers):
            exchange.refuse(id_, error, modern.STATUS.get(error.code, 400))
            return
        match method:
            case _ if method in ASKED:
                self._ask(client, request, exchange)
            case Method.LISTEN if client.is_modern:
                self._listen(client, request, exchange)
            case Method.DISCOVER if client.is_modern:
                exchange.answer(id_, method, self._discover(client))
            case Method.INITIALIZE if not client.is_modern:
                self._initialize(client, request, exchange)
            case Method.PING if not client.is_modern:
                exchange.answer(id_, method, b"{}")
            case Method.SET_LEVEL if not client.is_modern:
                self._ask(client, request, exchange)
            case Method.SUBSCRIBE | Method.UNSUBSCRIBE if not client.is_modern:
                self._watch(client, request, exchange)
            case _:
                exchange.answer(id_, method, unknown(method, is_modern=client.is_modern))

    def _check_era(self, client: Client, request: Request, headers: Headers) -> RpcError | None:
        """Why a request is not as the era that its head says has it."""
        if not client.is_modern:
            return check_handshake(client, request)
        if error := modern.judge(request, headers):
            return error
        name = request.params.get("name")
        if request.method != Method.TOOLS_CALL or not isinstance(name, str):
            return None
        if TRANSPORT_HEADER in headers:
            return None  # what comes by pipes has no headers, and nobody stands between
        tool = self._host.tool(client.holder.grant, client.holder.view, name)
        return mirrored.check(tool, request.params.get("arguments"), headers)

    def _notice(self, client: Client, notice: Notice) -> None:
        """Only one has consequences; the modern era has none, and says so by hanging up."""
        if notice.method != Notification.CANCELLED or client.session is None:
            return
        id_ = read_id(notice.params.get("requestId"))
        if id_ is not None and (running := client.session.running.get(id_)):
            reason = as_text(notice.params.get("reason"))[:_REASON_LENGTH]
            running.cancel(reason or "by the client")

    def _initialize(self, client: Client, request: Request, exchange: Exchange) -> None:
        id_, method, params = request
        if exchange.is_batch:
            text = "initialize has to be posted alone"
            exchange.refuse(id_, RpcError(INVALID_REQUEST, text), 400)
            return
        if not isinstance(asked := params.get("protocolVersion"), str):
            text = "initialize needs a protocolVersion, a text"
            exchange.refuse(id_, RpcError(INVALID_PARAMS, text), 400)
            return
        revision = asked if asked in mcp.HANDSHAKE_REVISIONS else mcp.NEWEST_HANDSHAKE
        offered = self._host.capabilities(client.holder.grant, client.holder.view)
        session = self._sessions.begin(client.holder, revision, kinds_of(offered))
        exchange.headers[SESSION_HEADER] = session.id
        result = {
            "protocolVersion": revision,
            "capabilities": dict(offered),
            "serverInfo": dict(SERVER_INFO),
        }
        exchange.answer(id_, method, frames.encode(result))

    def _discover(self, client: Client) -> bytes:
        offered = self._host.capabilities(client.holder.grant, client.holder.view)
        result = {
            "supportedVersions": list(reversed(mcp.MODERN_REVISIONS)),
            "capabilities": {name: value for name, value in offered.items() if name != "logging"},
        }
        return frames.encode(result)

    def _listen(self, client: Client, request: Request, exchange: Exchange) -> None:
        id_, method, params = request
        if not client.reads_stream or exchange.is_batch:
            text = "the answer is an event stream; accept text/event-stream"
            exchange.refuse(id_, RpcError(INVALID_REQUEST, text), 406)
            return
        feed = exchange.feed
        refusal = self._listening.begin(
            client.holder, id_, as_map(params.get("notifications")), feed
        )
        match refusal:
            case None:
                running = exchange.begin(id_, method, None)
                self._running.add(running)
                running.on_end = partial(self._end_listening, running)
            case RpcError():
                exchange.answer(id_, method, refusal)
            case Refusal():
                exchange.headers.update(refusal.headers)
                exchange.refuse(id_, RpcError(SERVER_ERROR, refusal.text), refusal.status)
            case _:
                assert_never(refusal)

    def _end_listening(self, running: Running) -> None:
        self._running.discard(running)
        self._listening.close(running.exchange.feed)

    # -- what the host is asked --------------------------------------------------------------------

    def _ask(
        self,
        client: Client,
        request: Request,
        exchange: Exchange,
        heed: Callable[[Answer], None] | None = None,
    ) -> None:
        """Let the host answer; `heed` hears of its answer first."""
        id_, method, params = request
        token = client.holder.token
        if self._under_way[token] >= REQUESTS_PER_TOKEN:
            text = (
                f"{REQUESTS_PER_TOKEN} requests of this session are under way; wait for one to end"
            )
            exchange.headers["Retry-After"] = "1"
            exchange.refuse(id_, RpcError(SERVER_ERROR, text), 429)
            return
        session = client.session
        if session is not None and id_ in session.running:
            text = f"the id {shown(str(id_))!r} is that of a request that is under way"
            exchange.refuse(id_, RpcError(INVALID_REQUEST, text), 400)
            return
        progress, params = passed(params)
        running = exchange.begin(id_, method, progress)
        self._running.add(running)
        self._under_way[token] += 1
        if session is not None:
            session.running[id_] = running
        running.on_end = partial(self._end, running, client)

        def answered(answer: Answer) -> None:
            if heed is not None and running.is_open:
                heed(answer)
            running.answered(answer)

        has_progress = progress is not None and client.reads_stream
        try:
            call = self._host.ask(
                client.holder.grant,
                client.holder.view,
                method,
                params,
                answered=running.answered if heed is None else answered,
                progressed=running.progressed if has_progress else None,
            )
        except BaseException:
            running.cancel("the daemon met a fault of its own")
            raise
        if running.is_open:
            running.call = call

    def _end(self, running: Running, client: Client) -> None:
        self._running.discard(running)
        token = client.holder.token
        self._under_way[token] -= 1
        if not self._under_way[token]:
            del self._under_way[token]
        if client.session is not None:
            client.session.running.pop(running.id, None)

    def _watch(self, client: Client, request: Request, exchange: Exchange) -> None:
        id_, method, params = request
        holder, session, uri = client.holder, client.session, as_text(params.get("uri"))
        if session is None or not uri:
            text = f"{method} needs a uri, and a session: send the {SESSION_HEADER} of initialize"
            exchange.answer(id_, method, RpcError(INVALID_PARAMS, text))
        elif method == Method.UNSUBSCRIBE:
            self._listening.unwatched(holder, uri, session)
            exchange.answer(id_, method, b"{}")
        elif uri not in session.uris and len(session.uris) >= URIS_MAX:
            text = f"{URIS_MAX} resources are watched; unsubscribe from one first"
            exchange.answer(id_, method, RpcError(INVALID_PARAMS, text))
        else:

            def heed(answer: Answer) -> None:
                if isinstance(answer, bytes):
                    self._listening.watched(holder, uri, session)

            self._ask(client, request, exchange, heed)

    def _forget(self, session: Session) -> None:
        for running in list(session.running.values()):
            running.cancel("the session was ended")
        self._listening.forget(session)


def _check_bodiless(client: Client) -> Refusal | None:
    """Why there is nothing to get or to delete."""
    if client.is_modern:
        return not_allowed("POST")
    if not client.is_understood:
        error = unsupported(client)
        return Refusal(400, error.message, error.code, data=error.data)
    return None

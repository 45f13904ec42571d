"""The http-request tool against a server: what leaves, what comes back, and where nothing goes."""

import asyncio
import base64
import gzip
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from anyclaw_sdk.testing import ToolTester
from anyclaw_sdk.tool import ToolResult
from anyclaw_sdk.types import Json, Message, RpcError
from tests.fakes.extension import load_extension

modules = load_extension("tools/http-request")
SECRET = "s3cr3t/+<&>\"'=tok%en"
HERE = "127.0.0.1"

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Site:
    """A server that remembers what it was asked, and answers as the test says."""

    def __init__(self) -> None:
        self.seen: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.answers: dict[str, Answer] = {}
        self.port = 0
        self.closing = asyncio.Event()

    def says(self, path: str, **response: Json) -> None:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(**response)

        self.answers[path] = answer

    def redirects(self, path: str, location: str, status: int = 302) -> None:
        self.says(path, status=status, headers={"Location": location})

    @property
    def paths(self) -> list[str]:
        return [request.path_qs for request in self.seen]

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.Request)
        self.seen.append(request)
        self.bodies.append(await request.read())
        answer = self.answers.get(request.path)
        return (
            web.Response(text=f"{request.method} {request.path_qs}")
            if answer is None
            else (await answer(request))
        )


@asynccontextmanager
async def site(identity: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    made = Site()
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", made.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    listener = socket.create_server((HERE, 0))
    made.port = listener.getsockname()[1]
    await web.SockSite(runner, listener, ssl_context=identity).start()
    try:
        yield made
    finally:
        made.closing.set()
        await runner.cleanup()


class Names:
    """What names lead to; the last address of each stays, as it does with DNS rebinding."""

    def __init__(self, **addresses: list[str]) -> None:
        self._addresses = {name.replace("_", "."): found for name, found in addresses.items()}
        self.asked: list[str] = []

    async def lookup(self, host: str) -> list[str]:
        self.asked.append(host)
        if host not in self._addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        found = self._addresses[host]
        return [found.pop(0)] if len(found) > 1 else list(found)


def rule(server: Site, host: str = "api.test", **keys: Json) -> Message:
    return {"host": host, "scheme": "http", "port": server.port, "private": True} | keys


class Tool:
    """The tool with its options, and names of our own."""

    def __init__(self, tester: ToolTester, port: int) -> None:
        self._tester, self._port = tester, port

    async def call(self, url: str = "/", **arguments: Json) -> ToolResult:
        whole = f"http://api.test:{self._port}{url}" if url.startswith("/") else url
        return await self._tester.call("http_request", {"url": whole} | arguments)

    async def text(self, url: str = "/", **arguments: Json) -> str:
        result = await self.call(url, **arguments)
        assert not result.is_error, result.text
        return result.text

    async def refusal(self, url: str = "/", **arguments: Json) -> str:
        result = await self.call(url, **arguments)
        assert result.is_error, result.text
        return result.text


@asynccontextmanager
async def tool(
    server: Site,
    *rules: Message,
    names: Names | None = None,
    trust: ssl.SSLContext | None = None,
    **options: Json,
) -> AsyncIterator[Tool]:
    program = modules.main.Program()
    lookup = (names or Names(api_test=[HERE], other_test=[HERE])).lookup
    async with ToolTester(program, options={"allow": list(rules)} | options) as tester:
        made = program.tools[0]
        made.use(modules.exchange.Exchange(made.settings, lookup, trust))
        yield Tool(tester, server.port)


KEY: Message = {"header": "Authorization", "prefix": "Bearer ", "value": SECRET}


# --- what goes out -------------------------------------------------------------------------------


async def test_a_request_is_answered_with_status_headers_and_body() -> None:
    async with site() as server, tool(server, rule(server, methods=["GET", "POST"])) as asked:
        server.says("/a", status=404, text="no such thing", headers={"X-Y": "z"})
        lines = (await asked.text("/a?b=c")).splitlines()
        assert lines[:2] == ["HTTP 404 Not Found", f"url: http://api.test:{server.port}/a?b=c"]
        assert "x-y: z" in lines
        assert lines[-2:] == ["", "no such thing"]
        assert (await asked.text("/b", method="POST", json={"a": [1]})).endswith("POST /b")
        assert server.bodies == [b"", b'{"a": [1]}']
        sent = server.seen[1].headers
        assert sent["Content-Type"] == "application/json"
        assert sent["Host"] == f"api.test:{server.port}"
        assert sent["User-Agent"] == "anyclawd-http-request"
        assert "Authorization" not in sent


VERBATIM = [
    "/a//b",
    "/a;x=1/b",
    "/%61%7e%C3%A9",
    "/a'(b)*!$,=:@&+",
    "/?u=http://x/?y&z=%41+'c",
    "/a?",
]


@pytest.mark.parametrize("path", VERBATIM)
async def test_the_server_sees_what_was_judged(path: str) -> None:
    async with site() as server, tool(server, rule(server)) as asked:
        await asked.text(path)
        assert [request.raw_path for request in server.seen] == [path.removesuffix("?")]


async def test_half_a_letter_is_no_letter() -> None:
    async def odd(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 200 \xff\r\nX-Y: a\xffb\r\nContent-Length: 0\r\n\r\n")
        await server.closing.wait()
        return web.Response()

    async with site() as server, tool(server, rule(server)) as asked:
        server.answers["/a"] = odd
        assert "\nx-y: a?b" in await asked.text("/a")


async def test_many_headers_are_not_all_told() -> None:
    async with site() as server, tool(server, rule(server)) as asked:
        server.says("/a", headers={f"X-{number}": "y" for number in range(100)})
        text = await asked.text("/a")
        assert text.count("\nx-") == 64 - text.count("\ncontent-") - text.count("\ndate")
        assert text.endswith(" more headers]")


async def test_a_credential_is_put_in_and_taken_out_of_all_that_is_told() -> None:
    async def echo(request: web.Request) -> web.Response:
        sent = request.headers["Authorization"]
        pair = base64.b64encode(f"x{sent}".encode()).decode()
        told = {"headers": dict(request.headers), "pair": pair, "path": request.path_qs}
        headers = {"X-Sent": sent, "Set-Cookie": f"session={sent}", "X-Pair": pair}
        return web.json_response(told, headers=headers, reason=f"OK {sent}")

    async with (
        site() as server,
        tool(server, rule(server, credential="key"), credentials={"key": KEY}) as asked,
    ):
        server.answers["/a"] = echo
        text = await asked.text("/a", headers={"Accept": "*/*"})
        assert server.seen[0].headers["Authorization"] == f"Bearer {SECRET}"
        assert "s3cr3t" not in text
        assert "Set-Cookie" not in text.title()
        assert "HTTP 200 OK Bearer [redacted]" in text
        assert "x-sent: Bearer [redacted]" in text
        body = json.loads(text.splitlines()[-1])
        assert body["headers"]["Authorization"] == "Bearer [redacted]"
        assert body["headers"]["Accept"] == "*/*"
        assert SECRET not in base64.b64decode(body["pair"].partition("[")[0] + "==").decode()


async def test_a_credential_of_a_query_is_not_in_the_url_that_is_told() -> None:
    async with (
        site() as server,
        tool(
            server,
            rule(server, credential="key"),
            credentials={"key": {"query": "key", "value": SECRET}},
        ) as asked,
    ):
        text = await asked.text("/a?b=c")
        assert server.seen[0].query == {"b": "c", "key": SECRET}
        assert f"url: http://api.test:{server.port}/a?b=c\n" in text
        assert text.endswith("GET /a?b=c&key=[redacted]")
        refused = await asked.refusal("/a?key=mine")
        assert "the parameter 'key' of the query cannot be set here" in refused


async def test_what_no_rule_allows_is_not_asked() -> None:
    async with (
        site() as server,
        tool(
            server, rule(server, paths=["/a/*"], credential="key"), credentials={"key": KEY}
        ) as it,
    ):
        for url, arguments in [
            ("/b", {}),
            ("/a/b/c", {}),
            ("/a/b", {"method": "DELETE"}),
            ("/a/../b", {}),
            ("/a/%2e%2e%2fb", {}),
            ("https://evil.example/a/b", {}),
            (f"http://api.test.evil.example:{server.port}/a/b", {}),
            (f"http://api.test@evil.example:{server.port}/a/b", {}),
            ("/a/b", {"headers": {"Authorization": "Bearer mine"}}),
            ("/a/b", {"headers": {"Host": "evil.example"}}),
            ("/a/b", {"headers": {"X": "a\r\nX-Y: b"}}),
        ]:
            assert "s3cr3t" not in await it.refusal(url, **arguments)
        assert server.seen == []
        assert (await it.text("/a/%62")).endswith("GET /a/%62")  # as it was judged
        assert "cookie: is unknown" in await it.refusal("/a/b", cookie="a")


# --- redirects -----------------------------------------------------------------------------------


async def test_a_redirect_is_followed_under_the_rule_of_where_it_leads() -> None:
    async with (
        site() as server,
        tool(
            server,
            rule(server, paths=["/a"], methods=["POST"], credential="key"),
            rule(server, paths=["/b"]),
            rule(server, "other.test", credential="theirs"),
            credentials={"key": KEY, "theirs": {"header": "X-Theirs", "value": "t" * 8}},
        ) as asked,
    ):
        server.redirects("/a", "/b?x", status=303)
        server.redirects("/b", f"http://other.test:{server.port}/c")
        text = await asked.text("/a", method="POST", body="x", headers={"X-Mine": "1"})
        assert f"url: http://other.test:{server.port}/c" in text
        assert server.paths == ["/a", "/b?x", "/c"]
        assert server.bodies == [b"x", b"", b""]
        first, second, third = (request.headers for request in server.seen)
        assert first["Authorization"] == f"Bearer {SECRET}"
        assert "Authorization" not in second
        assert second["X-Mine"] == "1"
        assert "Authorization" not in third
        assert "X-Mine" not in third
        assert third["X-Theirs"] == "t" * 8


REDIRECTS = {
    "elsewhere": ("http://evil.example/a", "GET http://evil.example/a is not on the allow-list"),
    "other-path": ("/b", "is not on the allow-list"),
    "other-scheme": ("https://api.test/a", "is not on the allow-list"),
    "file": ("file:///etc/passwd", "the scheme 'file'"),
    "user": ("http://me:x@api.test/a", "a user name or password"),
    "no-url": ("http://[", "the url cannot be read"),
}


@pytest.mark.parametrize(("location", "text"), REDIRECTS.values(), ids=REDIRECTS)
async def test_a_redirect_that_no_rule_allows_is_not_followed(location: str, text: str) -> None:
    async with site() as server, tool(server, rule(server, paths=["/a"])) as asked:
        server.redirects("/a", location)
        refused = await asked.refusal("/a")
        assert "redirect" in refused
        assert text in refused
        assert server.paths == ["/a"]


async def test_redirects_come_to_an_end() -> None:
    async with site() as server, tool(server, rule(server), redirects=2) as asked:
        server.redirects("/a", "/a")
        assert "more than 2 redirects" in await asked.refusal("/a")
        assert len(server.seen) == 3
    async with site() as server, tool(server, rule(server), redirects=0) as asked:
        server.redirects("/a", "/b")
        assert "HTTP 302 Found" in await asked.text("/a")
        assert server.paths == ["/a"]


async def test_a_redirect_takes_no_credential_along() -> None:
    async def back(request: web.Request) -> web.Response:
        raise web.HTTPFound(f"/b?page=2&{request.query_string}")

    async def away(request: web.Request) -> web.Response:
        raise web.HTTPFound(f"http://other.test:{server.port}/{request.query['key']}")

    async with (
        site() as server,
        tool(
            server,
            rule(server, credential="key"),
            rule(server, "other.test"),
            credentials={"key": {"query": "key", "value": "t0psecret"}},
        ) as asked,
    ):
        server.answers |= {"/a": back, "/c": away}
        assert "t0psecret" not in await asked.text("/a")
        assert server.paths == ["/a?key=t0psecret", "/b?page=2&key=t0psecret"]
        refused = await asked.refusal("/c")
        assert "with a credential in the url" in refused
        assert "t0psecret" not in refused
        assert len(server.seen) == 3


# --- addresses -----------------------------------------------------------------------------------


async def test_an_address_of_the_house_is_asked_only_where_a_rule_says_so() -> None:
    async with site() as server:
        public = rule(server, private=False)
        at_home = rule(server, HERE, private=False)
        async with tool(server, public, at_home) as asked:
            refused = await asked.refusal("/a")
            assert refused == (
                "api.test, which is 127.0.0.1, is a private address and is not asked; "
                "a rule with `private: true` would allow it"
            )
            assert "is a private address" in await asked.refusal(f"http://{HERE}:{server.port}/a")
        async with tool(server, rule(server, HERE)) as asked:
            await asked.text(f"http://{HERE}:{server.port}/a")
        assert server.paths == ["/a"]


NOBODYS = {
    "metadata": (["169.254.169.254"], "a link-local address"),
    "nowhere": (["0.0.0.0"], "a reserved address"),
    "disguised": (["::ffff:127.0.0.1"], "a reserved address"),
    "zone": (["fe80::1%lo"], "a link-local address"),
    "no-address": (["localhost"], "no address that can be connected to"),
    "none": ([], "no address that can be connected to"),
}


@pytest.mark.parametrize(("addresses", "text"), NOBODYS.values(), ids=NOBODYS)
async def test_an_address_of_nobody_is_never_asked(addresses: list[str], text: str) -> None:
    async with (
        site() as server,
        tool(server, rule(server), names=Names(api_test=addresses)) as asked,
    ):
        assert text in await asked.refusal("/a")


async def test_a_name_is_looked_up_as_the_system_does() -> None:
    async with site() as server:
        options = {"allow": [rule(server, "localhost")]}
        async with ToolTester(modules.main.Program(), options=options) as tester:
            made = tester.server.tools[0]
            made.use(modules.exchange.Exchange(made.settings))
            asked = Tool(tester, server.port)
            assert (await asked.text(f"http://localhost:{server.port}/a")).endswith("GET /a")


async def test_one_address_that_may_not_be_asked_is_enough() -> None:
    async def both(_: str) -> list[str]:
        return ["1.1.1.1", HERE]

    names = Names()
    names.lookup = both  # type: ignore[method-assign] # two addresses at once
    async with (
        site() as server,
        tool(server, rule(server, private=False), names=names) as asked,
    ):
        assert "which is 127.0.0.1, is a private address" in await asked.refusal("/a")


async def test_a_name_that_changes_leads_to_where_it_was_looked_at() -> None:
    names = Names(api_test=[HERE, "127.0.0.2"])  # nobody listens at the second
    async with site() as server, tool(server, rule(server), names=names) as asked:
        await asked.text("/a")
        assert names.asked == ["api.test"]
        assert "cannot connect" in await asked.refusal("/a")
        assert names.asked == ["api.test", "api.test"]
        assert server.paths == ["/a"]


# --- certificates --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for api.test, with its key, that only those trust who are told to."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl")
    made = tmp_path_factory.mktemp("certificate") / "api.test.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=api.test"]
    command += ["-addext", "subjectAltName=DNS:api.test", "-keyout", str(made)]
    done = subprocess.run(command, check=True, capture_output=True)
    with made.open("ab") as file:
        file.write(done.stdout)
    return made


async def test_a_certificate_has_to_be_trusted_and_of_the_name(certificate: Path) -> None:
    identity = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    identity.load_cert_chain(certificate)
    trust = ssl.create_default_context(cafile=certificate)
    async with site(identity) as server:
        here = f":{server.port}/a"
        rules = [rule(server, host, scheme="https") for host in ("api.test", "other.test")]
        async with tool(server, *rules) as asked:
            refused = await asked.refusal(f"https://api.test{here}")
            assert "its certificate is not trusted: self" in refused
        async with tool(server, *rules, trust=trust) as asked:
            assert (await asked.text(f"https://api.test{here}")).endswith("GET /a")
            refused = await asked.refusal(f"https://other.test{here}")
            assert "its certificate is not trusted: hostname mismatch" in refused
        assert server.paths == ["/a"]


# --- answers that are no good --------------------------------------------------------------------


async def test_a_long_answer_is_cut_off() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 1000)
        except ConnectionError:
            return response

    async with site() as server, tool(server, rule(server), max_response_bytes=1500) as asked:
        server.answers["/a"] = endless
        text = await asked.text("/a")
        assert text.endswith("x" * 1500 + "\n[cut off after 1500 bytes]")
        assert text.count("x" * 1500) == 1


async def test_a_secret_across_the_cut_is_not_told() -> None:
    async with (
        site() as server,
        tool(
            server,
            rule(server, credential="key"),
            credentials={"key": KEY},
            max_response_bytes=100,
        ) as asked,
    ):
        server.says("/a", text="x" * 95 + SECRET + "y" * 1000)
        assert (await asked.text("/a")).endswith("x" * 95 + "[redacted]\n[cut off after 100 bytes]")


async def test_a_compressed_answer_is_read() -> None:
    async with site() as server, tool(server, rule(server), max_response_bytes=1000) as asked:
        headers = {"Content-Encoding": "gzip", "Content-Type": "text/plain"}
        server.says("/a", body=gzip.compress(b"hello"), headers=headers)
        server.says("/bomb", body=gzip.compress(b"x" * 50_000_000), headers=headers)
        server.says("/b", body=b"hello", headers=headers | {"Content-Encoding": "br"})
        assert server.seen == []
        assert (await asked.text("/a")).endswith("\n\nhello")
        assert server.seen[0].headers["Accept-Encoding"] == "gzip"
        assert (await asked.text("/bomb")).endswith("x" * 1000 + "\n[cut off after 1000 bytes]")
        assert "which was not asked for" in await asked.refusal("/b")


async def test_a_server_that_does_not_answer_is_waited_for_in_bounds() -> None:
    async def never(_: web.Request) -> web.Response:
        await server.closing.wait()
        return web.Response()

    async with site() as server, tool(server, rule(server), timeout=0.1) as asked:
        server.answers["/a"] = never
        assert await asked.refusal("/a") == "there is no whole answer within 0.1 s"


async def test_a_call_that_is_taken_back_ends_its_request() -> None:
    asked, hung_up = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        assert await reader.read() == b""
        hung_up.set()
        writer.close()

    server = await asyncio.start_server(serve, HERE, 0)
    port = server.sockets[0].getsockname()[1]
    options = {"allow": [{"host": HERE, "scheme": "http", "port": port, "private": True}]}
    async with server, ToolTester(modules.main.Program(), options=options) as tester:
        tester.server.tools[0].use(modules.exchange.Exchange(tester.server.tools[0].settings))
        call = tester.start_call("http_request", {"url": f"http://{HERE}:{port}/"})
        await asked.wait()
        await tester.cancel(call)
        await hung_up.wait()


async def test_only_so_many_are_under_way_at_once() -> None:
    limit, under_way, most = modules.exchange.CALLS_MAX, 0, 0
    full = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == limit:
            full.set()
        await full.wait()
        under_way -= 1
        return web.Response()

    async with site() as server, tool(server, rule(server)) as asked:
        server.answers["/a"] = slow
        async with asyncio.TaskGroup() as calls:
            for _ in range(2 * limit):
                calls.create_task(asked.text("/a"))
        assert (most, len(server.seen)) == (limit, 2 * limit)


async def test_a_server_that_breaks_off_is_told_of() -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"x")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with site() as server, tool(server, rule(server)) as asked:
        server.answers["/a"] = broken
        assert "there is no usable answer" in await asked.refusal("/a")


async def test_a_server_that_is_not_there_is_told_of() -> None:
    server = Site()
    with socket.socket() as silent:  # has the port, and does not listen
        silent.bind((HERE, 0))
        server.port = silent.getsockname()[1]
        async with tool(server, rule(server)) as asked:
            refused = await asked.refusal("/a")
            assert refused.startswith(f"api.test:{server.port}: cannot connect: ")
    async with tool(server, rule(server, "none.test")) as asked:
        refused = await asked.refusal(f"http://none.test:{server.port}/")
        assert refused == "the name none.test cannot be looked up: name or service not known"


async def test_a_tool_that_is_not_trusted_takes_no_credentials() -> None:
    options = {"allow": [], "credentials": {"key": KEY}}
    with pytest.raises(RpcError, match="set trusted: true"):
        async with ToolTester(modules.main.Program(), options=options, trusted=False):
            raise AssertionError

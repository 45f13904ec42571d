"""What goes out and what is told: options, requests, bodies, and secrets that stay here."""

import asyncio
import base64
import gzip
import html
import json
import urllib.parse
from collections.abc import AsyncIterator

import pytest

from anyclaw_sdk.types import Json, Message, RpcError
from tests.fakes.extension import load_extension

modules = load_extension("tools/http-request")
Refusal = modules.refusal.Refusal
SECRET = "s3cr3t/+<&>\"'=tok%en"  # every letter that anything escapes
KEY = {"header": "Authorization", "prefix": "Bearer ", "value": SECRET}
QUERY = {"query": "key", "value": SECRET}


def settings(**options: Json) -> Json:
    return modules.options.settings_of(options)


def with_credential(credential: Message, **rule: Json) -> Json:
    allow = [{"host": "example.org", "credential": "key"} | rule]
    return settings(allow=allow, credentials={"key": credential})


# --- options -------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Message, str]] = {
    "unknown-option": ({"alow": []}, "no 'alow'; expected some of allow"),
    "allow-no-list": ({"allow": {}}, "allow: expected a list"),
    "credentials-no-map": ({"credentials": []}, "credentials: expected a map"),
    "rule-without-host": ({"allow": [{}]}, r"allow\[0\]: host is missing"),
    "rule-no-map": ({"allow": ["example.org"]}, r"allow\[0\]: host is missing"),
    "unknown-key": ({"allow": [{"host": "a.b", "path": "/"}]}, r"allow\[0\]: no 'path'"),
    "star-alone": ({"allow": [{"host": "*"}]}, "no host name"),
    "star-inside": ({"allow": [{"host": "a.*.b"}]}, "no host name"),
    "host-with-port": ({"allow": [{"host": "a.b:80"}]}, "no IPv6 address"),
    "url-as-host": ({"allow": [{"host": "https://a.b"}]}, "no IPv6 address"),
    "number-as-host": ({"allow": [{"host": "127.1"}]}, "four numbers"),
    "suffix-of-address": ({"allow": [{"host": "*.127.0.0.1"}]}, "suffix of an address"),
    "scheme": ({"allow": [{"host": "a.b", "scheme": "ftp"}]}, "scheme 'ftp'; expected https"),
    "port": ({"allow": [{"host": "a.b", "port": "443"}]}, "port '443'; expected 1 to 65535"),
    "method": ({"allow": [{"host": "a.b", "methods": ["TRACE"]}]}, "method 'TRACE'"),
    "path": ({"allow": [{"host": "a.b", "paths": ["a"]}]}, "path 'a'; expected one that begins"),
    "no-paths": ({"allow": [{"host": "a.b", "paths": []}]}, "paths: expected one at least"),
    "no-methods": ({"allow": [{"host": "a.b", "methods": []}]}, "methods: expected one at least"),
    "no-such-credential": ({"allow": [{"host": "a.b", "credential": "x"}]}, "no credential 'x'"),
    "timeout": ({"timeout": 0}, "timeout: 0; expected a number from 0.1 up"),
    "no-number": ({"timeout": float("nan")}, "timeout: nan; expected a number"),
    "limit": ({"max_response_bytes": "1M"}, "max_response_bytes: '1M'; expected a number"),
    "yes-is-no-number": ({"redirects": True}, "redirects: True; expected a number"),
    "neither-place": ({"credentials": {"k": {"value": SECRET}}}, "either header or query"),
    "both-places": ({"credentials": {"k": KEY | QUERY}}, "either header or query"),
    "no-value": ({"credentials": {"k": {"header": "X-Key"}}}, "value is missing or shorter"),
    "short": ({"credentials": {"k": KEY | {"value": "s3cr3t"}}}, "value is missing or shorter"),
    "line": ({"credentials": {"k": KEY | {"value": f"{SECRET}\r\nX: y"}}}, "printable ASCII"),
    "umlaut": ({"credentials": {"k": KEY | {"value": f"{SECRET}ü"}}}, "printable ASCII"),
    "prefix": ({"credentials": {"k": KEY | {"prefix": "\n"}}}, "printable ASCII"),
    "header": ({"credentials": {"k": KEY | {"header": "a b"}}}, "header 'a b' is none"),
    "host-header": ({"credentials": {"k": KEY | {"header": "host"}}}, "header 'host' is none"),
    "query": ({"credentials": {"k": QUERY | {"query": ""}}}, "expected the name of a parameter"),
    "query-prefix": ({"credentials": {"k": QUERY | {"prefix": "x"}}}, "no prefix"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "text"), REFUSED.values(), ids=REFUSED)
def test_an_option_that_cannot_be_used_is_refused_with_its_place(
    options: Message, text: str
) -> None:
    with pytest.raises(RpcError, match=text) as caught:
        modules.options.settings_of(options)
    assert "s3cr3t" not in str(caught.value)


EXPOSED: dict[str, tuple[Message, str]] = {
    "unencrypted": ({"scheme": "http"}, "cross the internet unencrypted"),
    "everybody-s": ({"host": "*.org"}, "hosts of one owner"),
}


@pytest.mark.parametrize(("rule", "text"), EXPOSED.values(), ids=EXPOSED)
def test_a_credential_goes_nowhere_where_others_read_it(rule: Message, text: str) -> None:
    with pytest.raises(RpcError, match=text):
        with_credential(KEY, **rule)
    settings(allow=[{"host": "example.org"} | rule])


def test_options_are_read() -> None:
    made = with_credential(KEY | {"value": 12345678}, host="*.Example.org", private=True)
    (rule,) = made.rules
    assert (rule.host, rule.is_suffix, rule.port, rule.is_private) == (
        "example.org",
        True,
        443,
        True,
    )
    assert rule.credential.value == "12345678"
    assert repr(rule.credential) == "Credential('key')"
    assert (made.timeout_s, made.redirects_max) == (30.0, 5)
    assert settings(timeout=0.5, redirects=0, max_request_bytes=7).request_max_bytes == 7


def test_what_is_allowed_is_told() -> None:
    tool = modules.main.HttpRequest()
    tool.adopt(settings())
    assert tool.description.endswith(" Allowed here: nothing yet")
    rules: list[Json] = [
        {"host": "*.example.org", "methods": ["GET"], "paths": ["/a/*", "/b"]},
        {"host": "::1", "scheme": "http", "port": 8080, "private": True},
    ]
    tool.adopt(settings(allow=rules))
    assert tool.description.endswith(
        " Allowed here:\n- GET https://*.example.org/a/* or /b\n- GET HEAD http://[::1]:8080/**"
    )
    tool.adopt(settings(allow=[{"host": "example.org"}] * 40))
    assert tool.description.endswith("\n- GET HEAD https://example.org/**\n- and 8 more")


# --- requests ------------------------------------------------------------------------------------


def request_of(url: str = "https://example.org/", **arguments: Json) -> Json:
    return modules.request.request_of({"url": url} | arguments, 100)


UNSENT: dict[str, tuple[Message, str]] = {
    "no-url": ({"url": ""}, "scheme ''"),
    "no-number": ({"method": "POST", "json": [float("inf")]}, "a number in it that JSON cannot"),
    "trace": ({"method": "TRACE"}, "method 'TRACE'"),
    "method-with-a-line": ({"method": "GET / HTTP/1.1\r\nX"}, "method"),
    "body-of-get": ({"body": "x"}, "a GET request has no body"),
    "both": ({"method": "POST", "body": "x", "json": {}}, "both body and json"),
    "large": ({"method": "POST", "body": "ü" * 51}, "102 bytes; at most 100"),
    "large-json": ({"method": "POST", "json": ["x" * 100]}, "104 bytes; at most 100"),
    "half-a-letter": ({"method": "POST", "body": "\ud800"}, "half a character"),
    "host": ({"headers": {"host": "evil.example"}}, "cannot be set"),
    "host-by-another-name": ({"headers": {"X-Forwarded-Host": "evil.example"}}, "cannot be set"),
    "method-in-a-header": ({"headers": {"X_HTTP_Method-Override": "DELETE"}}, "cannot be set"),
    "path-in-a-header": ({"headers": {"X-Original-URL": "/admin"}}, "cannot be set"),
    "length": ({"headers": {"Content-Length": "0"}}, "cannot be set"),
    "chunks": ({"headers": {"Transfer-Encoding": "chunked"}}, "cannot be set"),
    "connection": ({"headers": {"CONNECTION": "X-Key"}}, "cannot be set"),
    "encoding": ({"headers": {"Accept-Encoding": "br"}}, "cannot be set"),
    "line": ({"headers": {"X": "a\r\nHost: evil.example"}}, "printable ASCII"),
    "name-with-a-line": ({"headers": {"X\r\nY": "a"}}, "no name of a header"),
    "name-with-a-colon": ({"headers": {"Host:": "a"}}, "no name of a header"),
    "no-name": ({"headers": {"": "a"}}, "no name of a header"),
    "umlaut": ({"headers": {"X": "ü"}}, "printable ASCII"),
    "no-text": ({"headers": {"X": 1}}, "printable ASCII"),
    "twice": ({"headers": {"X-Y": "1", "x_y": "2"}}, "is there twice"),
    "long": ({"headers": {"X": "a" * 4097}}, "at most 4096"),
    "many": ({"headers": {f"X{n}": "a" for n in range(65)}}, "at most 64"),
}


@pytest.mark.parametrize(("arguments", "text"), UNSENT.values(), ids=UNSENT)
def test_a_request_that_cannot_be_sent_is_refused(arguments: Message, text: str) -> None:
    with pytest.raises(Refusal, match=text):
        request_of(**arguments)


def test_a_body_says_what_it_is_unless_the_caller_does() -> None:
    sent = request_of(method="post", json={"a": "ü"})
    assert (sent.body, sent.headers) == (b'{"a": "\\u00fc"}', {"Content-Type": "application/json"})
    sent = request_of(method="PUT", body="ü")
    assert sent.headers == {"Content-Type": "text/plain; charset=utf-8"}
    sent = request_of(method="PUT", body="<a/>", headers={"content-type": "text/xml"})
    assert (sent.body, sent.headers) == (b"<a/>", {"content-type": "text/xml"})
    assert request_of(method="POST").body is None


OWN: dict[str, tuple[Message, Message]] = {
    "authorization": (KEY, {"headers": {"authorization": "Bearer mine"}}),
    "cookie": (KEY, {"headers": {"Cookie": "a=b"}}),
    "its-header": (KEY | {"header": "X-Api-Key"}, {"headers": {"x-api-key": "mine"}}),
    "its-header-with-a-line": (KEY | {"header": "X-Api-Key"}, {"headers": {"X_Api_Key": "mine"}}),
    "authorization-beside-a-query": (QUERY, {"headers": {"Authorization": "mine"}}),
    "its-parameter": (QUERY, {"url": "https://example.org/?a=b&key=mine"}),
    "its-parameter-encoded": (QUERY, {"url": "https://example.org/?%6bey=mine"}),
    "its-parameter-in-capitals": (QUERY, {"url": "https://example.org/?KEY=mine"}),
    "its-parameter-behind-a-semicolon": (QUERY, {"url": "https://example.org/?a=b;key=mine"}),
    "its-parameter-alone": (QUERY, {"url": "https://example.org/?key"}),
}


@pytest.mark.parametrize(("credential", "arguments"), OWN.values(), ids=OWN)
def test_a_caller_does_not_say_what_the_credential_says(
    credential: Message, arguments: Message
) -> None:
    request, (rule,) = request_of(**arguments), with_credential(credential).rules
    with pytest.raises(Refusal, match="the tool puts in a credential"):
        modules.request.refuse_own_credential(request, rule)
    modules.request.refuse_own_credential(request, settings(allow=[{"host": "a.b"}]).rules[0])


def test_a_credential_is_put_in_where_it_belongs() -> None:
    injected = modules.request.injected
    request = request_of("https://example.org/?a=b", headers={"user-agent": "me"})
    url, headers = injected(request, with_credential(KEY).credentials[0])
    assert url == "https://example.org/?a=b"
    assert headers["Authorization"] == f"Bearer {SECRET}"
    assert headers["user-agent"] == "me"
    assert "User-Agent" not in headers
    url, headers = injected(request, with_credential(QUERY).credentials[0])
    assert url == f"https://example.org/?a=b&key={urllib.parse.quote(SECRET, safe='')}"
    assert "Authorization" not in headers
    assert injected(request_of(), None)[1] == {
        "User-Agent": "anyclawd-http-request",
        "Accept-Encoding": "gzip",
    }


MOVED = {  # (method, status): (method, whether the body goes along)
    ("POST", 301): ("GET", False),
    ("POST", 302): ("GET", False),
    ("POST", 303): ("GET", False),
    ("PUT", 303): ("GET", False),
    ("DELETE", 303): ("GET", False),
    ("PUT", 301): ("PUT", True),
    ("PATCH", 302): ("PATCH", True),
    ("POST", 307): ("POST", True),
    ("POST", 308): ("POST", True),
    ("GET", 303): ("GET", False),
    ("HEAD", 303): ("HEAD", False),
}


@pytest.mark.parametrize(("asked", "moved"), MOVED.items())
def test_a_redirect_changes_the_method_as_http_says(
    asked: tuple[str, int], moved: tuple[str, bool]
) -> None:
    method, status = asked
    request = request_of(method=method, **({} if method in ("GET", "HEAD") else {"body": "x"}))
    after = request.moved(status, modules.target.target_of("https://example.org/b"))
    has_body = after.body is not None
    assert (after.method, has_body, "Content-Type" in after.headers) == (*moved, moved[1])


def test_what_is_the_caller_s_own_does_not_reach_another_origin() -> None:
    headers = {"Authorization": "mine", "X-Api-Key": "mine", "Cookie": "mine", "accept": "a/b"}
    request = request_of(headers=headers)
    target_of = modules.target.target_of
    assert request.moved(302, target_of("https://example.org/b")).headers == headers
    for url in ("https://a.example.org/", "http://example.org/", "https://example.org:444/"):
        assert request.moved(302, target_of(url)).headers == {"accept": "a/b"}


def test_room_is_made_for_a_credential() -> None:
    headers = {"authorization": "mine", "X_Key": "mine", "Accept": "a/b"}
    request = request_of("https://example.org/?key=a&b=c", headers=headers)
    (by_header,) = with_credential(KEY | {"header": "X-Key"}).credentials
    assert request.making_room_for(by_header).headers == {"Accept": "a/b"}
    (by_query,) = with_credential(QUERY).credentials
    assert request.making_room_for(by_query).target.url() == "https://example.org/?b=c"


# --- secrets -------------------------------------------------------------------------------------


def url_twice(text: str) -> str:
    return urllib.parse.quote(urllib.parse.quote(text, safe=""), safe="")


SPELLINGS = {
    "plain": SECRET,
    "in-capitals": SECRET.upper(),
    "in-a-url": urllib.parse.quote(SECRET, safe=""),
    "in-a-url-in-small-letters": urllib.parse.quote(SECRET, safe="").lower(),
    "in-a-form": urllib.parse.quote_plus(SECRET),
    "every-letter-in-a-url": "".join(f"%{ord(letter):02x}" for letter in SECRET),
    "in-a-url-in-a-url": url_twice(SECRET),
    "json": json.dumps(SECRET)[1:-1],
    "json-with-slashes": json.dumps(SECRET)[1:-1].replace("/", "\\/"),
    "json-in-json": json.dumps(json.dumps(SECRET))[3:-3],
    "every-letter-in-json": "".join(f"\\u{ord(letter):04X}" for letter in SECRET),
    "every-other-letter-in-json": "".join(
        f"\\u{ord(letter):04x}" if place % 2 else letter for place, letter in enumerate(SECRET)
    ),
    "source": "".join(f"\\x{ord(letter):02x}" for letter in SECRET),
    "html": html.escape(SECRET),
    "html-in-html": html.escape(html.escape(SECRET)),
    "html-numbers": "".join(f"&#{ord(letter)};" for letter in SECRET),
    "html-numbers-in-sixteens": "".join(f"&#x{ord(letter):X};" for letter in SECRET),
    "html-in-json": json.dumps(html.escape(SECRET))[1:-1],
    "hex": SECRET.encode().hex(),
    "hex-in-capitals": SECRET.encode().hex().upper(),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64-of-urls": base64.urlsafe_b64encode(SECRET.encode()).decode(),
    "base64-in-a-url": urllib.parse.quote(base64.b64encode(SECRET.encode()).decode(), safe=""),
    "base64-in-json": base64.b64encode(SECRET.encode()).decode().replace("/", "\\/"),
}  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_secret_is_found_however_it_is_spelled(spelling: str) -> None:
    redaction = modules.redaction.Redaction([SECRET])
    told = redaction.of_text(f"before <{spelling}> after ü {spelling}")
    assert told.startswith("before <[redacted]")
    assert told.count("[redacted]") == 2
    assert len(told) <= len("before <[redacted]==> after ü [redacted]==") + 4  # what pads base64
    assert redaction.has_any(spelling)


@pytest.mark.parametrize("before", ["", "u", "us", "use", "user:"])
@pytest.mark.parametrize("after", ["", "x", "xy", "xyz"])
def test_a_secret_is_found_wherever_it_begins_in_base64(before: str, after: str) -> None:
    encoded = base64.b64encode(f"{before}{SECRET}{after}".encode()).decode()
    told = modules.redaction.Redaction([SECRET]).of_text(encoded)
    assert "[redacted]" in told
    left = told.replace("[redacted]", "")
    assert len(left) <= len(before) * 4 // 3 + len(after) * 4 // 3 + 6


@pytest.mark.parametrize("keep", range(40))
def test_a_cut_leaves_nothing_of_a_secret(keep: int) -> None:
    told = modules.redaction.Redaction([SECRET]).of(f"0123456789{SECRET}tail".encode(), keep)
    assert told == (b"0123456789"[:keep] if keep <= 10 else told)
    assert SECRET[:1].encode() not in told.replace(b"[redacted]", b"").replace(b"tail", b"")


def test_what_is_no_secret_stays_as_it_is() -> None:
    text = 'a%41 \\u0041 &amp; &#65; {"a": "\\/"} s3cr3t %'
    redaction = modules.redaction.Redaction([SECRET])
    assert redaction.of_text(text) == text
    assert not redaction.has_any(text)
    nothing = modules.redaction.Redaction([])
    assert nothing.of_text(text) == text
    assert nothing.of(b"abc", 2) == b"ab"


def test_secrets_that_overlap_leave_nothing() -> None:
    redaction = modules.redaction.Redaction(["abcdefgh", "efghijkl", "abcdefghij"])
    assert redaction.of_text("1abcdefghijkl2abcdefgh3") == "1[redacted]2[redacted]3"


def test_the_password_of_basic_is_a_secret_too() -> None:
    pair = base64.b64encode(b"user:correct horse").decode()
    made = with_credential({"header": "Authorization", "prefix": "Basic ", "value": pair})
    told = made.redaction.of_text(f"{pair} user:correct horse / correct horse")
    assert told == "[redacted] [redacted] / [redacted]"
    odd = with_credential({"header": "Authorization", "prefix": "Basic ", "value": SECRET})
    assert odd.redaction.of_text(f"{SECRET} correct horse") == "[redacted] correct horse"
    plain = with_credential(KEY | {"value": pair}).redaction
    assert "correct horse" in plain.of_text("correct horse")


# --- answers -------------------------------------------------------------------------------------


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def content_of(*parts: bytes, encoding: str = "", max_bytes: int = 100) -> Json:
    return asyncio.run(modules.body.content_of(chunks(*parts), encoding, max_bytes))


def test_no_more_is_taken_than_may_be_kept() -> None:
    assert content_of(b"ab", b"cd") == (b"abcd", True)
    assert content_of(b"ab", b"cd", max_bytes=4) == (b"abcd", True)
    assert content_of(b"ab", b"cd", max_bytes=3) == (b"abc", False)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000

    assert asyncio.run(modules.body.content_of(endless(), "", 1500)) == (b"x" * 1500, False)


def test_a_bomb_is_inflated_as_far_as_it_is_kept() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert content_of(bomb, encoding="gzip") == (bytes(100), False)
    whole = gzip.compress(b"hello")
    assert content_of(whole[:5], whole[5:], encoding="GZIP") == (b"hello", True)
    assert content_of(encoding="gzip") == (b"", True)  # as of HEAD


GARBLED = {
    "unasked": ((b"x",), "br", "encoded as 'br', which was not asked for"),
    "no-gzip": ((b"hello",), "gzip", "says that it is gzip and is not"),
    "cut": ((gzip.compress(b"hello")[:-9],), "gzip", "in the middle of what is compressed"),
}


@pytest.mark.parametrize(("parts", "encoding", "text"), GARBLED.values(), ids=GARBLED)
def test_what_cannot_be_looked_into_is_not_told(
    parts: tuple[bytes, ...], encoding: str, text: str
) -> None:
    with pytest.raises(Refusal, match=text):
        content_of(*parts, encoding=encoding)


SHOWN = {
    "text": (b"h\xc3\xa9", True, "text/plain", "hé"),
    "its-charset": (b"h\xe9", True, "text/plain; charset=ISO-8859-1", "hé"),
    "its-quoted-charset": ("hé".encode("utf-16"), True, 'text/html; x=y; Charset="utf-16"', "hé"),
    "unknown-charset": (b"h", True, "text/plain; charset=x-none", "h"),
    "no-charset-but-a-codec": (b"h", True, "text/plain; charset=unicode_escape", "h"),
    "no-type": (b"h", True, "", "h"),
    "cut": (b"123456789", False, "text/plain", "12345678\n[cut off after 8 bytes]"),
    "cut-in-a-letter": (b"1234567\xc3\xa9", False, "", "1234567\n[cut off after 8 bytes]"),
    "cut-in-a-letter-that-was-not-taken": (
        b"12345678\xc3", False, "", "12345678\n[cut off after 8 bytes]",
    ),
    "longer-than-told": (b"123456789", True, "", "12345678\n[cut off after 8 bytes]"),
    "binary": (b"\x89\x00", True, "image/png", "[binary, image/png, 2 bytes, in base64]\niQA="),
    "binary-of-no-type": (b"\x00", True, "", "[binary, of unknown type, 1 bytes, in base64]\nAA=="),
    "long-binary": (b"\x89" * 9, True, "a/b", "[binary, a/b, 9 bytes; not shown]"),
    "cut-binary": (b"\x89" * 9, False, "a/b", "[binary, a/b, more than 8 bytes; not shown]"),
    "nothing": (b"", True, "a/b", ""),
}  # fmt: skip


@pytest.mark.parametrize(("data", "is_whole", "kind", "text"), SHOWN.values(), ids=SHOWN)
def test_an_answer_is_shown(data: bytes, is_whole: bool, kind: str, text: str) -> None:
    content = modules.body.Content(data, is_whole)
    assert modules.body.shown(content, kind, 8, modules.redaction.Redaction([])) == text


@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("told", [True, False])
def test_a_secret_is_found_in_any_charset(charset: str, *, told: bool) -> None:
    content = modules.body.Content(f"<{SECRET}>".encode(charset), True)
    kind = f"text/plain; charset={charset}" if told else "text/plain"
    text = modules.body.shown(content, kind, 1000, modules.redaction.Redaction([SECRET]))
    found = base64.b64decode(text.splitlines()[-1]) if text.startswith("[binary") else text.encode()
    assert b"s3cr3t" not in found.replace(b"\0", b"")
    assert b"[redacted]" in found

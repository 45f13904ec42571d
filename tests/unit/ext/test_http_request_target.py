"""Where a request goes: one meaning for each address, and which addresses may be asked."""

import asyncio
from ipaddress import ip_address

import pytest

from anyclaw_sdk.types import Json
from tests.fakes.extension import load_extension

modules = load_extension("tools/http-request")
target_of, Refusal = modules.target.target_of, modules.refusal.Refusal


# --- what is sent ------------------------------------------------------------------------------

SENT = {
    "plain": ("https://example.org/a", "https://example.org/a"),
    "no-path": ("https://example.org", "https://example.org/"),
    "spaces-around": ("  https://example.org/a ", "https://example.org/a"),
    "scheme-and-host-in-capitals": ("HTTPS://EXAMPLE.Org/A", "https://example.org/A"),
    "last-dot": ("https://example.org./a", "https://example.org/a"),
    "its-own-port": ("https://example.org:443/", "https://example.org/"),
    "empty-port": ("https://example.org:/", "https://example.org/"),
    "other-port": ("http://example.org:8080/", "http://example.org:8080/"),
    "query": ("https://example.org/?a=1&b=%41+c", "https://example.org/?a=1&b=%41+c"),
    "query-with-slashes": ("https://example.org?u=http://x/?y", "https://example.org/?u=http://x/?y"),
    "fragment": ("https://example.org/a?b#c", "https://example.org/a?b"),
    "letters-of-others": ("https://example.org/é?ü", "https://example.org/%C3%A9?%C3%BC"),
    "a-space": ("https://example.org/a b", "https://example.org/a%20b"),
    "encoded-letters-stay": ("https://example.org/%61%7e", "https://example.org/%61%7e"),
    "name-of-others": ("https://bücher.example/", "https://xn--bcher-kva.example/"),
    "dots-of-others": ("https://example\u3002org/", "https://example.org/"),
    "wide-letters": ("https://\uff45xample.org/", "https://example.org/"),
    "address": ("http://192.0.2.1/", "http://192.0.2.1/"),
    "address-of-six": ("http://[2001:DB8:0::1]:80/", "http://[2001:db8::1]/"),
    "underscore": ("https://a_b.example.org/", "https://a_b.example.org/"),
}  # fmt: skip


@pytest.mark.parametrize(("url", "sent"), SENT.values(), ids=SENT)
def test_a_url_is_sent_as_it_was_judged(url: str, sent: str) -> None:
    assert target_of(url).url() == sent


UNUSABLE = {
    "no-scheme": "example.org/a",
    "file": "file:///etc/passwd",
    "ftp": "ftp://example.org/",
    "no-host": "https:///a",
    "no-host-but-a-port": "https://:443/",
    "user": "https://me@example.org/",
    "user-and-password": "https://me:secret@example.org/",
    "somebody-else-s-host-as-user": "https://example.org@evil.example/",
    "backslash": "https://evil.example\\@example.org/",
    "backslash-in-the-path": "https://example.org/a\\..\\b",
    "tab": "https://exam\tple.org/",
    "line": "https://example.org/a\r\nX: y",
    "zero-byte": "https://example.org/\x00",
    "encoded-control": "https://example.org/%0d%0aX",
    "encoded-zero": "https://example.org/a%00.png",
    "port-of-letters": "https://example.org:http/",
    "port-zero": "https://example.org:0/",
    "port-too-high": "https://example.org:65536/",
    "half-an-escape": "https://example.org/%4",
    "no-escape": "https://example.org/%zz",
    "no-escape-in-the-query": "https://example.org/?%zz",
    "half-a-letter": "https://example.org/\ud800",
    "dots": "https://example.org/a/../b",
    "one-dot": "https://example.org/./b",
    "dots-at-the-end": "https://example.org/a/..",
    "encoded-dots": "https://example.org/a/%2e%2e/b",
    "half-encoded-dots": "https://example.org/a/.%2E/b",
    "dots-with-parameters": "https://example.org/a/..;x=1/b",
    "encoded-slash": "https://example.org/a%2fb",
    "encoded-backslash": "https://example.org/a%5Cb",
    "slash-encoded-twice": "https://example.org/a%252fb",
    "dots-encoded-twice": "https://example.org/%252e%252e/b",
    "dots-encoded-three-times": "https://example.org/%25252e%25252e/b",
    "space-in-the-host": "https://exam ple.org/",
    "empty-label": "https://example..org/",
    "only-a-dot": "https://./",
    "dash-first": "https://-a.example.org/",
    "percent-in-the-host": "https://example%2eorg/",
    "long-label-of-others": f"https://{'é' * 64}.org/",
    "empty-label-of-others": "https://é..org/",
    "long-label": f"https://{'a' * 64}.org/",
    "long-host": f"https://{'a.' * 127}org/",
    "long-url": "https://example.org/" + "a" * 8192,
    "number": "http://2130706433/",
    "number-in-sixteens": "http://0x7f000001/",
    "parts-in-sixteens": "http://0x7f.0.0.0x1/",
    "octal": "http://0177.0.0.1/",
    "short-address": "http://127.1/",
    "address-too-large": "http://127.0.0.256/",
    "zone": "http://[fe80::1%25eth0]/",
    "no-address": "http://[::g]/",
    "open-bracket": "http://[::1/",
    "four-in-brackets": "http://[127.0.0.1]/",
}


@pytest.mark.parametrize("url", UNUSABLE.values(), ids=UNUSABLE)
def test_a_url_with_two_meanings_or_none_is_refused(url: str) -> None:
    with pytest.raises(Refusal):
        target_of(url)


def test_a_refused_url_does_not_show_its_password() -> None:
    with pytest.raises(Refusal) as caught:
        target_of("https://me:hunter2@example.org/")
    assert "hunter2" not in str(caught.value)


READINGS = {
    "plain": ("/a/b", ("/a/b",)),
    "encoded": ("/%61/b", ("/a/b",)),
    "merged": ("/a//b", ("/a//b", "/a/b")),
    "parameters": ("/a;x=1/b", ("/a;x=1/b", "/a/b")),
    "both": ("//a;x//b", ("//a;x//b", "/a;x/b", "/a/b")),
    "no-letter-of-any": ("/%ff", ("/\udcff",)),
}


@pytest.mark.parametrize(("path", "readings"), READINGS.values(), ids=READINGS)
def test_a_path_is_read_as_servers_may_read_it(path: str, readings: tuple[str, ...]) -> None:
    assert target_of(f"https://example.org{path}").readings == readings


REDIRECTS = {
    "path": ("/b?c", "https://example.org/b?c"),
    "relative": ("c", "https://example.org/a/c"),
    "up": ("../c", "https://example.org/c"),
    "host": ("//other.example/c", "https://other.example/c"),
    "whole": ("http://other.example/c#d", "http://other.example/c"),
    "query": ("?x", "https://example.org/a/b?x"),
    "letters-of-others": ("/ü", "https://example.org/%C3%BC"),
}


@pytest.mark.parametrize(("location", "url"), REDIRECTS.values(), ids=REDIRECTS)
def test_a_redirect_is_seen_from_where_it_came(location: str, url: str) -> None:
    assert modules.target.redirected(target_of("https://example.org/a/b"), location).url() == url


# --- which rule --------------------------------------------------------------------------------

RULES = {  # name: (rule, method, url, whether it matches)
    "host": ({}, "GET", "https://example.org/x", True),
    "other-host": ({}, "GET", "https://example.com/x", False),
    "below-a-host": ({}, "GET", "https://a.example.org/", False),
    "host-as-a-prefix": ({}, "GET", "https://example.org.evil.example/", False),
    "below-a-suffix": ({"host": "*.example.org"}, "GET", "https://a.b.example.org/", True),
    "the-suffix-itself": ({"host": "*.example.org"}, "GET", "https://example.org/", False),
    "ends-like-a-suffix": ({"host": "*.example.org"}, "GET", "https://evilexample.org/", False),
    "rule-in-capitals": ({"host": "Example.ORG."}, "GET", "https://example.org/", True),
    "rule-of-others": ({"host": "bücher.example"}, "GET", "https://xn--bcher-kva.example/", True),
    "address": ({"host": "127.0.0.1"}, "GET", "https://127.0.0.1/", True),
    "address-of-six": ({"host": "::1"}, "GET", "https://[0::1]/", True),
    "address-in-brackets": ({"host": "[::1]"}, "GET", "https://[::1]/", True),
    "other-scheme": ({}, "GET", "http://example.org/", False),
    "http": ({"scheme": "http"}, "GET", "http://example.org/", True),
    "other-port": ({}, "GET", "https://example.org:444/", False),
    "port": ({"port": 8443}, "GET", "https://example.org:8443/", True),
    "not-its-port": ({"port": 8443}, "GET", "https://example.org/", False),
    "head": ({}, "HEAD", "https://example.org/", True),
    "post": ({}, "POST", "https://example.org/", False),
    "its-method": ({"methods": ["post"]}, "POST", "https://example.org/", True),
    "not-its-method": ({"methods": ["POST"]}, "GET", "https://example.org/", False),
    "path": ({"paths": ["/a/b"]}, "GET", "https://example.org/a/b?c=d", True),
    "longer-path": ({"paths": ["/a/b"]}, "GET", "https://example.org/a/b/c", False),
    "slash-at-the-end": ({"paths": ["/a/b"]}, "GET", "https://example.org/a/b/", False),
    "path-in-capitals": ({"paths": ["/a"]}, "GET", "https://example.org/A", False),
    "encoded-path": ({"paths": ["/a/b"]}, "GET", "https://example.org/%61/b", True),
    "one-segment": ({"paths": ["/a/*/c"]}, "GET", "https://example.org/a/b/c", True),
    "two-segments": ({"paths": ["/a/*/c"]}, "GET", "https://example.org/a/b/b/c", False),
    "no-segment": ({"paths": ["/a/*/c"]}, "GET", "https://example.org/a//c", False),
    "part-of-a-segment": ({"paths": ["/v*/c"]}, "GET", "https://example.org/v12/c", True),
    "anything-below": ({"paths": ["/a/**"]}, "GET", "https://example.org/a/b/c", True),
    "beside-anything-below": ({"paths": ["/a/**"]}, "GET", "https://example.org/ab", False),
    "one-of-two": ({"paths": ["/a", "/b"]}, "GET", "https://example.org/b", True),
    "a-dot-is-a-dot": ({"paths": ["/a.b"]}, "GET", "https://example.org/axb", False),
    "merged-into-another": ({"paths": ["/a/**/b", "/c"]}, "GET", "https://example.org/a//b", False),
    "parameters-hide-another": ({"paths": ["/a/*;x"]}, "GET", "https://example.org/a/b;x", False),
    "parameters": ({"paths": ["/a/*"]}, "GET", "https://example.org/a/b;x", True),
}


@pytest.mark.parametrize(("rule", "method", "url", "matches"), RULES.values(), ids=RULES)
def test_a_rule_matches(rule: dict[str, object], method: str, url: str, *, matches: bool) -> None:
    (made,) = modules.options.settings_of({"allow": [{"host": "example.org"} | rule]}).rules
    assert made.matches(method, target_of(url)) is matches


def test_a_path_takes_its_length_to_judge_whatever_the_pattern() -> None:
    pattern = modules.paths.PathPattern("/" + "**a" * 20 + "*b" * 20)
    assert not pattern.matches("/" + "a" * 8000)
    assert pattern.matches("/" + "a" * 20 + "xb" * 20)
    assert not modules.paths.PathPattern("/a*").matches("/a")
    assert modules.paths.PathPattern("/a**").matches("/a")
    assert modules.paths.PathPattern("/a***").matches("/a/b")


def test_the_first_rule_that_matches_decides_and_none_is_a_refusal() -> None:
    allow = [{"host": "example.org", "paths": ["/a"]}, {"host": "example.org"}]
    rules = modules.options.settings_of({"allow": allow}).rules
    rule_for = modules.rules.rule_for
    assert rule_for(rules, "GET", target_of("https://example.org/a")) is rules[0]
    assert rule_for(rules, "GET", target_of("https://example.org/b")) is rules[1]
    expected = "POST https://example.org/a is not on the allow-list"
    with pytest.raises(Refusal, match=expected):
        rule_for(rules, "POST", target_of("https://example.org/a?key=1"))
    with pytest.raises(Refusal):
        rule_for((), "GET", target_of("https://example.org/"))


# --- whose an address is -------------------------------------------------------------------------

REACHES = {
    "public": ["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
               "172.15.255.255", "172.32.0.0", "192.167.255.255", "223.255.255.255",
               "2606:4700::1", "2a00:1450::1", "64:ff9b::808:808"],
    "private": ["10.0.0.1", "127.0.0.1", "127.255.255.255", "172.16.0.1", "172.31.255.255",
                "192.168.1.1", "100.64.0.1", "100.127.255.255", "198.18.0.1", "::1", "fd00::1",
                "fc00::1"],
    "link-local": ["169.254.169.254", "169.254.0.1", "fe80::1", "febf::1"],
    "reserved": ["0.0.0.0", "0.1.2.3", "192.0.0.8", "192.0.2.1", "198.51.100.1", "203.0.113.1",
                 "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.88.99.1",
                 "::", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "ff02::1",
                 "2001:db8::1", "2001::1", "2002:7f00:1::1", "3fff::1", "64:ff9b::7f00:1",
                 "64:ff9b:1::1", "fec0::1", "4000::1", "5f00::1"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("reach", "text"), [(reach, text) for reach, texts in REACHES.items() for text in texts]
)
def test_an_address_is_the_world_s_the_house_s_or_nobody_s(reach: str, text: str) -> None:
    assert modules.address.reach_of(ip_address(text)) == reach


LITERALS: dict[str, tuple[Json, bool]] = {  # rule: whether it may ask its own address
    "public": ({"host": "1.1.1.1"}, True),
    "private": ({"host": "10.0.0.1"}, False),
    "private-as-said": ({"host": "10.0.0.1", "private": True}, True),
    "metadata": ({"host": "169.254.169.254"}, False),
    "metadata-as-said": ({"host": "169.254.169.254", "private": True}, True),
    "nowhere-as-said": ({"host": "0.0.0.0", "private": True}, False),
    "disguised-as-said": ({"host": "::ffff:10.0.0.1", "private": True}, False),
}


@pytest.mark.parametrize(("rule", "is_asked"), LITERALS.values(), ids=LITERALS)
def test_an_address_is_asked_where_the_rule_means_it(rule: Json, *, is_asked: bool) -> None:
    async def lookup(host: str) -> list[str]:
        raise AssertionError(host)  # it is no name

    (made,) = modules.options.settings_of({"allow": [rule]}).rules
    host = rule["host"]
    target = target_of(f"https://[{host}]/" if ":" in host else f"https://{host}/")
    asked = modules.resolution.addresses_for(target, made, lookup)
    if is_asked:
        assert asyncio.run(asked) == [ip_address(host)]
    else:
        with pytest.raises(Refusal, match="is not asked"):
            asyncio.run(asked)

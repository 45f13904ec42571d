from collections.abc import Mapping

import pytest
from multidict import CIMultiDict

from anyclawd.mcp import checks
from anyclawd.mcp.checks import Accepts, Door, Entrant, Refusal

DOOR = Door("Tools.Example")
HEAD = {
    "Host": "127.0.0.1:4000",
    "Authorization": "Bearer secret",
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
}


def admit(
    method: str = "POST", path: str = "/mcp", **changed: str | list[str] | None
) -> Entrant | Refusal:
    head: CIMultiDict[str] = CIMultiDict()
    named = {name.replace("_", "-"): value for name, value in changed.items()}
    for name, value in {**HEAD, **named}.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                head.add(name, one)
    return DOOR.admit(method, path, head)


REFUSED: Mapping[str, tuple[int, dict[str, str | list[str] | None]]] = {
    "a-method-that-is-none": (405, {"method": "PUT"}),
    "a-preflight-of-a-browser": (405, {"method": "OPTIONS"}),
    "head": (405, {"method": "HEAD"}),
    "a-host-of-somebody-else": (403, {"Host": "evil.example"}),
    "a-host-that-begins-like-ours": (403, {"Host": "localhost.evil.example"}),
    "a-host-that-ends-like-ours": (403, {"Host": "evil-localhost"}),
    "a-host-behind-a-user": (403, {"Host": "localhost@evil.example"}),
    "no-host": (403, {"Host": None}),
    "an-empty-host": (403, {"Host": ""}),
    "two-hosts": (403, {"Host": ["127.0.0.1", "evil.example"]}),
    "the-page-of-another-site": (403, {"Origin": "http://evil.example"}),
    "a-page-of-nowhere": (403, {"Origin": "null"}),
    "a-page-that-is-a-file": (403, {"Origin": "file:///localhost"}),
    "one-good-origin-of-two": (403, {"Origin": ["http://localhost", "http://evil.example"]}),
    "the-root": (404, {"path": "/"}),
    "a-path-that-only-begins-like-ours": (404, {"path": "/mcpx"}),
    "a-path-below-a-unit": (404, {"path": "/mcp/calc/more"}),
    "a-path-that-is-no-text": (404, {"path": "/mcp/%ff"}),
    "a-path-of-another-protocol": (404, {"path": "/.well-known/oauth-protected-resource"}),
    "no-token": (401, {"Authorization": None}),
    "another-scheme": (401, {"Authorization": "Basic secret"}),
    "an-empty-token": (401, {"Authorization": "Bearer "}),
    "what-is-no-json": (406, {"Accept": "text/html"}),
    "a-stream-alone": (406, {"Accept": "text/event-stream"}),
    "json-that-is-refused": (406, {"Accept": "application/json;q=0, text/event-stream"}),
    "a-stream-that-cannot-be-read": (406, {"method": "GET", "Accept": "application/json"}),
    "a-form": (415, {"Content-Type": "application/x-www-form-urlencoded"}),
    "text-of-a-page": (415, {"Content-Type": "text/plain"}),
    "no-type": (415, {"Content-Type": None}),
    "json-in-another-character-set": (415, {"Content-Type": "application/json; charset=latin-1"}),
    "what-is-packed": (415, {"Content-Encoding": "gzip"}),
    "what-is-too-long": (413, {"Content-Length": str(16 * 2**20 + 1)}),
}


@pytest.mark.parametrize(("status", "changed"), REFUSED.values(), ids=REFUSED)
def test_refused(status: int, changed: dict[str, str]) -> None:
    refusal = admit(**changed)
    assert isinstance(refusal, Refusal)
    assert refusal.status == status
    assert refusal.text


ADMITTED: Mapping[str, tuple[dict[str, str | list[str] | None], Entrant]] = {
    "as-clients-do": ({}, Entrant("", "secret", has_stream=True)),
    "by-a-slash": ({"path": "/mcp/"}, Entrant("", "secret", has_stream=True)),
    "with-a-query": ({"path": "/mcp?x=/y"}, Entrant("", "secret", has_stream=True)),
    "to-one-unit": ({"path": "/mcp/calc"}, Entrant("calc", "secret", has_stream=True)),
    "to-an-odd-key": ({"path": "/mcp/a%20%2F%C3%BC"}, Entrant("a /ü", "secret", has_stream=True)),
    "by-name": ({"Host": "LOCALHOST:1"}, Entrant("", "secret", has_stream=True)),
    "by-v6": ({"Host": "[::1]:80"}, Entrant("", "secret", has_stream=True)),
    "by-the-name-that-is-configured": (
        {"Host": "tools.example"},
        Entrant("", "secret", has_stream=True),
    ),
    "by-a-page-of-ours": (
        {"Origin": "http://localhost:8080"},
        Entrant("", "secret", has_stream=True),
    ),
    "without-a-stream": ({"Accept": "application/json"}, Entrant("", "secret", has_stream=False)),
    "whatever-is-accepted": ({"Accept": "*/*"}, Entrant("", "secret", has_stream=True)),
    "with-no-word-on-it": ({"Accept": None}, Entrant("", "secret", has_stream=True)),
    "accepted-in-two-headers": (
        {"Accept": ["application/json", "text/event-stream"]},
        Entrant("", "secret", has_stream=True),
    ),
    "with-a-character-set": (
        {"Content-Type": 'Application/JSON; charset="UTF-8"'},
        Entrant("", "secret", has_stream=True),
    ),
    "a-stream": (
        {"method": "GET", "Accept": "text/event-stream", "Content-Type": None},
        Entrant("", "secret", has_stream=True),
    ),
    "a-goodbye": (
        {"method": "DELETE", "Accept": "text/plain"},
        Entrant("", "secret", has_stream=False),
    ),
}


@pytest.mark.parametrize(("changed", "entrant"), ADMITTED.values(), ids=ADMITTED)
def test_admitted(changed: dict[str, str], entrant: Entrant) -> None:
    assert admit(**changed) == entrant


def test_of_two_reasons_the_one_that_tells_least_counts() -> None:
    def status(**changed: str | None) -> int:
        refusal = admit(**changed)
        assert isinstance(refusal, Refusal)
        return refusal.status

    everything = {"Host": "evil", "path": "/nowhere", "Authorization": None, "Accept": "text/html"}
    assert status(method="PUT", **everything) == 405
    assert status(**everything) == 403
    assert status(**everything | {"Host": "localhost"}) == 404
    assert status(**everything | {"Host": "localhost", "path": "/mcp"}) == 401


def test_a_refusal_says_what_is_allowed_and_how_to_come_in() -> None:
    assert checks.not_allowed("POST").headers == {"Allow": "POST"}
    without = admit(Authorization=None)
    assert isinstance(without, Refusal)
    assert without.headers["WWW-Authenticate"] == 'Bearer realm="anyclawd"'
    wrong = checks.unauthorized("no", "invalid_token").headers["WWW-Authenticate"]
    assert wrong == 'Bearer realm="anyclawd", error="invalid_token"'


TOKENS = {
    "plain": ("Bearer abc", "abc"),
    "any-case": ("bEARER abc", "abc"),
    "spaced": ("  Bearer   abc ", "abc"),
    "none": ("", ""),
    "glued": ("Bearerabc", ""),
}


@pytest.mark.parametrize(("text", "token"), TOKENS.values(), ids=TOKENS)
def test_bearer(text: str, token: str) -> None:
    assert checks.bearer(text) == token


RANGES = {
    "both": ("application/json, text/event-stream", Accepts(has_json=True, has_stream=True)),
    "groups": ("application/*,text/*", Accepts(has_json=True, has_stream=True)),
    "weights": ("application/json;q=0.5", Accepts(has_json=True, has_stream=False)),
    "no-weight-at-all": ("text/event-stream; q=0.000", Accepts(has_json=False, has_stream=False)),
    "nonsense": (";;,,q=", Accepts(has_json=False, has_stream=False)),
    "nothing": ("", Accepts(has_json=False, has_stream=False)),
}


@pytest.mark.parametrize(("text", "accepts"), RANGES.values(), ids=RANGES)
def test_read_accept(text: str, accepts: Accepts) -> None:
    assert checks.read_accept(text) == accepts


def test_the_token_of_an_entrant_is_printed_nowhere() -> None:
    assert repr(Entrant("calc", "secret", has_stream=True)) == "Entrant('calc')"

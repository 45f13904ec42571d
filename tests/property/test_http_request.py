"""One address has one meaning to all who read it, and no secret comes through in any spelling."""

import base64
import html
import json
import re
import string
from urllib.parse import quote, unquote_plus, urlsplit

from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from tests.fakes.extension import load_extension

modules = load_extension("tools/http-request")
Refusal = modules.refusal.Refusal

#: What addresses are made of, and what makes them ambiguous.
PIECES = st.one_of(
    st.sampled_from(["http://", "https://", "//", "/", "\\", "..", ".", ";", ":", "@", "?", "#"]),
    st.sampled_from(["%2e", "%2F", "%5c", "%25", "%00", "%", "&", "=", "[", "]", "::1", "127.1"]),
    st.sampled_from(["example.org", "evil.example", "xn--", "0x7f", "é", "\u3002", "\uff0f", " "]),
    st.text(max_size=3),
)
URLS = st.lists(PIECES, max_size=10).map("".join)


@given(st.sampled_from(["", "https://", "http://example.org"]), URLS)
@example("http://example.org", "\\@evil.example/")
@example("https://", "example.org\u2100evil.example/")
def test_who_sends_reads_an_address_as_it_was_judged(start: str, rest: str) -> None:
    try:
        target = modules.target.target_of(start + rest)
    except Refusal:
        return
    sent = target.url()
    assert sent.isascii()
    assert sent.isprintable()
    assert modules.target.target_of(sent) == target
    for read in (URL(sent, encoded=True), urlsplit(sent)):
        assert read.scheme == target.scheme
        assert (read.port or modules.target.PORTS[read.scheme]) == target.port
    url = URL(sent, encoded=True)
    assert (url.raw_host, url.raw_path, url.raw_query_string) == (
        target.host,
        target.path,
        target.query,
    )
    assert (url.user, url.password, url.fragment) == (None, None, "")
    assert urlsplit(sent).hostname == target.host
    for path in target.readings:
        assert not {".", ".."} & {segment.partition(";")[0] for segment in path.split("/")}
        assert "\\" not in path


LETTERS = string.ascii_letters + string.digits + string.punctuation
SECRETS = st.text(LETTERS, min_size=8, max_size=40)


def numbered(letter: str) -> list[str]:
    """A letter by its number."""
    code = ord(letter)
    return [f"%{code:02x}", f"%{code:02X}", f"\\u{code:04x}", f"\\x{code:02X}", f"&#{code};",
            f"&#x{code:x};", f"&#0{code};"]  # fmt: skip


@st.composite
def spelled(draw: st.DrawFn) -> tuple[str, str]:
    """A secret, and one way of writing it: each letter as it is, or by its number."""
    secret = draw(SECRETS)
    if not secret.isalnum():  # whose own letters could be read as escapes of others
        return secret, draw(st.sampled_from(whole(secret)))
    return secret, "".join(draw(st.sampled_from([one, *numbered(one)])) for one in secret)


def whole(secret: str) -> list[str]:
    """Ways in which programs write a text."""
    pair = base64.b64encode(f"user:{secret}".encode()).decode()
    return [
        secret,
        quote(secret, safe=""),
        quote(secret),
        json.dumps(secret)[1:-1],
        html.escape(secret),
        "".join(numbered(one)[2] for one in secret),
        secret.encode().hex(),
        pair,
    ]


@given(spelled(), st.text(string.ascii_letters + " \n<>é", max_size=5))
def test_no_spelling_of_a_secret_comes_through(pair: tuple[str, str], around: str) -> None:
    secret, spelling = pair
    redaction = modules.redaction.Redaction([secret])
    told = redaction.of_text(f"{around} {spelling} {around}")
    assert "[redacted]" in told
    assert told.startswith(f"{around} ")
    assert told.endswith(f" {around}")
    for form in (told, unquote_plus(told), html.unescape(told)):
        assert secret not in form


@given(SECRETS, st.binary(max_size=60), st.integers(0, 80))
def test_a_cut_is_where_it_is_asked_for(secret: str, data: bytes, keep: int) -> None:
    redaction = modules.redaction.Redaction([secret])
    if not redaction.has_any(data.decode("latin-1")):
        assert redaction.of(data, keep) == data[:keep]
    cut = redaction.of(data + secret.encode(), keep)
    assert len(cut) <= min(keep, len(data)) + len("[redacted]")
    assert not re.search(re.escape(secret[:8].encode()), cut.removeprefix(data[:keep]))


GLOBS = st.lists(st.sampled_from(["a", "b", "/", "*", "**"]), max_size=8).map("".join)


@given(GLOBS, st.lists(st.text("ab/\n", max_size=10), min_size=1, max_size=5))
def test_a_pattern_means_what_its_regular_expression_means(glob: str, paths: list[str]) -> None:
    pieces = {"**": r"[\s\S]*", "*": "[^/]+"}
    expression = "".join(
        pieces.get(piece) or re.escape(piece) for piece in re.findall(r"\*\*|[\s\S]", glob)
    )
    pattern = modules.paths.PathPattern(glob)
    for path in paths:
        assert pattern.matches(path) == bool(re.fullmatch(expression, path)), (glob, path)

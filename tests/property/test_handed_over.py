"""What a schema judges is what a process is handed over, wherever its secrets come from."""

from hypothesis import given
from hypothesis import strategies as st

from anyclawd.compile.check import _as_handed_over
from anyclawd.compile.diagnose import Report
from anyclawd.compile.origin import Shown
from anyclawd.compile.secret import marked
from anyclawd.compile.sources import Sources
from anyclawd.compile.tree import parse
from anyclawd.model.secret import redact, reveal
from tests.fakes.paper_world import PaperWorld

TEXTS = ["", "0042", "1e3", "true", "x y", "-1"]
TAGGED = ["!env A", "!env API_KEY", '!env "B:007"', "!credential c", '!credential "d:1e3"']
SCALARS = st.sampled_from([*TAGGED, "12", "word", "true", "null", "0.5", "'12'"])
KEYS = st.sampled_from(["a", "password", "max_tokens", "credentials"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(KEYS, inner, max_size=3).map(
            lambda items: f"{{{', '.join(f'{key}: {item}' for key, item in items.items())}}}"
        )
    ),
    max_leaves=6,
)


@given(st.dictionaries(KEYS, VALUES, min_size=1), *[st.sampled_from(TEXTS)] * 3)
def test_what_is_judged_is_what_is_revealed(
    options: dict[str, str], variable: str, key: str, text: str
) -> None:
    environ = {"A": variable, "API_KEY": key, "CREDENTIALS_DIRECTORY": "/run/c"}
    world = PaperWorld(files={"/run/c/c": f"{text}\n".encode()}, environ=environ)
    report = Report()
    content = "".join(f"{name}: {value}\n" for name, value in options.items()).encode()
    tree = parse(content, "f", report, Sources(world, report, environ).look_up)
    assert tree is not None
    found = marked(tree, Shown())
    revealed = reveal(found, environ, {"c": text}.get)
    assert repr(_as_handed_over(tree)) == repr(revealed)
    if text and "!credential c" in content.decode():
        assert repr(redact(found)) != repr(revealed)

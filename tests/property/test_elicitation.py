"""Whatever an agent asks for, and whatever is replied: a form ends, and what it ends with fits."""

import json

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from anyclawd.model.value import Json
from anyclawd.route.elicitation import FIELDS_MAX, TRIES, AskChoice, AskText, Finished, Form

SCALARS = st.none() | st.booleans() | st.integers(-20, 20) | st.floats(-9, 9) | st.text(max_size=5)
LABELS = st.sampled_from(["a", "B", "1", "2", "", "left, right", "/skip"])
COUNTS = st.integers(0, 4)
OPTIONS = st.lists(  # listed twice under oneOf, no value fits
    st.fixed_dictionaries({"const": LABELS, "title": LABELS}),
    max_size=12,
    unique_by=lambda option: option["const"],
)


def described(**members: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    more = {"default": SCALARS | st.lists(LABELS, max_size=3), "title": st.text(max_size=5)}
    kind = members.pop("type")
    return st.fixed_dictionaries({"type": kind}, optional={**more, **members})


PROPERTIES = st.one_of(
    described(type=st.just("boolean")),
    described(type=st.sampled_from(["number", "integer"]), minimum=COUNTS, maximum=COUNTS),
    described(type=st.just("string"), minLength=COUNTS, maxLength=COUNTS),
    described(type=st.just("string"), enum=st.lists(LABELS, max_size=12)),
    described(type=st.just("string"), oneOf=OPTIONS),
    described(
        type=st.just("array"),
        minItems=COUNTS,
        maxItems=COUNTS,
        items=st.fixed_dictionaries({"anyOf": OPTIONS})
        | st.fixed_dictionaries({"enum": st.lists(LABELS, max_size=5)}),
    ),
)
NAMES = st.text("abc", min_size=1, max_size=2)
SCHEMAS = st.fixed_dictionaries(
    {
        "type": st.just("object"),
        "properties": st.dictionaries(NAMES, PROPERTIES, max_size=4),
        "required": st.lists(NAMES, max_size=3),
    }
)
REPLIES = st.sampled_from(
    [
        "",
        "1",
        "2",
        "3",
        "-1",
        "a",
        "b",
        "yes",
        "no",
        "-",
        "1,2",
        "a, b",
        "0.5",
        "/skip",
        "long text",
    ]
)
NOISE = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def answer(form: Form, replies: list[str]) -> Finished:
    """Give these replies in turn, pressing buttons where there are some, until the form ends."""
    step, given_in_all = form.begin(), 0
    while not isinstance(step, Finished):
        assert given_in_all < max(FIELDS_MAX, 1) * TRIES
        reply = replies[given_in_all % len(replies)]
        given_in_all += 1
        match step:
            case AskChoice(text, options):
                assert text
                step = form.chosen(options[len(reply) % len(options)][0])
            case AskText(text):
                assert text
                step = form.replied(reply)
    return step


@given(SCHEMAS, st.lists(REPLIES, min_size=1, max_size=12), st.booleans())
def test_what_is_accepted_is_what_the_schema_allows(
    schema: Json, replies: list[str], has_buttons: bool
) -> None:
    params = {"mode": "form", "message": "m", "requestedSchema": schema}
    end = answer(Form(params, has_buttons=has_buttons), replies)
    assert (end.action == "accept") is (end.content is not None)
    if end.content is not None:
        asked = [name for name in schema["required"] if name in schema["properties"]]
        validator = jsonschema.Draft202012Validator({**schema, "required": asked})
        validator.validate(json.loads(json.dumps(end.content)))


@given(st.dictionaries(st.sampled_from(["mode", "message", "requestedSchema", "url"]), NOISE))
def test_nothing_that_is_asked_for_escapes_as_a_traceback(params: dict[str, Json]) -> None:
    answer(Form(params), ["1"])


@given(st.dictionaries(st.text("ab", max_size=2), NOISE))
def test_no_property_escapes_as_a_traceback(properties: dict[str, Json]) -> None:
    schema = {"properties": properties, "required": list(properties)}
    answer(Form({"message": "m", "requestedSchema": schema}), ["1", "x"])

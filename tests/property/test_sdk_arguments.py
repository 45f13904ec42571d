"""What the SDK finds wrong with arguments is what a full reader of JSON Schema finds."""

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from anyclaw_sdk._arguments import complaints
from anyclaw_sdk.types import Json, Message

NAMES = st.sampled_from(["a", "b", "c"])
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.0, 1.0, 1.5, -2.5]),
    st.sampled_from(["", "a", "ab", "abc"]),
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null"])


def keywords(**words: st.SearchStrategy[Json]) -> st.SearchStrategy[Message]:
    """Some of these keywords."""
    return st.fixed_dictionaries({}, optional=words)


PLAIN_SCHEMAS = keywords(
    type=TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True),
    enum=st.lists(PLAIN, min_size=1, max_size=3),
    const=PLAIN,
    minimum=st.integers(-2, 2),
    maximum=st.integers(-2, 2),
    minLength=st.integers(0, 3),
    maxLength=st.integers(0, 3),
    minItems=st.integers(0, 2),
    maxItems=st.integers(0, 2),
    pattern=st.sampled_from(["a", "^b", "c$"]),
)
SCHEMAS = st.recursive(
    PLAIN_SCHEMAS,
    lambda inner: keywords(
        type=TYPES,
        properties=st.dictionaries(NAMES, inner, max_size=2),
        required=st.lists(NAMES, max_size=2, unique=True),
        additionalProperties=st.booleans() | inner,
        items=inner,
        anyOf=st.lists(inner, min_size=1, max_size=2),
    ),
    max_leaves=6,
)


@given(SCHEMAS, VALUES)
def test_the_verdict_is_that_of_json_schema(schema: Message, value: Json) -> None:
    assert (not complaints(schema, value)) == Draft202012Validator(schema).is_valid(value)

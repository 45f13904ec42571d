"""What a service answers to its handshake: what it offers, and what nobody can use."""

import pytest

from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.value import Json
from anyclawd.wire.service import (
    NO_INSTALLATION,
    Installation,
    read_installation,
    url_variable,
)

NOTHING: dict[str, Json] = {
    "no-object": 7,
    "null": None,
    "none-in-it": {"port": 8080},
    "none-of-it": {"installation": None},
    "an-empty-one": {"installation": {}},
    "empty-members": {"installation": {"environment": {}, "urls": None, "volumes": []}},
}


@pytest.mark.parametrize("result", NOTHING.values(), ids=NOTHING)
def test_a_service_may_offer_nothing(result: Json) -> None:
    assert read_installation(result) == NO_INSTALLATION


def test_a_service_offers_variables_addresses_and_volumes() -> None:
    offered = {
        "environment": {"KEY": "s3cret", "EMPTY": ""},
        "urls": {"media": "http://127.0.0.1:1", "my store": "http+unix://%2Frun%2Fs"},
        "volumes": ["/a:/b", {"source": "/c"}],
        "network": "n",
        "cpu": 1,
    }
    found = read_installation({"installation": offered})
    assert found == Installation(
        environment=(("KEY", "s3cret"), ("EMPTY", "")),
        urls=(("media", "http://127.0.0.1:1"), ("my store", "http+unix://%2Frun%2Fs")),
        volumes=("/a:/b", {"source": "/c"}),
    )
    assert found.ignored == ("cpu", "network")
    assert found.variables == (
        ("KEY", "s3cret"),
        ("EMPTY", ""),
        ("ANYCLAW_MEDIA_URL", "http://127.0.0.1:1"),
        ("ANYCLAW_MY_STORE_URL", "http+unix://%2Frun%2Fs"),
    )


def test_an_installation_tells_no_value_of_itself() -> None:
    offered = {"environment": {"K": "s3cret"}, "urls": {"u": "s3cret"}, "volumes": ["s3cret"]}
    assert "s3cret" not in repr(read_installation({"installation": offered}))


def test_a_variable_may_be_as_large_as_a_process_can_take() -> None:
    offered = {"environment": {"K": "x" * 131_069}}
    assert read_installation({"installation": offered}).environment[0][0] == "K"


VARIABLES = {
    "media": "ANYCLAW_MEDIA_URL",
    "a-b.c": "ANYCLAW_A_B_C_URL",
    "X9": "ANYCLAW_X9_URL",
    "größe": "ANYCLAW_GR_SSE_URL",  # upper case of ß is SS
}


@pytest.mark.parametrize(("name", "variable"), VARIABLES.items(), ids=VARIABLES)
def test_an_address_is_found_in_a_variable(name: str, variable: str) -> None:
    assert url_variable(name) == variable


UNUSABLE = {
    "no-object": ([], "it is a list, expected an object"),
    "a-text": ("s3cret", "it is text, expected an object"),
    "environment": ({"environment": ["s3cret"]}, "environment is a list, expected an object"),
    "a-number": ({"environment": {"PORT": 80}}, "environment.PORT is a number, expected text"),
    "a-flag": ({"environment": {"ON": True}}, "environment.ON is a boolean, expected text"),
    "a-null": ({"environment": {"ON": None}}, "environment.ON is null, expected text"),
    "a-name": ({"environment": {"a-b": "s3cret"}}, "environment: 'a-b' is no name of a variable"),
    "a-zero-byte": (
        {"environment": {"K": "s3\0cret"}},
        "the variable K holds a zero byte",
    ),
    "half-a-character": (
        {"urls": {"media": "http://\ud800"}},
        "the variable ANYCLAW_MEDIA_URL holds half of a character",
    ),
    "a-large-one": (
        {"environment": {"K": "x" * 131_070}},
        "the variable K takes 131073 bytes, at most 131072 fit",
    ),
    "many": (
        {"environment": {f"K{n}": "x" * 131_000 for n in range(5)}},
        "it takes 655020 bytes of variables, at most 524288 fit",
    ),
    "urls": ({"urls": "s3cret"}, "urls is text, expected an object"),
    "a-url": ({"urls": {"media": {"x": 1}}}, "urls.media is an object, expected text"),
    "no-name": ({"urls": {"": "s3cret"}}, "urls: a name is empty"),
    "two-of-a-name": (
        {"urls": {"a-b": "s3cret", "a_b": "s3cret"}},
        "urls 'a-b' and 'a_b' are both ANYCLAW_A_B_URL",
    ),
    "volumes": ({"volumes": {"s3cret": 1}}, "volumes is an object, expected a list"),
    "a-long-name": ({"urls": {"x" * 999: 1}}, f"urls.{'x' * 100} is a number, expected text"),
}


@pytest.mark.parametrize(("offered", "text"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_used_is_told_without_its_values(offered: Json, text: str) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        read_installation({"installation": offered})
    assert str(refused.value) == (
        f"answered initialize with an installation that cannot be used: {text}"
    )

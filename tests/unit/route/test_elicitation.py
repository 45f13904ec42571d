"""A form or a link on its way through a chat that can show neither."""

import pytest

from anyclawd.model.value import Json
from anyclawd.route.elicitation import (
    CANCELLED,
    DECLINED,
    FIELDS_MAX,
    GIVEN_UP,
    MISLEADING,
    REQUIRED,
    UNSHOWABLE,
    AskChoice,
    AskText,
    Finished,
    Form,
    Step,
    forbidden,
)
from anyclawd.route.field import CHOICES_MAX, TEXT_MAX_CHARS

OUT = "/cancel ends the questions."
NONE = "; a single - stands for none."


def form(properties: Json, *required: str, message: str = "Tell me", **more: Json) -> Form:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return Form({"mode": "form", "message": message, "requestedSchema": schema}, **more)


def one(required: bool = True, **schema: Json) -> Form:
    return form({"x": schema}, *(["x"] if required else []))


def accepted(value: Json) -> Finished:
    return Finished("accept", {"x": value})


def texts(step: Step) -> str:
    return step.text


# --- how each kind of field is put ----------------------------------------------------------------

HINTS: dict[str, tuple[Json, str]] = {
    "text": ({"type": "string"}, "Reply with text."),
    "text-bounded": (
        {"type": "string", "minLength": 3, "maxLength": 10},
        "Reply with text of 3 to 10 characters.",
    ),
    "text-long": ({"type": "string", "minLength": 3}, "Reply with text of 3 or more characters."),
    "text-short": ({"type": "string", "maxLength": 9}, "Reply with text of at most 9 characters."),
    "text-misspelt": ({"type": "string", "minLength": "3", "maxLength": -1}, "Reply with text."),
    "mail": ({"type": "string", "format": "email"}, "Reply with an e-mail address."),
    "date": ({"type": "string", "format": "date"}, "Reply with a date such as 2030-01-31."),
    "unknown-format": ({"type": "string", "format": "colour"}, "Reply with text."),
    "number": ({"type": "number"}, "Reply with a number."),
    "number-least": ({"type": "number", "minimum": 0.5}, "Reply with a number of at least 0.5."),
    "number-most": ({"type": "number", "maximum": 5e6}, "Reply with a number of at most 5000000."),
    "whole": (
        {"type": "integer", "minimum": 0, "maximum": 9},
        "Reply with a whole number from 0 to 9.",
    ),
    "some": (
        {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
        f"1. a\n2. b\nReply with any of these, or its number, separated by commas{NONE}",
    ),
    "some-bounded": (
        {"type": "array", "minItems": 1, "maxItems": 2, "items": {"enum": ["a", "b", "c"]}},
        "1. a\n2. b\n3. c\nReply with 1 to 2 of these, or its number, separated by commas.",
    ),
    "some-exactly": (
        {"type": "array", "minItems": 1, "maxItems": 1, "items": {"anyOf": [{"const": "7"}]}},
        "- 7\nReply with 1 of these, separated by commas.",
    ),
    "some-at-most": (
        {"type": "array", "maxItems": 1, "items": {"enum": ["a", "b"]}},
        f"1. a\n2. b\nReply with up to 1 of these, or its number, separated by commas{NONE}",
    ),
}


@pytest.mark.parametrize(("schema", "hint"), HINTS.values(), ids=HINTS)
def test_a_field_is_put_as_a_text(schema: Json, hint: str) -> None:
    assert one(**schema).begin() == AskText(f"Tell me\n\nx\n\n{hint} {OUT}")


BUTTONS = {
    "boolean": (True, {"type": "boolean"}, [("0", "Yes"), ("1", "No")]),
    "optional": (False, {"type": "boolean"}, [("0", "Yes"), ("1", "No"), ("skip", "Skip")]),
    "default": (
        True,
        {"type": "boolean", "default": False},
        [("0", "Yes"), ("1", "No"), ("skip", "Default: No")],
    ),
    "default-of-another-kind": (
        True,
        {"type": "boolean", "default": 0},
        [("0", "Yes"), ("1", "No")],
    ),
    "enum": (True, {"type": "string", "enum": ["a", 7, ""]}, [("0", "a"), ("1", "(empty)")]),
    "listed-twice": (
        True,
        {"type": "string", "oneOf": [{"const": "a", "title": "A"}, {"const": "a", "title": "B"}]},
        [("0", "A")],
    ),
    "titled": (
        False,
        {
            "type": "string",
            "oneOf": [{"const": "a", "title": "Left"}, {"const": "b"}, {"title": "none"}],
            "default": "a",
        },
        [("0", "Left"), ("1", "b"), ("skip", "Default: Left")],
    ),
}


@pytest.mark.parametrize(("required", "schema", "options"), BUTTONS.values(), ids=BUTTONS)
def test_a_choice_is_put_as_buttons(required: bool, schema: Json, options: Json) -> None:
    step = one(required, **schema).begin()
    assert step == AskChoice("Tell me\n\nx", (*options, ("decline", "Decline")))


def test_many_choices_are_listed_in_a_text() -> None:
    step = one(type="string", enum=[f"city {number}" for number in range(11)]).begin()
    assert isinstance(step, AskText)
    assert "\n11. city 10\nReply with one of these, or its number." in step.text


def test_choices_that_look_like_numbers_have_none() -> None:
    asked = form({"x": {"type": "string", "enum": ["2", "1"]}}, "x", has_buttons=False)
    assert asked.begin() == AskText(f"Tell me\n\nx\n\n- 2\n- 1\nReply with one of these. {OUT}")
    assert asked.replied("1") == accepted("1")


def test_a_field_has_its_title_and_its_description() -> None:
    age: Json = {"type": "integer", "title": "Age", "description": "In years.", "default": 7}
    assert one(True, **age).begin() == AskText(
        f"Tell me\n\nAge\n\nIn years.\n\nReply with a whole number. /skip takes 7. {OUT}"
    )


def test_what_the_agent_says_at_length_is_cut() -> None:
    step = form(
        {"x": {"type": "string", "title": "t" * 999, "description": "d" * 9999}},
        message="m" * 99_999,
    ).begin()
    assert len(texts(step)) < 6_000


# --- what a reply means ---------------------------------------------------------------------------

SIX = {"type": "string", "enum": ["a", "b"], "default": "b"}
LEFT = {"const": "l", "title": "Left"}
SOME = {"type": "array", "items": {"anyOf": [LEFT, {"const": "r", "title": "Right"}]}}
REPLIES = {
    "text": ({"type": "string"}, " some words ", "some words"),
    "text-with-a-slash": ({"type": "string"}, "/etc/hosts", "/etc/hosts"),
    "text-not-matched-to-a-pattern": ({"type": "string", "pattern": "(a+)+$"}, "aaa!", "aaa!"),
    "mail": ({"type": "string", "format": "email"}, "ann@x.example", "ann@x.example"),
    "uri": ({"type": "string", "format": "uri"}, "mailto:ann@x", "mailto:ann@x"),
    "date": ({"type": "string", "format": "date"}, "2030-01-31", "2030-01-31"),
    "instant": (
        {"type": "string", "format": "date-time"},
        "2030-01-31T12:00:00Z",
        "2030-01-31T12:00:00Z",
    ),
    "whole": ({"type": "integer"}, "-12", -12),
    "whole-at-its-bound": ({"type": "integer", "minimum": 3, "maximum": 3}, "3", 3),
    "number": ({"type": "number"}, "2.5", 2.5),
    "number-that-is-whole": ({"type": "number"}, "+7", 7),
    "number-short": ({"type": "number"}, ".5e1", 5.0),
    "choice-by-label": ({"type": "string", "enum": ["Left", "Right"]}, "right", "Right"),
    "choice-by-number": ({"type": "string", "enum": ["Left", "Right"]}, "2.", "Right"),
    "choice-by-value": ({"type": "string", "oneOf": [LEFT]}, "L", "l"),
    "choice-by-the-exact-label": ({"type": "string", "enum": ["A", "a"]}, "a", "a"),
    "choice-by-label-before-value": (
        {"type": "string", "oneOf": [{"const": "a", "title": "b"}, {"const": "b", "title": "a"}]},
        "a",
        "b",
    ),
    "boolean": ({"type": "boolean"}, "YES", True),
    "boolean-by-value": ({"type": "boolean"}, "false", False),
    "some-in-the-form-s-order": (SOME, "right, 1", ["l", "r"]),
    "some-once": (SOME, "left,left,", ["l"]),
    "none": (SOME, "-", []),
}


@pytest.mark.parametrize(("schema", "reply", "value"), REPLIES.values(), ids=REPLIES)
def test_a_reply_becomes_a_value(schema: Json, reply: str, value: Json) -> None:
    asked = one(**schema)
    asked.begin()
    finished = asked.replied(reply)
    assert repr(finished) == repr(accepted(value))  # which tells 7 from 7.0, and True from 1


UNFIT = {
    "nothing": ({"type": "string"}, " ", "That is empty."),
    "short": ({"type": "string", "minLength": 3}, "ab", "That is shorter than 3 characters."),
    "long": ({"type": "string", "maxLength": 3}, "abcd", "That is longer than 3 characters."),
    "endless": (
        {"type": "string"},
        "x" * (TEXT_MAX_CHARS + 1),
        f"That is longer than {TEXT_MAX_CHARS} characters.",
    ),
    "mail": ({"type": "string", "format": "email"}, "ann x@y", "That is not an e-mail address."),
    "date": (
        {"type": "string", "format": "date"},
        "2030-02-31",
        "That is not a date such as 2030-01-31.",
    ),
    "instant": (
        {"type": "string", "format": "date-time"},
        "2030-01-31T12:00:00",
        "That is not a date and time such as 2030-01-31T12:00:00Z.",
    ),
    "word": ({"type": "integer"}, "seven", "That is not a whole number."),
    "fraction": ({"type": "integer"}, "7.5", "That is not a whole number."),
    "digits-of-elsewhere": ({"type": "integer"}, "٣", "That is not a whole number."),
    "comma": ({"type": "number"}, "2,5", "That is not a number."),
    "infinite": ({"type": "number"}, "1e999", "That is not a number."),
    "not-a-number": ({"type": "number"}, "nan", "That is not a number."),
    "less": ({"type": "integer", "minimum": 3}, "2", "That is less than 3."),
    "more": ({"type": "number", "maximum": 0.5}, "0.51", "That is more than 0.5."),
    "choice": ({"type": "boolean"}, "3", "'3' is none of these."),
    "some": (SOME, "left, up", "'up' is none of these."),
    "too-few": ({**SOME, "minItems": 2}, "left", "Those are fewer than 2."),
    "too-many": ({**SOME, "maxItems": 1}, "left,right", "Those are more than 1."),
}


@pytest.mark.parametrize(("schema", "reply", "wrong"), UNFIT.values(), ids=UNFIT)
def test_an_unfit_reply_is_asked_again_twice(schema: Json, reply: str, wrong: str) -> None:
    asked = one(**schema)
    asked.begin()
    for _ in range(2):
        again = asked.replied(reply)
        assert not isinstance(again, Finished)
        assert again.text.startswith(wrong)
    assert asked.replied(reply) == Finished("cancel", None, GIVEN_UP)


def test_every_question_has_its_own_tries() -> None:
    asked = form({"x": {"type": "integer"}, "y": {"type": "integer"}}, "x", "y")
    asked.begin()
    for reply in ("?", "?", "1", "?", "?"):
        assert not isinstance(asked.replied(reply), Finished)
    assert asked.replied("2") == Finished("accept", {"x": 1, "y": 2})


# --- one question after another -------------------------------------------------------------------


def test_a_form_is_asked_field_by_field() -> None:
    asked = form(
        {
            "name": {"type": "string"},
            "size": {"type": "string", "enum": ["S", "L"]},
            "note": {"type": "string"},
            "count": {"type": "integer", "default": 1},
        },
        "name",
        "size",
    )
    assert texts(asked.begin()).startswith("Tell me\n\n1 of 4: name\n\n")
    second = asked.replied("Ann")
    assert second == AskChoice("2 of 4: size", (("0", "S"), ("1", "L"), ("decline", "Decline")))
    third = asked.chosen("1")
    assert third == AskText(f"3 of 4: note\n\nReply with text. /skip leaves it out. {OUT}")
    assert texts(asked.replied("/skip")).startswith("4 of 4: count")
    end = Finished("accept", {"name": "Ann", "size": "L", "count": 1})
    assert asked.replied("/skip@bot") == end
    assert asked.replied("later") == asked.chosen("0") == asked.without_buttons() == end


def test_what_is_needed_cannot_be_skipped() -> None:
    asked = one(type="string")
    asked.begin()
    assert texts(asked.replied("/skip")).startswith(REQUIRED)


@pytest.mark.parametrize(
    ("reply", "end"),
    [
        ("/cancel", Finished("cancel", None, CANCELLED)),
        (" /Cancel@bot ", Finished("cancel", None, CANCELLED)),
        ("/decline", Finished("decline", None, DECLINED)),
    ],
)
def test_the_ways_out_are_open_everywhere(reply: str, end: Finished) -> None:
    for asked in (one(type="string"), one(type="boolean"), form({}), link(URL)):
        asked.begin()
        assert asked.replied(reply) == end


def test_an_agent_without_words_is_still_heard() -> None:
    assert texts(Form({}).begin()) == "The agent has a question."


def test_a_button_declines() -> None:
    asked = one(type="boolean")
    asked.begin()
    assert asked.chosen("decline") == Finished("decline", None, DECLINED)


@pytest.mark.parametrize("option_id", ["2", "-1", "", "done", "submit", "once", "00"])
def test_a_button_that_was_not_there_chooses_nothing(option_id: str) -> None:
    asked = one(type="boolean")
    asked.begin()
    again = asked.chosen(option_id)
    assert isinstance(again, AskChoice)
    assert again.text == "That was not offered."
    assert asked.chosen("1") == accepted(False)


def test_a_button_while_a_text_is_asked_chooses_nothing() -> None:
    asked = one(type="string")
    asked.begin()
    assert texts(asked.chosen("0")).startswith("That was not offered.")


def test_a_channel_without_buttons_is_asked_by_text() -> None:
    asked = form({"x": {"type": "boolean"}, "y": {"type": "boolean"}}, "x", "y")
    asked.begin()
    listed = f"1. Yes\n2. No\nReply with one of these, or its number. {OUT}"
    assert asked.without_buttons() == AskText(f"Tell me\n\n1 of 2: x\n\n{listed}")
    assert asked.replied("yes") == AskText(f"2 of 2: y\n\n{listed}")
    assert asked.replied("2") == Finished("accept", {"x": True, "y": False})


@pytest.mark.parametrize("schema", [None, [], {}, {"properties": []}, {"required": 7}])
def test_a_form_without_fields_is_a_message_to_agree_to(schema: Json) -> None:
    asked = Form({"message": "Go on?", "requestedSchema": schema})
    assert asked.begin() == AskChoice("Go on?", (("submit", "OK"), ("decline", "Decline")))
    assert asked.chosen("submit") == Finished("accept", {})


# --- what is not asked ----------------------------------------------------------------------------

SECRET_FIELDS = [
    ("password", {"type": "string"}),
    ("newPassword", {"type": "string"}),
    ("GITHUB_TOKEN", {"type": "string"}),
    ("APIKey", {"type": "string"}),
    ("apikey", {"type": "string"}),
    ("api-key", {"type": "string"}),
    ("x", {"type": "string", "title": "Your access keys"}),
    ("x", {"type": "string", "title": "Client Secret"}),
    ("x", {"type": "string", "format": "password"}),
    ("x", {"type": "string", "writeOnly": True}),
    ("pin", {"type": "integer"}),
    ("otp", {"type": "number"}),
]


@pytest.mark.parametrize(("name", "schema"), SECRET_FIELDS)
def test_a_form_that_asks_for_a_secret_is_declined(name: str, schema: Json) -> None:
    asked = form({"user": {"type": "string"}, name: schema}, "user")
    end = asked.begin()
    assert isinstance(end, Finished)
    assert (end.action, end.content) == ("decline", None)
    assert "secrets do not belong in a chat" in end.text
    assert asked.replied("hunter2") == end
    assert forbidden({"requestedSchema": {"properties": {name: schema}}}) == end


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("max_tokens", {"type": "integer"}),
        ("savePassword", {"type": "boolean"}),
        ("token_type", {"type": "string", "enum": ["bearer", "basic"]}),
        ("shipping", {"type": "string"}),
        ("author", {"type": "string"}),
        ("keyword", {"type": "string"}),
    ],
)
def test_what_only_sounds_like_a_secret_is_asked(name: str, schema: Json) -> None:
    assert not isinstance(form({name: schema}).begin(), Finished)


UNKNOWN = {"type": "_anyclaw/colour"}
MANY = {"type": "string", "enum": [str(number) for number in range(CHOICES_MAX + 1)]}


@pytest.mark.parametrize(
    "asked",
    [
        form({"x": UNKNOWN}, "x"),
        form({"x": "string"}, "x"),
        form({"x": MANY}, "x"),
        form({"x": {"type": "array", "items": {"enum": []}}}, "x"),
        form({f"x{number}": {"type": "string"} for number in range(FIELDS_MAX + 1)}),
        Form({"mode": "_hologram", "message": "Look"}),
        Form({"mode": None, "message": "Look"}),
    ],
)
def test_what_cannot_be_asked_is_declined(asked: Form) -> None:
    assert asked.begin() == Finished("decline", None, UNSHOWABLE)


def test_what_cannot_be_asked_and_need_not_be_is_left_out() -> None:
    asked = form({"x": UNKNOWN, "y": {"type": "string"}}, "y")
    asked.begin()
    assert asked.replied("yes") == Finished("accept", {"y": "yes"})


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"mode": "_hologram"},
        {"mode": "url", "url": "https://login.example/"},
        {"requestedSchema": {"properties": {"x": UNKNOWN, "y": {"type": "string"}}}},
        {"requestedSchema": {"properties": {f"x{n}": {"type": "string"} for n in range(99)}}},
    ],
)
def test_what_another_channel_can_show_is_not_forbidden(params: Json) -> None:
    assert forbidden(params) is None


# --- links ----------------------------------------------------------------------------------------

URL = "https://login.example/oauth?state=a%20b&x=1#top"


def link(url: Json, **more: bool) -> Form:
    return Form({"mode": "url", "message": "Log in", "url": url, "elicitationId": "7"}, **more)


def test_a_link_is_shown_in_full_with_the_host_it_leads_to() -> None:
    asked = link(URL)
    assert asked.begin() == AskChoice(
        f"Log in\n\n{URL}\n\nThis leads to login.example.",
        (("done", "Done"), ("decline", "Decline")),
    )
    assert asked.chosen("done") == Finished("accept", None)


def test_a_link_names_the_host_behind_what_looks_like_one() -> None:
    step = link("https://bank.example@evil.example:8443/bank.example").begin()
    assert texts(step).endswith("This leads to evil.example:8443.")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("HTTP://LOCALHOST:8080", "LOCALHOST:8080"),
        ("https://[2001:db8::1]/x", "[2001:db8::1]"),
        ("https://xn--gd-lka.example?q", "xn--gd-lka.example"),
        ("https://ann:pw@x.example/", "x.example"),
    ],
)
def test_the_host_of_a_link(url: str, host: str) -> None:
    assert texts(link(url).begin()).endswith(f"This leads to {host}.")


def test_a_link_without_buttons_is_answered_by_text() -> None:
    asked = link(URL, has_buttons=False)
    assert texts(asked.begin()).endswith("\n\n1. Done\n2. Decline")
    assert texts(asked.replied("what?")).startswith("'what?' is none of these.")
    assert URL in texts(asked.replied("/skip"))
    assert asked.replied("done") == Finished("accept", None)
    asked = link(URL, has_buttons=False)
    assert asked.replied("Decline") == Finished("decline", None, DECLINED)


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "login.example",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://",
        "https://:443/",
        "https://a@b@evil.example/",
        "https://evil.example:https/",
        "https://-/",
        "https:///path",
        "https://good.example\\@evil.example/",
        "https://good.example/\u202emoc.live//:sptth",
        "https://g\u043e\u043ed.example/",
        "https://good.example/ and more",
        "https://good.example/\n\nThis leads to good.example.",
        "https://good.example/" + "x" * 4000,
    ],
)
def test_a_link_that_could_mislead_is_declined(url: Json) -> None:
    end = Finished("decline", None, MISLEADING)
    assert link(url).begin() == forbidden({"mode": "url", "url": url}) == end

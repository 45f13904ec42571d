"""`!credential NAME`: what it becomes, what is said where it cannot be had, and who may know."""

import pytest

from anyclawd.compile.origin import Source
from anyclawd.model.fingerprint import fingerprint, fingerprint_of_secret
from anyclawd.model.plan import to_plain
from anyclawd.model.secret import SHOWN_AS, scrub, written_texts
from anyclawd.model.value import Json
from tests.unit.compile.conftest import CREDENTIALS, Compile, lines

SECRET = "sk-0123456789"
UNIT = "units:\n  a.service:\n    exec: /bin/true\n    protocol: none\n"
MOVE = "to a drop-in of the unit ('systemctl edit') and restart it ('systemctl restart')"


def given(name: str, default: str | None = None) -> Json:
    return {"!secret": {"credential": name, "default": default}}


def test_a_credential_is_carried_by_its_name_whatever_it_is_called(compile_text: Compile) -> None:
    text = UNIT + (
        '    environment: {NAME: !credential harmless, KEY: !credential "key:none"}\n'
        "    options: {list: [{inside: !credential harmless}], pin: !credential pin}\n"
    )
    credentials = {"harmless": f"{SECRET}\n".encode(), "pin": b"0042"}
    outcome = compile_text(text, credentials=credentials)
    assert outcome.plan is not None, lines(outcome)
    unit = outcome.plan.units["a.service"]
    assert unit.environment == {"NAME": given("harmless"), "KEY": given("key", "none")}
    assert unit.options == {"list": [{"inside": given("harmless")}], "pin": given("pin")}
    assert lines(outcome) == []
    assert SECRET not in repr((to_plain(outcome.plan), outcome.inputs))


def test_a_plan_depends_on_credentials_by_a_fingerprint(compile_text: Compile) -> None:
    text = UNIT + '    options: {a: !credential a, b: !credential "b:none"}\n'
    outcome = compile_text(text, credentials={"a": b"one\n"})
    assert [found for found in outcome.inputs if "credential" in found[0]] == [
        ("credential", "a", fingerprint_of_secret(b"one\n")),
        ("credential", "b", b""),
    ]
    assert CREDENTIALS not in repr(outcome.inputs)


def test_who_asks_is_told_what_a_configuration_takes_from_outside(compile_text: Compile) -> None:
    text = UNIT + (
        '    options: {a: !credential "a:x", b: !env B, c: !credential a, d: !credential d}\n'
        '    environment: {A: !env "A:"}\n'
    )
    outcome = compile_text(text, credentials={"a": b"one"}, environ={"B": "two"})
    assert [
        (*it[:2], it.span.column, it.key, it.is_needed, it.is_given) for it in outcome.taken
    ] == [
        (Source.CREDENTIAL, "a", 18, "units.a.service.options.a", False, True),
        (Source.VARIABLE, "B", 40, "units.a.service.options.b", True, True),
        (Source.CREDENTIAL, "d", 69, "units.a.service.options.d", True, False),
        (Source.VARIABLE, "A", 22, "units.a.service.environment.A", False, False),
    ]


BAD = {
    "missing": (
        "!credential key",
        {},
        (
            "the credential key is not among those that the service is given;"
            f" add LoadCredential=key:/path {MOVE}"
        ),
    ),
    "no-directory": (
        "!credential key",
        None,
        (
            "the credential key cannot be had, since CREDENTIALS_DIRECTORY is not set;"
            f" add LoadCredential=key:/path {MOVE}"
        ),
    ),
    "a-path": (
        "!credential a/b",
        {},
        (
            "!credential needs a name of 1 to 255 printable ASCII characters without '/',"
            " found 'a/b'"
        ),
    ),
    "the-parent": (
        "!credential ..",
        {},
        (
            "!credential needs a name of 1 to 255 printable ASCII characters without '/',"
            " found '..'"
        ),
    ),
    "empty": (
        '!credential ":x"',
        {},
        "!credential needs a name of 1 to 255 printable ASCII characters without '/', found ''",
    ),
    "too-long": (
        f"!credential {'x' * 256}",
        {},
        (
            "!credential needs a name of 1 to 255 printable ASCII characters without '/',"
            f" found '{'x' * 57}...'"
        ),
    ),
    "a-map": (
        "!credential {}",
        {},
        "!credential needs the name of a credential, found a map or a list",
    ),
    "no-text": (
        "!credential key",
        {"key": b"hunter2\xff"},
        "cannot use the credential key: its byte 8 is not UTF-8, expected UTF-8 text",
    ),
    "too-large": (
        "!credential key",
        {"key": b"x" * (2**20 + 2)},
        "cannot use the credential key: it is larger than 1 MiB, the most that is read",
    ),
    "a-directory": (
        "!credential key",
        {"key/below": b""},
        "cannot use the credential key: is a directory",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("value", "credentials", "text"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("setting", ["options", "environment"])
def test_what_is_wrong_is_said_where_it_is(
    value: str,
    credentials: dict[str, bytes] | None,
    text: str,
    setting: str,
    compile_text: Compile,
) -> None:
    outcome = compile_text(f"{UNIT}    {setting}:\n      K: {value}\n", credentials=credentials)
    assert f"anyclaw.yaml:6:10: error: units.a.service.{setting}.K: {text}" in lines(outcome)
    assert outcome.plan is None


def test_one_that_is_there_and_cannot_be_used_has_no_default(compile_text: Compile) -> None:
    text = UNIT + '    options: {k: !credential "key:none"}\n'
    (line,) = lines(compile_text(text, credentials={"key": b"\xff"}))
    assert "cannot use the credential key" in line


IN_A_VARIABLE = {
    "nul": (b"a\0b", "a variable cannot hold a NUL character"),
    "lines": (
        b"BEGIN hunter2\nEND",
        (
            "the credential key has several lines, a variable takes one;"
            " hand it over in options"
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "text"), IN_A_VARIABLE.values(), ids=IN_A_VARIABLE)
def test_what_a_variable_cannot_hold_is_refused(
    content: bytes, text: str, compile_text: Compile
) -> None:
    written = UNIT + "    environment: {KEY: !credential key}\n"
    assert lines(compile_text(written, credentials={"key": content})) == [
        f"anyclaw.yaml:5:24: error: units.a.service.environment.KEY: {text}"
    ]
    options = UNIT + "    options: {key: !credential key}\n"
    assert lines(compile_text(options, credentials={"key": content})) == []


def test_an_option_that_becomes_a_variable_holds_no_nul(compile_text: Compile) -> None:
    text = "units: {a.tool: {exec: /bin/true, options: {key: !credential key}}}\n"
    credentials = {"key": b"a\0b"}
    assert lines(compile_text(text, credentials=credentials)) == [
        (
            "anyclaw.yaml:1:50: error: units.a.tool.options.key: a variable cannot hold a NUL"
            " character, and the options of this unit are variables too"
        )
    ]
    trusted = text.replace("options", "trusted: true, options")
    assert lines(compile_text(trusted, credentials=credentials)) == []
    inside = text.replace("!credential key", "[!credential key]")
    assert lines(compile_text(inside, credentials=credentials)) == []


def test_an_option_is_checked_as_the_text_that_its_process_gets(compile_text: Compile) -> None:
    text = UNIT + (
        "    options_schema: {properties: {pin: {type: string}, port: {type: integer}}}\n"
        "    options: {pin: !credential pin, port: !credential port}\n"
    )
    assert lines(compile_text(text, credentials={"pin": b"0042", "port": b"80"})) == [
        (
            "anyclaw.yaml:6:43: error: units.a.service.options.port: expected a whole number, found"
            " the value of the credential port"
        )
    ]


# -- where it is no reference ------------------------------------------------------------------

SHOWN = """\
units:
  a.service:
    exec: [/bin/true, !credential argument]
    protocol: none
    description: !credential description
    exec_start_pre: [[/bin/echo, !credential hook]]
    health: {type: http, url: !credential url}
    timeouts: {stop: !credential seconds}
"""
IN_PLAIN = {
    "argument": b"secret-argument",
    "description": b"secret-description",
    "hook": b"secret-hook",
    "url": b"http://127.0.0.1/?key=secret-url",
    "seconds": b"1min 17s",
}


def test_what_goes_into_the_plan_as_it_is_is_warned_of_and_searched_for(
    compile_text: Compile,
) -> None:
    outcome = compile_text(SHOWN, credentials=IN_PLAIN)
    assert outcome.plan is not None, lines(outcome)
    unit = outcome.plan.units["a.service"]
    assert unit.timeouts.stop_s == 77.0
    assert unit.description == SHOWN_AS
    texts = written_texts(unit.secrets)
    assert set(texts) == {content.decode() for content in IN_PLAIN.values()}
    assert scrub(list(unit.argv), texts) == ["/bin/true", SHOWN_AS]
    aside = (
        "is kept out of the plan in options and environment alone; here it becomes part of it, and"
        " such a plan is not kept for the next start"
    )
    aloud = (
        "on a command line can be read by everybody on this machine;"
        " hand it over in options or environment"
    )
    unit_key = "warning: units.a.service"
    assert lines(outcome) == [
        f"anyclaw.yaml:3:23: {unit_key}.exec: the secret argument {aloud}",
        f"anyclaw.yaml:5:18: {unit_key}.description: the credential description {aside}",
        f"anyclaw.yaml:6:34: {unit_key}.exec_start_pre[0]: the secret hook {aloud}",
        f"anyclaw.yaml:7:31: {unit_key}.health.url: the credential url {aside}",
        f"anyclaw.yaml:8:22: {unit_key}.timeouts.stop: the credential seconds {aside}",
    ]
    shown = {name: fingerprint(content) for name, content in IN_PLAIN.items()}
    found = {name: mark for kind, name, mark in outcome.inputs if kind == "shown-credential"}
    assert found == shown


def test_a_command_line_holds_no_nul(compile_text: Compile) -> None:
    text = "units: {a.service: {exec: [/bin/true, !credential key], protocol: none}}\n"
    found = lines(compile_text(text, credentials={"key": b"a\0b"}))
    assert found[0] == (
        "anyclaw.yaml:1:39: error: units.a.service.exec[1]: a command line cannot hold a NUL"
        " character"
    )


def test_what_does_not_fit_is_told_without_its_text(compile_text: Compile) -> None:
    text = UNIT + "    restart: !credential word\n    watchdog: !credential time\n"
    outcome = compile_text(text, credentials={"word": b"hunter2", "time": b"hunter2"})
    assert outcome.plan is None
    assert "found the value of the credential word" in "\n".join(lines(outcome))
    assert "hunter2" not in "\n".join(lines(outcome))


# -- where nobody has been given any -----------------------------------------------------------

EVERYWHERE = """\
admin: {socket_mode: !credential mode}
supervisor: {admin_port: !credential port}
session_store: {type: !credential store}
agents_manager: {agents: {default: {exec: /bin/true, options: {key: !credential key}}}}
channels_manager:
  channels:
    http:
      binary: "@built-in/channels/debug-http"
      options: {host: 0.0.0.0, port: !credential port, api_key: !credential key}
units:
  a.service:
    exec: [/bin/true, !credential key]
    protocol: none
    exec_start_pre: [[/bin/true, !credential key]]
    environment: {KEY: !credential key, OTHER: !credential "other:x"}
    restart: !credential word
    readiness: {type: http, url: !credential url}
    requires: [!credential unit]
    working_dir: !credential path
    condition: {environment: !credential wish, path_exists: [!credential path]}
    options_schema:
      properties: {a: {anyOf: [{items: {pattern: "^x$"}}, {type: integer}]}, b: {pattern: "^x$"}}
    options: {a: [!credential key], b: !credential key}
"""


def test_without_a_service_manager_each_is_warned_of_once(compile_text: Compile) -> None:
    outcome = compile_text(EVERYWHERE, has_credentials=False)
    assert outcome.plan is not None, lines(outcome)
    names = ["mode", "port", "store", "key", "word", "url", "unit", "path", "wish"]
    told = [line.partition(": the credential ")[2] for line in lines(outcome)]
    assert list(filter(None, told)) == [
        f"{name} is not known here: the service manager alone has it" for name in names
    ]
    unit = outcome.plan.units["a.service"]
    assert unit.environment == {"KEY": given("key"), "OTHER": given("other", "x")}
    assert unit.argv == ("/bin/true", "<credential key>")
    assert unit.working_dir == ""


def test_being_strict_takes_no_offence_at_it(compile_text: Compile) -> None:
    outcome = compile_text(EVERYWHERE, has_credentials=False, strict=True)
    assert outcome.plan is not None


def test_who_has_a_directory_of_them_is_told_what_is_not_in_it(compile_text: Compile) -> None:
    text = UNIT + "    options: {k: !credential key}\n"
    outcome = compile_text(text, credentials={}, has_credentials=False)
    assert outcome.plan is None

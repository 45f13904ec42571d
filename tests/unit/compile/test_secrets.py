"""What looks like a secret is marked where it is read, and never shown."""

import pytest

from anyclawd.compile.secret import looks_secret
from anyclawd.model.plan import to_plain
from anyclawd.model.secret import SHOWN_AS, scrub, written_texts
from tests.unit.compile.conftest import Compile, lines

SECRET = [
    "password", "DB_PASSWORD", "bot_token", "BOT_TOKEN", "token", "api_key", "apiKey", "API-KEY",
    "ANTHROPIC_API_KEY", "client_secret", "Authorization", "credentials", "aws_secret_access_key",
    "private_key", "githubPat", "passphrase", "session_cookie", "tokens",
]  # fmt: skip
PLAIN = [
    "name", "thinking", "keyboard", "key", "monkey", "author", "tokenizer", "password_file",
    "token_path", "pattern", "compatible",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRET)
def test_a_name_of_a_secret(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize("name", PLAIN)
def test_a_name_of_no_secret(name: str) -> None:
    assert not looks_secret(name)


TEXT = """\
units:
  a.service:
    exec: /bin/true
    protocol: none
    environment: {DB_PASSWORD: hunter2, PLAIN: x, FROM: !env GITHUB_TOKEN, PORT: !env PORT}
    options:
      bot_token: !env BOT
      api_key: "!"
      max_tokens: 4096
      pin_password: 1234
      require_password: false
      password: ""
      headers: {Authorization: Bearer hunter2}
      credentials: {user: me, list: [a, 1]}
      name: !env NAME
"""
ENVIRON = {"GITHUB_TOKEN": "hunter2", "PORT": "80", "BOT": "hunter2", "NAME": "n"}


def test_secrets_are_marked_by_key_or_variable(compile_text: Compile) -> None:
    outcome = compile_text(TEXT, environ=ENVIRON)
    assert outcome.plan is not None, lines(outcome)
    unit = outcome.plan.units["a.service"]
    assert unit.environment == {
        "DB_PASSWORD": {"!secret": {"value": "hunter2"}},
        "PLAIN": "x",
        "FROM": {"!secret": {"env": "GITHUB_TOKEN", "default": None}},
        "PORT": "80",
    }
    assert unit.options == {
        "bot_token": {"!secret": {"env": "BOT", "default": None}},
        "api_key": {"!secret": {"value": "!"}},
        "max_tokens": 4096,
        "pin_password": {"!secret": {"value": 1234}},
        "require_password": False,
        "password": "",
        "headers": {"Authorization": {"!secret": {"value": "Bearer hunter2"}}},
        "credentials": {
            "user": {"!secret": {"value": "me"}},
            "list": [{"!secret": {"value": "a"}}, {"!secret": {"value": 1}}],
        },
        "name": "n",
    }


def test_a_secret_from_a_variable_is_nowhere_in_the_plan(compile_text: Compile) -> None:
    text = TEXT.replace("Bearer hunter2", "x").replace("DB_PASSWORD: hunter2", "DB_PASSWORD: x")
    outcome = compile_text(text, environ=ENVIRON)
    assert "hunter2" not in repr((to_plain(outcome.plan), outcome.findings, outcome.inputs))


def test_a_secret_on_a_command_line_is_warned_of(compile_text: Compile) -> None:
    text = "units: {a.service: {exec: [/bin/true, !env BOT_TOKEN], protocol: none}}\n"
    assert lines(compile_text(text, environ={"BOT_TOKEN": "x"})) == [
        (
            "anyclaw.yaml:1:39: warning: units.a.service.exec: the secret BOT_TOKEN on a"
            " command line"
            " can be read by everybody on this machine; hand it over in options or environment"
        )
    ]


def test_an_open_door_is_warned_of(compile_text: Compile) -> None:
    text = (
        "agents_manager: {agents: {default: {exec: /bin/true}}}\n"
        'channels_manager: {channels: {c: {binary: "@built-in/channels/debug-http",'
        " options: {host: 0.0.0.0, port: 1}}}}\n"
    )
    locked = text.replace("port: 1", "port: 1, api_key: k")
    (line,) = lines(compile_text(text))
    assert line.startswith("anyclaw.yaml:2:92: warning: channels_manager.channels.c.options.host:")
    assert lines(compile_text(locked)) == []


def test_a_misspelt_option_is_warned_of(compile_text: Compile) -> None:
    text = 'units: {a.agent: {exec: "@ext/agents/mock", options: {thinkin: true}}}\n'
    assert lines(compile_text(text)) == [
        (
            "anyclaw.yaml:1:55: warning: units.a.agent.options.thinkin: unknown option"
            " (did you mean 'thinking'?)"
        )
    ]


def test_an_option_is_checked_by_what_its_variable_says(compile_text: Compile) -> None:
    text = 'units: {a.agent: {exec: "@ext/agents/mock", options: {thinking: !env T}}}\n'
    assert lines(compile_text(text, environ={"T": "true"})) == []
    (line,) = lines(compile_text(text, environ={"T": "hunter2"}))
    assert line.endswith("expected true or false, found the value of the variable T")


PLAIN_TEXTS = """\
units:
  a.service:
    exec: [/bin/true, !env API_KEY, !env NAME]
    protocol: none
    exec_start_pre: [[/bin/echo, !env API_KEY], [/bin/echo, !env "OLD_PASSWORD:swordfish"]]
    condition: {environment: [!env WISH_TOKEN]}
    health: {type: http, url: !env TOKEN_URL}
"""
PLAIN_ENVIRON = {
    "API_KEY": "sk-0123456789",
    "NAME": "harmless",
    "WISH_TOKEN": "A=0123456789",
    "TOKEN_URL": "http://127.0.0.1/health?key=0123456789",
}


def test_secrets_that_stand_in_plain_text_are_known_and_not_shown(compile_text: Compile) -> None:
    outcome = compile_text(PLAIN_TEXTS, environ=PLAIN_ENVIRON)
    assert outcome.plan is not None, lines(outcome)
    unit = outcome.plan.units["a.service"]
    texts = written_texts(unit.secrets)
    assert set(texts) == {*PLAIN_ENVIRON.values(), "swordfish"} - {"harmless"}
    assert unit.argv == ("/bin/true", "sk-0123456789", "harmless")
    assert scrub(list(unit.argv), texts) == ["/bin/true", SHOWN_AS, "harmless"]

"""Channels that let in everybody, or nobody: both are warned of, and neither is an error."""

import pytest

from tests.unit.compile.conftest import Compile, lines

SAYS_NOTHING = (
    "channels_manager.channels.c: says nowhere whom it lets in, so whoever finds it may be able to"
    " talk to the agent; say it in access, or access: {default: closed}"
)
NOBODY = (
    "channels_manager.channels.c: nobody can talk here: access is closed, and no rule lets anybody"
    " in; add a rule for this channel, or access.pairing"
)
OURS = '"@built-in/channels/debug-http"'


def warnings(compile_text: Compile, options: str, access: str, binary: str = OURS) -> list[str]:
    """What is said of a channel `c`, whose agent is `a` and which has a neighbour `d`."""
    outcome = compile_text(
        "agents_manager: {agents: {a: {exec: sh}, b: {exec: sh}}}\n"
        "channels_manager:\n  channels:\n"
        f"    c: {{binary: {binary}, agent: a, options: {options}}}\n"
        f"    d: {{binary: {OURS}, agent: b, enabled: !env 'D:false'}}\n"
        f"{access}\n"
    )
    assert outcome.plan is not None, lines(outcome)
    return [line.partition(": warning: ")[2] for line in lines(outcome)]


LOOPBACK = ["{}", "{port: 8080}", "{host: 127.0.0.1}", '{host: "::1"}', "{host: localhost}"]


@pytest.mark.parametrize("options", LOOPBACK)
def test_the_debug_channel_on_loopback_reaches_nobody_outside(
    compile_text: Compile, options: str
) -> None:
    assert warnings(compile_text, options, "") == []


CLOSED = {
    "a-list-of-users": "{allowed_users: [1]}",
    "an-empty-list": "{allowed_users: []}",
    "another-word": "{allow_from: '@me'}",
    "the-originals": "{access_control: {group_policy: allowlist, allowed_users: [1]}}",
    "a-key-of-one-that-listens": "{port: 80, api_key: hunter2}",
    "a-key-from-a-variable": "{host: 10.0.0.1, token: !env 'KEY:x'}",
}


@pytest.mark.parametrize("options", CLOSED.values(), ids=CLOSED)
def test_a_channel_that_names_somebody_is_closed_enough(
    compile_text: Compile, options: str
) -> None:
    assert warnings(compile_text, options, "", "sh") == []


OPEN = {
    "nothing-said": "{}",
    "its-own-key-to-elsewhere": "{bot_token: hunter2}",
    "everybody": "{allowed_users: ['*']}",
    "everybody-among-others": "{allow_from: [1, '*']}",
    "the-originals-default": "{access_control: {group_policy: allowlist}}",
    "allowed-by-a-flag": "{allow_all: true}",
    "an-empty-key": "{port: 80, api_key: ''}",
}


@pytest.mark.parametrize("options", OPEN.values(), ids=OPEN)
def test_a_channel_that_names_nobody_is_warned_of(compile_text: Compile, options: str) -> None:
    assert warnings(compile_text, options, "", "sh") == [SAYS_NOTHING]


def test_the_debug_channel_on_another_address_names_nobody(compile_text: Compile) -> None:
    assert warnings(compile_text, "{host: 10.1.2.3}", "") == [SAYS_NOTHING]


def test_a_channel_that_listens_everywhere_is_told_at_its_host(compile_text: Compile) -> None:
    (found,) = warnings(compile_text, "{host: 0.0.0.0}", "")
    assert found.startswith("channels_manager.channels.c.options.host: listens on 0.0.0.0 without")
    assert warnings(compile_text, "{host: 0.0.0.0, api_key: k}", "") == []
    assert len(warnings(compile_text, "{host: 0.0.0.0}", "access: {default: open}")) == 1


def test_a_key_named_access_settles_it(compile_text: Compile) -> None:
    assert warnings(compile_text, "{}", "access: {default: open}", "sh") == []
    closed = "access: {rules: [{channel: c}]}"
    assert warnings(compile_text, "{}", closed, "sh") == []
    assert warnings(compile_text, "{host: 0.0.0.0}", closed) == []


ENTERED = {
    "a-rule-for-all": "{rules: [{}]}",
    "a-rule-for-the-channel": "{rules: [{channel: c, peer: x}]}",
    "a-rule-for-the-agent": "{rules: [{agent: a}]}",
    "a-code": "{pairing: {enabled: true}}",
    "some-are-turned-away-first": "{rules: [{peer: x, allow: false}, {channel: c}]}",
    "others-are-turned-away-first": "{rules: [{channel: d, allow: false}, {}]}",
    "open": "{default: open, rules: [{channel: c, allow: false}]}",
}
SHUT = {
    "no-rule": "{}",
    "a-rule-for-another-channel": "{rules: [{channel: d}]}",
    "a-rule-for-another-agent": "{rules: [{channel: c, agent: b}]}",
    "a-refusal": "{rules: [{channel: c, peer: x, allow: false}]}",
    "all-are-turned-away-first": (
        "{rules: [{channel: c, allow: false}, {channel: c, peer: x}], pairing: {enabled: true}}"
    ),
}


@pytest.mark.parametrize("access", ENTERED.values(), ids=ENTERED)
def test_a_channel_that_somebody_can_enter_is_fine(compile_text: Compile, access: str) -> None:
    assert warnings(compile_text, "{}", f"access: {access}") == []


@pytest.mark.parametrize("access", SHUT.values(), ids=SHUT)
def test_a_channel_that_nobody_can_enter_is_warned_of(compile_text: Compile, access: str) -> None:
    assert warnings(compile_text, "{}", f"access: {access}") == [NOBODY]


def test_a_channel_that_is_switched_off_lets_in_nobody_anyway(compile_text: Compile) -> None:
    outcome = compile_text(
        "agents_manager: {agents: {default: {exec: sh}}}\n"
        "channels_manager: {channels: {c: {binary: sh, enabled: false}}}\n"
    )
    assert lines(outcome) == []


def said_of_media(compile_text: Compile, options: str, enabled: str = "true") -> list[str]:
    outcome = compile_text(
        "services_manager:\n  services:\n"
        f'    m: {{binary: "@built-in/services/media", options: {options}, enabled: {enabled}}}\n'
        f"    other: {{exec: sh, options: {options}}}\n"
    )
    assert outcome.plan is not None, lines(outcome)
    return [line.partition(": warning: ")[2] for line in lines(outcome)]


@pytest.mark.parametrize(
    "options", [*LOOPBACK, "{host: 10.0.0.1, socket: /run/media.sock}", "{public_url: 'http://x'}"]
)
def test_files_that_are_served_to_this_machine_are_nobody_else_s_business(
    compile_text: Compile, options: str
) -> None:
    assert said_of_media(compile_text, options) == []


def test_files_that_are_served_beyond_this_machine_are_warned_of(compile_text: Compile) -> None:
    (said,) = said_of_media(compile_text, "{host: 0.0.0.0}")
    assert said == (
        "services_manager.services.m.options.host: files are served to whoever reaches this"
        " machine, as '0.0.0.0', and has a link; say 127.0.0.1 unless they are read elsewhere"
    )
    assert said_of_media(compile_text, "{host: 0.0.0.0}", enabled="false") == []

"""What an order says, and what environment a child gets from it."""

import marshal
from types import MappingProxyType

import pytest

from anyclawd.model.plan import Settings
from anyclawd.model.policy import Isolation, Resources
from anyclawd.model.secret import MARK
from anyclawd.model.span import BUILT_IN
from anyclawd.model.tool import ToolRole
from anyclawd.model.unit import AgentRole, ChannelRole, Kind, Protocol, Unit
from anyclawd.model.value import Json
from anyclawd.runtime.order import order_of
from anyclawd.runtime.spawn import environment_of

SETTINGS = Settings(log_level="debug")
KEY = {MARK: {"env": "API_KEY", "default": None}}


def unit(kind: Kind = Kind.SERVICE, **settings: Json) -> Unit:
    if kind is Kind.CHANNEL:
        settings["channel"] = ChannelRole(agent="a.agent")
    if kind is Kind.AGENT:
        settings["agent"] = AgentRole(cwd="/")
    if kind is Kind.TOOL:
        settings = {"tool": ToolRole(), **settings}
    settings = {"argv": ("/bin/x",), **settings}
    return Unit(name=f"a.{kind}", kind=kind, span=BUILT_IN, **settings)


def environment(it: Unit, environ: dict[str, str]) -> dict[str, str]:
    return environment_of(order_of(it, SETTINGS, "0d4f"), "f00d", environ)


def test_an_order_says_all_that_a_spawn_needs() -> None:
    it = unit(
        argv=("/bin/x", "-v"),
        environment={"A": "1"},
        pass_environment=("B",),
        working_dir="/srv",
        protocol=Protocol.SERVICE,
        resources=Resources(memory_max_bytes=4096, tasks_max=7, cpu_weight=50, nofile=9),
        user="nobody",
        isolate=Isolation.PID,
        has_state_directory=True,
    )
    assert order_of(it, SETTINGS, "0d4f") == (
        "a.service",
        ("/bin/x", "-v"),
        (("RUST_LOG", "debug"), ("A", "1")),
        ("B",),
        "/srv",
        True,
        (4096, 7, 50, 9),
        "nobody",
        "0d4f",
        True,
        True,
    )


def test_a_hook_has_the_order_of_its_unit_but_for_program_and_stdin() -> None:
    it = unit(protocol=Protocol.SERVICE, user="nobody")
    own = order_of(it, SETTINGS, "0d4f")
    hook = order_of(it, SETTINGS, "0d4f", argv=("/bin/hook",), has_stdin=False)
    assert hook == (own[0], ("/bin/hook",), *own[2:5], False, *own[6:])


def test_an_order_can_be_marshalled_and_holds_no_secret() -> None:
    options = MappingProxyType({"key": KEY, "nested": MappingProxyType({"keys": (KEY,)})})
    order = order_of(unit(Kind.CHANNEL, options=options), SETTINGS, "0d4f")
    assert marshal.loads(marshal.dumps(order)) == order
    assert dict(order[2])["key"] == KEY


def test_a_secret_is_revealed_at_the_spawn() -> None:
    options = {"key": KEY, "nested": {"keys": [KEY], "n": 1}}
    variables = environment(unit(Kind.CHANNEL, options=options), {"API_KEY": "s3cret"})
    assert variables["key"] == "s3cret"
    assert variables["nested"] == '{"keys":["s3cret"],"n":1}'


def test_a_secret_that_is_not_set_is_an_error_that_names_its_variable() -> None:
    with pytest.raises(OSError, match="'API_KEY' is not set"):
        environment(unit(environment={"KEY": KEY}), {})


def test_the_environment_is_clean_but_for_what_programs_need() -> None:
    passed_on = {
        "PATH": "/bin",
        "LC_TIME": "C",
        "XDG_RUNTIME_DIR": "/run/user/0",
        "HTTPS_PROXY": "http://proxy",
        "NODE_EXTRA_CA_CERTS": "/ca.pem",
    }
    environ = {
        **passed_on,
        "CREDENTIALS_DIRECTORY": "/run/c",
        "LD_PRELOAD": "x",
        "PYTHONPATH": "x",
        "LCX": "x",
    }
    assert environment(unit(), environ) == {
        **passed_on,
        "RUST_LOG": "debug",
        "ANYCLAWD_INSTANCE": "0d4f",
        "ANYCLAWD_UNIT": "a.service",
        "ANYCLAWD_INVOCATION": "f00d",
    }


def test_what_is_declared_wins_over_what_is_passed_on_and_our_marks_over_all() -> None:
    it = unit(
        environment={"PATH": "/mine", "RUST_LOG": "trace", "ANYCLAWD_UNIT": "other", "N": 10},
        pass_environment=("TOKEN", "NOT_SET"),
    )
    variables = environment(it, {"PATH": "/bin", "TOKEN": "t"})
    assert variables["PATH"] == "/mine"
    assert variables["RUST_LOG"] == "trace"
    assert variables["TOKEN"] == "t"
    assert variables["N"] == "10"
    assert variables["ANYCLAWD_UNIT"] == "a.service"
    assert "NOT_SET" not in variables


def test_what_services_give_is_weaker_than_what_is_declared_and_stronger_than_options() -> None:
    it = unit(Kind.CHANNEL, environment={"A": "declared"}, options={"A": "o", "B": "o", "C": "o"})
    installed = (("A", "installed"), ("B", "installed"), ("RUST_LOG", "installed"))
    order = order_of(it, SETTINGS, "0d4f", installed=installed)
    assert dict(order[2]) == {
        "A": "declared",
        "B": "installed",
        "C": "o",
        "RUST_LOG": "installed",
    }


OPTIONS = {"host": "127.0.0.1", "port": 8080, "is_open": True, "list": [1], "not-a-name": "x"}


@pytest.mark.parametrize("kind", [Kind.CHANNEL, Kind.TOOL])
def test_channels_and_tools_get_their_options_as_variables(kind: Kind) -> None:
    variables = environment(unit(kind, options=OPTIONS, environment={"host": "declared"}), {})
    assert variables["host"] == "declared"
    assert (variables["port"], variables["is_open"], variables["list"]) == ("8080", "true", "[1]")
    assert "not-a-name" not in variables


def test_a_tool_that_is_trusted_is_told_its_options_and_finds_no_variables() -> None:
    it = unit(Kind.TOOL, tool=ToolRole(is_trusted=True), options=OPTIONS)
    assert "port" not in environment(it, {})


@pytest.mark.parametrize("kind", [Kind.AGENT, Kind.SERVICE])
def test_others_get_their_options_in_the_handshake_only(kind: Kind) -> None:
    assert "host" not in environment(unit(kind, options=OPTIONS), {})

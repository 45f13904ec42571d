"""What log records look like, and which levels a filter sets."""

import json
import logging
import struct
from collections.abc import Iterator

import pytest

from anyclawd.daemon import logs
from anyclawd.model.plan import LogFormat, Settings


def record(text: str = "it %s", *args: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("anyclawd.unit", logging.INFO, __file__, 1, text, args, None)
    made.__dict__.update(extra)
    made.created = 1_700_000_000.5
    return made


FILTERS = {
    "bare-level": ("warn", {"": logging.WARNING}),
    "empty": ("", {"": logging.INFO}),
    "target": ("info,anyclawd::unit=error", {"": logging.INFO, "anyclawd.unit": logging.ERROR}),
    "trace-is-debug": ("trace", {"": logging.DEBUG}),
    "bare-target": ("warn,anyclawd", {"": logging.WARNING, "anyclawd": logging.DEBUG}),
    "off": ("off", {"": logging.CRITICAL + 1}),
    "blanks": (" info , anyclawd = debug ", {"": logging.INFO}),
}


@pytest.mark.parametrize(("log_filter", "levels"), FILTERS.values(), ids=FILTERS)
def test_a_filter_sets_levels(log_filter: str, levels: dict[str, int]) -> None:
    found, _ = logs.levels_of(log_filter)
    assert found.items() >= levels.items()


def test_the_default_filter_warns_of_nothing() -> None:
    assert logs.levels_of(Settings().log_level)[1] == []


@pytest.mark.parametrize("directive", ["tokio=debug", "anyclawd[span]=info", "anyclawd=loud"])
def test_what_means_nothing_here_is_a_warning(directive: str) -> None:
    levels, warnings = logs.levels_of(f"info,{directive}")
    assert levels == {"": logging.INFO}
    assert len(warnings) == 1


def test_a_json_record_has_the_documented_keys() -> None:
    text = logs.JsonFormatter().format(record("it %s", "runs", unit="a.agent", stream="stderr"))
    assert json.loads(text) == {
        "timestamp": "2023-11-14T22:13:20.500Z",
        "level": "info",
        "target": "anyclawd.unit",
        "message": "it runs",
        "unit": "a.agent",
        "stream": "stderr",
    }


def test_a_pretty_line_names_the_unit_once() -> None:
    line = logs.PrettyFormatter().format(record("a.agent: it %s", "runs", unit="a.agent"))
    assert line == "2023-11-14T22:13:20.500Z INFO    a.agent: it runs"


def test_a_pretty_line_is_one_line_whatever_is_quoted_in_it() -> None:
    said = record("it said %s", "\x1b[31mred\x1b[0m\n2026-01-01 INFO forged")
    line = logs.PrettyFormatter().format(said)
    assert line.endswith("it said red\\x0a2026-01-01 INFO forged")


def test_a_journal_field_with_a_newline_carries_its_length() -> None:
    handler = logs.JournalHandler.__new__(logs.JournalHandler)
    datagram = handler.datagram(record("one\ntwo", unit="a.agent"))
    assert b"MESSAGE\n" + struct.pack("<Q", 7) + b"one\ntwo\n" in datagram
    assert b"ANYCLAWD_UNIT=a.agent\n" in datagram
    assert b"PRIORITY=6\n" in datagram


def test_our_stderr_is_not_the_journal_when_the_variable_names_another() -> None:
    assert not logs.is_journal({"JOURNAL_STREAM": "0:0"})
    assert not logs.is_journal({})


@pytest.fixture
def _levels() -> Iterator[None]:
    """Puts back what a test changes about logging as a whole."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], level = before
    root.setLevel(level)
    for name in ("anyclawd.unit", "aiohttp", "aiohttp.access"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.mark.usefixtures("_levels")
def test_another_filter_takes_back_what_the_former_set() -> None:
    logs.set_up("info,anyclawd::unit=error,aiohttp::access=debug", LogFormat.PRETTY, {})
    assert (
        logs.change(
            "info,anyclawd::unit=error,aiohttp::access=debug",
            "warn,aiohttp=debug",
            LogFormat.PRETTY,
        )
        == []
    )
    levels = {
        name: logging.getLogger(name).level
        for name in ("", "anyclawd.unit", "aiohttp", "aiohttp.access")
    }
    assert levels == {
        "": logging.WARNING,
        "anyclawd.unit": logging.NOTSET,
        "aiohttp": logging.DEBUG,
        "aiohttp.access": logging.WARNING,
    }


@pytest.mark.usefixtures("_levels")
def test_another_format_holds_for_the_handler_that_is_there() -> None:
    logs.set_up("info", LogFormat.PRETTY, {})
    [handler] = logging.getLogger().handlers
    logs.change("info", "info", LogFormat.JSON)
    assert logging.getLogger().handlers == [handler]
    assert json.loads(handler.format(record("it works")))["message"] == "it works"
    logs.change("info", "info", LogFormat.PRETTY)
    assert handler.format(record("it works")).endswith("it works")


CALL = {
    "unit": "clock.tool",
    "session": "web:direct:ann",
    "agent": "default.agent",
    "tool_name": "now\n",
    "success": True,
    "duration_ms": 12,
}


def test_what_is_audited_is_in_the_keys_of_a_record() -> None:
    made = json.loads(logs.JsonFormatter().format(record("tool_invoked", **CALL)))
    assert {key: made[key] for key in CALL} == CALL


def test_what_is_audited_stands_behind_the_text_where_there_are_no_keys() -> None:
    text = logs.PrettyFormatter().format(record("tool_invoked", **CALL))
    assert text.endswith(
        "tool: tool_invoked session=web:direct:ann agent=default.agent tool_name=now\\x0a"
        " success=true duration_ms=12"
    )


def test_the_target_of_the_audit_reads_as_in_the_original() -> None:
    call = record("tool_invoked", **CALL)
    call.name = "anyclaw.audit"
    assert json.loads(logs.JsonFormatter().format(call))["target"] == "anyclaw::audit"

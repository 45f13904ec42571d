"""`store.core` is there where there is something to keep."""

import pytest

from anyclawd.model.deps import UnitName
from anyclawd.model.policy import ReadinessType
from tests.unit.compile.conftest import Compile, lines

STORE = UnitName("store.core")
AGENT = "agents_manager: {agents: {a: {exec: sh}}}\n"
CHANNEL = "channels_manager: {channels: {c: {binary: sh, agent: a}}}\n"
SERVICE = "units: {s.service: {exec: sh, protocol: none}}\n"
FILE = "session_store: {type: sqlite, path: kept.db}\n"

NEEDS = {
    "nothing": ("{}", False),
    "a service": (SERVICE, False),
    "an agent": (AGENT, True),
    "a channel": (AGENT + CHANNEL, True),
    "a file": (FILE, True),
    "an agent that is switched off": (AGENT.replace("sh}", "sh, enabled: false}"), False),
    "an agent without a file": (AGENT + "session_store: {type: none}\n", True),
}


@pytest.mark.parametrize(("text", "is_there"), NEEDS.values(), ids=NEEDS)
def test_it_is_there_for_who_has_conversations(
    compile_text: Compile, text: str, *, is_there: bool
) -> None:
    plan = compile_text(text).plan
    assert plan is not None
    assert (STORE in plan.units) is is_there
    assert STORE not in plan.disabled


def test_no_process_waits_for_it_and_it_waits_for_none_so_that_it_stops_last(
    compile_text: Compile,
) -> None:
    plan = compile_text(AGENT + CHANNEL).plan
    assert plan is not None
    assert plan.units[STORE].readiness is ReadinessType.NONE
    assert plan.units[STORE].deps.after == ()
    waiting = [
        unit.name
        for unit in plan.units.values()
        if any(ref.unit == STORE for ref in unit.deps.after)
    ]
    assert waiting == ["default.target"]


def test_without_conversations_what_is_said_of_it_is_no_mistake(compile_text: Compile) -> None:
    text = (
        "units: {store.core: {description: mine},"
        " s.service: {exec: sh, protocol: none, after: [store.core]}}\n"
    )
    outcome = compile_text(text)
    assert lines(outcome) == []
    assert outcome.plan is not None
    assert outcome.plan.units[UnitName("s.service")].deps.after == ()


def test_a_store_of_no_file_is_warned_of(compile_text: Compile) -> None:
    (line,) = lines(compile_text("session_store: {type: sqlite}\n"))
    assert line == (
        "anyclaw.yaml:1:1: warning: session_store: without a path, sessions are kept in memory"
        " until the daemon ends; add one"
    )
    assert lines(compile_text(FILE)) == []
    assert lines(compile_text("session_store: {type: none}\n")) == []

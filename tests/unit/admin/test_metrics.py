"""The text of `/metrics`, line by line."""

import asyncio
import re
from pathlib import Path

from anyclawd.admin.control import Measures, UnitMeasure
from anyclawd.admin.metrics import render
from anyclawd.model.state import Health
from tests.fakes.control import FakeControl

EXPECTED = """\
anyclaw_manager_restarts_total{manager="agents"} 2.0
anyclaw_agents_connected 1.0
anyclaw_channels_running 1.0
anyclaw_tool_invocations_total{status="ok",tool="system-info"} 3.0
anyclaw_tool_duration_seconds_count{tool="system-info"} 3.0
anyclaw_tool_duration_seconds_sum{tool="system-info"} 0.75
anyclawd_unit_state{state="active",unit="default.agent"} 1.0
anyclawd_unit_state{state="failed",unit="default.agent"} 0.0
anyclawd_unit_restarts_total{unit="default.agent"} 2.0
anyclawd_unit_start_duration_seconds{unit="default.agent"} 0.21
anyclawd_unit_health{health="healthy",unit="default.agent"} 1.0
anyclawd_unit_health{health="starting",unit="default.agent"} 0.0
anyclawd_unit_health_checks_total{result="passed",unit="default.agent"} 5.0
anyclawd_unit_health_checks_total{result="failed",unit="default.agent"} 1.0
anyclawd_unit_memory_bytes{unit="default.agent"} 1.2582912e+07
anyclawd_unit_tasks{unit="default.agent"} 3.0
anyclawd_unit_cpu_seconds_total{unit="default.agent"} 1.25
anyclawd_sessions{state="prompting"} 1.0
anyclawd_sessions{state="resting"} 5.0
anyclawd_messages{state="queued"} 4.0
anyclawd_messages_received_total 30.0
anyclawd_messages_repeated_total 2.0
anyclawd_messages_ended_total{outcome="answered"} 20.0
anyclawd_refusals_total{reason="rate-limit"} 3.0
anyclawd_deliveries_pending{channel="debug-http"} 1.0
anyclawd_store_healthy 1.0
anyclawd_store_commits_total 40.0
anyclawd_store_waiting 6.0
anyclawd_store_lost_total 0.0
anyclawd_queue_depth{agent="default.agent"} 4.0
anyclawd_turn_duration_seconds_count{agent="default.agent"} 2.0
anyclawd_turn_duration_seconds_sum{agent="default.agent"} 1.5
anyclawd_truncated_answers_total 1.0
anyclawd_loop_lag_seconds_count 10.0
anyclawd_loop_lag_seconds_sum 0.01
anyclawd_loop_lag_max_seconds 0.004
"""

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"


def test_each_number_has_its_name_and_labels() -> None:
    lines = render(asyncio.run(FakeControl().measures())).decode().splitlines()
    for expected in EXPECTED.splitlines():
        assert expected in lines


def test_health_is_told_of_units_that_have_a_check() -> None:
    """While such a unit is down it is in no health at all."""
    measures = Measures(
        units=(
            UnitMeasure(name="down.service", active="failed", health=Health.NONE),
            UnitMeasure(name="unchecked.service", active="active"),
        )
    )
    lines = render(measures).decode().splitlines()
    told = [line for line in lines if line.startswith("anyclawd_unit_health{")]
    assert [line.rpartition(" ")[2] for line in told] == ["0.0"] * 3
    assert all('unit="down.service"' in line for line in told)


def test_what_is_not_known_is_left_out() -> None:
    measures = Measures(units=(UnitMeasure(name="a.service", active="active"),))
    lines = render(measures).decode().splitlines()
    assert not any(line.startswith(("anyclawd_unit_memory", "anyclawd_unit_cpu")) for line in lines)


def test_without_numbers_the_names_are_still_announced() -> None:
    text = render(Measures()).decode()
    assert "# TYPE anyclaw_tool_duration_seconds summary" in text
    assert "# TYPE anyclaw_manager_restarts_total counter" in text


def test_nothing_of_the_process_itself_is_in_it() -> None:
    names = re.findall(r"^# TYPE (\S+)", render(Measures()).decode(), re.MULTILINE)
    assert all(name.startswith(("anyclaw_", "anyclawd_")) for name in names)


def test_every_metric_is_in_the_reference() -> None:
    names = re.findall(r"^# TYPE (\S+)", render(Measures()).decode(), re.MULTILINE)
    reference = REFERENCE.read_text(encoding="utf-8")
    assert [name for name in names if f"`{name}`" not in reference] == []

"""What a plan shows of itself, and what it never shows."""

from dataclasses import replace
from types import MappingProxyType

import pytest

from anyclawd.admin.views import plan_view, unit_view
from anyclawd.model.deps import Relation
from anyclawd.model.plan import Plan
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from tests.fakes.control import AGENT, CHANNEL, PLAN, SECRET

UNIT = PLAN.units[AGENT]


@pytest.mark.parametrize(
    "written",
    [
        {"key": {"!secret": {"value": SECRET}}},
        {"deep": {"list": [1, {"key": {"!secret": {"value": SECRET}}}]}},
        {"key": {"!secret": {"env": "KEY", "default": SECRET}}},
    ],
    ids=["plain", "nested", "default"],
)
@pytest.mark.parametrize("field", ["options", "environment"])
def test_a_secret_is_gone_wherever_it_was_copied_to(written: Json, field: str) -> None:
    changed: dict[str, Json] = {"options": {}, "environment": {}}
    changed[field] = MappingProxyType(written)
    unit = replace(UNIT, argv=("/bin/x", f"--token={SECRET}"), description=SECRET, **changed)
    view = unit_view(unit)
    assert SECRET not in str(view)
    assert view["exec"] == ["/bin/x", "--token=<secret>"]


def test_a_short_secret_does_not_eat_other_texts() -> None:
    unit = replace(UNIT, environment={"PIN": {"!secret": {"value": "py"}}})
    assert unit_view(unit)["exec"][0] == "/usr/bin/python3"


def test_a_secret_inside_of_a_longer_one_leaves_nothing_of_it() -> None:
    written = {"A_KEY": "abcdef", "B_KEY": "abcdefgh", "C_KEY": "zyxwvu"}
    environment = {name: {"!secret": {"value": text}} for name, text in written.items()}
    unit = replace(UNIT, argv=("/bin/x", "abcdefgh"), environment=environment)
    assert unit_view(unit)["exec"] == ["/bin/x", "<secret>"]


def test_every_relation_is_listed_also_the_empty_ones() -> None:
    view = unit_view(PLAN.units[CHANNEL])
    assert {str(relation) for relation in Relation} <= set(view)
    assert view["requires"] == []


def test_every_field_of_a_unit_is_shown() -> None:
    """A new field of Unit has to be shown, or left out here on purpose."""
    shown_as = {
        "name": None,  # the key of the map
        "argv": "exec",
        "deps": "after",
        "stdout_line_max_bytes": "stdout_line_max",
        "channel": "channel",
        "agent": "agent",
        "tool": "tool",
    }
    keys = set(unit_view(PLAN.units[AGENT])) | set(unit_view(PLAN.units[CHANNEL])) | {"tool", None}
    fields = Unit.__dataclass_fields__
    assert {shown_as.get(field, field) for field in fields} <= keys


def test_plan_keeps_its_order() -> None:
    plan = Plan(units={AGENT: UNIT}, order=(AGENT,))
    assert plan_view(plan)["order"] == ["default.agent"]

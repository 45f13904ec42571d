"""From settings to the values of `model.tool`, defaults applied."""

from collections.abc import Mapping

from anyclawd.compile.policies import value_of
from anyclawd.compile.tree import Node
from anyclawd.model.tool import Era, ToolRole

_TOOL = ToolRole()


def tool_of(settings: Mapping[str, Node]) -> ToolRole:
    return ToolRole(
        description=value_of(settings, "description", _TOOL.description),
        era=Era(value_of(settings, "mcp_era", _TOOL.era)),
        is_trusted=value_of(settings, "trusted", default=_TOOL.is_trusted),
        call_timeout_s=value_of(settings, "call_timeout", _TOOL.call_timeout_s),
    )

"""From settings to the values of `model.tool`, defaults applied."""

from collections.abc import Mapping

from anyclawd.compile.policies import items_of, value_of
from anyclawd.compile.tree import Node
from anyclawd.model.tool import Era, ToolAccess, ToolRole

_TOOL, _ACCESS = ToolRole(), ToolAccess()


def tool_of(settings: Mapping[str, Node]) -> ToolRole:
    return ToolRole(
        description=value_of(settings, "description", _TOOL.description),
        era=Era(value_of(settings, "mcp_era", _TOOL.era)),
        is_trusted=value_of(settings, "trusted", default=_TOOL.is_trusted),
        call_timeout_s=value_of(settings, "call_timeout", _TOOL.call_timeout_s),
    )


def tool_access_of(settings: Mapping[str, Node]) -> ToolAccess:
    node = settings.get("tool_access")
    if node is None:
        return _ACCESS
    return ToolAccess(
        allow=items_of(node.value, "allow", _ACCESS.allow),
        deny=items_of(node.value, "deny", _ACCESS.deny),
    )

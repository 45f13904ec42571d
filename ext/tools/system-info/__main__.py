"""The system-info tool: what a person would want to know of the machine, and no secrets.

No environment, no processes, no users, no addresses: what is told may end up in any chat.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, get_args

from host import SECTIONS, disks
from report import report_of

from anyclaw_sdk.blocks import text_block
from anyclaw_sdk.tool import Call, ToolError, ToolResult, run_tools, tool
from anyclaw_sdk.types import Json, Message

Section = Literal["system", "cpu", "memory", "disk", "uptime", "time"]

#: The file systems that are told of, unless the option `disks` names others.
DISKS = ("/",)

_SIZE: Message = {"type": "integer", "description": "in bytes"}
_TEXT: Message = {"type": "string"}


def _object(**properties: Json) -> Message:
    return {"type": "object", "properties": properties}


OUTPUT: Message = _object(
    system=_object(name=_TEXT, kernel=_TEXT, architecture=_TEXT, hostname=_TEXT),
    cpu=_object(
        count={"type": ["integer", "null"]},
        usable={"type": "integer"},
        model=_TEXT,
        load={"type": "array", "items": {"type": "number"}, "description": "1, 5 and 15 minutes"},
    ),
    memory=_object(total=_SIZE, available=_SIZE, swap_total=_SIZE, swap_free=_SIZE),
    disk={"type": "array", "items": _object(path=_TEXT, total=_SIZE, free=_SIZE, error=_TEXT)},
    uptime=_object(seconds={"type": "integer"}, since=_TEXT),
    time=_object(now=_TEXT, zone=_TEXT),
)


@tool(title="System information", output_schema=OUTPUT, read_only=True, open_world=False)
def system_info(
    call: Call,
    sections: Annotated[list[Section] | None, "Which sections to return; all without it"] = None,
) -> ToolResult:
    """Tell of the machine that this runs on.

    Its operating system, processors and load, memory, disk space, uptime, and the time there.
    """
    wanted = [name for name in get_args(Section) if not sections or name in sections]
    found: Message = {
        name: disks(disks_of(call.option("disks"))) if name == "disk" else SECTIONS[name]()
        for name in wanted
    }
    return ToolResult([text_block(report_of(found))], found)


def disks_of(option: Json) -> Sequence[str]:
    """Raises ToolError for what is no list of directories."""
    if option is None:
        return DISKS
    if not isinstance(option, list) or not all(
        isinstance(path, str) and path.startswith("/") for path in option
    ):
        raise ToolError("option disks: expected a list of full paths; correct it in its unit")
    return option


if __name__ == "__main__":
    run_tools(system_info, name="system-info")

"""What is kept of calls of tools: numbers for the metrics, and a line for the audit.

Neither knows what was asked or answered.
"""

import asyncio
import logging
from typing import NamedTuple

from anyclawd.gateway.counters import Counters
from anyclawd.model.deps import UnitName
from anyclawd.route.grants import Grant

#: The original's target; a log filter names it `anyclaw::audit`.
log = logging.getLogger("anyclaw.audit")


class Invoked(NamedTuple):
    """One call of a tool that has ended."""

    unit: UnitName
    tool: str  #: as its unit calls it
    grant: Grant
    is_success: bool
    seconds: float


def note(counters: Counters, invoked: Invoked) -> None:
    """Count a call at once; its line is written once whoever waits for the answer has it."""
    counters.note_tool_call(invoked.tool, invoked.seconds, is_success=invoked.is_success)
    if log.isEnabledFor(logging.INFO):
        asyncio.get_running_loop().call_soon(_write, invoked)


def _write(invoked: Invoked) -> None:
    fields = {
        "tool_name": invoked.tool,
        "success": invoked.is_success,
        "duration_ms": round(invoked.seconds * 1000),
        "unit": invoked.unit,
        "session": invoked.grant.session,
        "agent": invoked.grant.agent,
    }
    log.info("tool_invoked", extra=fields)

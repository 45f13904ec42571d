"""What users read that no agent has written."""

from anyclawd.model.value import Json

NEW_STARTED = "New conversation started."
CANCELLED = "Operation cancelled."
NOTHING_TO_CANCEL = "No active operation to cancel."
SHUTTING_DOWN = "anyclawd is shutting down; please send the message again later"
CUT_OFF = "Interrupted: anyclawd is shutting down"
CANCELLED_BY_NEW = "cancelled by /new"
NO_SUCH_AGENT = "no such agent is configured and enabled"
REMOVED = "Interrupted: this channel is not configured any more"
NO_SUCH_CHANNEL = "Message not accepted: this channel is not configured any more"

#: The platform commands, as menus show them.
MENU: tuple[dict[str, Json], ...] = (
    {"name": "new", "description": "Start a new conversation"},
    {"name": "cancel", "description": "Cancel the current operation"},
)


def crashed(agent: str) -> str:
    return f"Agent crashed — restarting ({agent})"


def stopped(agent: str) -> str:
    return f"Agent stopped ({agent})"


def unavailable(agent: str, reason: str) -> str:
    return f"Agent {agent} is not available: {reason}"


def silent(agent: str, seconds: float) -> str:
    return f"Agent {agent} did not respond for {seconds:g} seconds"


def no_session(reason: str) -> str:
    return f"⚠️ Failed to create session: {reason}"


def queue_full(limit: int) -> str:
    return f"Message not accepted: {limit} messages are waiting already"


def channel_full(limit_bytes: int) -> str:
    return f"Message not accepted: {limit_bytes} bytes of messages are waiting already"


def malformed(what: str) -> str:
    return f"Agent sent malformed update: {what}"

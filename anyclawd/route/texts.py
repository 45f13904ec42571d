"""What users read that no agent has written."""

NEW_STARTED = "New conversation started."
CANCELLED = "Operation cancelled."
NOTHING_TO_CANCEL = "No active operation to cancel."
SHUTTING_DOWN = "anyclawd is shutting down; please send the message again later"
CUT_OFF = "Interrupted: anyclawd is shutting down"
CANCELLED_BY_NEW = "cancelled by /new"
SUPERSEDED = "Interrupted: a newer message came first"
RESTARTED = (
    "Interrupted: anyclawd was restarted while this was being answered; please send it again"
)
TRIED_AGAIN = "anyclawd was restarted while this was being answered; it is tried again"
ENDED_BY_ADMIN = "Interrupted: this conversation was ended by an administrator"
NOT_STORED = "Message not accepted: it cannot be kept at the moment; please send it again later"
NOT_ADMITTED = "You are not allowed to talk to this agent."
ADMITTED = "You have been admitted; go on."
CONVERSATION_ENDED = "the conversation has ended"
NO_SUCH_NUMBER = "There is no such conversation; /sessions lists them."
NO_SUCH_AGENT = "no such agent is configured and enabled"
REMOVED = "Interrupted: this channel is not configured any more"
NO_SUCH_CHANNEL = "Message not accepted: this channel is not configured any more"


def crashed(agent: str) -> str:
    return f"Agent crashed — restarting ({agent})"


def trying_again(agent: str) -> str:
    return f"Agent crashed — trying again ({agent})"


def too_fast(per_minute: int, wait_s: float) -> str:
    return f"Message not accepted: more than {per_minute} a minute; try again in {wait_s:.0f} s"


def too_deep(limit: int) -> str:
    verb = "has" if limit == 1 else "have"
    return f"Message not accepted: {count_of(limit, 'message')} {verb} no answer yet"


def dropped(limit: int) -> str:
    return f"Message dropped: newer ones came while {limit} were waiting"


def expired(seconds: float) -> str:
    return f"Not answered: this message has waited for more than {seconds:g} seconds"


def not_stored(reason: str) -> str:
    """For whoever runs the daemon; a chat need not know what is wrong with the disk."""
    return f"Message not accepted: it cannot be kept: {reason}"


def pairing_code(code: str, minutes: float) -> str:
    return (
        f"You are not admitted yet. Give this code to whoever runs this service: {code} "
        f"(it is valid for {count_of(max(1, round(minutes)), 'minute')})"
    )


def not_set(word: str, reason: str) -> str:
    return f"The {word} was not changed: {reason or 'the agent does not offer it'}"


def resumed(number: int) -> str:
    return f"Conversation {number} goes on."


def stopped(agent: str) -> str:
    return f"Agent stopped ({agent})"


def unavailable(agent: str, reason: str) -> str:
    return f"Agent {agent} is not available: {reason}"


def silent(agent: str, seconds: float) -> str:
    return f"Agent {agent} did not respond for {seconds:g} seconds"


def no_session(reason: str) -> str:
    return f"⚠️ Failed to create session: {reason}"


def queue_full(limit: int) -> str:
    verb = "is" if limit == 1 else "are"
    return f"Message not accepted: {count_of(limit, 'message')} {verb} waiting already"


def channel_full(limit_bytes: int) -> str:
    return f"Message not accepted: {limit_bytes} bytes of messages are waiting already"


def malformed(what: str) -> str:
    return f"Agent sent malformed update: {what}"


def count_of(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

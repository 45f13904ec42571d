"""The clauses of ACP that anyclawd claims to keep, as the client it is.

Id -> (source, behaviour, deferral). A clause with a deferral is not claimed yet; every other one
is proved by a test of `test_acp_sent.py` that names it with `proves`.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar


class Requirement(NamedTuple):
    source: str
    behaviour: str
    deferral: str = ""


REQUIREMENTS = {
    "init-first": Requirement("Initialization", "initialize is sent before anything else"),
    "init-version": Requirement("Initialization", "the newest version we support is sent: 1"),
    "init-mismatch": Requirement(
        "Initialization", "a version that we cannot speak closes the connection, and says so"
    ),
    "init-capabilities": Requirement(
        "Initialization", "capabilities that are not served are not advertised"
    ),
    "session-new": Requirement("Session Setup", "cwd is absolute and mcpServers is a list"),
    "session-load-gated": Requirement(
        "Session Setup", "session/load is sent to agents that advertise loadSession only"
    ),
    "session-resume-gated": Requirement(
        "Session Setup", "session/resume is sent to agents that advertise it only"
    ),
    "session-again": Requirement(
        "Session Setup", "load and resume carry cwd and mcpServers in full"
    ),
    "session-close-gated": Requirement(
        "Session Close", "a live session that is left is closed where the agent can"
    ),
    "prompt-blocks": Requirement("Prompt Turn", "a prompt is a list of content blocks"),
    "prompt-baseline": Requirement("Content", "without embeddedContext, files go as resource_link"),
    "prompt-one-at-a-time": Requirement("Prompt Turn", "a session has one prompt turn at a time"),
    "cancel-notification": Requirement("Prompt Turn", "session/cancel is a notification"),
    "cancel-permissions": Requirement(
        "Prompt Turn", "pending permission requests of a cancelled turn are answered cancelled"
    ),
    "cancel-late-updates": Requirement(
        "Prompt Turn", "updates after session/cancel are still accepted"
    ),
    "permission-selected": Requirement(
        "Tool Calls", "a permission request is answered with an option it offers"
    ),
    "unknown-request": Requirement("Extensibility", "unknown requests are answered -32601"),
    "unknown-notification": Requirement("Extensibility", "unknown notifications are ignored"),
    "unknown-update": Requirement("Extensibility", "updates of unknown kinds are passed on"),
    "cancel-request": Requirement(
        "Cancellation", "a request that is given up is cancelled by $/cancel_request"
    ),
    "authenticate": Requirement(
        "Authentication", "authenticate is called where an agent asks", "a later version"
    ),
    "client-fs": Requirement(
        "File System", "fs/read_text_file and fs/write_text_file", "not advertised"
    ),
    "client-terminal": Requirement("Terminals", "terminal/*", "not advertised"),
    "elicitation": Requirement("Elicitation", "elicitation/create", "not advertised"),
}

Test = TypeVar("Test", bound=Callable[..., object])
PROVED: dict[str, str] = {}


def proves(*clauses: str) -> Callable[[Test], Test]:
    """Name the clauses that a test proves."""

    def note(test: Test) -> Test:
        PROVED.update(dict.fromkeys(clauses, test.__name__))
        return test

    return note

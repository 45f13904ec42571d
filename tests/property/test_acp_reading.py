"""Whatever an agent says, reading it ends in a value or in a refusal of what it said."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.value import Json
from anyclawd.wire import acp, acp_choices, acp_elicitation, acp_files, acp_terminal

NAMES = st.sampled_from(
    [
        *("agentCapabilities", "sessionCapabilities", "auth", "authMethods", "_meta", "id", "name"),
        *("configOptions", "modes", "availableModes", "currentModeId", "options", "value"),
        *("currentValue", "category", "sessions", "sessionId", "nextCursor", "toolCall", "kind"),
        *("rawInput", "title", "optionId", "mode", "message", "url", "requestedSchema", "path"),
        *("content", "line", "limit", "command", "args", "env", "cwd", "outputByteLimit"),
        *("sessionUpdate", "availableCommands", "commands", "rawOutput", "output", "text"),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers(-2, 9) | st.floats() | st.text(max_size=3)
VALUES = st.recursive(
    SCALARS | st.sampled_from(["form", "url", "https://x", "config_option_update"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)
CHOICES = (acp.Choice("", "Mode", "mode", "a", (("a", "A"),)),)
READERS = (
    acp.read_permission,
    acp.read_session_list,
    acp_choices.read_choices,
    acp_elicitation.read_completed,
    acp_terminal.terminal_id_of,
    lambda value: acp_choices.changed_choices(CHOICES, value),
)
REFUSING = (
    lambda value: acp.read_handshake({"protocolVersion": 1, "agentCapabilities": value}),
    acp.read_push,
    acp_elicitation.read_elicitation,
    acp_files.read_file_request,
    acp_files.write_file_request,
    acp_terminal.create_request,
)


@given(VALUES)
def test_reading_raises_nothing_but_what_it_says(value: Json) -> None:
    for read in READERS:
        read(value)
    for read in REFUSING:
        with contextlib.suppress(RemoteProtocolError):
            read(value)


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_what_is_read_of_choices_can_be_set(members: Json) -> None:
    for choice in acp_choices.read_choices(members) or ():
        for value in [id_ for id_, _ in choice.values] or [not choice.current]:
            _, params = acp_choices.set_request("s", choice.option, value)
            assert value in params.values()


@given(VALUES)
def test_the_fingerprint_of_a_question_is_stable_and_short(value: Json) -> None:
    asked = {"toolCall": {"rawInput": value}}
    found = acp.read_permission(asked).fingerprint
    assert found == acp.read_permission(asked).fingerprint
    assert 0 < len(found) <= acp.FINGERPRINT_MAX_CHARS

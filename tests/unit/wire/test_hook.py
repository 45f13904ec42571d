import pytest

from anyclawd.model.conversation import HookEvent
from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.value import Json
from anyclawd.wire import hook
from anyclawd.wire.hook import Answer, Change, Drop, Pass, Refuse, Select, Verdict
from anyclawd.wire.jsonrpc import RpcError

PROMPT, UPDATE, PERMISSION = HookEvent
BLOCKS = [{"type": "text", "text": "hi"}, {"type": "_ours"}]
OPTIONS = [{"optionId": "yes", "name": "Yes"}, {"id": "no", "label": "No"}]
SUBJECTS: dict[HookEvent, Json] = {
    PROMPT: [{"type": "text", "text": "hello"}],
    UPDATE: {"sessionUpdate": "plan", "entries": []},
    PERMISSION: {"sessionId": "s1", "options": OPTIONS},
}
PUSHED = {"sessionUpdate": "push_message", "content": [{"type": "text", "text": "ping"}]}

VERDICTS: dict[str, tuple[HookEvent, Json, Verdict]] = {
    "pass-prompt": (PROMPT, {"action": "pass"}, Pass()),
    "pass-update": (UPDATE, {"action": "pass", "update": None, "why": 1}, Pass()),
    "pass-permission": (PERMISSION, {"action": "pass"}, Pass()),
    "change-prompt": (PROMPT, {"action": "change", "prompt": BLOCKS}, Change(BLOCKS)),
    "change-update": (
        UPDATE,
        {"action": "change", "update": {"sessionUpdate": "any", "_meta": {}}},
        Change({"sessionUpdate": "any", "_meta": {}}),
    ),
    "change-permission-keeps-its-session": (
        PERMISSION,
        {"action": "change", "request": {"sessionId": "s2", "options": OPTIONS[1:]}},
        Change({"sessionId": "s1", "options": OPTIONS[1:]}),
    ),
    "refuse": (PROMPT, {"action": "refuse", "reason": "no"}, Refuse("no")),
    "refuse-without-a-reason": (PROMPT, {"action": "refuse", "reason": 7}, Refuse("")),
    "answer": (PROMPT, {"action": "answer", "text": "yes"}, Answer("yes")),
    "drop": (UPDATE, {"action": "drop"}, Drop()),
    "select": (PERMISSION, {"action": "select", "optionId": "yes"}, Select("yes")),
    "select-as-0.9-spells-it": (PERMISSION, {"action": "select", "optionId": "no"}, Select("no")),
}


@pytest.mark.parametrize(("event", "result", "verdict"), VERDICTS.values(), ids=VERDICTS)
def test_a_verdict_is_read(event: HookEvent, result: Json, verdict: Verdict) -> None:
    assert hook.read_verdict(event, result, SUBJECTS[event]) == verdict


NO_BLOCKS = "a prompt that is no list of content blocks"
NO_KIND = "an update without a sessionUpdate"
NO_OPTIONS = "a request whose options are not some of those offered"
NONSENSE: dict[str, tuple[HookEvent, Json, str]] = {
    "null": (PROMPT, None, "no action"),
    "text": (UPDATE, "pass", "no action"),
    "empty": (PERMISSION, {}, "no action"),
    "unknown-action": (PROMPT, {"action": "Pass"}, "action 'Pass'"),
    "action-no-text": (PROMPT, {"action": ["pass"]}, "action ['pass']"),
    "drop-of-a-prompt": (PROMPT, {"action": "drop"}, "action 'drop'"),
    "refuse-of-an-update": (UPDATE, {"action": "refuse"}, "action 'refuse'"),
    "answer-to-a-permission": (PERMISSION, {"action": "answer"}, "action 'answer'"),
    "prompt-missing": (PROMPT, {"action": "change"}, NO_BLOCKS),
    "prompt-empty": (PROMPT, {"action": "change", "prompt": []}, NO_BLOCKS),
    "prompt-of-text": (PROMPT, {"action": "change", "prompt": ["hi"]}, NO_BLOCKS),
    "prompt-without-types": (PROMPT, {"action": "change", "prompt": [{"text": "hi"}]}, NO_BLOCKS),
    "answer-without-text": (PROMPT, {"action": "answer"}, "no text"),
    "update-missing": (UPDATE, {"action": "change"}, NO_KIND),
    "update-without-kind": (UPDATE, {"action": "change", "update": {"content": 1}}, NO_KIND),
    "request-missing": (PERMISSION, {"action": "change"}, NO_OPTIONS),
    "request-without-options": (PERMISSION, {"action": "change", "request": {}}, NO_OPTIONS),
    "option-made-up": (
        PERMISSION,
        {"action": "change", "request": {"options": [*OPTIONS, {"optionId": "root"}]}},
        NO_OPTIONS,
    ),
    "select-nothing": (PERMISSION, {"action": "select"}, "no optionId"),
    "select-made-up": (
        PERMISSION,
        {"action": "select", "optionId": "root"},
        "option 'root', which was not offered",
    ),
}


@pytest.mark.parametrize(("event", "result", "found"), NONSENSE.values(), ids=NONSENSE)
def test_what_is_no_verdict_is_not_taken_for_one(
    event: HookEvent, result: Json, found: str
) -> None:
    with pytest.raises(RemoteProtocolError) as raised:
        hook.read_verdict(event, result, SUBJECTS[event])
    assert str(raised.value) == f"answered hook/{event} with {found}"


@pytest.mark.parametrize(
    "update", [SUBJECTS[UPDATE], PUSHED | {"content": "ping"}, {"sessionUpdate": "push_message"}]
)
def test_a_push_stays_a_push(update: Json) -> None:
    changed = PUSHED | {"content": []}
    answer = {"action": "change", "update": changed}
    assert hook.read_verdict(UPDATE, answer, PUSHED) == Change(changed)
    with pytest.raises(RemoteProtocolError, match="no push_message with a list of content"):
        hook.read_verdict(UPDATE, answer | {"update": update}, PUSHED)


@pytest.mark.parametrize("result", [None, {}, [], {"events": None}, "yes"])
def test_a_hook_that_names_no_events_is_asked_everything(result: Json) -> None:
    assert hook.read_events(result) == frozenset(HookEvent)


def test_a_hook_is_asked_what_it_names() -> None:
    assert hook.read_events({"events": ["update", "prompt", "update"]}) == {PROMPT, UPDATE}
    assert hook.read_events({"events": []}) == frozenset()


@pytest.mark.parametrize("events", [["prompts"], [7], "Prompt", 7, [["prompt"]], {"prompt": True}])
def test_a_hook_that_names_what_is_no_event_is_refused(events: Json) -> None:
    with pytest.raises(RemoteProtocolError, match="expected some of prompt, update, permission"):
        hook.read_events({"events": events})


@pytest.mark.parametrize(
    ("event", "member"), [(PROMPT, "prompt"), (UPDATE, "update"), (PERMISSION, "request")]
)
def test_a_question_is_written(event: HookEvent, member: str) -> None:
    params = hook.question_params(
        event, session="web:direct:ann", agent="default", acp_session_id="s1", subject=["it"]
    )
    assert params == {
        "session": "web:direct:ann",
        "agent": "default",
        "acpSessionId": "s1",
        member: ["it"],
    }
    assert hook.method_of(event) == f"hook/{event}"


def test_an_error_is_told_in_the_hook_s_words_and_cut() -> None:
    text = hook.failure_text(PROMPT, RpcError(-32601, "x" * 1000))
    assert text == "answered hook/prompt with an error: " + "x" * 500

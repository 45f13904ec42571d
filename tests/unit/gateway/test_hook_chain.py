"""The chain of hooks as a table: every kind of question, every verdict, both policies."""

from itertools import product

import pytest

from anyclawd.gateway import hook_chain
from anyclawd.gateway.hook_chain import (
    Answered,
    Denied,
    Ending,
    Failed,
    LeftOut,
    Let,
    Question,
    Refused,
    Selected,
    step,
)
from anyclawd.model.conversation import HookEvent, HookFailure, HookUse
from anyclawd.model.deps import UnitName
from anyclawd.model.errors import IllegalTransition
from anyclawd.wire.hook import Answer, Change, Drop, Pass, Refuse, Select, Verdict

PROMPT, UPDATE, PERMISSION = HookEvent


def use(name: str, on_failure: HookFailure = HookFailure.REFUSE) -> HookUse:
    return HookUse(unit=UnitName(f"{name}.service"), on_failure=on_failure)


STRICT, LAX, NEXT = use("guard"), use("guard", HookFailure.SKIP), use("next")
SILENT = Failed("is not running")
TOLD = "hook guard is not running"

#: (kind, verdict) -> what the last hook of a chain ends it with
LAST: dict[tuple[HookEvent, Verdict | Failed], Ending] = {
    (PROMPT, Pass()): Let("old"),
    (UPDATE, Pass()): Let("old"),
    (PERMISSION, Pass()): Let("old"),
    (PROMPT, Change("new")): Let("new"),
    (UPDATE, Change("new")): Let("new"),
    (PERMISSION, Change("new")): Let("new"),
    (PROMPT, Refuse("no")): Refused("no"),
    (PROMPT, Refuse("")): Refused("Refused by hook guard"),
    (PROMPT, Answer("yes")): Answered("yes"),
    (UPDATE, Drop()): LeftOut(),
    (PERMISSION, Select("yes")): Selected("yes"),
    (PROMPT, SILENT): Refused(f"Message not passed on: {TOLD}"),
    (UPDATE, SILENT): LeftOut(TOLD),
    (PERMISSION, SILENT): Denied(TOLD),
}
VERDICTS = list(dict.fromkeys(verdict for _, verdict in LAST))


def case_id(value: object) -> str:
    return str(value)


@pytest.mark.parametrize(("event", "verdict"), [*product(HookEvent, VERDICTS)], ids=case_id)
def test_the_last_hook_ends_the_chain(event: HookEvent, verdict: Verdict | Failed) -> None:
    question = Question(event, "old", STRICT)
    expected = LAST.get((event, verdict))
    if expected is None:
        with pytest.raises(IllegalTransition, match="guard"):
            step(question, verdict)
    else:
        assert step(question, verdict) == expected


@pytest.mark.parametrize(("event", "verdict"), LAST, ids=case_id)
def test_only_a_pass_or_a_change_reaches_the_next_hook(
    event: HookEvent, verdict: Verdict | Failed
) -> None:
    after = step(Question(event, "old", STRICT, (NEXT, LAX)), verdict)
    match LAST[event, verdict]:
        case Let(subject):
            assert after == Question(event, subject, NEXT, (LAX,))
        case ending:
            assert after == ending


@pytest.mark.parametrize("event", HookEvent)
def test_a_failing_hook_is_skipped_by_policy(event: HookEvent) -> None:
    assert step(Question(event, "old", LAX, (NEXT,)), SILENT) == Question(event, "old", NEXT)
    assert step(Question(event, "old", LAX), SILENT) == Let("old")


@pytest.mark.parametrize("event", HookEvent)
def test_a_chain_begins_with_its_first_hook_and_may_be_empty(event: HookEvent) -> None:
    assert hook_chain.begin(event, "old", [LAX, NEXT]) == Question(event, "old", LAX, (NEXT,))
    assert hook_chain.begin(event, "old", []) == Let("old")

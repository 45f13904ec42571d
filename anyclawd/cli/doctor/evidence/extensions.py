"""The checks of extensions: each is started like its unit with `--check` behind.

See docs/reference/doctor.md, "Checks of extensions".
"""

import json
import time
from collections.abc import Iterator, Sequence

from anyclawd.cli.doctor.evidence.secrets import texts_in
from anyclawd.cli.doctor.evidence.trial import Stage, Trial, is_tried, why_not
from anyclawd.cli.doctor.scene import Scene
from anyclawd.cli.doctor.verdict.extensions import CheckFacts, Said
from anyclawd.gateway.handshake import revealed_options
from anyclawd.model.plan import Plan
from anyclawd.model.secret import scrub
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from anyclawd.wire import jsonrpc
from anyclawd.wire.lenient import as_text

FLAG = "--check"
#: As an agent that is tried has: a busy machine takes seconds to start a program.
TIMEOUT_S = 30.0
OUTPUT_BYTES_MAX, FINDINGS_MAX, TEXT_CHARS_MAX = 64 * 1024, 100, 500


def facts_of(scene: Scene, plan: Plan) -> Iterator[CheckFacts]:
    """One after the other, as they are asked for."""
    units = [unit for unit in plan.units.values() if unit.has_check and not unit.problem]
    running = scene.running
    return (
        _made(unit, plan, scene.stage, is_running=unit.name in running)
        for unit in units
        if is_tried(unit)
    )


def _made(unit: Unit, plan: Plan, stage: Stage, *, is_running: bool) -> CheckFacts:
    if reason := why_not(unit, stage):
        return CheckFacts(unit=unit.name, why_not=reason)
    request = {
        "options": revealed_options(unit, stage.environ),
        "unit": unit.name,
        "running": is_running,
        "workspaces": _workspaces(unit, plan),
    }
    facts = _asked(unit, stage, request)
    return _without(facts, texts_in(unit.secrets, stage.environ))


def _asked(unit: Unit, stage: Stage, request: Json) -> CheckFacts:
    deadline = time.monotonic() + TIMEOUT_S
    try:
        with Trial(unit, stage, FLAG) as trial:
            trial.send(jsonrpc.encode(request), TIMEOUT_S)
            trial.close_stdin()
            content = b""
            while len(content) < OUTPUT_BYTES_MAX and (piece := trial.read(deadline)):
                content += piece
            is_flood = len(content) >= OUTPUT_BYTES_MAX
            is_over = not is_flood and trial.wait(deadline)
            trial.kill()
            return CheckFacts(
                unit=unit.name,
                is_late=not is_over and not is_flood,
                is_flood=is_flood,
                exit_code=trial.exit_code,
                last_words=trial.last_words[:TEXT_CHARS_MAX],
                said=tuple(_said(content[:OUTPUT_BYTES_MAX]))[:FINDINGS_MAX],
            )
    except OSError as error:
        return CheckFacts(unit=unit.name, failure=error.strerror or str(error))


def _said(content: bytes) -> Iterator[Said]:
    """The lines that are findings."""
    for line in content.splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and (text := as_text(value.get("text"))):
            remedy = as_text(value.get("remedy"))
            severity = as_text(value.get("severity"))
            yield Said(severity, text[:TEXT_CHARS_MAX], remedy[:TEXT_CHARS_MAX])


def _workspaces(unit: Unit, plan: Plan) -> list[str]:
    """The directories of the agents that a tool is granted to."""
    agents = (one.agent for one in plan.units.values() if one.agent is not None)
    return sorted({agent.cwd for agent in agents if unit.name in agent.tools})


def _without(facts: CheckFacts, texts: Sequence[str]) -> CheckFacts:
    """Without any of these texts, whatever the extension has said."""
    hidden = tuple(texts)
    return CheckFacts(
        unit=facts.unit,
        failure=scrub(facts.failure, hidden),
        is_late=facts.is_late,
        is_flood=facts.is_flood,
        exit_code=facts.exit_code,
        last_words=scrub(facts.last_words, hidden),
        said=tuple(
            Said(said.severity, scrub(said.text, hidden), scrub(said.remedy, hidden))
            for said in facts.said
        ),
    )

"""Agents as the daemon has them; without one, each is started, spoken to and ended."""

import time
from collections.abc import Iterator

import anyclawd
from anyclawd.cli.doctor.evidence.secrets import texts_in
from anyclawd.cli.doctor.evidence.trial import Stage, Trial, is_tried, why_not
from anyclawd.cli.doctor.scene import Online, Scene
from anyclawd.cli.doctor.verdict.agents import AgentFacts
from anyclawd.gateway.handshake import revealed_options
from anyclawd.model.errors import RemoteProtocolError
from anyclawd.model.secret import scrub
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from anyclawd.wire import acp, jsonrpc
from anyclawd.wire.framing import LineFramer

#: An agent that is tried has at most so long, whatever its unit says.
_START_S_MAX = 30.0
#: What it has between a polite request to end and its end.
_END_S = 2.0
#: Between the end of its stdout and its own.
_GASP_S = 2.0
_ID = 1
_MAY_RUN = "the daemon that was not asked may run it"


def facts_of(scene: Scene) -> Iterator[AgentFacts] | None:
    """One after the other, as they are asked for; None where there is neither plan nor daemon."""
    if scene.online is not None:
        return _known(scene, scene.online)
    if scene.plan is None:
        return None
    agents = [unit for unit in scene.plan.units.values() if unit.agent is not None]
    return (
        AgentFacts(unit=unit.name, why_not=_MAY_RUN)
        if unit.name in scene.running
        else _tried(unit, scene.stage)
        for unit in agents
        if is_tried(unit)
    )


def _known(scene: Scene, online: Online) -> Iterator[AgentFacts]:
    took = dict(scene.figures.by("anyclawd_unit_start_duration_seconds", "unit"))
    units = {} if scene.plan is None else scene.plan.units
    for row in online.status["units"]:
        if row["kind"] != "agent" or _rests(row):
            continue
        unit = units.get(row["name"])
        yield AgentFacts(
            unit=row["name"],
            state="" if row["sub"] == "running" else f"{row['active']} ({row['sub']})",
            answered_s=took.get(row["name"]),
            start_s=0.0 if unit is None else unit.timeouts.start_s,
        )


def _rests(row: Json) -> bool:
    """A worker that nobody needs at the moment, or what was stopped by hand."""
    return bool(row["active"] == "inactive" and row["result"] == "success")


def _tried(unit: Unit, stage: Stage) -> AgentFacts:
    if unit.problem:
        return AgentFacts(unit=unit.name, why_not=unit.problem)
    if reason := why_not(unit, stage):
        return AgentFacts(unit=unit.name, why_not=reason)
    assert unit.agent is not None
    options = revealed_options(unit, stage.environ)
    served = acp.Served(unit.agent.fs.read, unit.agent.fs.write, unit.agent.terminal)
    params = acp.initialize_params(anyclawd.__version__, options, served)
    patience_s = min(unit.timeouts.start_s or _START_S_MAX, _START_S_MAX)
    begun = time.monotonic()
    failure, needs_login = "", False
    try:
        with Trial(unit, stage) as trial:
            trial.send(jsonrpc.request(_ID, "initialize", params), patience_s)
            try:
                answer = _answer(trial, begun + patience_s, unit.stdout_line_max_bytes)
                needs_login = bool(acp.read_handshake(answer).auth_methods)
            except RemoteProtocolError as error:
                failure = _ended(trial, str(error))
            took_s = time.monotonic() - begun
            _end(trial, unit)
    except OSError as error:
        failure, took_s = f"cannot be started: {error.strerror or error}", 0.0
    return AgentFacts(
        unit=unit.name,
        failure=scrub(failure, texts_in(unit.secrets, stage.environ)),
        answered_s=took_s,
        start_s=unit.timeouts.start_s,
        needs_login=needs_login,
        has_hooks=bool(unit.hooks.start_pre),
    )


def _answer(trial: Trial, deadline: float, line_max_bytes: int) -> Json:
    """The result of `initialize`. Raises RemoteProtocolError, which says why there is none."""
    framer = LineFramer(line_max_bytes)
    while piece := trial.read(deadline):
        for frame in framer.feed(piece):
            match jsonrpc.read(frame):
                case jsonrpc.Response(id=found) as answer if found == _ID:
                    if answer.error is not None:
                        text = f"answered initialize with an error: {answer.error!s:.500}"
                        raise RemoteProtocolError(text)
                    return answer.result
                case _:
                    continue  # noise, or a word of its own that nobody has asked for
    raise RemoteProtocolError("does not answer initialize")


def _ended(trial: Trial, failure: str) -> str:
    """The failure, and how the process has ended if it has, or is about to."""
    is_over = trial.wait(time.monotonic() + _GASP_S)
    ended = f", and ended with exit code {trial.exit_code}" if is_over else ""
    words = f": {trial.last_words:.300}" if trial.last_words else ""
    return f"{failure}{ended}{words}"


def _end(trial: Trial, unit: Unit) -> None:
    """As the daemon ends it: the end of its stdin, SIGTERM, and at last SIGKILL for all of it."""
    trial.close_stdin()
    if not trial.wait(time.monotonic() + min(unit.timeouts.eof_grace_s, _END_S)):
        trial.terminate()
        trial.wait(time.monotonic() + min(unit.timeouts.stop_s, _END_S))

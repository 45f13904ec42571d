"""Tasks as they are told: an object for programs, a few lines for models. Pure."""

from collections.abc import Sequence

from schedule import ByCron, ByInterval, runs_after, shown
from task import Run, RunState, Task, TaskState

from anyclaw_sdk.types import Message

#: How many runs are looked ahead.
AHEAD = 3

#: What is shown of a message where many are.
EXCERPT = 200


def next_runs(task: Task) -> list[str]:
    """The next runs as the task's clock shows them; none unless it is active."""
    if task.state is not TaskState.ACTIVE or task.next_wall is None:
        return []
    zone = task.schedule.zone
    more = runs_after(task.schedule, task.next_wall, AHEAD - 1)
    return [shown(instant, zone) for instant in (task.next_wall, *more)]


def to_json(task: Task, runs: Sequence[Run], *, is_whole: bool) -> Message:
    """The task with its latest runs, the newest first; in a list without all of its text."""
    zone = task.schedule.zone
    told: Message = {
        "id": task.id,
        "title": task.title,
        "message": task.message if is_whole else _excerpt(task.message),
        "state": task.state.value,
        _when(task): task.schedule.text,
        "timezone": zone.key,
        "missed": task.missed.value,
        "nextRuns": next_runs(task),
        "createdAt": shown(task.created_wall, zone),
    }
    if runs and is_whole:
        told["runs"] = [_run(task, run) for run in runs]
    elif runs:
        told["lastRun"] = _run(task, runs[0])
    return told


def in_words(task: Task, runs: Sequence[Run]) -> str:
    """One line: which task, when it is due, and what was last."""
    name = f" {task.title!r}" if task.title else ""
    zone = f" ({task.schedule.zone.key})"
    words = [f"{task.id}{name}: {task.state}, {_when(task)} {task.schedule.text}{zone}"]
    if ahead := next_runs(task):
        words.append(f"next runs {', '.join(ahead)}")
    if runs:
        words.append(_last(task, runs[0]))
    return "; ".join(words)


def _when(task: Task) -> str:
    match task.schedule:
        case ByCron():
            return "cron"
        case ByInterval():
            return "every"
        case _:
            return "at"


def _run(task: Task, run: Run) -> Message:
    zone = task.schedule.zone
    told: Message = {"dueAt": shown(run.due_wall, zone), "state": run.state.value}
    for key, instant in (
        ("missedSince", run.missed_since_wall),
        ("endedAt", run.ended_wall),
        ("nextTryAt", run.try_wall),
    ):
        if instant is not None:
            told[key] = shown(instant, zone)
    if run.reason:
        told["reason"] = run.reason
    return told


def _last(task: Task, run: Run) -> str:
    words = f"last run {shown(run.due_wall, task.schedule.zone)} {run.state}"
    if run.reason:
        words += f" ({run.reason})"
    if run.state is RunState.PENDING and run.try_wall is not None:
        words += f", tried again {shown(run.try_wall, task.schedule.zone)}"
    return words


def _excerpt(text: str) -> str:
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT]}..."

"""`status [UNIT...]`: the daemon with all its units, or some units in detail."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.cli.render import Paint, clean
from anyclawd.cli.units import add_units, names_of
from anyclawd.client.client import quote

TYPE_CHECKING = False  # typing itself costs 2 ms of import
if TYPE_CHECKING:
    from anyclawd.model.value import Json


NOT_ACTIVE = 3

#: Lines of a unit's log, and of its last crash's, that are shown; and how many are kept of a crash.
_LINES, _LINES_FULL = 10, 50

#: Active states that are up.
_UP = ("active", "reloading")
#: Tools of one unit that are shown.
_OFFERS_SHOWN = 20

_HEALTH_COLOURS = {"healthy": "green", "starting": "yellow", "unhealthy": "red"}


def configure(parser: ArgumentParser) -> None:
    add_units(parser, nargs="*")
    parser.add_argument(
        "-n",
        "--lines",
        type=int,
        default=_LINES,
        help=f"of a unit's log, and of its last crash's; default {_LINES}",
    )
    parser.add_argument(
        "--full",
        action="store_const",
        const=_LINES_FULL,
        dest="lines",
        help=f"the same as -n {_LINES_FULL}, which is all that is kept of a crash",
    )


def run(options: Namespace) -> int:
    """0 for the daemon as a whole; for units 3 unless all of them are active."""
    client = connect(options)
    if not options.units:
        status = client.get("/v1/status")
        if options.json:
            render.print_json(status)
        else:
            print("\n".join(_overview(status)))
        return 0
    names = names_of(client, options.units)
    details = [client.get(f"/v1/units/{quote(name)}?n={options.lines}") for name in names]
    if options.json:
        render.print_json({"units": details})
    else:
        print("\n\n".join("\n".join(_detail(unit)) for unit in details))
    return 0 if all(unit["active"] in _UP for unit in details) else NOT_ACTIVE


def _overview(status: Json) -> list[str]:
    paint = Paint(sys.stdout)
    colour = "green" if status["state"] == "running" else "yellow"
    units = status["units"]
    failed = sum(unit["active"] == "failed" for unit in units)
    port = status["admin_port"]
    lines = [
        f"{paint('●', colour)} anyclawd is {paint(status['state'], colour)}",
        f"      since: {render.moment(status['since'])}",
        f"        pid: {status['pid']}, version {status['version']}",
        f"     config: {clean(status['config'])}",
        f"      admin: {f'http://127.0.0.1:{port}' if port else 'on the socket only'}",
        *([f"      tools: {status['tools_url']}"] if status["tools_url"] else []),
        f"  processes: {status['containment']}",
        f"      units: {len(units)}, {failed} failed; jobs: {status['jobs']}",
    ]
    lines += _conversations(status["conversations"], paint)
    lines += [f"    {paint('warning', 'yellow')}: {clean(text)}" for text in status["warnings"]]
    return lines + _tree(units, paint)


def _conversations(counted: Json, paint: Paint) -> list[str]:
    """What goes on in chats, and why nothing can be kept of it where that is so."""
    sessions = f"{counted['live']} live, {counted['resting']} resting"
    messages = f"{counted['queued']} queued, {counted['running']} running"
    undelivered = f"; answers under way: {counted['undelivered']}" if counted["undelivered"] else ""
    lines = [f"   sessions: {sessions}; messages: {messages}{undelivered}"]
    if counted["store"]:
        lines.append(f"      {paint('store', 'yellow')}: {clean(counted['store'])}")
    return lines


def _tree(units: list[Json], paint: Paint) -> list[str]:
    lines = []
    name_width = max((len(unit["name"]) for unit in units), default=0)
    state_width = max((len(unit["active"] + unit["sub"]) + 3 for unit in units), default=0)
    for kind, heading in render.KINDS.items():
        rows = [unit for unit in units if unit["kind"] == kind]
        if rows:
            lines += ["", paint(heading, "bold")]
        for branch, row in zip(render.branches(len(rows)), rows, strict=True):
            name, state = row["name"].ljust(name_width), paint.state(row, state_width)
            line = f"{branch}{paint.mark(row)} {name}  {state}  {_remarks(row, paint)}"
            lines.append(line.rstrip())
    return lines


def _remarks(row: Json, paint: Paint) -> str:
    remarks = []
    if row["health"] is not None:
        remarks.append(paint(row["health"], _HEALTH_COLOURS[row["health"]]))
    if row["pid"] is not None:
        remarks.append(f"pid {row['pid']}")
    if row["restarts"]:
        remarks.append(f"restarts {row['restarts']}")
    if row["result"] != "success" and not _is_up(row):
        remarks.append(row["result"])
    return ", ".join(remarks)


def _is_up(row: Json) -> bool:
    """Whether its result is that of an earlier run, which says nothing of this one."""
    return row["active"] in ("active", "reloading")


def _detail(unit: Json) -> list[str]:
    paint = Paint(sys.stdout)
    title = f" - {clean(unit['description'])}" if unit["description"] else ""
    facts = {
        "state": f"{paint.state(unit)} since {render.moment(unit['since'])}",
        "reason": clean(unit["reason"]),
        "last result" if _is_up(unit) else "result": unit["result"]
        if unit["result"] != "success"
        else "",
        "last exit" if _is_up(unit) else "exit": _exit(unit["exit"]),
        "health": _health(unit["health_check"], paint),
        "says": clean(unit["status_text"]),
        "offers": _offers(unit["offers"]),
        "reload": f"the last one failed: {clean(unit['reload_failure'])}"
        if unit["reload_failure"]
        else "",
        "errno": _errno(unit["errno"]),
        "pid": str(unit["pid"] or ""),
        "uses": _usage(unit),
        "restarts": str(unit["restarts"] or ""),
        "next start": render.moment(unit["next_start_at"]) if unit["next_start_at"] else "",
        "job": _job(unit["job"]),
        "by hand": "stopped; it stays so until it is started" if unit["stopped_by_hand"] else "",
        "required": "yes, the boot fails without it" if unit["required"] else "",
        "command": clean(" ".join(unit["argv"])),
        "contained": unit["containment"] if unit["argv"] else "",
        "declared": unit["span"],
        "unheard": f"{unit['dropped_notices']} notifications of others, or without a meaning"
        if unit["dropped_notices"]
        else "",
        "noise": f"{unit['noise']} lines on stdout were no frames" if unit["noise"] else "",
        "dropped": f"{unit['dropped_lines']} lines of stderr" if unit["dropped_lines"] else "",
    }
    lines = [f"{paint.mark(unit)} {paint(unit['name'], 'bold')}{title}"]
    lines += [f"  {label:>10}: {text}" for label, text in facts.items() if text]
    if unit["crash"] is not None:
        lines += ["", *_crash(unit["crash"], unit["log"], paint)]
    if unit["log"]:
        lines += ["", *(render.log_line(line, paint) for line in unit["log"])]
    return lines


def _health(check: Json, paint: Paint) -> str:
    if check is None or check["state"] is None:
        return ""
    state = paint(check["state"], _HEALTH_COLOURS[check["state"]])
    if not check["failed_checks"]:
        return state
    count = f"{check['failed_checks']} of {check['failures']} failures in a row"
    return f"{state}, {count}: {clean(check['failure'])}"


def _offers(tools: list[str]) -> str:
    """The first of many: a server may have hundreds."""
    shown = clean(", ".join(tools[:_OFFERS_SHOWN]))
    left = len(tools) - _OFFERS_SHOWN
    return f"{shown} and {left} more" if left > 0 else shown


def _errno(number: int | None) -> str:
    return f"{number} ({os.strerror(number)})" if number else ""


def _usage(unit: Json) -> str:
    used = []
    if unit["memory_bytes"] is not None:
        used.append(f"memory {render.size(unit['memory_bytes'])}")
    if unit["cpu_s"] is not None:
        used.append(f"CPU {render.duration(unit['cpu_s'])}")
    if unit["tasks"] is not None:
        used.append(f"{unit['tasks']} task{'' if unit['tasks'] == 1 else 's'}")
    return ", ".join(used)


def _crash(crash: Json, log: list[Json], paint: Paint) -> list[str]:
    """How a run has failed, and what it said before, unless it is in the log that follows."""
    ended = f", {clean(crash['exit'])}" if crash["exit"] else ""
    title = f"last crash: {crash['result']}{ended}, {render.moment(crash['at'])}"
    said = [render.log_line(line, paint) for line in crash["log"] if line not in log]
    return [paint(title, "red"), *said]


def _exit(ended: Json) -> str:
    if ended is None:
        return ""
    return f"signal {ended['signal']}" if ended["signal"] else f"code {ended['code']}"


def _job(job: Json) -> str:
    if job is None:
        return ""
    waiting = f", after {', '.join(job['waiting_for'])}" if job["waiting_for"] else ""
    return f"{job['type']} {job['state']}{waiting}, from {clean(job['origin'])}"

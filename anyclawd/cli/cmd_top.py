"""`top [-n COUNT | --once] [--sort KEY]`: what units use, as a table that is drawn again and again.

On a terminal it takes the whole screen, ends with `q` or Ctrl-C and leaves the terminal as it was.
Anywhere else, and with `--json`, tables follow each other. CPU is the share of one processor since
the table before, so that the first one has none.
"""

import os
import select
import signal
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from anyclawd.cli import render
from anyclawd.cli.daemon import connect
from anyclawd.cli.render import Paint
from anyclawd.cli.span import duration
from anyclawd.client.client import Client
from anyclawd.model.value import Json

#: What rows can be sorted by, the largest first; names break ties.
_KEYS = {
    "cpu": "cpu_percent",
    "memory": "memory_bytes",
    "tasks": "tasks",
    "restarts": "restarts",
    "queue": "queue",
    "name": None,
}
#: Active state to the style of its row.
_STYLES = {
    "failed": ("red",),
    "inactive": ("dim",),
    "activating": ("yellow",),
    "deactivating": ("yellow",),
}
_HEADINGS = ("UNIT", "STATE", "PID", "CPU%", "TIME", "MEMORY", "TASKS", "RESTARTS", "QUEUE")

#: Switch to the second screen and hide the cursor; and back. Source: xterm's control sequences.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
#: Go to the upper left corner; clear from here to the end of the line, or of the screen.
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


def configure(parser: ArgumentParser) -> None:
    parser.add_argument(
        "-n", "--count", type=_count, metavar="COUNT", help="end after so many tables"
    )
    parser.add_argument(
        "--once", action="store_const", const=1, dest="count", help="the same as -n 1"
    )
    parser.add_argument(
        "-d",
        "--delay",
        type=_delay,
        default=2.0,
        metavar="DURATION",
        help="time between two tables; default 2s",
    )
    parser.add_argument(
        "--sort", choices=tuple(_KEYS), default="cpu", help="what comes first; default cpu"
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"found {text!r}, expected a number from 1")
    return int(text)


def _delay(text: str) -> float:
    seconds = duration(text)
    if seconds < 0.1:
        raise ArgumentTypeError(f"found {text!r}, expected at least 100ms")
    return seconds


def run(options: Namespace) -> int:
    client = connect(options)
    is_plain = options.json or options.count == 1
    if is_plain or not (sys.stdin.isatty() and sys.stdout.isatty()):
        for units in _tables(client, options, time.sleep):
            _print(units, options)
        return 0
    with _screen() as wait:
        for units in _tables(client, options, wait):
            _draw(units)
    return 0


def _tables(
    client: Client, options: Namespace, wait: Callable[[float], object]
) -> Iterator[list[Json]]:
    """Sorted rows, with a wait between any two tables; one that gives a true value is the last."""
    before: dict[str, tuple[float, float]] = {}
    for number in count(1):
        units = client.get("/v1/units?usage=1")["units"]
        now = time.monotonic()
        for unit in units:
            unit["cpu_percent"] = _percent(unit, before, now)
        before = {unit["name"]: (now, unit["cpu_s"]) for unit in units if unit["cpu_s"] is not None}
        yield sorted(units, key=_order(options.sort))
        if number == options.count or wait(options.delay):
            return


def _print(units: list[Json], options: Namespace) -> None:
    if options.json:
        render.print_json_line({"units": units})
    else:
        print("\n".join(_lines(units)) + "\n", flush=True)


def _percent(unit: Json, before: dict[str, tuple[float, float]], now: float) -> float | None:
    """The share of a processor since the last look; None without one, or of another process."""
    if unit["cpu_s"] is None or unit["name"] not in before:
        return None
    at, cpu_s = before[unit["name"]]
    used = unit["cpu_s"] - cpu_s
    return round(100 * used / (now - at), 1) if used >= 0 and now > at else None


def _order(key: str) -> Callable[[Json], Json]:
    member = _KEYS[key]
    if member is None:
        return lambda unit: unit["name"]
    return lambda unit: (-(unit[member] or 0), unit["name"])


def _lines(units: list[Json]) -> list[str]:
    rows = [
        (
            unit["name"],
            f"{unit['active']} ({unit['sub']})",
            _shown(unit["pid"]),
            _shown(unit["cpu_percent"], "{:.1f}"),
            _shown(unit["cpu_s"], "{:.2f}"),
            "-" if unit["memory_bytes"] is None else render.size(unit["memory_bytes"]),
            _shown(unit["tasks"]),
            str(unit["restarts"]),
            _shown(unit["queue"]),
        )
        for unit in units
    ]
    return render.table(rows, _HEADINGS)


def _shown(value: Json, form: str = "{}") -> str:
    return "-" if value is None else form.format(value)


def _draw(units: list[Json]) -> None:
    """As many rows as the screen has room for; the last line says how to get out."""
    size = os.get_terminal_size()
    columns, height = size.columns or 80, size.lines or 24  # a terminal may not know its size
    paint = Paint(sys.stdout)
    heading, *rows = [line[:columns] for line in _lines(units)]
    painted = [
        paint(row, *_STYLES.get(unit["active"], ())) for row, unit in zip(rows, units, strict=True)
    ]
    shown = [paint(heading, "bold"), *painted[: max(0, height - 2)]]
    shown.append(paint(f"{len(units)} units; q ends"[:columns], "dim"))
    text = "".join(f"{line}{_CLEAR_LINE}\r\n" for line in shown[:-1]) + shown[-1]
    sys.stdout.write(f"{_HOME}{text}{_CLEAR_LINE}{_CLEAR_BELOW}")
    sys.stdout.flush()


@contextmanager
def _screen() -> Iterator[Callable[[float], bool]]:
    """The terminal for ourselves; gives a wait that tells whether `q` was typed."""
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def wait(seconds: float) -> bool:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([descriptor], [], [], left)[0]:
                typed = os.read(descriptor, 64)
                if not typed or b"q" in typed.lower():
                    return True
        return False

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it ends as Ctrl-C does
    sys.stdout.write(_ENTER)
    try:
        tty.setcbreak(descriptor)
        yield wait
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()

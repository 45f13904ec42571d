"""A boot as SVG, in the manner of systemd's: a row a unit, a bar a phase, time from left to right.

Rows are in the order in which units began. Names stand in a column of their own, as wide as the
longest, and what a unit took stands behind its bar: whatever the names are, nothing is cut and
nothing overlaps. The critical chain is told by bold names, a mark, framed bars and the line that
joins them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from anyclawd.draw import theme
from anyclawd.draw.axis import tick_step, tick_text, ticks
from anyclawd.draw.legend import item, legend
from anyclawd.draw.measure import label, name_width, width
from anyclawd.draw.phases import Bar, Phase, phases
from anyclawd.draw.theme import Paint
from anyclawd.draw.timeline import Boot, BootUnit, critical_chain, milliseconds
from anyclawd.draw.xml import element, escaped, number

_MARGIN, _ROW, _BAR = 28.0, 24.0, 12.0
_FIELD = 860.0  # how wide the whole boot is drawn
_NAME, _SMALL = 12.5, 11.0
#: What took no time to speak of is seen all the same.
_LEAST_BAR = 1.5


_MEANINGS: Mapping[Phase, str] = {
    Phase.DAEMON: "the daemon itself starts",
    Phase.WAITING: "waits for what it is ordered after",
    Phase.PREPARING: "is checked and prepared, or waits for its turn",
    Phase.STARTING: "runs, and is not ready yet",
    Phase.READY: "is ready",
    Phase.SKIPPED: "was skipped",
    Phase.FAILED: "did not come up",
}
_FILLS: Mapping[Phase, Paint] = {
    Phase.DAEMON: Paint("#7d8896", "#8a95a5"),
    Phase.WAITING: Paint("#b4bdc9", "#566172"),
    Phase.PREPARING: Paint("#e3b341", "#b58a1f"),
    Phase.STARTING: Paint("#2f74c0", "#58a6ff"),
    Phase.READY: Paint("#a9deb8", "#245c38"),
    Phase.SKIPPED: Paint("#dde2e9", "#343c48"),
    Phase.FAILED: Paint("#d1362d", "#f85149"),
}


#: What a unit does not do itself is drawn low.
_HEIGHTS: Mapping[Phase, float] = {
    Phase.WAITING: 3.0,
    Phase.READY: 6.0,
    Phase.SKIPPED: 6.0,
    Phase.FAILED: 6.0,
}


def plot(boot: Boot, title: str) -> str:
    """The whole document."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_Plot(boot, title).document()}\n'


class _Plot:
    """One picture: the scale, and the markup of its parts."""

    def __init__(self, boot: Boot, title: str) -> None:
        self._boot, self._title = boot, label(title)
        instants = [at for unit in boot.units for at in (unit.settled_s, unit.begun_s) if at]
        self._end = boot.settled_s or max(instants, default=0.0) or 0.001
        queued = [unit.queued_s for unit in boot.units if unit.queued_s is not None]
        self._engine_s = min(queued, default=self._end)
        self._chain = [unit.name for unit in critical_chain(boot)]
        shown = [u for u in boot.units if u.begun_s is None or u.begun_s <= self._end]
        depths = _depths(shown)
        self._rows = sorted(
            shown,
            key=lambda unit: (
                _begin(unit, self._end),
                _last(unit),
                depths.get(unit.name, 0),
                unit.name,
            ),
        )
        names = [name_width(label(unit.name), _NAME) for unit in self._rows]
        self._names = max([*names, width("anyclawd", _NAME, is_bold=True)]) + 18
        self._step = tick_step(self._end, _FIELD)
        self._left = _MARGIN + self._names + 12
        notes = [width(self._note(unit), _SMALL) for unit in self._rows]
        self._right = max([*notes, 60.0]) + 12
        self._top = _MARGIN + 74

    def document(self) -> str:
        subtitle = self._subtitle()
        inner = self._names + 12 + _FIELD + self._right
        inner = max(inner, width(self._title, 17.0, is_bold=True), width(subtitle, 12.0))
        bottom = self._top + _ROW * (len(self._rows) + 1)
        below, below_height = self._legend(inner)
        wide, high = inner + 2 * _MARGIN, bottom + 52 + below_height + _MARGIN
        body = [
            element("title", [("id", "plot-title")], escaped(self._title)),
            element("desc", [("id", "plot-desc")], escaped(subtitle)),
            f"<style>\n{_style_sheet()}\n</style>",
            element("rect", [("class", "page"), ("width", wide), ("height", high)]),
            _text(_MARGIN, _MARGIN + 12, self._title, 17.0, bold=True),
            _text(_MARGIN, _MARGIN + 31, subtitle, 12.0, css="faint"),
            *self._axis(bottom),
            self._daemon(),
            *(self._row(index, unit) for index, unit in enumerate(self._rows, 1)),
            *self._joints(),
            f'<g transform="translate({number(_MARGIN)} {number(bottom + 52)})">{below}</g>',
        ]
        attributes = [
            ("xmlns", "http://www.w3.org/2000/svg"),
            ("viewBox", f"0 0 {number(wide)} {number(high)}"),
            ("width", wide),
            ("height", high),
            ("role", "graphics-document document"),
            ("aria-labelledby", "plot-title plot-desc"),
        ]
        return element("svg", attributes, "\n" + "\n".join(body) + "\n")

    def _x(self, at_s: float) -> float:
        return self._left + _FIELD * min(max(at_s / self._end, 0.0), 1.0)

    def _y(self, row: int) -> float:
        """The middle of a row; row 0 is the daemon's."""
        return self._top + _ROW * (row + 0.5)

    def _subtitle(self) -> str:
        boot, count = self._boot, len(self._rows)
        failed = sum(unit.has_failed for unit in boot.counted)
        parts = [f"{count} {'unit' if count == 1 else 'units'}"]
        if boot.settled_s is None:
            parts.append(f"the boot goes on; {len(boot.counted)} have settled")
        else:
            parts.append(f"settled in {milliseconds(boot.settled_s)}")
        if failed:
            parts.append(f"{failed} without success")
        if boot.failure:
            parts.append(f"given up: {label(boot.failure)}")
        return ", ".join(parts)

    def _axis(self, bottom: float) -> Iterator[str]:
        """Vertical rules with their instants, above and below."""
        for at_s in ticks(self._end, self._step):
            x = self._x(at_s)
            path = f"M{number(x)} {number(self._top - 6)} V{number(bottom + 6)}"
            yield element("path", [("class", "rule"), ("d", path)])
            words = tick_text(at_s, self._step)
            yield _text(x, self._top - 12, words, _SMALL, css="faint", anchor="middle")
            yield _text(x, bottom + 20, words, _SMALL, css="faint", anchor="middle")

    def _daemon(self) -> str:
        """The row of the daemon, with which every chain begins."""
        bar = Bar(Phase.DAEMON, 0.0, self._engine_s)
        name = _text(self._left - 12, self._y(0) + 4, "anyclawd", _NAME, anchor="end", bold=True)
        title = "<title>the daemon, until its engine queued the boot</title>"
        parts = [title, name, self._bar(bar, 0)]
        if self._chain:
            parts += [self._frame(0.0, self._engine_s, 0), self._flag(0)]
        return element("g", (), "".join(parts))

    def _frame(self, begin_s: float, end_s: float, row: int) -> str:
        left, right = self._x(begin_s), self._x(end_s)
        return element(
            "rect",
            [
                ("class", "critical"),
                ("x", left - 1),
                ("y", self._y(row) - _BAR / 2 - 1),
                ("width", max(3.0, right - left) + 2),
                ("height", _BAR + 2),
                ("rx", 3.0),
            ],
        )

    def _flag(self, row: int) -> str:
        path = f"M{number(_MARGIN)} {number(self._y(row) - 4.5)} l7 4.5 l-7 4.5z"
        return element("path", [("class", "flag"), ("d", path)])

    def _row(self, index: int, unit: BootUnit) -> str:
        y, is_critical = self._y(index), unit.name in self._chain
        bars = phases(unit, self._end)
        own = [bar for bar in bars if bar.phase in (Phase.PREPARING, Phase.STARTING)]
        parts = [
            element("title", (), escaped(label(unit.name))),
            element("desc", (), escaped(self._told(unit, bars))),
            *(self._bar(bar, index) for bar in bars),
        ]
        end = min(_last(unit), self._end)
        if is_critical:
            if own:
                went_on = max(_begin(unit, self._end), self._engine_s)
                parts.append(self._frame(min(went_on, end), end, index))
            parts.append(self._flag(index))
        if not own and unit.settled_s is not None and unit.settled_s <= self._end:
            x = self._x(end)
            path = f"M{number(x)} {number(y - 6)} l6 6 l-6 6 l-6 -6z"
            css = "milestone failed" if unit.has_failed else "milestone"
            parts.append(element("path", [("class", css), ("d", path)]))
        elif unit.has_failed and unit.settled_s is not None:
            x = self._x(end)
            path = f"M{number(x - 4)} {number(y - 4)} l8 8 m0 -8 l-8 8"
            parts.append(element("path", [("class", "cross"), ("d", path)]))
        stem, dot, kind = label(unit.name).rpartition(".")
        weight = ' font-weight="bold"' if is_critical else ""
        words = f"<tspan{weight}>{escaped(stem)}</tspan>"
        words += f'<tspan class="faint">{escaped(dot + kind)}</tspan>'
        where = [("x", self._left - 12), ("y", y + 4), ("font-size", _NAME), ("text-anchor", "end")]
        parts.append(element("text", where, words))
        if note := self._note(unit):
            parts.append(_text(self._left + _FIELD + 10, y + 4, note, _SMALL, css="faint"))
        attributes = [("class", "unit"), ("role", "graphics-symbol img")]
        return element("g", attributes, "".join(parts))

    def _bar(self, bar: Bar, row: int) -> str:
        left, right = self._x(bar.begin_s), self._x(bar.end_s)
        height = _HEIGHTS.get(bar.phase, _BAR)
        return element(
            "rect",
            [
                ("class", f"bar {bar.phase}"),
                ("x", left),
                ("y", self._y(row) - height / 2),
                ("width", max(right - left, _LEAST_BAR)),
                ("height", height),
            ],
        )

    def _joints(self) -> Iterator[str]:
        """From the end of each link of the chain to the begin of the one that waited for it."""
        rows = {unit.name: index for index, unit in enumerate(self._rows, 1)}
        units = {unit.name: unit for unit in self._rows}
        x, row = self._x(self._engine_s), 0
        for name in reversed([name for name in self._chain if name in rows]):
            begin = max(x, self._x(_begin(units[name], self._end)))
            path = f"M{number(x)} {number(self._y(row))} V{number(self._y(rows[name]))}"
            yield element("path", [("class", "joint"), ("d", f"{path} H{number(begin)}")])
            x, row = self._x(_last(units[name])), rows[name]

    def _note(self, unit: BootUnit) -> str:
        """What stands behind the row: what it took, or why it did not come up."""
        if unit.settled_s is None or unit.settled_s > self._end:
            return "has not settled"
        took = milliseconds(unit.took_s or 0.0)
        if unit.result == "done":
            return "" if unit.kind == "target" else took
        reason = label(unit.reason)
        reason = f"{reason[:69]}…" if len(reason) > 70 else reason
        return f"{took}, {unit.result}{f': {reason}' if reason else ''}"

    def _told(self, unit: BootUnit, bars: Sequence[Bar]) -> str:
        spans = [
            f"{bar.phase} from {milliseconds(bar.begin_s)} to {milliseconds(bar.end_s)}"
            for bar in bars
        ]
        ends = [f"{unit.result}: {unit.reason}"] if unit.reason else []
        chain = ["on the critical chain"] if unit.name in self._chain else []
        return "; ".join([*spans, *ends, *chain])

    def _legend(self, inner: float) -> tuple[str, float]:
        bars = (bar for unit in self._rows for bar in phases(unit, self._end))
        found = {Phase.DAEMON, *(bar.phase for bar in bars)}
        items = [item(_swatch(phase), 22, _MEANINGS[phase]) for phase in Phase if phase in found]
        flag = '<path class="flag" d="M6 -4.5 l7 4.5 l-7 4.5z"/>'
        items.append(item(flag, 22, "is on the critical chain: what the boot waited for"))
        return legend([items], inner)


def _swatch(phase: Phase) -> str:
    height = _HEIGHTS.get(phase, 10.0)
    size = [("y", -height / 2), ("width", 22.0), ("height", height)]
    return element("rect", [("class", f"bar {phase}"), *size])


def _depths(units: Iterable[BootUnit]) -> dict[str, int]:
    """How many others stand before each unit in the longest row of those that waited for another.

    Tells units of one instant apart. A record in which units wait in a circle has no depths.
    """
    waits = {unit.name: unit.after for unit in units}
    depths: dict[str, int] = {}
    try:
        for name in TopologicalSorter(waits).static_order():
            depths[name] = 1 + max((depths[other] for other in waits.get(name, ())), default=-1)
    except CycleError:
        return {}
    return depths


def _begin(unit: BootUnit, end_s: float) -> float:
    return end_s if unit.begun_s is None else min(unit.begun_s, end_s)


def _last(unit: BootUnit) -> float:
    return float("inf") if unit.settled_s is None else unit.settled_s


def _text(
    x: float,
    y: float,
    text: str,
    size: float,
    *,
    css: str = "",
    anchor: str = "",
    bold: bool = False,
) -> str:
    attributes: list[tuple[str, object]] = [("x", x), ("y", y), ("font-size", size)]
    attributes += [("class", css)] * bool(css) + [("text-anchor", anchor)] * bool(anchor)
    attributes += [("font-weight", "bold")] * bold
    return element("text", attributes, escaped(text))


def _style_sheet() -> str:
    own = (
        *((f".bar.{phase}", {"fill": paint}) for phase, paint in _FILLS.items()),
        (".critical", {"stroke": theme.ACCENT}),
        (".joint", {"stroke": theme.ACCENT}),
        (".flag", {"fill": theme.ACCENT}),
        (".milestone", {"fill": theme.FAINT}),
        (".milestone.failed", {"fill": _FILLS[Phase.FAILED]}),
        (".cross", {"stroke": theme.INK}),
    )
    fixed = ".critical, .joint, .cross { fill: none; stroke-width: 2; }"
    return theme.style_sheet(*own, fixed=fixed)

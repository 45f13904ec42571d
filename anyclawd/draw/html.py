"""A unit graph as one HTML page: the picture, and with a script what can be asked of it.

The page loads nothing and says so in its own policy, which lets no script run but the one that is
written here. Every text of a unit is escaped for where it stands: content and attributes as XML
demands, the script's data as JSON without a character that could end its element.
"""

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from anyclawd.draw import theme
from anyclawd.draw.graph import Graph, Node
from anyclawd.draw.measure import FONTS, label
from anyclawd.draw.page_script import SCRIPT
from anyclawd.draw.phases import Phase, phases
from anyclawd.draw.svg import Caption, Note, Picture, state_text
from anyclawd.draw.timeline import Boot, BootUnit, milliseconds
from anyclawd.draw.xml import escaped
from anyclawd.model.value import Json

#: What a unit looks like while a boot is played, before its job is queued and in each phase: a
#: state's mark, and its colours or those of another one.
_LOOKS: Mapping[str, tuple[str, str]] = {
    "idle": ("inactive", "inactive"),
    Phase.WAITING: ("inactive", "inactive"),
    Phase.PREPARING: ("deactivating", "activating"),
    Phase.STARTING: ("activating", "reloading"),
    Phase.READY: ("active", "active"),
    Phase.SKIPPED: ("inactive", "inactive"),
    Phase.FAILED: ("failed", "failed"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What is said of a unit beyond the picture: (term, value) pairs in the order of reading."""

    facts: tuple[tuple[str, str], ...] = ()


def html(graph: Graph, caption: Caption, cards: Mapping[str, Card], boot: Boot | None) -> str:
    """The whole page; with a boot, it can be played."""
    told, end_s = _told(boot), 0.0 if boot is None else _end(boot)
    picture = Picture(graph, notes=_notes(graph, told) if boot is not None else {})
    data = {
        "units": [_unit(node, cards, told.get(node.name), end_s) for node in graph.nodes],
        "links": [
            [link.source, link.target, [str(one) for one in link.relations]]
            for link in picture.links
        ],
        "boot": None if boot is None else {"end_s": end_s},
        "marks": {name: theme.mark_parts(mark) for name, (mark, _) in _LOOKS.items()},
    }
    heading, subtitle = escaped(label(caption.title)), escaped(label(caption.subtitle))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{escaped(_policy())}">
<title>{heading}</title>
<style>{_style_sheet()}</style>
</head>
<body>
<header>
<h1>{heading}</h1>
<p>{subtitle}</p>
<div class="tools">{_tools(boot)}</div>
</header>
<main id="stage" tabindex="-1">
{picture.document(caption, embedded_as="graph")}
</main>
<div id="card" role="status" hidden></div>
<script type="application/json" id="data">{_json(data)}</script>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _policy() -> str:
    """Nothing is fetched, and nothing runs but our script. Source: CSP Level 3."""
    digest = b64encode(sha256(SCRIPT.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def _json(value: Json) -> str:
    """JSON that no HTML parser takes for the end of its element, or the begin of another."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _told(boot: Boot | None) -> dict[str, BootUnit]:
    return {} if boot is None else {unit.name: unit for unit in boot.units}


def _end(boot: Boot) -> float:
    instants = [unit.settled_s or 0.0 for unit in boot.units]
    return boot.settled_s or max(instants, default=0.0) or 0.001


def _notes(graph: Graph, told: Mapping[str, BootUnit]) -> dict[str, Note]:
    """A line for each unit of which nothing is known but the boot; it also makes room to play."""
    notes = {}
    for node in graph.nodes:
        if node.state:
            continue
        unit = told.get(node.name)
        if unit is None or unit.settled_s is None:
            notes[node.name] = Note(
                mark="inactive", text="not started" if unit is None else "starting"
            )
        elif unit.has_failed:
            notes[node.name] = Note(mark="failed", text=unit.result)
        elif unit.result == "skipped":
            notes[node.name] = Note(mark="inactive", text="skipped")
        else:
            at = milliseconds(unit.settled_s)
            notes[node.name] = Note(mark="active", text=f"ready at {at}")
    return notes


def _unit(node: Node, cards: Mapping[str, Card], unit: BootUnit | None, end_s: float) -> Json:
    facts = [
        *((("state", state_text(node)),) if node.state else ()),
        *cards.get(node.name, Card()).facts,
        *(() if unit is None else _boot_facts(unit)),
    ]
    bars = [] if unit is None else phases(unit, end_s)
    return {
        "name": label(node.name),
        "kind": node.kind,
        "description": label(node.description),
        "facts": [[term, label(value)] for term, value in facts],
        "phases": [[str(bar.phase), bar.begin_s] for bar in bars],
    }


def _boot_facts(unit: BootUnit) -> Iterable[tuple[str, str]]:
    if unit.settled_s is None:
        yield "boot", "has not settled"
        return
    took = milliseconds(unit.took_s or 0.0)
    if unit.result == "done":
        yield "boot", f"ready at {milliseconds(unit.settled_s)}, took {took}"
    else:
        reason = f": {unit.reason}" if unit.reason else ""
        yield "boot", f"{unit.result} at {milliseconds(unit.settled_s)}{reason}"


def _tools(boot: Boot | None) -> str:
    player = """
<span class="group">
<button id="play" type="button" aria-pressed="false">Play the boot</button>
<input id="at" type="range" min="0" max="1000" value="1000" aria-label="instant of the boot">
<output id="clock"></output>
<button id="reset" type="button">Reset</button>
</span>"""
    return f"""
<span class="group">
<input id="find" type="search" placeholder="Find a unit" aria-label="find a unit">
</span>
<span class="group">
<button id="smaller" type="button" aria-label="smaller">&minus;</button>
<output id="scale">100 %</output>
<button id="larger" type="button" aria-label="larger">+</button>
<button id="fit" type="button">Fit</button>
</span>{player if boot is not None else ""}
<span id="said" role="status"></span>
"""


def _style_sheet() -> str:
    page = (
        ("html", {"background": theme.PAGE, "color": theme.INK}),
        ("header", {"border-color": theme.RULE}),
        ("header p, dt, #said", {"color": theme.FAINT}),
        (
            "button, input",
            {"color": theme.INK, "background": theme.BAND, "border-color": theme.RULE},
        ),
        ("#card", {"background": theme.PAGE, "border-color": theme.RULE}),
        (":focus-visible", {"outline-color": theme.ACCENT}),
        ("#graph .chosen > .box", {"stroke": theme.ACCENT}),
        *(rule for name, (_, state) in _LOOKS.items() for rule in _phase_rules(name, state)),
    )
    return theme.style_sheet(*page, fixed=_FIXED)


def _phase_rules(name: str, state: str) -> theme.Rules:
    look, scope = theme.STATES[state], f"#graph .phase-{name}"
    return (
        (f"{scope}:not(.chosen) .box", {"fill": look.fill, "stroke": look.edge}),
        (f"{scope}.chosen .box", {"fill": look.fill}),
        (f"{scope} .mark:not(.open)", {"fill": look.edge}),
        (f"{scope} .mark.open", {"stroke": look.edge}),
    )


_FIXED = f"""
:root {{ color-scheme: light dark; }}
* {{ box-sizing: border-box; }}
body {{
  margin: 0; height: 100vh; display: flex; flex-direction: column; font: 14px/1.4 {FONTS};
}}
header {{ padding: 12px 20px; border-bottom: 1px solid; }}
h1 {{ font-size: 18px; margin: 0; overflow-wrap: anywhere; }}
header p {{ margin: 2px 0 0; font-size: 13px; overflow-wrap: anywhere; }}
.tools {{ display: none; flex-wrap: wrap; gap: 8px 24px; align-items: center; margin-top: 10px; }}
.js .tools {{ display: flex; }}
.group {{ display: inline-flex; gap: 8px; align-items: center; }}
button, input {{ font: inherit; border: 1px solid; border-radius: 6px; padding: 3px 10px; }}
button {{ cursor: pointer; }}
#play {{ min-width: 8.4em; }}
#at {{ width: 240px; padding: 0; }}
#clock {{ min-width: 14em; font-variant-numeric: tabular-nums; }}
#scale {{ min-width: 3.4em; text-align: center; font-variant-numeric: tabular-nums; }}
main {{ flex: 1; overflow: auto; min-height: 0; }}
main:focus {{ outline: none; }}
#graph {{ display: block; margin: 0 auto; }}
.js .unit {{ cursor: pointer; }}
.unit:focus {{ outline: none; }}
#graph .unit:focus-visible > .box, #graph .unit:hover > .box {{ stroke-width: 3; }}
#graph .chosen > .box {{ stroke-width: 3.5; }}
.narrowed .unit:not(.kept), .narrowed .link[data-links]:not(.kept) {{ opacity: 0.16; }}
#graph.narrowed .link.kept {{ stroke-width: 2.6; }}
.playing .phase-idle {{ opacity: 0.4; }}
:focus-visible {{ outline: 2px solid; outline-offset: 2px; }}
#card {{
  position: fixed; z-index: 2; max-width: min(380px, 90vw); max-height: 70vh; overflow: hidden;
  padding: 12px 14px; border: 1px solid; border-radius: 8px; pointer-events: none;
  box-shadow: 0 6px 24px rgb(0 0 0 / 0.22); overflow-wrap: anywhere;
}}
#card[hidden] {{ display: none; }}
#card h2 {{ margin: 0; font-size: 14px; }}
#card p {{ margin: 4px 0 0; }}
dl {{
  display: grid; grid-template-columns: auto 1fr; gap: 2px 12px; margin: 8px 0 0; font-size: 13px;
}}
dd {{ margin: 0; }}
"""

"""Pictures as a browser draws them: nothing overlaps, nothing is cut, and the page works."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from anyclawd.draw.html import Card, html
from anyclawd.draw.plot import plot
from anyclawd.draw.svg import Caption, svg
from anyclawd.model.value import Json
from tests.fakes.chromium import look, needs_chromium
from tests.fakes.systems import System

SIZES = (10, 60, 300)
CAPTION = Caption(title="units of anyclaw.yaml", subtitle="as many as there are")

#: What is asked of every picture, as it is and in the widest font it may have to make do with; and
#: what is done with a page, as a reader would.
SCRIPT = """
const box = (element) => {
  const { left, top, right, bottom } = element.getBoundingClientRect();
  return { left, top, right, bottom, said: element.textContent.slice(0, 80) };
};
const overlap = (a, b) =>
  Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5 &&
  Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.5;
const inside = (a, b) =>
  Math.min(a.left - b.left, b.right - a.right, a.top - b.top, b.bottom - a.bottom) >= -0.5;

const judge = (document) => {
  const picture = document.querySelector("svg"), page = box(picture);
  const texts = [...picture.querySelectorAll("text")].map(box), faults = [];
  texts.forEach((text, index) => {
    if (!inside(text, page)) faults.push(`leaves the page: ${text.said}`);
    for (const other of texts.slice(index + 1)) {
      if (overlap(text, other)) faults.push(`overlaps: ${text.said} / ${other.said}`);
    }
  });
  const units = [...picture.querySelectorAll(".unit")].filter((unit) => unit.querySelector(".box"));
  const boxes = units.map((unit) => box(unit.querySelector(".box")));
  units.forEach((unit, index) => {
    for (const text of unit.querySelectorAll("text")) {
      if (!inside(box(text), boxes[index])) faults.push(`leaves its box: ${text.textContent}`);
    }
    for (const other of boxes.slice(index + 1)) {
      if (overlap(boxes[index], other)) faults.push(`boxes overlap: ${unit.textContent}`);
    }
  });
  return { faults: faults.slice(0, 20), texts: texts.length, units: units.length };
};

const look = (name, document) => {
  const found = { asItIs: judge(document) };
  const wide = document.createElement("style");
  wide.textContent = 'text, text * { font-family: "DejaVu Sans" !important; }';
  document.head ? document.head.append(wide) : document.documentElement.append(wide);
  found.wide = judge(document);
  wide.remove();
  return name.startsWith("page") ? { ...found, page: use(document) } : found;
};

const use = (document) => {
  const get = (id) => document.getElementById(id), window = document.defaultView;
  const units = [...document.querySelectorAll("[data-unit]")];
  const named = (name) => units.find((unit) => unit.getAttribute("aria-label") === name);
  const press = (target, key) =>
    target.dispatchEvent(new window.KeyboardEvent("keydown", { key, bubbles: true }));
  const found = {};
  const orchestrator = named("orchestrator.core");
  orchestrator.focus();
  found.card = get("card").hidden ? "" : get("card").innerText;
  press(orchestrator, "Enter");
  found.said = get("said").textContent;
  const kept = [...document.querySelectorAll(".unit.kept")];
  found.kept = kept.map((unit) => unit.getAttribute("aria-label"));
  found.dimmed = window.getComputedStyle(named("admin.core")).opacity;
  press(orchestrator, "ArrowRight");
  found.right = document.activeElement.getAttribute("aria-label");
  press(document.activeElement, "ArrowLeft");
  found.left = document.activeElement.getAttribute("aria-label");
  press(document, "Escape");
  found.freed = document.querySelectorAll(".kept").length;
  const scrub = (value) => {
    get("at").value = String(value);
    get("at").dispatchEvent(new window.Event("input"));
    const note = (name) => named(name).querySelector(".note").textContent;
    return [get("clock").textContent, note("services.target"), note("default.target")];
  };
  found.begin = scrub(0);
  found.end = scrub(1000);
  get("reset").click();
  found.reset = named("default.target").getAttribute("class").trim();
  const frames = [];
  window.requestAnimationFrame = (draw) => frames.push(draw);
  window.cancelAnimationFrame = () => frames.splice(0);
  const pressed = window.performance.now();
  window.performance.now = () => pressed;
  get("play").click();
  found.playing = get("play").textContent;
  frames.shift()(pressed + 100);
  found.moved = document.querySelectorAll(".phase-idle, .phase-waiting").length > 0;
  get("play").click();
  found.paused = get("play").textContent;
  get("find").value = "ORCHESTR";
  get("find").dispatchEvent(new window.Event("input"));
  found.search = get("said").textContent;
  found.scripts = document.scripts.length;
  return found;
};
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Json:
    """One run of the browser for all pictures."""
    return look(tmp_path_factory.mktemp("looks"), dict(documents()), SCRIPT)


def documents() -> Iterator[tuple[str, str]]:
    for size in SIZES:
        system = System(size)
        yield f"graph-{size}", svg(system.graph(), CAPTION)
        yield f"states-{size}", svg(system.graph(has_states=True), CAPTION)
        yield f"plot-{size}", plot(system.boot, "boot of a system")
        yield f"page-{size}", html(system.graph(), CAPTION, {}, system.boot)


@needs_chromium
@pytest.mark.parametrize("font", ["asItIs", "wide"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("picture", ["graph", "states", "plot", "page"])
def test_no_label_overlaps_another_or_leaves_the_page(
    seen: Json, picture: str, size: int, font: str
) -> None:
    found = seen[f"{picture}-{size}"][font]
    assert found["faults"] == []
    assert found["texts"] > size
    assert picture == "plot" or found["units"] >= size


@needs_chromium
@pytest.mark.parametrize("size", SIZES)
def test_a_click_shows_what_a_unit_depends_on_and_what_depends_on_it(seen: Json, size: int) -> None:
    page, names = seen[f"page-{size}"]["page"], [node.name for node in System(size).graph().nodes]
    services = {name for name in names if name.endswith(".service")}
    later = {name for name in names if name.endswith((".tool", ".channel", ".agent", ".target"))}
    assert set(page["kept"]) == services | later | {"orchestrator.core"}
    assert page["said"] == (
        f"orchestrator.core: depends on {len(services) + 1}, {len(later) - 1} depend on it"
    )
    assert (page["dimmed"], page["freed"]) == ("0.16", 0)


@needs_chromium
def test_a_card_tells_of_the_unit_that_has_the_focus(seen: Json) -> None:
    said = seen["page-10"]["page"]["card"]
    lines = list(filter(None, said.split("\n")))
    told = ["orchestrator.core", "what orchestrator.core is for", "kind", "core", "boot"]
    assert lines[:5] == told


@needs_chromium
def test_arrow_keys_go_from_unit_to_unit(seen: Json) -> None:
    page = seen["page-10"]["page"]
    assert page["right"].endswith((".tool", ".channel"))
    assert page["left"] == "orchestrator.core"


@needs_chromium
def test_the_boot_is_scrubbed_played_and_left_again(seen: Json) -> None:
    page = seen["page-10"]["page"]
    assert page["begin"][1:] == ["", ""]
    assert page["begin"][0].endswith(", 0 ready")
    assert page["end"][1:] == ["ready", "ready"]
    assert page["reset"] == "unit kind-target"
    assert (page["playing"], page["moved"], page["paused"]) == ("Pause", True, "Play the boot")


@needs_chromium
def test_units_are_found_by_a_part_of_their_name(seen: Json) -> None:
    page = seen["page-10"]["page"]
    assert page["search"] == f"1 of {len(System(10).graph().nodes)} units"
    assert page["scripts"] == 2


#: Ends of elements, elements that run, entities, and what turns the direction of a text.
HOSTILE = (
    "</script><script>parent.broken = 1</script>",
    "<img src=x onerror='parent.broken = 1'>",
    '"><svg onload=parent.broken=1>',
    "'-parent.broken-'",
    "&lt;b&gt;&amp;",
    "]]><!--",
    "\u202eevil\u2028\x00\x1b[31m\ud800",
)
COUNT = """
const look = (name, document) => ({
  elements: [...document.querySelectorAll("*")].map((element) => element.localName).sort().join(),
  unit: document.querySelector("[aria-label], .unit")?.textContent.length > 0,
  broken: typeof window.broken !== "undefined",
});
"""


@needs_chromium
def test_texts_of_units_stay_texts(tmp_path: Path) -> None:
    """Whatever stands in a name, a description or a reason: the elements are the same."""
    harmless, hostile = texts_in("text"), {}
    for number, text in enumerate(HOSTILE):
        hostile |= {f"{name}-{number}": drawn for name, drawn in texts_in(text).items()}
    found = look(tmp_path, harmless | hostile, COUNT)
    for name in hostile:
        assert found[name] == found[name.rpartition("-")[0]]
        assert found[name] == {**found[name], "broken": False}


def texts_in(text: str) -> dict[str, str]:
    """Every picture of a system in which a text stands wherever one may stand."""
    system = System(4)
    caption = Caption(title=text, subtitle=text)
    graph = replace(
        system.graph(),
        nodes=tuple(replace(node, description=text) for node in system.graph().nodes),
    )
    first = graph.nodes[0].name
    graph = replace(
        graph,
        nodes=(replace(graph.nodes[0], name=f"{text}.service"), *graph.nodes[1:]),
        edges=tuple(edge for edge in graph.edges if first not in (edge.unit, edge.other)),
    )
    broken = replace(
        system.boot.units[0], name=f"{text}.service", result="failed", reason=text, after=()
    )
    boot = replace(system.boot, failure=text, units=(broken, *system.boot.units[1:]))
    cards = {f"{text}.service": Card(facts=((text, text),))}
    return {
        "graph": svg(graph, caption),
        "plot": plot(boot, text),
        "page": html(graph, caption, cards, boot),
    }

"""Names of a configuration that is read in haste, whatever state it is in."""

from pathlib import Path

import pytest

from anyclawd.compile.compiler import compile_config
from anyclawd.compile.outline import units_in
from anyclawd.compile.tree import Machine

ROOT = Path(__file__).parents[3]
EXAMPLES = [path for path in ROOT.glob("docs/examples/**/*.yaml") if path.name != "compose.yaml"]

FILES = {
    "entries": (
        "agents_manager: {agents: {a: {}, b: null, c: [x]}}",
        ["a.agent", "b.agent", "c.agent"],
    ),
    "every-section": (
        "services_manager: {services: {s: {}}}\ntools_manager: {tool_names: plain, tools: {t: }}",
        ["s.service", "t.tool"],
    ),
    "units": ("units:\n  x.service: {}\n  y@1.agent:\n", ["x.service", "y@1.agent"]),
    "below-something-else": ("units: {x.service: {units: {y.service: 1}}}", ["x.service"]),
    "behind-a-list": ("access: {rules: [{channel: c}, [[]]]}\nunits: {x.tool: 1}", ["x.tool"]),
    "aliases": ("a: &a {exec: x}\nunits: {x.tool: *a, y.tool: *a}", ["x.tool", "y.tool"]),
    "tags": ("units: {x.tool: {exec: !env NAME}, y.tool: !odd {}}", ["x.tool", "y.tool"]),
    "no-unit-names": ("units: {x: {}, 'a b.tool': {}}\nagents_manager: {agents: {'a b': 1}}", []),
    "a-name-to-be-escaped": ("agents_manager: {agents: {a@b: 1, .c: 1, d.e: 1}}", ["d.e.agent"]),
    "half-written": ("units:\n  x.tool: {}\n  y.tool: [\n", ["x.tool", "y.tool"]),
    "a-key-that-is-a-map": ("units: {x.tool: 1}\n? {a: b}\n: {}\n", ["x.tool"]),
    "twice": ("units: {x.tool: 1}\nunits: {x.tool: 2}", ["x.tool"]),
    "deep": ("units: {x.tool: " + "[" * 5000, ["x.tool"]),
    "a-list": ("[units, x.tool]", []),
    "text": ("units", []),
    "nothing": ("", []),
    "no-text": ("units: {x.tool: 1}\n\0", []),
}


@pytest.mark.parametrize(("text", "names"), FILES.values(), ids=FILES)
def test_names_are_found(tmp_path: Path, text: str, names: list[str]) -> None:
    (tmp_path / "anyclaw.yaml").write_text(text)
    assert units_in(str(tmp_path / "anyclaw.yaml")) == names


def test_drop_ins_have_names_too(tmp_path: Path) -> None:
    (tmp_path / "units.d").mkdir()
    (tmp_path / "units.d" / "a.yaml").write_text("x.tool: {units: {no.tool: 1}}\ny.tool:\n")
    (tmp_path / "units.d" / "b.txt").write_text("no.tool: {}")
    (tmp_path / "z.tool.d").mkdir()
    assert units_in(str(tmp_path / "anyclaw.yaml")) == ["x.tool", "y.tool", "z.tool"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_compiler_makes_no_process_of_another_name(path: Path) -> None:
    outcome = compile_config(str(path), {}, Machine({}), has_credentials=False)
    assert outcome.plan is not None
    processes = {str(unit.name) for unit in outcome.plan.units.values() if unit.is_process}
    assert processes
    assert processes <= set(units_in(str(path)))

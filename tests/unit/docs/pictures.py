"""Draws the pictures of docs/how-to/boot-analysis.md: `python -m tests.unit.docs.pictures`."""

from pathlib import Path

from anyclawd.admin.views import plan_view
from anyclawd.compile.compiler import compile_config
from anyclawd.compile.tree import Machine
from anyclawd.draw.graph import around, graph_of
from anyclawd.draw.plot import plot
from anyclawd.draw.svg import Caption, svg
from anyclawd.draw.timeline import boot_of
from anyclawd.engine.simulate import Past, simulate
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan
from anyclawd.model.value import Json

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "docs/examples/services-in-order.yaml"
PICTURES = ROOT / "docs/how-to/pictures"
GENERATOR = "<!-- drawn by `python -m tests.unit.docs.pictures` -->\n"

#: What each unit took in the boot that is shown, in seconds.
_TOOK_S = {
    "migration.service": 0.41,
    "support.channel": 0.12,
    "website.channel": 0.14,
    "default.agent": 0.18,
    "researcher.agent": 0.46,
}
_FAILED = {"media.service": "exited with code 1"}
_STATES = {
    "model-server.service": ("failed", "cooldown", "start-limit-hit"),
    "alarm.service": ("active", "exited", "success"),
}


def pictures() -> dict[str, str]:
    """File name to content."""
    plan = _plan()
    view = plan_view(plan)
    rows = [
        dict(zip(("name", "active", "sub", "result"), (name, *_state(name)), strict=True))
        for name in view["units"]
    ]
    units = Caption(title=f"units of {EXAMPLE.name}")
    model = Caption(title=f"units around model-server.service in {EXAMPLE.name}")
    drawn = {
        "units.svg": svg(graph_of(view), units),
        "states.svg": svg(around(graph_of(view, rows), "model-server.service"), model),
        "boot.svg": plot(boot_of(_record(plan)), f"boot of {EXAMPLE.name}"),
    }
    return {name: GENERATOR + text.partition("\n")[2] for name, text in drawn.items()}


def _plan() -> Plan:
    outcome = compile_config(str(EXAMPLE), {"PATH": "/usr/bin:/bin"}, Machine())
    assert outcome.plan is not None, outcome.findings
    return outcome.plan


def _state(name: str) -> tuple[str, str, str]:
    return _STATES.get(name, ("active", "running", "success"))


def _record(plan: Plan) -> Json:
    pasts = {UnitName(name): Past(took_s=took) for name, took in _TOOK_S.items()}
    record = simulate(plan, pasts, assumed_s=0.1, own_s=0.09, started_at="").record
    for unit in record["units"]:
        if unit["name"] in _FAILED:
            unit.update(
                result="failed",
                reason=_FAILED[unit["name"]],
                ready_s=None,
                settled_s=unit["spawned_s"] + 0.23,
            )
    return record


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    for name, text in pictures().items():
        (PICTURES / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()

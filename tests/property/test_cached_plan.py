"""Cache or no cache, the result is the same: whatever became of credentials in between."""

import marshal
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from anyclawd.compile.compiler import compile_config
from anyclawd.daemon import cache
from anyclawd.model.deps import UnitName
from anyclawd.model.plan import Plan, from_plain, to_plain
from anyclawd.runtime.order import order_of
from anyclawd.runtime.spawn import environment_of
from tests.fakes.paper_world import PaperWorld

CONFIG = "/etc/claw/anyclaw.yaml"
KEY = ("a plan of this code",)
#: By reference, and as they are; with a default and without.
SETTINGS = (
    "options: {a: !credential first}",
    'environment: {B: !credential "second:none"}',
    'timeouts: {stop: !credential "third:7s"}',
    "options_schema: {properties: {a: {pattern: '^[^x]*$'}}}",
)
TEXTS = [b"hunter2", b"hunter2\n", b"2s", b"3min", b"x", b"", b"\xff"]
CONTENTS = st.none() | st.sampled_from(TEXTS)
GIVEN = st.fixed_dictionaries(dict.fromkeys(("first", "second", "third"), CONTENTS))

#: The plan, and what its process would be given; None where the daemon would not start.
Started = tuple[Plan, Mapping[str, str]] | None


def start(text: str, given_now: Mapping[str, bytes | None], directory: Path, state: str) -> Started:
    """What a start comes to, with what an earlier one has left in the state directory."""
    environ = {"PATH": "/bin", "CREDENTIALS_DIRECTORY": str(directory)}
    for name, content in given_now.items():
        (directory / name).unlink(missing_ok=True)
        if content is not None:
            (directory / name).write_bytes(content)
    cached = cache.load(state, KEY, environ)
    if cached is None:
        files = {f"{directory}/{name}": it for name, it in given_now.items() if it is not None}
        world = PaperWorld(files={CONFIG: text.encode(), **files}, environ=environ)
        outcome = compile_config(CONFIG, environ, world)
        if outcome.plan is None:
            return None
        inputs = tuple(found for found in outcome.inputs if "credential" in found[0])
        plain = marshal.dumps(to_plain(outcome.plan))
        cache.store(state, KEY, inputs, ("never", ()), plain)
    else:
        plain = cached[0]
        assert b"hunter2" not in plain
    plan: Plan = from_plain(marshal.loads(plain))
    unit = plan.units[UnitName("a.channel")]
    order = order_of(unit, plan.settings, "instance")
    return plan, environment_of(order, "invocation", environ)


@settings(max_examples=150, deadline=None)
@given(st.sets(st.sampled_from(SETTINGS)), GIVEN, GIVEN)
def test_a_start_after_another_one_is_a_start(
    chosen: set[str], before: Mapping[str, bytes | None], now: Mapping[str, bytes | None]
) -> None:
    text = "units:\n  a.agent: {exec: /bin/true}\n  a.channel:\n    exec: /bin/true\n    agent: a\n"
    text += "".join(f"    {setting}\n" for setting in sorted(chosen))
    with tempfile.TemporaryDirectory() as root:
        directory, used, fresh = (Path(root, name) for name in ("credentials", "used", "fresh"))
        for one in (directory, used, fresh):
            one.mkdir()
        start(text, before, directory, str(used))
        assert start(text, now, directory, str(used)) == start(text, now, directory, str(fresh))

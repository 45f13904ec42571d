"""The compiler as the child process that the daemon starts."""

import marshal
import subprocess
import sys
from pathlib import Path

from anyclawd.model.plan import Plan, from_plain

CONFIG = """\
agents_manager:
  agents:
    default:
      workspace: {type: local, binary: "@built-in/agents/mock-agent"}
channels_manager:
  channels:
    debug-http:
      binary: "@built-in/channels/debug-http"
      options: {port: 0}
"""


def compile_child(path: Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "anyclawd.compile", "--config", str(path)]
    return subprocess.run(command, capture_output=True, check=False, timeout=60)


def test_a_plan_comes_out_as_one_marshal_value(tmp_path: Path) -> None:
    path = tmp_path / "anyclaw.yaml"
    path.write_text(CONFIG)
    child = compile_child(path)
    result = marshal.loads(child.stdout)
    plan = from_plain(result["plan"])
    assert (child.returncode, child.stderr, result["findings"]) == (0, b"", ())
    assert isinstance(plan, Plan)
    assert plan.config == str(path)
    assert [name for name in plan.order if name.endswith((".agent", ".channel"))] == [
        "debug-http.channel",
        "default.agent",
    ]
    assert ("file", str(path)) in {found[:2] for found in result["inputs"]}


def test_without_a_plan_the_findings_say_why(tmp_path: Path) -> None:
    path = tmp_path / "anyclaw.yaml"
    path.write_text("supervisor: {admin_port: many}\n")
    child = compile_child(path)
    result = marshal.loads(child.stdout)
    (finding,) = map(from_plain, result["findings"])
    assert (child.returncode, result["plan"]) == (1, None)
    assert str(finding) == (
        f"{path}:1:26: error: supervisor.admin_port: expected a whole number, found 'many'"
    )


def test_a_configuration_without_schemas_pays_for_no_jsonschema(tmp_path: Path) -> None:
    path = tmp_path / "anyclaw.yaml"
    path.write_text("units: {a.service: {exec: /bin/true, protocol: none}}\n")
    program = (
        "import sys; from anyclawd.compile.__main__ import main; "
        f"status = main(['--config', {str(path)!r}]); "
        "sys.exit(status or 'jsonschema' in sys.modules)"
    )
    child = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False, timeout=60
    )
    assert (child.returncode, child.stderr) == (0, b"")

"""`anyclawctl graph` as a user runs it: parts of the graph, states, files, and no secrets."""

import json
from pathlib import Path

import pytest

from anyclawd.daemon.boots import keep
from tests.fakes.control import BOOT, SECRET, row
from tests.integration.admin.conftest import Served
from tests.integration.admin.test_cli import anyclawctl, run
from tests.integration.admin.test_offline import anyclawctl as offline

FORMATS = ("dot", "mermaid", "json", "graphml", "svg", "html")
WITH_SECRETS = """\
agents_manager:
  agents:
    default:
      description: says hunter2-hunter2 to everybody
      workspace:
        type: local
        binary: ["@python", "-c", "hunter2-hunter2"]
        env: {API_KEY: hunter2-hunter2, TOKEN: !env "THE_TOKEN:hunter3-hunter3"}
      options: {api_token: hunter2-hunter2}
"""


def graph(served: Served, *words: str) -> dict[str, list[dict[str, str]]]:
    done = anyclawctl(served, "graph", "--json", *words)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, list[dict[str, str]]] = json.loads(done.stdout)
    return found


def test_states_are_shown_on_request(served: Served) -> None:
    served.control.rows["default.agent"] = row("default.agent", "failed", "cooldown")
    states = {node["name"]: node["state"] for node in graph(served, "--state")["nodes"]}
    assert (states["default.agent"], states["agents.target"]) == ("failed", "active")
    assert {node["state"] for node in graph(served)["nodes"]} == {""}
    picture = anyclawctl(served, "graph", "--format", "svg", "--state").stdout
    assert "failed (cooldown)" in picture


def test_a_unit_is_shown_with_all_that_depends_on_it_or_it_depends_on(served: Served) -> None:
    nodes = graph(served, "--unit", "agents.target")["nodes"]
    assert [node["name"] for node in nodes] == ["default.agent", "agents.target", "default.target"]
    done = anyclawctl(served, "graph", "--unit", "agents.targte")
    assert (done.returncode, done.stderr) == (
        4,
        "anyclawctl: no unit 'agents.targte' (did you mean 'agents.target'?)\n",
    )


def test_order_and_requirements_are_shown_apart(served: Served) -> None:
    def relations(*words: str) -> set[str]:
        return {one for edge in graph(served, *words)["edges"] for one in edge["relations"]}

    assert relations("--order") == {"after"}
    assert relations("--require") == {"wants", "requires"}
    assert relations() == {"after", "wants", "requires"}
    assert anyclawctl(served, "graph", "--order", "--require").returncode == 2


@pytest.mark.parametrize("form", FORMATS)
def test_a_picture_is_written_whole_to_a_file(served: Served, tmp_path: Path, form: str) -> None:
    target = tmp_path / "picture"
    done = anyclawctl(served, "graph", "--format", form, "-o", str(target))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert target.read_text("utf-8") == anyclawctl(served, "graph", "--format", form).stdout
    assert list(tmp_path.glob("picture*")) == [target]


@pytest.mark.parametrize(
    ("name", "reason"),
    {"none/picture": "No such file or directory", "/dev/full": "No space left on device"}.items(),
)
def test_a_file_that_cannot_be_written_is_named(
    served: Served, tmp_path: Path, name: str, reason: str
) -> None:
    target = str(tmp_path / name)
    done = anyclawctl(served, "graph", "-o", target)
    assert done.returncode == 1
    assert done.stderr == f"anyclawctl: cannot write {target!r}: {reason}\n"


def test_a_configuration_has_no_states(served: Served, tmp_path: Path) -> None:
    done = offline(tmp_path, "graph", "-c", "anyclaw.yaml", "--state")
    assert (done.returncode, done.stderr) == (
        2,
        "anyclawctl: a configuration has no states; leave --state or -c out\n",
    )


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_shows_a_secret(served: Served, tmp_path: Path, form: str) -> None:
    assert SECRET not in anyclawctl(served, "graph", "--format", form, "--state").stdout
    (tmp_path / "anyclaw.yaml").write_text(WITH_SECRETS, "utf-8")
    done = offline(tmp_path, "graph", "-c", "anyclaw.yaml", "--format", form)
    assert done.returncode == 0, done.stderr
    assert "default.agent" in done.stdout
    assert "hunter" not in done.stdout


@pytest.mark.parametrize("what", ["time", "blame", "critical-chain", "plot", "dump"])
@pytest.mark.parametrize("boot", ["0", "-1"])
def test_boots_are_analysed_by_number(served: Served, what: str, boot: str) -> None:
    done = anyclawctl(served, "analyze", what, "--boot", boot)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_a_boot_that_was_not_kept_is_refused(served: Served) -> None:
    done = anyclawctl(served, "analyze", "--boot", "-2")
    assert (done.returncode, "the earliest one is -1" in done.stderr) == (1, True)
    done = anyclawctl(served, "analyze", "--boot", "1")
    assert (done.returncode, "a boot is 0, -1, -2" in done.stderr) == (2, True)


def test_without_daemon_and_kept_boots_the_daemon_is_missed(tmp_path: Path) -> None:
    done = offline(tmp_path, "analyze", "--state-dir", str(tmp_path))
    assert (done.returncode, done.stderr) == (1, f"anyclawctl: no boot is kept in {tmp_path}\n")


@pytest.mark.parametrize("words", [["boots"], ["time"], ["simulate", "-c", "anyclaw.yaml"]])
def test_a_state_directory_that_there_is_not_is_refused(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "anyclaw.yaml").write_text("{}", "utf-8")
    none = str(tmp_path / "none")
    done = offline(tmp_path, "analyze", *words, "--state-dir", none)
    text = f"anyclawctl: no state directory {none!r}; name one that a daemon has used\n"
    assert (done.returncode, done.stderr) == (1, text)


def test_without_a_daemon_the_kept_boots_are_told_and_named(tmp_path: Path) -> None:
    state = tmp_path / "state"
    environ = {"ANYCLAWD_SOCKET": str(tmp_path / "none"), "STATE_DIRECTORY": str(state)}
    missed = run(["analyze"], environ)
    assert (missed.returncode, "no daemon listens" in missed.stderr) == (69, True)
    keep(str(state), BOOT)
    told = run(["analyze"], environ)
    assert (told.returncode, told.stderr) == (
        0,
        f"anyclawctl: no daemon answers; this is of the boots that are kept in {state}\n",
    )
    assert "the boot settled in" in told.stdout
    assert "412ms" in run(["analyze", "boots"], environ).stdout
    named = run(["analyze", "-s", str(tmp_path / "none")], environ)
    assert named.returncode == 69


@pytest.mark.parametrize("what", ["time", "blame", "critical-chain"])
def test_what_a_unit_has_said_steers_no_terminal(tmp_path: Path, what: str) -> None:
    failed = [{**unit, "result": "failed", "reason": "\x1b[2J"} for unit in BOOT["units"]]
    keep(str(tmp_path), {**BOOT, "units": failed})
    told = offline(tmp_path, "analyze", what, "--state-dir", str(tmp_path)).stdout
    assert "\x1b" not in told
    assert r"\x1b[2J" in told


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        (["time", "--as", "plot"], "--as says nothing to time"),
        (["plot", "--assume", "1"], "--assume says nothing to plot"),
        (["verify", "--boot", "-1"], "--boot says nothing to verify"),
        (["verify", "--state-dir", "/x"], "--state-dir says nothing to verify"),
        (["simulate", "--assume", "-1"], "--assume takes a number of seconds"),
        (["simulate", "--assume", "nan"], "--assume takes a number of seconds"),
    ],
)
def test_what_would_be_ignored_is_refused(tmp_path: Path, words: list[str], refused: str) -> None:
    done = offline(tmp_path, "analyze", *words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"anyclawctl: {refused}")

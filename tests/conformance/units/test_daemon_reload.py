"""Reloads of a daemon that has things to do: what changes is changed, and nothing else."""

import itertools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from anyclawd.client.exchange import ClientError
from anyclawd.model.value import Json
from tests.conformance.units.programs import TOUGH, idle, reload, rewrite, runs, service
from tests.fakes.daemon import running, system

THREE = {
    "a.service": idle(),
    "b.service": idle(requires=["a.service"]),
    "c.service": idle(requires=["b.service"]),
}


def test_the_same_files_change_nothing(tmp_path: Path) -> None:
    """Behaviour 64: neither unread, nor read and found to say the same."""
    with running(tmp_path, system(units=THREE)) as daemon:
        before = runs(daemon)
        for _ in range(2):
            assert not daemon.client.post("/v1/reload", {}, waits=True)["changed"]
            daemon.config.write_text(daemon.config.read_text() + "\n")
        assert runs(daemon) == before


def changed(**settings: Json) -> Mapping[str, Json]:
    """The three with other settings of the one in the middle."""
    return {**THREE, "b.service": {**THREE["b.service"], **settings}}


def test_another_program_restarts_its_unit_alone(tmp_path: Path) -> None:
    """Behaviour 65: not who requires it, either."""
    with running(tmp_path, system(units=THREE)) as daemon:
        before = runs(daemon)
        told = reload(daemon, changed(environment={"EDITION": 2}))
        assert [row["unit"] for row in told["modified"]] == ["b.service"]
        after = runs(daemon)
        assert {name for name in THREE if after[name] != before[name]} == {"b.service"}


def test_another_policy_restarts_nobody(tmp_path: Path) -> None:
    """Behaviour 65."""
    with running(tmp_path, system(units=THREE)) as daemon:
        before = runs(daemon)
        told = reload(daemon, changed(backoff={"initial": 7}, restart="on-failure"))
        assert [row["unit"] for row in told["modified"]] == ["b.service"]
        assert runs(daemon) == before


def test_what_is_gone_stops_in_reverse_and_what_is_new_starts(tmp_path: Path) -> None:
    """Behaviour 65."""
    with running(tmp_path, system(units=THREE)) as daemon:
        told = reload(daemon, {"a.service": THREE["a.service"], "new.service": idle()})
        assert sorted(told["removed"]) == ["b.service", "c.service"]
        assert told["added"] == ["new.service"]
        rows = daemon.units()
        assert (rows["a.service"]["active"], rows["new.service"]["active"]) == ("active", "active")
        assert not {"b.service", "c.service"} & rows.keys()
        said = daemon.log_text()
        assert said.index("c.service: dead") < said.index("b.service: stop-sigterm")


def test_a_one_shot_that_becomes_a_service_and_back(tmp_path: Path) -> None:
    """Behaviour 66: stopped and started, as what it is now."""
    once = service("pass", readiness={"type": "exited"})
    stays = service("import signal; signal.pause()")
    with running(tmp_path, system(units={"a.service": once})) as daemon:
        for entry, sub in ((stays, "running"), (once, "exited"), (stays, "running")):
            before = runs(daemon)
            reload(daemon, {"a.service": entry})
            daemon.wait_unit("a.service", "active", sub)
            assert runs(daemon) != before


class Bad(NamedTuple):
    text: str
    words: tuple[str, ...]  #: what has to be told, in one answer


BAD = {
    "syntax": Bad("units: {a.service: [\n", ("not YAML",)),
    "several mistakes": Bad(
        "units:\n  a.service: {exec: 3, requires: [nobody.service]}\n  b.service: {execc: x}\n",
        ("expected a program", "nobody.service", "execc"),
    ),
    "a cycle": Bad(
        "units:\n  a.service: {exec: /bin/true, protocol: none, after: [b.service]}\n"
        "  b.service: {exec: /bin/true, protocol: none, after: [a.service]}\n",
        ("a.service -> b.service -> a.service",),
    ),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_file_is_told_whole_and_changes_nothing(tmp_path: Path, bad: str) -> None:
    """Behaviour 67, and behaviour 10 of cycles."""
    with running(tmp_path, system(units=THREE)) as daemon:
        before = runs(daemon)
        daemon.config.write_text(BAD[bad].text)
        with pytest.raises(ClientError) as refused:
            daemon.client.post("/v1/reload", {}, waits=True)
        findings = refused.value.findings
        assert all(finding.startswith(f"{daemon.config}:") for finding in findings)
        assert all(any(word in finding for finding in findings) for word in BAD[bad].words)
        assert runs(daemon) == before
        reload(daemon, THREE)


def test_a_cycle_that_comes_with_a_drop_in_leaves_everything_as_it_is(tmp_path: Path) -> None:
    """Behaviour 10: and whoever asks for starts meanwhile is not held up."""
    ring = {
        f"{number:02}.service": idle(after=[f"{number - 1:02}.service"] if number else [])
        for number in range(20)
    }
    with running(tmp_path, system(units=ring)) as daemon:
        before = runs(daemon)
        drop_in = tmp_path / "00.service.d"
        drop_in.mkdir()
        (drop_in / "ring.yaml").write_text("after: [19.service]\n")
        with ThreadPoolExecutor(20) as pool:
            starts = [pool.submit(daemon.job, "start", name) for name in ring]
            with pytest.raises(ClientError) as refused:
                daemon.client.post("/v1/reload", {}, waits=True)
        [told] = refused.value.findings
        assert "00.service: ordering cycle: 00.service -> 01.service" in told
        assert {row["result"] for start in starts for row in start.result()} == {"done"}
        assert runs(daemon) == before


def test_what_was_stopped_by_hand_stays_so(tmp_path: Path) -> None:
    """Behaviours 46 and 68: also where it has changed, and so does what is switched off."""
    units = {**THREE, "off.service": idle(enabled=False)}
    with running(tmp_path, system(units=units)) as daemon:
        daemon.job("stop", "b.service")
        more = {**units, "b.service": {**units["b.service"], "environment": {"EDITION": 2}}}
        reload(daemon, more)
        rows = daemon.units()
        assert [rows[name]["active"] for name in THREE] == ["active", "inactive", "inactive"]
        assert daemon.unit("b.service")["stopped_by_hand"]
        assert "off.service" not in rows
        daemon.job("start", "c.service")
        assert daemon.units()["b.service"]["active"] == "active"


def test_a_permanent_end_is_tried_again_once_the_configuration_is_mended(tmp_path: Path) -> None:
    """Behaviour 41: and not by a reload that changes nothing of it."""
    broken = service("raise SystemExit(78)")
    units = {**THREE, "broken.service": broken}
    with running(tmp_path, system(units=units)) as daemon:
        daemon.wait_unit("broken.service", "failed")
        before = runs(daemon)
        reload(daemon, {**units, "new.service": idle()})
        assert runs(daemon)["broken.service"] == before["broken.service"]
        reload(daemon, {**units, "broken.service": idle()})
        assert daemon.units()["broken.service"]["active"] == "active"


def test_callers_have_their_answers_whatever_is_reloaded_meanwhile(tmp_path: Path) -> None:
    """Behaviour 69: jobs of units that stay, change and go."""
    editions = [
        {
            "stays.service": idle(**TOUGH),
            "changes.service": idle(**TOUGH, environment={"EDITION": number}),
            **({"goes.service": idle(**TOUGH)} if number % 2 else {}),
        }
        for number in range(6)
    ]
    with running(tmp_path, system(units=editions[1])) as daemon:
        names = [*editions[1]]

        def ask(verb: str, name: str) -> str:
            try:
                [row] = daemon.job(verb, name)
            except ClientError:
                return f"{name} is not known"
            result: str = row["result"]
            return result

        with ThreadPoolExecutor(8) as pool:
            asked = [
                pool.submit(ask, verb, name)
                for _ in range(6)
                for verb, name in itertools.product(("restart", "start"), names)
            ]
            for edition in editions:
                rewrite(daemon, edition)
                daemon.client.post("/v1/reload", {"wait": False})
        answers = {future.result() for future in asked}
        assert answers <= {"done", "canceled", "goes.service is not known"}
        reload(daemon, editions[-1])  # which waits for no job of those before
        daemon.wait_until(
            lambda rows: (
                daemon.client.get("/v1/jobs") == {"jobs": []}
                and {row["active"] for row in rows.values()} == {"active"}
            ),
            "the last job to end and every unit to be up",
        )


def test_reloads_without_end_leak_nothing_and_lose_no_job(tmp_path: Path) -> None:
    """Behaviour 71: with starts in between, and a unit that comes and goes."""
    flat = {"a.service": idle(**TOUGH), "b.service": idle()}
    with running(tmp_path, system(units=flat)) as daemon:

        def live(times: int) -> None:
            for number in range(times):
                flat["b.service"] = idle(stderr_rate=1000 + number)
                more = {"extra.service": idle()} if number % 2 else {}
                reload(daemon, {**flat, **more})
                assert daemon.job("restart", "a.service")[0]["result"] == "done"

        live(2)
        before = len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))
        run = runs(daemon)["b.service"]
        live(6)
        daemon.wait_descriptors(before + 2)
        assert runs(daemon)["b.service"] == run
        assert daemon.client.get("/v1/jobs") == {"jobs": []}

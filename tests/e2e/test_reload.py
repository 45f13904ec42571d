"""Another configuration while everything runs: what is touched, what is not, and what is told."""

import json
import os
import shutil
import signal
import socket
import sys
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from anyclawd.admin.listener import open_port
from anyclawd.client.exchange import ClientError
from anyclawd.model.value import Json
from tests.fakes.daemon import (
    Daemon,
    Deadline,
    contained,
    debug_http,
    http_get,
    is_alive,
    mock,
    reserved_port,
    running,
    started,
    system,
    until,
    write_config,
)
from tests.fakes.puppet import Stage

IDLE = "import signal; signal.pause()"
SHOW = "import os, signal; print('X is', os.environ.get('X'), flush=True); signal.pause()"


def service(code: str = IDLE, **settings: Json) -> Json:
    return {"exec": [sys.executable, "-SE", "-c", code], "protocol": "none", **settings}


def units(**named: Json) -> Json:
    """A configuration of services; `a_b` is the unit `a-b.service`."""
    return system(units={f"{name.replace('_', '-')}.service": one for name, one in named.items()})


def reload(daemon: Daemon, config: Json = None, **body: Json) -> Json:
    """Write another configuration, where one is given, and have it taken up."""
    if config is not None:
        write_config(daemon.config, contained(config))
    return daemon.client.post("/v1/reload", body, waits=True)


def modified(answer: Json) -> dict[str, tuple[str, list[str]]]:
    """Unit to the effect of its change and the keys that have changed."""
    return {
        unit["unit"]: (unit["effect"], [key["key"] for key in unit["keys"]])
        for unit in answer["modified"]
    }


def runs(daemon: Daemon) -> dict[str, tuple[int, str]]:
    """Process and invocation of every unit that has one: what a reload must not touch."""
    return {
        name: (row["pid"], daemon.unit(name)["invocation"])
        for name, row in daemon.units().items()
        if row["pid"]
    }


# -- what is touched ----------------------------------------------------------------------------


def test_where_nothing_has_changed_nothing_is_touched(tmp_path: Path) -> None:
    with running(tmp_path, system({"default": mock()}, {"web": debug_http()})) as daemon:
        before = runs(daemon)
        for _ in range(3):
            answer = reload(daemon)
            assert (answer["changed"], answer["jobs"]) == (False, [])
        assert runs(daemon) == before


def test_where_only_the_text_has_changed_nothing_is_touched(tmp_path: Path) -> None:
    config = units(a=service(), b=service(requires=["a.service"]))
    with running(tmp_path, config) as daemon:
        before, place = runs(daemon), daemon.unit("b.service")["span"]
        answer = reload(daemon, "# a comment\n\n" + json.dumps(contained(config), indent=1))
        assert (answer["changed"], answer["jobs"]) == (False, [])
        assert runs(daemon) == before
        assert daemon.unit("b.service")["span"] != place


def test_a_policy_is_in_force_and_nothing_was_touched(tmp_path: Path) -> None:
    with running(tmp_path, units(a=service(), b=service())) as daemon:
        before = runs(daemon)
        answer = reload(daemon, units(a=service(restart="never", description="x"), b=service()))
        assert modified(answer) == {"a.service": ("live", ["description", "restart"])}
        assert (answer["jobs"], runs(daemon)) == ([], before)
        os.kill(before["a.service"][0], signal.SIGKILL)
        daemon.wait_unit("a.service", "failed")
        assert daemon.units()["a.service"]["description"] == "x"


def test_a_health_check_begins_and_ends_while_its_unit_runs_on(tmp_path: Path) -> None:
    with reserved_port() as port, closing(open_port(port)) as listening:
        check = {"type": "tcp", "port": port, "interval": "50ms", "timeout": 600, "failures": 2}
        with running(tmp_path, units(a=service(), b=service())) as daemon:
            before = runs(daemon)
            answer = reload(daemon, units(a=service(health=check), b=service()))
            assert modified(answer) == {"a.service": ("reload", ["health"])}
            deadline = Deadline()
            while daemon.units()["a.service"]["health"] != "healthy":
                deadline.left("a look at a.service")
            assert runs(daemon) == before
            listening.close()
            daemon.wait_until(lambda units: units["a.service"]["restarts"], "a restart")
            assert daemon.unit("a.service")["crash"]["result"] == "health"
            reload(daemon, units(a=service(), b=service()))
            assert daemon.units()["a.service"]["health"] is None
            assert runs(daemon)["b.service"] == before["b.service"]


def test_another_variable_restarts_only_its_unit(tmp_path: Path) -> None:
    with running(tmp_path, units(a=service(SHOW), b=service())) as daemon:
        before = runs(daemon)
        answer = reload(daemon, units(a=service(SHOW, environment={"X": "new"}), b=service()))
        assert modified(answer) == {"a.service": ("restart", ["environment.X"])}
        assert [(row["unit"], row["type"], row["result"]) for row in answer["jobs"]] == [
            ("a.service", "restart", "done")
        ]
        after = runs(daemon)
        assert after["b.service"] == before["b.service"]
        assert after["a.service"] != before["a.service"]
        assert daemon.wait_log("a.service", "X is new")


def test_what_requires_a_unit_that_is_restarted_runs_on(tmp_path: Path) -> None:
    top = service(requires=["base.service"])
    with running(tmp_path, units(base=service(), top=top)) as daemon:
        before = runs(daemon)
        reload(daemon, units(base=service(environment={"X": "1"}), top=top))
        after = runs(daemon)
        assert after["top.service"] == before["top.service"]
        assert after["base.service"] != before["base.service"]


def test_what_comes_starts_and_what_goes_stops(tmp_path: Path) -> None:
    with running(tmp_path, units(stays=service(), goes=service())) as daemon:
        before = runs(daemon)
        answer = reload(daemon, units(stays=service(), comes=service()))
        assert (answer["added"], answer["removed"]) == (["comes.service"], ["goes.service"])
        assert [(row["unit"], row["type"], row["result"]) for row in answer["jobs"]] == [
            ("goes.service", "stop", "done"),
            ("comes.service", "start", "done"),
        ]
        after = runs(daemon)
        assert after.keys() == {"stays.service", "comes.service"}
        assert after["stays.service"] == before["stays.service"]
        assert not is_alive(before["goes.service"][0])
        assert daemon.ctl("status", "goes.service").returncode == 4
        assert reload(daemon)["changed"] is False


def test_what_goes_stops_in_reverse_order(tmp_path: Path) -> None:
    slow = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('ending', flush=True), sys.exit()))\n"
        "print('up', flush=True)\n"
        "while True: signal.pause()"
    )
    up = {"readiness": {"type": "log", "pattern": "up"}}
    chain = {
        "base": service(slow, **up),
        "middle": service(slow, requires=["base.service"], **up),
        "top": service(slow, requires=["middle.service"], **up),
    }
    with running(tmp_path, units(**chain)) as daemon:
        answer = reload(daemon, units())
        assert answer["removed"] == ["top.service", "middle.service", "base.service"]
        ended = [line for line in daemon.log_text().splitlines() if line.endswith(": ending")]
        assert [line.split()[2].rstrip(":") for line in ended] == answer["removed"]


def test_a_unit_comes_back_while_it_is_going(tmp_path: Path) -> None:
    """It ignores SIGTERM; while that is waited for it is configured again."""
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    code = stubborn + "print('deaf', flush=True)\nwhile True: signal.pause()"
    patient: Json = {"stop": 600}
    with running(tmp_path, units(a=service(code, timeouts=patient))) as daemon:
        daemon.wait_log("a.service", "deaf")
        before = runs(daemon)["a.service"]
        assert reload(daemon, units(), wait=False)["removed"] == ["a.service"]
        answer = reload(daemon, units(a=service(timeouts=patient)), wait=False)
        assert answer["added"] == ["a.service"]
        assert [row["result"] for row in answer["jobs"]] == [None]
        assert runs(daemon)["a.service"] == before
        os.kill(before[0], signal.SIGKILL)
        daemon.wait_restarted("a.service", before[0])
        assert runs(daemon)["a.service"][1] != before[1]
        assert daemon.client.get("/v1/jobs")["jobs"] == []


def test_a_unit_that_is_not_enabled_any_more_is_gone(tmp_path: Path) -> None:
    with running(tmp_path, units(a=service(), b=service())) as daemon:
        answer = reload(daemon, units(a=service(enabled=False), b=service()))
        assert answer["removed"] == ["a.service"]
        assert "not enabled" in daemon.ctl("status", "a.service").stderr
        assert reload(daemon, units(a=service(), b=service()))["added"] == ["a.service"]
        assert daemon.units()["a.service"]["active"] == "active"


def test_another_kind_is_another_unit(tmp_path: Path) -> None:
    with running(tmp_path, system({"peer": mock()})) as daemon:
        services = {"services": {"peer": service()}}
        answer = reload(daemon, system(services_manager=services))
        assert sorted(answer["removed"]) == ["peer.agent", "store.core"]  # nobody has conversations
        assert answer["added"] == ["peer.service"]
        assert runs(daemon).keys() == {"peer.service"}


def test_instances_of_a_template_come_and_go(tmp_path: Path) -> None:
    template = service("import signal; print('%i', flush=True); signal.pause()")
    one = system(units={"web@.service": {**template, "instances": ["a", "b"]}})
    other = system(units={"web@.service": {**template, "instances": ["b", "c"]}})
    with running(tmp_path, one) as daemon:
        before = runs(daemon)
        answer = reload(daemon, other)
        assert (answer["added"], answer["removed"]) == (["web@c.service"], ["web@a.service"])
        after = runs(daemon)
        assert after.keys() == {"web@b.service", "web@c.service"}
        assert after["web@b.service"] == before["web@b.service"]
        daemon.wait_log("web@c.service", "c")


# -- what people have asked for -----------------------------------------------------------------


def test_what_was_stopped_by_hand_stays_so(tmp_path: Path) -> None:
    with running(tmp_path, units(a=service(), b=service())) as daemon:
        daemon.job("stop", "a.service")
        reload(daemon, units(a=service(environment={"X": "1"}), b=service(), c=service()))
        row = daemon.unit("a.service")
        assert (row["active"], row["stopped_by_hand"]) == ("inactive", True)
        daemon.job("start", "a.service")
        assert daemon.units()["a.service"]["active"] == "active"


def test_a_permanent_failure_is_tried_again_when_its_own_configuration_changes(
    tmp_path: Path,
) -> None:
    dying = service("raise SystemExit(78)")
    with running(tmp_path, units(a=dying, b=service())) as daemon:
        daemon.wait_unit("a.service", "failed")
        invocation = daemon.unit("a.service")["invocation"]
        reload(daemon, units(a=dying, b=service(environment={"X": "1"})))
        assert daemon.unit("a.service")["invocation"] == invocation
        answer = reload(daemon, units(a=service(), b=service(environment={"X": "1"})))
        assert modified(answer) == {"a.service": ("restart", ["exec"])}
        assert daemon.units()["a.service"]["active"] == "active"
        assert daemon.status()["state"] == "running"


def test_a_job_that_fails_is_told(tmp_path: Path) -> None:
    with running(tmp_path, units(a=service())) as daemon:
        write_config(
            daemon.config, contained(units(a=service(), b=service("raise SystemExit(78)")))
        )
        done = daemon.ctl("reload")
        assert done.stdout.splitlines()[0] == "+ b.service"
        row = daemon.wait_unit("b.service", "failed")
        assert row["result"] == "exit-code"


# -- bad files ----------------------------------------------------------------------------------


def test_a_bad_file_changes_nothing_and_tells_everything(tmp_path: Path) -> None:
    """I6."""
    with running(tmp_path, units(a=service(), b=service())) as daemon:
        before = runs(daemon)
        daemon.config.write_text(
            "supervisor: {admin_port: 0}\n"
            "units:\n"
            "  a.service: {exec: [sleep, inf], protocol: none, shiny: 1}\n"
            "  b.service: {exec: [sleep, inf], protocol: none, requires: [c.service]}\n"
            "  d.service: {exec: [sleep, inf], protocol: none, after: [e.service]}\n"
            "  e.service: {exec: [sleep, inf], protocol: none, after: [d.service]}\n"
        )
        done = daemon.ctl("reload")
        assert (done.returncode, done.stdout) == (1, "")
        *findings, last = done.stderr.splitlines()
        assert [line.removeprefix(f"{daemon.config}:").partition(" ")[0] for line in findings] == [
            "3:51:",
            "4:62:",
            "5:59:",
        ]
        assert last == "anyclawctl: the configuration cannot be used; nothing has changed"
        assert runs(daemon) == before
        assert daemon.ctl("reload", "--dry-run").returncode == 1
        daemon.config.unlink()
        assert daemon.ctl("reload").returncode == 1
        assert runs(daemon) == before
        assert reload(daemon, units(a=service(), b=service()))["changed"] is False


def test_a_dry_run_does_nothing(tmp_path: Path) -> None:
    with running(tmp_path, units(a=service())) as daemon:
        before = runs(daemon)
        write_config(
            daemon.config, contained(units(a=service(environment={"X": "1"}), b=service()))
        )
        for _ in range(2):
            answer = reload(daemon, dry_run=True)
            assert (answer["added"], answer["jobs"]) == (["b.service"], [])
        assert runs(daemon) == before


# -- settings of the daemon ---------------------------------------------------------------------


def test_settings_of_the_daemon_are_taken_up_live(tmp_path: Path) -> None:
    with reserved_port() as old_port, reserved_port() as port:
        before = {"supervisor": {"admin_port": old_port}}
        with running(tmp_path, units(a=service()) | before) as daemon:
            assert http_get(old_port, "/health")[0] == 200
            changed = units(a=service()) | {
                "log_level": "debug",
                "supervisor": {"admin_port": port},
                "admin": {"socket_mode": "0666"},
            }
            answer = reload(daemon, changed)
            assert [(key["key"], key["effect"]) for key in answer["settings"]] == [
                ("log_level", "live"),
                ("supervisor.admin_port", "reload"),
                ("admin.socket_mode", "reload"),
            ]
            assert daemon.status()["admin_port"] == port
            assert http_get(port, "/health")[0] == 200
            with pytest.raises(ConnectionRefusedError):
                http_get(old_port, "/health")
            assert Path(daemon.socket).stat().st_mode & 0o777 == 0o666
            daemon.job("restart", "a.service")
            daemon.wait_log_text(" DEBUG ")


def test_a_port_that_is_taken_is_tried_again(tmp_path: Path) -> None:
    with reserved_port() as port, running(tmp_path, units()) as daemon:
        old_port = daemon.status()["admin_port"]
        with closing(open_port(port)):
            answer = reload(daemon, units() | {"supervisor": {"admin_port": port}})
            assert f"cannot listen on 127.0.0.1:{port}" in answer["findings"][0]
            assert daemon.status()["admin_port"] == old_port
        assert [key["key"] for key in reload(daemon)["settings"]] == ["supervisor.admin_port"]
        assert daemon.status()["admin_port"] == port


def test_what_only_a_new_daemon_can_take_up_is_named_until_then(tmp_path: Path) -> None:
    other = units() | {"tools_manager": {"tools_server_host": "localhost"}}
    with running(tmp_path, units()) as daemon:
        for config in (other, None, None):
            answer = reload(daemon, config)
            assert [(key["key"], key["effect"]) for key in answer["settings"]] == [
                ("tools_manager.tools_server_host", "restart")
            ]
        assert "needs a new daemon" in daemon.ctl("reload").stdout
    with running(tmp_path) as daemon:
        assert reload(daemon)["settings"] == []


# -- who asks, and when -------------------------------------------------------------------------


def test_sighup_reloads_and_systemd_is_told(tmp_path: Path) -> None:
    """Source: sd_notify(3), "RELOADING=1"; systemd.service(5), "Type=notify-reload"."""
    with running(tmp_path, units(a=service())) as daemon:
        write_config(daemon.config, contained(units(a=service(), b=service())))
        daemon.signal(signal.SIGHUP)
        begun = daemon.wait_notice(b"RELOADING=1")
        [instant] = [line for line in begun.splitlines() if line.startswith(b"MONOTONIC_USEC=")]
        assert int(instant.partition(b"=")[2]) > 0
        assert b"READY=1" not in begun
        ended = daemon.wait_notice(b"READY=1")
        assert b"RELOADING=1" not in ended
        daemon.wait_until(lambda rows: "b.service" in rows, "b.service to be there")
        assert "reloaded by SIGHUP: 1 added, " in daemon.log_text()


def test_a_bad_file_ends_a_reload_for_systemd_too(tmp_path: Path) -> None:
    with running(tmp_path, units(a=service())) as daemon:
        daemon.config.write_text("units: [\n")
        daemon.signal(signal.SIGHUP)
        daemon.wait_notice(b"RELOADING=1")
        assert b"STATUS=the last reload has failed" in daemon.wait_notice(b"READY=1")
        assert f"{daemon.config}:2:1: error: not YAML" in daemon.log_text()


def test_a_reload_while_the_boot_goes_on(tmp_path: Path, theatre: Stage) -> None:
    agents = {"default": theatre.agent("a", is_mute=True)}
    with started(tmp_path, system(agents)) as daemon:
        agent = theatre.accept_agent("a")
        request = agent.expect("initialize")
        daemon.wait_log_text("admin.core: running")
        answer = reload(daemon, system(agents, units={"a.service": service()}))
        assert answer["added"] == ["a.service"]
        assert daemon.status()["state"] == "starting"
        assert daemon.units()["a.service"]["active"] == "active"
        agent.answer(request, {"protocolVersion": 1, "agentCapabilities": {}})
        notice = daemon.wait_notice(b"READY=1")
        assert not any(b"RELOADING=1" in told for told in daemon.notices)
        assert b"active" in notice
        assert daemon.stop() == 0


def test_a_reload_while_the_daemon_stops_is_refused(tmp_path: Path) -> None:
    stubborn = service(
        "import signal; signal.signal(15, signal.SIG_IGN)\nprint('deaf', flush=True)\n"
        "while True: signal.pause()"
    )
    with started(tmp_path, units(a={**stubborn, "timeouts": {"stop": 60}})) as daemon:
        daemon.wait_ready()
        daemon.wait_log("a.service", "deaf")
        daemon.process.terminate()
        daemon.wait_log_text("a.service: stop-sigterm")
        daemon.signal(signal.SIGHUP)
        daemon.wait_log_text("not reloaded by SIGHUP")
        daemon.process.terminate()
        assert daemon.wait_exit() == 0


def test_many_who_reload_at_once_all_get_the_last_word(tmp_path: Path) -> None:
    with running(tmp_path, units(a=service())) as daemon:
        write_config(daemon.config, contained(units(a=service(), b=service())))
        answers: list[Json] = []
        threads = [
            threading.Thread(target=lambda: answers.append(reload(daemon))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answer["changed"] for answer in answers) == [False] * 7 + [True]
        assert daemon.units()["b.service"]["active"] == "active"


def test_who_hangs_up_cuts_no_reload_short(tmp_path: Path) -> None:
    with running(tmp_path, units(a=service())) as daemon:
        daemon.status()
        write_config(daemon.config, contained(units(a=service(), b=service())))
        with closing(socket.socket(socket.AF_UNIX)) as client:
            client.connect(daemon.socket)
            head = b"POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
            client.sendall(head)
            daemon.wait_log_text("POST /v1/reload")
        daemon.wait_log_text("1 added")
        assert reload(daemon)["changed"] is False
        daemon.wait_unit("b.service", "active")
        assert "never retrieved" not in daemon.log_text()


def test_the_next_start_begins_with_what_was_reloaded(tmp_path: Path) -> None:
    with running(tmp_path, units(a=service())) as daemon:
        plan = daemon.state / "plan"
        deadline = Deadline()
        while not plan.exists():
            deadline.left("the plan of the boot to be kept")
            daemon.status()
        kept = plan.stat().st_mtime_ns
        reload(daemon, units(a=service(SHOW, environment={"X": "1"}), b=service()))
        while plan.stat().st_mtime_ns == kept:
            deadline.left("the plan of the reload to be kept")
            daemon.status()
    kept = plan.stat().st_mtime_ns
    with running(tmp_path) as daemon:
        daemon.wait_log("a.service", "X is 1")
        assert daemon.units()["b.service"]["active"] == "active"
    assert plan.stat().st_mtime_ns == kept, "it was compiled once more"


# -- drop-ins -----------------------------------------------------------------------------------


def test_a_property_is_in_force_at_once(tmp_path: Path) -> None:
    with running(tmp_path, units(a=service(SHOW))) as daemon:
        before = runs(daemon)
        done = daemon.ctl("set-property", "a.service", "restart=never", "backoff.max=5")
        assert done.returncode == 0
        path = tmp_path / "a.service.d" / "50-set-property.yaml"
        assert done.stdout.splitlines()[:2] == [f"wrote {path}", "~ a.service: applied live"]
        assert runs(daemon) == before
        settings = daemon.client.get("/v1/units/a.service/settings")["units"]["a.service"]
        assert (settings["restart"], settings["backoff"]["max"]) == ("never", 5.0)
        daemon.ctl("set-property", "a.service", "environment.X=set")
        assert daemon.wait_log("a.service", "X is set")
        done = daemon.ctl("set-property", "a.service", "restart=sometimes")
        assert done.returncode == 1
        assert f"{path}:2:" in done.stderr
        assert "restart: never" in path.read_text()
        assert daemon.ctl("set-property", "b.service", "restart=never").returncode == 4
        assert not (tmp_path / "b.service.d").exists()


def test_templates_and_units_that_are_not_enabled_have_properties(tmp_path: Path) -> None:
    web = service(instances=["a", "b"])
    with running(tmp_path, units(**{"web@": web, "off": service(enabled=False)})) as daemon:
        before = runs(daemon)
        assert daemon.ctl("set-property", "web@.service", "restart=never").returncode == 0
        assert daemon.ctl("set-property", "web@a.service", "description=one").returncode == 0
        assert daemon.ctl("set-property", "off.service", "enabled=true").returncode == 0
        assert daemon.ctl("set-property", "web@c.service", "description=none").returncode == 4
        shown = {
            name: daemon.client.get(f"/v1/units/{name}/settings")["units"][name]
            for name in ("web@a.service", "web@b.service")
        }
        assert [one["restart"] for one in shown.values()] == ["never", "never"]
        assert [one["description"] for one in shown.values()] == ["one", ""]
        after = runs(daemon)
        assert after.keys() - before.keys() == {"off.service"}
        assert {name: after[name] for name in before} == before


def test_a_runtime_property_goes_with_the_runtime_directory(tmp_path: Path) -> None:
    with running(tmp_path, units(a=service(SHOW))) as daemon:
        assert daemon.ctl("set-property", "--runtime", "a.service", "environment.X=run").stdout
        assert daemon.wait_log("a.service", "X is run")
        assert not (tmp_path / "a.service.d").exists()
        assert (daemon.run / "dropins" / "a.service.d").exists()
    with running(tmp_path) as daemon:
        daemon.wait_log("a.service", "X is run")
    shutil.rmtree(daemon.run)
    with running(tmp_path) as daemon:
        daemon.wait_log("a.service", "X is None")


# -- messages -----------------------------------------------------------------------------------


def test_messages_in_flight_notice_nothing(tmp_path: Path) -> None:
    """Turn after turn while everything else is reloaded again and again: each is answered once."""

    def config(number: int) -> Json:
        others = {f"u{index}.service": service() for index in range(number % 3)}
        others["changing.service"] = service(environment={"X": str(number)})
        return system({"default": mock()}, {"web": debug_http()}, units=others)

    with running(tmp_path, config(0)) as daemon:
        before = runs(daemon)
        chat, said = daemon.chat("web"), 0
        reloads = [threading.Thread(target=reload, args=(daemon, config(n))) for n in range(1, 6)]
        events: list[tuple[str, str]] = []
        with chat.listening() as stream:
            for thread in reloads:
                thread.start()
                while thread.is_alive():
                    chat.say(f"message {said}")
                    events += until(stream, ("", f"Echo: message {said}"))
                    said += 1
                thread.join()
            chat.say("the end")
            events += until(stream, ("", "Echo: the end"))
        shown = Counter(data for _, data in events if data.startswith("Echo: message"))
        assert shown == {
            f"Echo: message {number}": shown["Echo: message 0"] for number in range(said)
        }
        after = runs(daemon)
        assert after["changing.service"] != before["changing.service"]
        for name in ("default.agent", "web.channel"):
            assert after[name] == before[name]
        deadline = Deadline()
        [session] = daemon.client.get("/v1/sessions")["sessions"]
        while session["state"] != "idle":  # the last turn goes on behind its last word
            deadline.left("the end of the last turn")
            [session] = daemon.client.get("/v1/sessions")["sessions"]
        assert session["queued"] == 0


def test_a_turn_outlives_the_reload_that_removes_its_neighbours(
    tmp_path: Path, theatre: Stage
) -> None:
    agents = {"default": theatre.agent("a"), "other": mock()}
    channels = {"web": theatre.channel("w"), "more": debug_http("other")}
    with running(tmp_path, system(agents, channels)) as daemon:
        agent, channel = theatre.accept_agent("a"), theatre.accept_channel("w")
        channel.message("hello")
        agent.open()
        prompt, _ = agent.prompted()
        agent.chunk("one ")
        answer = reload(daemon, system({"default": agents["default"]}, {"web": channels["web"]}))
        assert answer["removed"] == ["other.agent", "more.channel"]
        agent.chunk("two")
        agent.done(prompt)
        assert channel.turn() == [
            ("agent_message_chunk", "one "),
            ("agent_message_chunk", "two"),
            ("result", "end_turn"),
        ]


def test_a_channel_is_answered_by_another_agent(tmp_path: Path, theatre: Stage) -> None:
    agents = {"one": theatre.agent("one"), "two": theatre.agent("two")}

    entry = theatre.channel("w", "one")
    with running(tmp_path, system(agents, {"web": entry})) as daemon:
        one, two = theatre.accept_agent("one"), theatre.accept_agent("two")
        channel = theatre.accept_channel("w")
        channel.message("first")
        one.open()
        prompt, _ = one.prompted()
        channel.message("second")
        answer = reload(daemon, system(agents, {"web": {**entry, "agent": "two"}}))
        assert modified(answer) == {"web.channel": ("live", ["agent"])}
        one.done(prompt)
        assert channel.turn() == [("result", "end_turn")]
        two.open()
        assert two.reply("from two") == "second"
        assert channel.turn() == [("agent_message_chunk", "from two"), ("result", "end_turn")]


# -- again and again ----------------------------------------------------------------------------


def rss_kib(pid: int) -> int:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def test_forty_reloads_leave_nothing_behind(tmp_path: Path) -> None:
    """Units come, go and change, beside commands; neither descriptors nor memory grow."""

    def config(number: int) -> Json:
        services = {
            f"u{number % 4}.service": service(),
            "changing.service": service(environment={"X": str(number % 7)}),
            "stays.service": service(),
        }
        agents = {"default": mock()} if number % 10 == 0 else {}
        return system(agents, units=services)

    with running(tmp_path, config(0)) as daemon:
        stays = runs(daemon)["stays.service"]
        for number in range(1, 13):
            reload(daemon, config(number))
        descriptors = len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))
        memory = rss_kib(daemon.pid)
        for number in range(13, 41):
            answer = reload(daemon, config(number))
            assert all(row["result"] == "done" for row in answer["jobs"]), answer["jobs"]
            if number % 14 == 0:
                daemon.job("restart", "stays.service")
        reload(daemon, config(12))
        daemon.wait_descriptors(descriptors)
        assert rss_kib(daemon.pid) < memory + 2 * 1024
        assert daemon.client.get("/v1/jobs")["jobs"] == []
        assert len(list(Path(f"/proc/{daemon.pid}/task").iterdir())) < 12
        assert runs(daemon)["stays.service"] != stays


def test_an_agent_that_a_reload_brings_and_nobody_starts_tells_its_user(tmp_path: Path) -> None:
    """It is there for the day another unit fails; until then nothing happens to it."""
    config = system({"default": mock()})
    with running(tmp_path, config) as daemon:
        rescued = {"x.service": service(on_failure=["spare.agent"])}
        reload(daemon, system({"default": mock(), "spare": mock()}, units=rescued))
        assert daemon.unit("spare.agent")["sub"] == "dead"
        with pytest.raises(ClientError, match="nothing has started it"):
            daemon.answer("hello", agent="spare")
        daemon.job("start", "spare.agent")
        assert daemon.answer("hello", agent="spare")["text"] == "Echo: hello"


def test_no_secret_of_a_configuration_is_told_by_its_reload(tmp_path: Path) -> None:
    """Invariant I7, with a log that tells every event."""
    former, latter = "hunter2-hunter2", "hunter3-hunter3"
    arguments = [sys.executable, "-SE", "-c", IDLE]

    def config(secret: str) -> Json:
        one = {"exec": [*arguments, secret], "protocol": "none", "environment": {"TOKEN": secret}}
        return {**units(a=one), "log_level": "debug"}

    with running(tmp_path, config(former)) as daemon:
        answers = [reload(daemon, config(latter), dry_run=True), reload(daemon)]
        assert modified(answers[1]) == {"a.service": ("restart", ["exec", "environment.TOKEN"])}
        told = daemon.log_text() + json.dumps(answers) + daemon.ctl("status", "a.service").stdout
        assert "PlanReplaced" in told
        assert former not in told
        assert latter not in told

"""Looks at real servers and by real programs, on both loops."""

import asyncio
import os
import signal
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from anyclawd.engine.events import Exit
from anyclawd.model.deps import UnitName
from anyclawd.model.policy import (
    Backoff,
    HealthCheck,
    Probe,
    ProbeType,
    ReadinessType,
    Restart,
)
from anyclawd.model.secret import MARK
from anyclawd.model.state import Health, JobType, Result, Sub
from anyclawd.model.unit import Unit
from anyclawd.model.value import Json
from anyclawd.runtime import probe as probes
from anyclawd.runtime.cgroup import Cgroups
from anyclawd.runtime.driver import Driver
from anyclawd.runtime.probe import Prober, look_by_http, look_by_tcp
from anyclawd.runtime.program import Programs
from anyclawd.runtime.seam import Sink, Variables
from tests.integration.runtime.conftest import House
from tests.integration.runtime.supervisor import Supervise, after, service, shell, supervised

pytestmark = pytest.mark.usefixtures("subreaper", "loop")

STAY = "exec sleep 1000"


@pytest.fixture
def supervise(tmp_path: Path, containment: Cgroups | None) -> Supervise:
    return partial(supervised, tmp_path, cgroups=containment)


# -- http and tcp -------------------------------------------------------------------------------


@asynccontextmanager
async def answering(
    answer: bytes, heard: "list[bytes] | None" = None, context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """The port of a server that reads the head of a request, answers and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            if heard is not None:
                heard.append(request)
            writer.write(answer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # who looks hangs up when it has seen enough
        finally:
            writer.close()

    others = asyncio.all_tasks()
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]
    # Who has hung up may be served still, and the loop must not end before that has.
    for served in asyncio.all_tasks() - others:
        await asyncio.wait([served])


ANSWERS = {  # behaviour: (answer, what is wrong)
    "ok": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
    "any-2xx": (b"HTTP/1.0 204 No Content\r\n\r\n", ""),
    "no-reason": (b"HTTP/1.1 299\r\n\r\n", ""),
    "redirect": (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "answered 302"),
    "unavailable": (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "answered 503"),
    "no-http": (b"220 mail.example ESMTP\r\n", "no HTTP answer"),
    "no-number": (b"HTTP/1.1 2000 OK\r\n\r\n", "no HTTP answer"),
    "half-a-line": (b"HTTP/1.1 200 OK", ""),
    "nothing": (b"", "it hung up without an answer"),
    "a-line-without-an-end": (
        b"x" * 100_000,
        "the first line of the answer is longer than 8192 bytes",
    ),
}


@pytest.mark.parametrize(("answer", "failure"), ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_is_judged_by_its_first_line(answer: bytes, failure: str) -> None:
    async with answering(answer) as port:
        url = f"http://127.0.0.1:{port}/health"
        assert await look_by_http(url) == (failure and f"{url}: {failure}")


async def test_a_request_says_where_it_goes() -> None:
    heard: list[bytes] = []
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n", heard) as port:
        assert await look_by_http(f"http://localhost:{port}/a/b?c=d#e") == ""
        assert await look_by_http(f"http://127.0.0.1:{port}") == ""
    assert heard[0].startswith(b"GET /a/b?c=d HTTP/1.1\r\n")
    assert f"\r\nHost: localhost:{port}\r\n".encode() in heard[0]
    assert heard[1].startswith(b"GET / HTTP/1.1\r\n")


async def test_a_secure_server_is_looked_at_with_the_certificates_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    make += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(  # noqa: ASYNC221 # nothing else runs
        [*make, "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n", context=context) as port:
        url = f"https://localhost:{port}/"
        probes._context.cache_clear()
        assert "its certificate cannot be verified: self-signed" in await look_by_http(url)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        probes._context.cache_clear()
        assert await look_by_http(url) == ""
    probes._context.cache_clear()


async def test_a_port_is_there_or_not(unused_port: int) -> None:
    async with answering(b"") as port:
        assert await look_by_tcp("localhost", port) == ""
    assert await look_by_tcp("127.0.0.1", unused_port) == (
        f"127.0.0.1:{unused_port}: connection refused"
    )
    url = f"http://127.0.0.1:{unused_port}/"
    assert await look_by_http(url) == f"{url}: connection refused"


async def test_what_may_be_secret_in_a_url_is_not_told(unused_port: int) -> None:
    """Invariant I7."""
    place = f"127.0.0.1:{unused_port}/health"
    failure = await look_by_http(f"http://me:hunter2@{place}?token=hunter2")
    assert failure == f"http://{place}: connection refused"


async def test_a_host_that_nobody_knows_is_told() -> None:
    assert (await look_by_tcp("no-such-host.invalid", 1)).startswith("no-such-host.invalid:1: ")


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port that nobody listens on, nor can while it is bound."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


# -- looks as a whole ---------------------------------------------------------------------------


@pytest.fixture
def prober(house: House) -> Prober:
    def launch(
        unit: Unit,
        invocation: str,
        argv: tuple[str, ...],
        variables: Variables,
        exited: Callable[[Exit], None],
        sink: Sink | None = None,
    ) -> object:
        process = house.run(service(unit.name.removesuffix(".service"), *argv), invocation)
        house.exits[process].add_done_callback(lambda end: exited(end.result()))
        return process

    return Prober(Programs(launch), lambda _: None)


def command(*argv: str, timeout_s: float = 1000.0) -> Probe:
    return Probe(type=ProbeType.COMMAND, argv=argv, timeout_s=timeout_s)


UNIT = service("one", "/bin/true")


async def test_a_command_is_judged_by_its_end(prober: Prober) -> None:
    assert await prober.look(UNIT, "run", command("/bin/true")) == ""
    assert await prober.look(UNIT, "run", command("/bin/false")) == (
        "'/bin/false' exited with code 1"
    )
    killed = command("/bin/sh", "-c", "kill -KILL $$")
    assert await prober.look(UNIT, "run", killed) == "'/bin/sh' was killed by signal 9"


async def test_a_command_that_cannot_be_executed_has_failed(prober: Prober) -> None:
    assert "no program" in await prober.look(UNIT, "run", command("/does/not/exist"))


async def test_a_look_that_is_given_up_ends_its_program_with_its_tree(
    prober: Prober, house: House, is_alive: Callable[[int], bool]
) -> None:
    script = "trap '' TERM; setsid sleep 1000 & echo $!; wait"
    follower = house.pump.follow()
    async with asyncio.TaskGroup() as tasks:
        look = tasks.create_task(prober.look(UNIT, "run", command("/bin/sh", "-c", script)))
        pid = int((await anext(follower)).text)
        look.cancel()
    follower.close()
    for process in house.exits:
        await house.wait_exit(process)
    assert not is_alive(pid)


async def test_a_look_ends_within_its_timeout(prober: Prober, house: House) -> None:
    hanging = command("/bin/sleep", "1000", timeout_s=0.01)
    assert await prober.look(UNIT, "run", hanging) == "'/bin/sleep': no answer within 0.01 s"
    [process] = house.exits
    assert await house.wait_exit(process) == Exit(signal=signal.SIGKILL)


async def test_a_server_that_does_not_answer_has_failed(prober: Prober) -> None:
    """It takes the connection, which is all that a look by TCP asks for."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        url = f"http://127.0.0.1:{port}/"
        by_http = Probe(type=ProbeType.HTTP, url=url, timeout_s=0.05)
        by_tcp = Probe(type=ProbeType.TCP, host="127.0.0.1", port=port, timeout_s=1000.0)
        assert await prober.look(UNIT, "run", by_http) == f"{url}: no answer within 0.05 s"
        assert await prober.look(UNIT, "run", by_tcp) == ""


async def test_a_look_tells_nothing_of_a_url_that_is_a_secret(
    prober: Prober, unused_port: int
) -> None:
    url = f"http://127.0.0.1:{unused_port}/bot-hunter2/getMe?a=hunter2"
    unit = replace(UNIT, hidden=({MARK: {"value": url}},))
    probe = Probe(type=ProbeType.HTTP, url=url, timeout_s=1000.0)
    failure = await prober.look(unit, "run", probe)
    assert failure == f"http://127.0.0.1:{unused_port}/<secret>: connection refused"
    absent = replace(UNIT, hidden=({MARK: {"value": "/opt/hunter2"}},))
    assert "hunter2" not in await prober.look(absent, "run", command("/opt/hunter2"))


# -- looks at units that run --------------------------------------------------------------------

OFTEN_S = 0.01
AT_ONCE = Backoff(initial_s=0.0, max_s=0.0)


def by_command(script: str, **settings: Json) -> Probe:
    argv = ("/bin/sh", "-c", script)
    settings = {"interval_s": OFTEN_S, "timeout_s": 1000.0, **settings}
    return Probe(type=ProbeType.COMMAND, argv=argv, **settings)


async def test_a_unit_is_ready_once_its_port_is_there(supervise: Supervise) -> None:
    """The port is there from the start; the engine is told by the first look."""
    async with answering(b"") as port:
        probe = Probe(type=ProbeType.TCP, host="127.0.0.1", port=port)
        first = shell("first", STAY, readiness=ReadinessType.TCP, readiness_probe=probe)
        async with supervise(first, shell("then", STAY, deps=after("first"))) as house:
            assert house.state("then").sub is Sub.RUNNING
            assert house.subs["first"] == [Sub.START, Sub.RUNNING]


async def test_a_unit_waits_for_its_command(supervise: Supervise, tmp_path: Path) -> None:
    """Readiness that is lost later makes it degraded; who depends on it notices nothing."""
    mark = tmp_path / "mark"
    probe = by_command(f"test -e {mark}")
    first = shell("first", STAY, readiness=ReadinessType.COMMAND, readiness_probe=probe)
    then = shell("then", STAY, deps=after("first"))
    async with supervise(first, then, waits=False) as house:
        await house.wait_sub("first", Sub.START)
        assert house.state("then").sub is Sub.DEAD
        mark.touch()
        await house.wait_sub("then", Sub.RUNNING)
        mark.unlink()
        state = await house.wait_sub("first", Sub.DEGRADED)
        assert state.reason == "'/bin/sh' exited with code 1"
        mark.touch()
        await house.wait_sub("first", Sub.RUNNING)
        assert house.subs["then"] == [Sub.START, Sub.RUNNING]


async def test_so_many_failures_in_a_row_restart_a_unit_once(
    supervise: Supervise, tmp_path: Path
) -> None:
    """The check fails as long as there are marks, of which each look takes one."""
    marks = tmp_path / "marks"
    marks.write_text("x" * 5)
    take = f"test -s {marks} && truncate -s -1 {marks} && exit 1; exit 0"
    health = HealthCheck(probe=by_command(take), failures=3)
    unit = shell("one", STAY, health=health, restart=Restart.ON_FAILURE, backoff=AT_ONCE)
    async with supervise(unit) as house:
        first = house.pid("one")
        assert house.state("one").vitals.health is Health.STARTING
        state = await house.wait_state("one", lambda one: one.vitals.health is Health.HEALTHY)
        assert state.restarts == 1  # two more failures did nothing
        assert house.pid("one") != first
        assert house.subs["one"].count(Sub.STOP_SIGTERM) == 1
        assert (state.result, marks.read_text()) == (Result.HEALTH, "")


async def test_a_success_begins_the_count_anew(supervise: Supervise, tmp_path: Path) -> None:
    """Every second look fails, which is never enough."""
    mark = tmp_path / "mark"
    toggle = f"if test -e {mark}; then rm {mark}; exit 1; else touch {mark}; fi; echo looked"
    health = HealthCheck(probe=by_command(toggle), failures=2)
    async with supervise(shell("one", STAY, health=health)) as house:
        await house.wait_until(lambda: house.lines("one").count("looked") >= 5)
        assert house.state("one").sub is Sub.RUNNING


async def test_a_check_of_what_was_killed_behind_our_back_makes_one_restart(
    supervise: Supervise, tmp_path: Path
) -> None:
    """The check itself kills the main process, and fails."""
    note = tmp_path / "main"
    kill = f"test -e {note} && kill -KILL $(cat {note}) && rm {note} && exit 1; exit 0"
    health = HealthCheck(probe=by_command(kill), failures=1)
    script = f"test -e {note}.once || {{ touch {note}.once; echo $$ >{note}; }}; {STAY}"
    unit = shell("one", script, health=health, restart=Restart.ALWAYS, backoff=AT_ONCE)
    async with supervise(unit) as house:
        await house.wait_state("one", lambda one: one.restarts and one.pid)
        state = await house.wait_state("one", lambda one: one.vitals.health is Health.HEALTHY)
        assert state.restarts == 1
        assert state.result in (Result.SIGNAL, Result.HEALTH)  # whichever is noticed first


async def test_the_end_of_a_unit_waits_for_the_end_of_its_check(
    supervise: Supervise, is_alive: Callable[[int], bool]
) -> None:
    """Whatever the check has started is gone before anybody hears that the unit is."""
    probe = by_command("setsid sleep 1000 & echo $!; exec sleep 1000")
    living: list[bool] = []

    def look(driver: Driver, unit: UnitName, sub: Sub) -> None:
        if sub is Sub.FAILED:
            pid = int(driver.logs.last(unit)[0].text)
            living.append(is_alive(pid))

    unit = shell("one", STAY, health=HealthCheck(probe=probe))
    async with supervise(unit, watch=look) as house:
        await house.wait_line("one", "")
        os.kill(house.pid("one"), signal.SIGKILL)
        await house.wait_sub("one", Sub.FAILED)
        assert living == [False]
        assert len(house.lines("one")) == 1


async def test_another_check_holds_as_soon_as_it_is_in_the_plan(supervise: Supervise) -> None:
    """The unit itself notices nothing; without a check there are no looks any more."""
    checks = {text: HealthCheck(probe=by_command(f"echo {text}")) for text in ("old", "new")}
    one = shell("one", STAY)
    async with supervise(one) as house:
        pid, plan = house.pid("one"), house.driver.plan
        for text in ("old", "new", "none"):
            health = checks.get(text)
            units = {**plan.units, one.name: replace(one, health=health)}
            changed = frozenset({one.name})
            await house.driver.adopt(replace(plan, units=units), frozenset(), changed, "test")
            assert house.driver.plan.units[one.name].health is health
            if health is not None:
                await house.wait_line("one", text)
        assert house.driver._entourage.monitors._watches == {}
        assert house.pid("one") == pid


async def test_checks_end_with_their_unit(
    supervise: Supervise, is_alive: Callable[[int], bool]
) -> None:
    probe = by_command("echo $$; exec sleep 1000")
    async with supervise(shell("one", STAY, health=HealthCheck(probe=probe))) as house:
        pid = int(await house.wait_line("one", ""))
        assert await house.job(JobType.STOP, "one") == ["done"]
        await house.wait_until(lambda: not is_alive(pid))
        assert house.lines("one") == [str(pid)]

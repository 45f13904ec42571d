"""A random life of a daemon and its units: blows from all sides, and a look after each.

Every decision is drawn from one seed. What runs is real, so a replay meets the same blows in the
same order, though not at the same instants.
"""

import os
import random
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from anyclawd.client.exchange import ClientError
from anyclawd.model.value import Json
from tests.chaos.look import Census, Found, trouble
from tests.chaos.menagerie import menagerie
from tests.chaos.wishes import Wishes
from tests.fakes.daemon import (
    WAIT_S,
    Daemon,
    Deadline,
    TestFailure,
    contained,
    system,
    wait_dead,
    write_config,
)

#: What a blow may be. Those that nothing can be done against are the point.
_BLOWS = (
    signal.SIGKILL,
    signal.SIGTERM,
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGHUP,
    signal.SIGUSR1,
)
#: More descriptors than it had in the beginning: some connections that are just being closed.
_DESCRIPTORS = 12
#: And for each process more: its pipes, its pidfd, a file of its control group.
_DESCRIPTORS_OF_ONE = 5


class Life:
    """One daemon after the other in one directory, until `end`."""

    def __init__(self, directory: Path, seed: int, containment: str) -> None:
        self.steps: list[str] = []  #: what was done, in words
        self._random = random.Random(seed)
        self._directory, self._menagerie = directory, menagerie(directory)
        self._wishes = Wishes(self._menagerie.names, self._menagerie.ties)
        self._look = Census()
        self._units = dict(self._menagerie.config)
        self._containment = containment
        self.daemon = Daemon(directory, self._config(), {}, ())

    def begin(self) -> None:
        self.daemon.wait_ready()
        self._wait_rest()
        self._descriptors, self._processes = self._count_descriptors(), self._count_processes()

    # -- what may happen ---------------------------------------------------------------------------

    def step(self) -> None:
        """One blow or wish; three in four times everything has to come to rest after it."""
        acts: dict[Callable[[], str], int] = {
            self._strike_a_process: 20,
            self._strike_a_group: 6,
            self._strike_everything: 2,
            self._freeze: 8,
            self._thaw: 6,
            self._ask: 30,
            self._ask_for_a_signal: 4,
            self._ask_for_a_reload: 2,
            self._talk: 4,
            self._make_ill: 2,
            self._change_a_unit: 4,
            self._add_or_remove_a_unit: 4,
            self._break_the_configuration: 1,
            self._hang_up_in_the_middle: 3,
            self._let_the_daemon_sleep: 3,
            self._kill_the_daemon: 3,
            self._stop_the_daemon: 2,
        }
        [act] = self._random.choices([*acts], [*acts.values()])
        self.steps.append(act.__name__.strip("_").replace("_", " "))
        self.steps[-1] += f": {act()}"
        if self._random.random() < 0.75:
            self._wait_rest()

    def _strike_a_process(self) -> str:
        """Any process of any unit: a leader, a child, a grandchild in a session of its own."""
        if (victim := self._victim()) is None:
            return "nobody is there"
        blow = self._random.choice(_BLOWS)
        _kill(victim.pid, blow)
        return f"{blow.name} for {victim}"

    def _strike_a_group(self) -> str:
        if (victim := self._victim()) is None:
            return "nobody is there"
        with suppress(ProcessLookupError):
            os.killpg(os.getpgid(victim.pid), signal.SIGKILL)
        return f"SIGKILL for the group of {victim}"

    def _strike_everything(self) -> str:
        found = self._census()
        for victim in found:
            _kill(victim.pid, signal.SIGKILL)
        return f"SIGKILL for {len(found)} processes"

    def _freeze(self) -> str:
        if (victim := self._victim()) is None:
            return "nobody is there"
        _kill(victim.pid, signal.SIGSTOP)
        return str(victim)

    def _thaw(self) -> str:
        for one in self._census():
            _kill(one.pid, signal.SIGCONT)
        return "all"

    def _ask(self) -> str:
        verb = self._random.choice(["start", "stop", "restart", "try-restart"])
        names = self._random.sample(
            sorted(self._wishes.names), self._random.choice([1, 1, 1, 2, 3])
        )
        if self._menagerie.ties.rivals.keys() <= {*names} and verb != "stop":
            names.remove("night.service")  # which would be refused
        if verb == "stop":
            self._wishes.stop(names)
        elif verb == "try-restart":
            self._wait_rest()  # of what is about to stop, it is a wish to be up again
        else:
            self._wishes.start(names)
        body = {"verb": verb, "units": names}
        jobs = self.daemon.client.post("/v1/jobs", body, waits=self._random.random() < 0.3)["jobs"]
        assert {row["unit"] for row in jobs} >= set(names), jobs
        return f"{verb} {' '.join(names)}"

    def _ask_for_a_signal(self) -> str:
        name, blow = self._random.choice(sorted(self._wishes.names)), self._random.choice(_BLOWS)
        try:
            self.daemon.client.post("/v1/kill", {"units": [name], "signal": blow.name})
        except ClientError as error:
            return f"{blow.name} for {name}: {error}"
        return f"{blow.name} for {name}"

    def _ask_for_a_reload(self) -> str:
        """Of a unit; the one that has a program for that may be anywhere."""
        try:
            [row] = self.daemon.job("reload", "hooked.service")
        except ClientError as error:
            return str(error)
        return str(row["result"])

    def _talk(self) -> str:
        """Whatever has become of the agent, a message has exactly one outcome (invariant I1)."""
        self._thaw()  # an agent that is frozen may take minutes before it is given up
        try:
            events = list(self.daemon.talk("hello", agent="default", peer=f"p{len(self.steps)}"))
        except ClientError as error:
            if "is not available" not in str(error):
                raise
            return str(error)
        assert [event["type"] for event in events].count("result") == 1, events
        assert events[-1]["type"] == "result", events
        return str(events[-1]["text"])

    def _make_ill(self) -> str:
        """Its checks fail until it is another process."""
        row = self.daemon.units()["patient.service"]
        if row["active"] != "active":
            return "nobody is there"
        self._menagerie.illness.touch()
        try:
            self._wait(lambda: self._pid_of("patient.service") != row["pid"], "the restart")
        finally:
            self._menagerie.illness.unlink()
        return f"process {row['pid']}"

    def _change_a_unit(self) -> str:
        """What it runs, or only how it is treated; by the admin socket, or by SIGHUP."""
        name = self._random.choice(sorted(self._units))
        key = self._random.choice(["environment", "stderr_rate"])
        value = {"EDITION": len(self.steps)} if key == "environment" else 1000 + len(self.steps)
        self._units[name] = {**self._units[name], key: value}
        self._write_config()
        if self._random.random() < 0.3:
            self.daemon.signal(signal.SIGHUP)
            return f"{key} of {name}, by SIGHUP"
        self._reload()
        return f"{key} of {name}"

    def _add_or_remove_a_unit(self) -> str:
        name = self._random.choice(sorted(self._menagerie.spares))
        if name in self._units:
            del self._units[name]
            self._wishes.remove(name)
        else:
            self._units[name] = self._menagerie.spares[name]
            self._wishes.add(name)
        self._write_config()
        self._reload()
        return f"{'add' if name in self._units else 'remove'} {name}"

    def _break_the_configuration(self) -> str:
        """A bad file changes nothing."""
        self.daemon.config.write_text("units: {plain.service: {exec: 3, requires: [nobody]}}\n")
        try:
            self._reload()
        except ClientError as error:
            told = str(error)
        else:
            raise TestFailure("a bad configuration was taken")
        self._write_config()
        return told.replace("\n", "; ")

    def _reload(self) -> None:
        self.daemon.client.post("/v1/reload", {"wait": self._random.random() < 0.5})

    def _config(self) -> Json:
        whole = system(self._menagerie.agents, units=self._units)
        return contained(whole, self._containment)

    def _write_config(self) -> None:
        """In one step, as editors do: a daemon that starts or reloads meets a whole file."""
        other = self._directory / "anyclaw.yaml.new"
        write_config(other, self._config())
        other.replace(self.daemon.config)

    def _hang_up_in_the_middle(self) -> str:
        """Callers who do not wait for what they have asked for."""
        events, lines = self.daemon.events(), self.daemon.log_lines()
        for stream in (events, lines):
            next(stream)
            stream.close()
        return "a follower and a subscriber"

    def _let_the_daemon_sleep(self) -> str:
        """It is frozen while things happen, and finds them all at once."""
        self.daemon.signal(signal.SIGSTOP)
        try:
            struck = [self._strike_a_process() for _ in range(self._random.randint(1, 4))]
        finally:
            self.daemon.signal(signal.SIGCONT)
        return "; ".join(struck)

    def _kill_the_daemon(self) -> str:
        """The next start ends whatever was left before it starts anything."""
        left = [one.pid for one in self._census()]
        self.daemon.kill()
        self._begin_anew()
        for pid in left:
            wait_dead(pid)
        return f"{len(left)} processes were left"

    def _stop_the_daemon(self) -> str:
        number = self._random.choice([signal.SIGTERM, signal.SIGINT])
        self.daemon.signal(number)
        if self._random.random() < 0.3:
            with suppress(ProcessLookupError):
                self.daemon.signal(number)
        self._expect_end()
        self._begin_anew()
        return number.name

    # -- the daemon --------------------------------------------------------------------------------

    def _begin_anew(self) -> None:
        self.daemon._notify.close()
        self.daemon = Daemon(self._directory, None, {}, ())
        self._wishes.begin_anew()
        self.daemon.wait_ready()

    def _expect_end(self) -> None:
        code = self.daemon.wait_exit()
        assert code == 0, f"the daemon ended with {code}"
        left = self._look.take(self.daemon)
        assert not left, f"processes of the daemon are left: {left}"

    def end(self) -> None:
        """Thaw, come to rest, stop; nothing may be left, and nothing may have leaked."""
        self._thaw()
        self._wait_rest()
        more = max(0, self._count_processes() - self._processes)  # units may have been added
        most = self._descriptors + _DESCRIPTORS + more * _DESCRIPTORS_OF_ONE
        assert self._count_descriptors() <= most
        self.daemon.signal(signal.SIGTERM)
        self._expect_end()

    def close(self) -> None:
        """Whatever happened: nothing stays."""
        self.daemon.signal(signal.SIGCONT)
        self.daemon.close()
        for one in self._look.take(self.daemon):
            _kill(one.pid, signal.SIGKILL)

    def tell_units(self) -> list[str]:
        """A line for each unit, for whoever has to find out what went wrong."""
        if self.daemon.process.poll() is not None:
            return [f"  the daemon has ended with {self.daemon.process.returncode}"]
        try:
            rows = self.daemon.units()
        except ClientError as error:
            return [f"  {error}"]
        return [
            f"  {name}: {row['active']} ({row['sub']}), {row['result']}, process {row['pid']}"
            for name, row in rows.items()
        ]

    def _count_descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.daemon.pid}/fd").iterdir()))

    def _count_processes(self) -> int:
        return sum(row["pid"] is not None for row in self.daemon.units().values())

    # -- looking -----------------------------------------------------------------------------------

    def _wait_rest(self) -> None:
        """Wait until nothing moves any more and everything is as it has to be."""
        deadline = Deadline(WAIT_S)
        while said := trouble(self.daemon, self._wishes, self._look):
            if self.daemon.process.poll() is not None:
                raise TestFailure(said)
            select.select([], [], [], min(0.005, deadline.left(f"rest: {said}")))

    def _wait(self, holds: Callable[[], bool], what: str) -> None:
        deadline = Deadline(WAIT_S)
        while not holds():
            select.select([], [], [], min(0.005, deadline.left(what)))

    def _pid_of(self, name: str) -> int | None:
        pid: int | None = self.daemon.units()[name]["pid"]
        return pid

    def _census(self) -> list[Found]:
        """In an order that does not depend on pids."""
        found = self._look.take(self.daemon)
        return sorted(found, key=lambda one: (one.unit, not one.invocation, one.pid))

    def _victim(self) -> Found | None:
        found = self._census()
        return self._random.choice(found) if found else None


def _kill(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


@contextmanager
def living(directory: Path, seed: int, containment: str) -> Iterator[Life]:
    """A life that is over afterwards; a failure tells its seed, its last steps and its log."""
    life = Life(directory, seed, containment)
    try:
        life.begin()
        yield life
        life.end()
    except BaseException as error:
        error.add_note(f"{containment}, seed {seed}, step {len(life.steps)}; the last steps:")
        error.add_note("\n".join(f"  {step}" for step in life.steps[-12:]))
        error.add_note("the units:\n" + "\n".join(life.tell_units()))
        error.add_note("the end of the daemon's log:\n" + life.daemon.log_text()[-8000:])
        raise
    finally:
        life.close()

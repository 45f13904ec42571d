"""Verdicts on what runs: the daemon, its store, its units, agents, messages, extensions' checks."""

from dataclasses import replace

import pytest

from anyclawd.cli.doctor.verdict import agents, daemon, extensions, messages, store, units
from anyclawd.cli.doctor.verdict.agents import AgentFacts
from anyclawd.cli.doctor.verdict.daemon import DaemonFacts, Silence
from anyclawd.cli.doctor.verdict.extensions import CheckFacts, Said
from anyclawd.cli.doctor.verdict.messages import MessageFacts
from anyclawd.cli.doctor.verdict.store import StoreFacts
from anyclawd.cli.doctor.verdict.units import UnitFacts
from anyclawd.model.state import ACTIVE_OF, Health, Result, Sub
from tests.fakes.finding import told

# --- the daemon ----------------------------------------------------------------------------------

UP = DaemonFacts(pid=7, state="running", own_version="1", version="1", socket="/s")
SAID = "ok /s: running, pid 7, version 1"
SILENT = Silence(reason="no daemon listens on /s", lock="/l")
DAEMONS = {  # behaviour: (what is known, what is told)
    "up": (UP, [SAID]),
    "degraded": (replace(UP, state="degraded"), ["warning /s: degraded, pid 7, version 1"]),
    "starting": (replace(UP, state="starting"), ["note /s: starting, pid 7, version 1"]),
    "upgraded": (
        replace(UP, own_version="2"),
        [SAID, "warning the daemon is 1, and 2 is installed"],
    ),
    "warns": (replace(UP, warnings=("port 3000",)), [SAID, "warning port 3000"]),
    "on-time": (replace(UP, lag_max_s=0.05), [SAID]),
    "late": (
        replace(UP, lag_max_s=0.2),
        [SAID, "note its event loop was late by 200ms at the worst"],
    ),
    "very-late": (
        replace(UP, lag_max_s=3.0),
        [SAID, "warning its event loop was late by 3.0s at the worst"],
    ),
    "watched": (replace(UP, watchdog_s=30.0), [SAID]),
    "unwatched": (replace(UP, watchdog_s=0.0), [SAID, "note no watchdog looks after the daemon"]),
    "silent": (
        SILENT,
        ["note no daemon listens on /s; what only a daemon can tell is left out"],
    ),
    "not-asked": (
        replace(SILENT, reason=""),
        ["note none was asked; what only a daemon can tell is left out"],
    ),
    "holds-and-does-not-answer": (
        replace(SILENT, holder=7),
        ["error /l: pid 7 has the state directory, but no daemon listens on /s"],
    ),
    "holds-and-was-not-asked": (
        replace(SILENT, holder=7, reason=""),
        ["note /l: pid 7 has the state directory, but was not asked"],
    ),
    "left-a-socket": (
        replace(SILENT, stale_socket="/s"),
        [
            "note no daemon listens on /s; what only a daemon can tell is left out",
            "note /s: nobody listens on this socket any more -> remove the socket /s",
        ],
    ),
}


@pytest.mark.parametrize(("facts", "lines"), DAEMONS.values(), ids=DAEMONS)
def test_daemon(facts: DaemonFacts | Silence, lines: list[str]) -> None:
    assert told(daemon.findings(facts)) == lines


# --- the store -----------------------------------------------------------------------------------

FILE = StoreFacts(path="/d", exists=True, bytes=4096, version=1, known_version=1)
STORES = {
    "in-memory": (
        StoreFacts(path=""),
        ["ok conversations are kept in memory, as the configuration says"],
    ),
    "new": (StoreFacts(path="/d"), ["ok /d: nothing is kept yet"]),
    "whole": (FILE, ["ok /d: 4.0K, schema 1, as it was written"]),
    "unread": (
        replace(FILE, why_unread="permission denied"),
        ["note /d: was not looked into: permission denied"],
    ),
    "damaged": (
        replace(FILE, damage=("row 1 missing from index", "page 7")),
        ["error /d: is damaged: row 1 missing from index; page 7"],
    ),
    "foreign": (replace(FILE, is_foreign=True), ["error /d: is a database of another program"]),
    "too-new": (
        replace(FILE, version=3),
        ["error /d: has schema 3, and this version knows those up to 1"],
    ),
    "lost-references": (
        replace(FILE, lost_references=2),
        ["error /d: 2 rows refer to others that are gone"],
    ),
    "huge": (
        replace(FILE, is_checked_whole=False),
        ["note /d: is too large to be looked through in the time there is"],
    ),
    "long-log": (
        replace(FILE, log_bytes=2**30),
        ["warning /d: the log beside it has 1.0G: somebody keeps reading the file"],
    ),
    "set-aside": (
        replace(FILE, set_aside=("d.damaged-1", "d.damaged-2", "d.damaged-3", "d.damaged-4")),
        [
            (
                "warning /d: was set aside as damaged before: d.damaged-1, d.damaged-2, d.damaged-3"
                " and 1 more"
            )
        ],
    ),
}


@pytest.mark.parametrize(("facts", "lines"), STORES.values(), ids=STORES)
def test_store(facts: StoreFacts, lines: list[str]) -> None:
    assert told(store.findings(facts)) == lines


# --- units ---------------------------------------------------------------------------------------


def unit(sub: Sub, result: Result = Result.SUCCESS, **more: object) -> UnitFacts:
    facts = UnitFacts(name="a.agent", active=ACTIVE_OF[sub], sub=sub, result=result)
    return replace(facts, **more)  # type: ignore[arg-type]  # fields by name


WELL = ["ok 1 units are as they should be"]
ODD = ["ok 0 units are as they should be"]
UNITS = {
    "running": (unit(Sub.RUNNING), WELL),
    "down": (unit(Sub.DEAD), WELL),
    "ended-in-success": (unit(Sub.EXITED), WELL),
    "healthy": (unit(Sub.RUNNING, health=Health.HEALTHY), WELL),
    "restarted-twice": (unit(Sub.RUNNING, restarts=2), WELL),
    "failed": (
        unit(Sub.FAILED, Result.EXIT_CODE, sentence="failed 2 s ago"),
        ["error a.agent: failed 2 s ago", *ODD],
    ),
    "failed-without-words": (
        unit(Sub.FAILED, Result.TIMEOUT),
        ["error a.agent: has failed: timeout", *ODD],
    ),
    "at-its-limit": (
        unit(Sub.COOLDOWN, Result.START_LIMIT_HIT),
        ["error a.agent: has reached its start limit", *ODD],
    ),
    "in-a-loop": (
        unit(Sub.AUTO_RESTART, Result.SIGNAL),
        ["error a.agent: is restarted again and again: signal", *ODD],
    ),
    "blocked": (
        unit(Sub.BLOCKED, Result.DEPENDENCY),
        ["error a.agent: waits for what it requires", *ODD],
    ),
    "stopped-by-hand": (
        unit(Sub.DEAD, is_stopped_by_hand=True),
        ["note a.agent: was stopped by hand and stays so", *ODD],
    ),
    "degraded": (unit(Sub.DEGRADED), ["warning a.agent: is up but not ready", *ODD]),
    "unhealthy": (
        unit(Sub.RUNNING, health=Health.UNHEALTHY),
        ["warning a.agent: is not healthy", *ODD],
    ),
    "starting": (unit(Sub.START), ["note a.agent: is activating (start)", *ODD]),
    "stopping": (
        unit(Sub.STOP_SIGTERM),
        ["note a.agent: is deactivating (stop-sigterm)", *ODD],
    ),
    "restarted-often": (
        unit(Sub.RUNNING, restarts=3, last_crash="exit-code 3"),
        ["warning a.agent: has been restarted 3 times, at last by exit-code 3", *ODD],
    ),
    "reload-failed": (
        unit(Sub.RUNNING, reload_failure="exit code 1"),
        ["warning a.agent: its last reload failed: exit code 1", *ODD],
    ),
    "loud": (
        unit(Sub.RUNNING, dropped_lines=9, noise=4),
        [
            "note a.agent: 9 lines of its stderr were dropped",
            "note a.agent: 4 lines on its stdout were no messages",
            *ODD,
        ],
    ),
}


@pytest.mark.parametrize(("facts", "lines"), UNITS.values(), ids=UNITS)
def test_units(facts: UnitFacts, lines: list[str]) -> None:
    assert told(units.findings([facts])) == lines


@pytest.mark.parametrize("sub", Sub)
def test_every_state_of_a_unit_has_a_verdict(sub: Sub) -> None:
    assert told(units.findings([unit(sub)]))


# --- agents --------------------------------------------------------------------------------------

AGENT = AgentFacts(unit="a.agent", answered_s=0.5, start_s=30.0)
AGENTS = {
    "answers": (AGENT, ["ok a.agent: answers initialize after 500ms"]),
    "answers-at-some-time": (
        replace(AGENT, answered_s=None),
        ["ok a.agent: answers initialize"],
    ),
    "wants-a-login": (
        replace(AGENT, needs_login=True),
        ["ok a.agent: answers initialize after 500ms; it can be logged in to (anyclawctl login)"],
    ),
    "slow": (
        replace(AGENT, answered_s=20.0),
        ["warning a.agent: answers after 20.0s of the 30.0s it has"],
    ),
    "slow-without-a-limit": (
        replace(AGENT, answered_s=20.0, start_s=0.0),
        ["ok a.agent: answers initialize after 20.0s"],
    ),
    "not-tried": (
        replace(AGENT, why_not="only root can"),
        ["note a.agent: was not tried: only root can"],
    ),
    "failed": (
        replace(AGENT, failure="does not answer initialize"),
        ["error a.agent: does not answer initialize"],
    ),
    "failed-unprepared": (
        replace(AGENT, failure="does not answer initialize", has_hooks=True),
        ["error a.agent: does not answer initialize; its exec_start_pre was not run"],
    ),
    "down": (
        replace(AGENT, state="failed (cooldown)"),
        ["error a.agent: does not answer: failed (cooldown)"],
    ),
}


@pytest.mark.parametrize(("facts", "lines"), AGENTS.values(), ids=AGENTS)
def test_agents(facts: AgentFacts, lines: list[str]) -> None:
    assert told(agents.findings([facts])) == lines


def test_without_agents_there_is_little_to_do() -> None:
    assert told(agents.findings([])) == ["note the configuration has no agent"]
    unnamed = ["note left out: there is no compiled configuration to name them"]
    assert told(agents.findings(None)) == unnamed


# --- messages ------------------------------------------------------------------------------------

LIVE = MessageFacts(is_live=True, open=2)
MESSAGES = {
    "none-to-tell": (
        None,
        ["note left out: neither a daemon nor a database tells of them"],
    ),
    "in-time": (LIVE, ["ok 2 without an outcome, all in time"]),
    "at-rest": (MessageFacts(is_live=False), ["ok 0 without an outcome"]),
    "some-wait": (replace(LIVE, waiting={"a": 3}), ["ok 2 without an outcome, all in time"]),
    "many-wait": (
        replace(LIVE, waiting={"a": 30}),
        ["warning a: 30 messages wait for their turn"],
    ),
    "some-under-way": (
        replace(LIVE, undelivered={"c": 3}),
        ["ok 2 without an outcome, all in time"],
    ),
    "many-under-way": (
        replace(LIVE, undelivered={"c": 30}),
        ["warning c: 30 answers are not delivered yet"],
    ),
    "left-under-way": (
        MessageFacts(is_live=False, undelivered={"c": 1}),
        ["note c: 1 answers wait to be delivered at the next start"],
    ),
    "given-up": (
        MessageFacts(is_live=False, given_up=4),
        ["note 4 answers never arrived and were given up"],
    ),
    "cannot-be-kept": (
        replace(LIVE, store_trouble="the disk is full", lost_steps=5),
        [
            "error store: the disk is full",
            "error store: 5 steps found no room while nothing could be written",
        ],
    ),
    "cut-short": (
        replace(LIVE, truncated=1),
        ["warning 1 answers were cut short, since their channel did not keep up"],
    ),
}


@pytest.mark.parametrize(("facts", "lines"), MESSAGES.values(), ids=MESSAGES)
def test_messages(facts: MessageFacts | None, lines: list[str]) -> None:
    assert told(messages.findings(facts)) == lines


# --- checks of extensions ------------------------------------------------------------------------

CHECK = CheckFacts(unit="c.channel")
CHECKS = {
    "nothing-said": (CHECK, ["ok c.channel: has nothing to say"]),
    "said": (
        replace(
            CHECK, said=(Said("warning", "it is open", "close it"), Said("ok", "it is up", ""))
        ),
        ["warning c.channel: it is open", "ok c.channel: it is up"],
    ),
    "said-in-a-way-of-its-own": (
        replace(CHECK, said=(Said("fatal", "all is lost", ""),)),
        ["note c.channel: all is lost"],
    ),
    "not-made": (
        replace(CHECK, why_not="only root can"),
        ["note c.channel: its check was not made: only root can"],
    ),
    "not-started": (
        replace(CHECK, failure="no program 'x'"),
        ["error c.channel: its check cannot be started: no program 'x'"],
    ),
    "late": (
        replace(CHECK, said=(Said("ok", "so far", ""),), is_late=True, exit_code=-9),
        [
            "ok c.channel: so far",
            "error c.channel: its check did not end in time and was killed",
        ],
    ),
    "flooding": (
        replace(CHECK, is_flood=True, exit_code=-9),
        ["error c.channel: its check said too much and was killed"],
    ),
    "failed": (
        replace(CHECK, exit_code=1, last_words="KeyError: 'x'"),
        ["error c.channel: its check failed with exit code 1: KeyError: 'x'"],
    ),
}


@pytest.mark.parametrize(("facts", "lines"), CHECKS.values(), ids=CHECKS)
def test_extensions(facts: CheckFacts, lines: list[str]) -> None:
    assert told(extensions.findings([facts])) == lines


def test_without_checks_there_is_nothing_to_say() -> None:
    assert told(extensions.findings([])) == ["ok no unit has a check of its own"]

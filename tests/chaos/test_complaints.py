"""What users of such gateways complain of, each once: lost, doubled, late, in silence.

The numbers are those of classes of complaints: messages lost at a restart (1), replayed or doubled
(2), acknowledged before they are kept (4), floods (5), order (6), silence (9), approvals (13). What
`test_states.py` and the conformance tests show of them already is not repeated here.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.chaos.house import House, after_its_kill, house
from tests.fakes.daemon import running
from tests.fakes.puppet import Stage

FIFTEEN_HOURS_MS = 15 * 3600 * 1000


@contextmanager
def database(directory: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(directory / "sessions.db")) as found, found:
        yield found


def age(directory: Path) -> None:
    """Let all that is kept be fifteen hours older."""
    with database(directory) as found:
        for table, instant in (("deliveries", "added_at"), ("messages", "received_at")):
            found.execute(f"UPDATE {table} SET {instant} = {instant} - ?", (FIFTEEN_HOURS_MS,))


# -- 1: lost --------------------------------------------------------------------------------------


def test_what_waits_behind_a_running_message_survives_in_order(
    tmp_path: Path, theatre: Stage
) -> None:
    with house(tmp_path, theatre, queue={"mode": "followup"}) as first:
        first.running()
        waiting = [first.post.hand_in(f"w{number}", f"number {number}") for number in range(5)]
        with after_its_kill(tmp_path, theatre, first) as second:
            assert second.post.delivery().is_error
            second.resume()
            for number, message in enumerate(waiting):
                assert second.agent.reply(f"to {number}", "s1") == f"number {number}"
                shown = second.post.delivery()
                assert (shown.messages, shown.is_error) == ((message,), False)
                second.post.confirm(shown)


def test_an_answer_made_while_the_channel_is_away_arrives(tmp_path: Path, theatre: Stage) -> None:
    with house(tmp_path, theatre) as here:
        message = here.running()
        here.daemon.job("stop", "web.channel")
        here.agent.chunk("to the first", "s1")
        here.agent.done(here.request)
        here.daemon.ctl("start", "--no-block", "web.channel")
        shown = here.next_post().delivery()
        assert (shown.messages, shown.is_error) == ((message,), False)
        here.post.confirm(shown)
        here.check_goes_on()


# -- 2: doubled -----------------------------------------------------------------------------------


def test_an_answer_of_fifteen_hours_ago_is_not_sent_again(tmp_path: Path, theatre: Stage) -> None:
    with house(tmp_path, theatre) as first:
        message = first.answered()
        first.daemon.kill()
        age(tmp_path)
        with running(tmp_path) as daemon:
            second = House(theatre, daemon)
            second.check_goes_on()
            assert second.post.state(message)["state"] == "answered"


def test_a_message_of_fifteen_hours_ago_is_not_run_but_said_to_be_late(
    tmp_path: Path, theatre: Stage
) -> None:
    with house(tmp_path, theatre) as first:
        message = first.queued()
        first.daemon.kill()
        age(tmp_path)
        with running(tmp_path) as daemon:
            second = House(theatre, daemon)
            shown = second.post.delivery()
            assert (shown.messages, shown.is_error) == ((message,), True)
            second.post.confirm(shown)
            second.post.wait_state(message, "interrupted")
            second.check_goes_on()


def test_a_message_that_was_accepted_and_is_sent_again_is_one(
    tmp_path: Path, theatre: Stage
) -> None:
    """Its channel has waited in vain for the answer, or has lost it: at any later time."""
    with house(tmp_path, theatre) as first:
        message = first.running()
        first.post.send("m1", "first")
        again = first.post.answer("m1")
        assert again == {
            "accepted": True,
            "messageId": message,
            "duplicate": True,
            "state": "running",
        }
        first.agent.done(first.request)
        first.post.confirm(first.post.delivery())
        first.post.wait_state(message, "delivered")
        with after_its_kill(tmp_path, theatre, first) as second:
            second.post.send("m1", "first")
            again = second.post.answer("m1")
            assert (again["messageId"], again["state"]) == (message, "delivered")
            second.check_goes_on()


# -- 4: acknowledged too early --------------------------------------------------------------------


def test_what_is_accepted_is_in_the_file(tmp_path: Path, theatre: Stage) -> None:
    with house(tmp_path, theatre) as here:
        for number in range(20):
            message = here.post.hand_in(f"n{number}", f"number {number}")
            with database(tmp_path) as found:
                rows = found.execute("SELECT source_id FROM messages WHERE id = ?", (message,))
                assert rows.fetchall() == [(f"n{number}",)]


# -- 5: floods ------------------------------------------------------------------------------------


def test_a_flood_is_refused_with_a_reason_and_a_time(tmp_path: Path, theatre: Stage) -> None:
    """Of one chat; others are served meanwhile."""
    limits = {"session": {"messages_per_minute": 3}}
    with house(tmp_path, theatre, rate_limits=limits) as here:
        for number in range(3):
            here.post.hand_in(f"n{number}", "hello")
        here.post.send("n3", "hello")
        refused = here.post.answer("n3")
        assert (refused["state"], refused["reason"]) == ("refused", "rate-limit")
        assert 0 < refused["retryAfter"] <= 60
        here.post.hand_in("b1", "hello", peer="bob")


# -- 6: order -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["collect", "followup"])
def test_messages_within_a_turn_keep_their_order(tmp_path: Path, theatre: Stage, mode: str) -> None:
    with house(tmp_path, theatre, queue={"mode": mode}) as here:
        here.running()
        for number in range(10):
            here.post.send(f"w{number}", f"number {number}")
        accepted = [here.post.answer(f"w{number}")["messageId"] for number in range(10)]
        here.agent.done(here.request)
        here.post.confirm(here.post.delivery())
        said: list[str] = []
        answered: list[str] = []
        while len(said) < 10:
            said += here.agent.reply("yes", "s1").splitlines()
            shown = here.post.delivery()
            here.post.confirm(shown)
            answered += shown.messages
        assert said == [f"number {number}" for number in range(10)]
        assert answered == accepted


# -- 9: silence -----------------------------------------------------------------------------------


def test_nobody_waits_for_an_agent_that_does_not_come_back(tmp_path: Path, theatre: Stage) -> None:
    """What waits is told, and what comes later is refused with the reason."""
    with house(tmp_path, theatre) as here:
        message = here.queued()
        here.daemon.job("stop", "default.agent")
        shown = here.post.delivery()
        assert (shown.messages, shown.is_error) == ((message,), True)
        assert "default" in shown.text
        here.post.send("m2", "anybody there?")
        assert here.post.answer("m2")["reason"] == "agent"


# -- 13: approvals --------------------------------------------------------------------------------


@pytest.mark.parametrize("is_early", [True, False], ids=["before", "after"])
def test_buttons_survive_a_daemon(tmp_path: Path, theatre: Stage, is_early: bool) -> None:
    """The same question is known again, so the one answer of the user is enough.

    Whether it comes before the agent has asked again, or after.
    """
    with house(tmp_path, theatre, recovery="retry") as first:
        message = first.running()
        first.agent.ask(900, "s1")
        asked = first.post.puppet.expect("channel/requestPermission")["params"]
        answer = {"requestId": asked["requestId"], "optionId": "yes"}
        pressed = {"method": "channel/respondPermission", "params": answer}
        with after_its_kill(tmp_path, theatre, first) as second:
            second.resume()
            request, said = second.agent.prompted()
            assert said == "first"
            if is_early:
                second.post.puppet.say(pressed)
                second.post.state(message)  # what was sent before it is read
                second.agent.ask(901, "s1")
            else:
                second.agent.ask(901, "s1")
                second.post.puppet.expect("channel/requestPermission")
                second.post.puppet.say(pressed)
            outcome = second.agent.expect_answer(901)["result"]["outcome"]
            assert outcome == {"outcome": "selected", "optionId": "yes"}
            second.agent.done(request)
            assert not second.post.delivery().is_error

"""SIGKILL of daemon, agent and channel in each state of a message (invariant I1).

The test plays agent and channel, so it knows the state; the processes, the store and the kill are
real. The channel takes part in both ends of the promise: it waits for acceptance, and confirms what
has arrived.
"""

import signal
from pathlib import Path

import pytest

from tests.chaos.house import House, after_its_kill, house, wait_state_in_status
from tests.fakes.daemon import running
from tests.fakes.puppet import Stage

# -- the daemon -----------------------------------------------------------------------------------


def test_the_daemon_dies_with_a_message_received(tmp_path: Path, theatre: Stage) -> None:
    """It was not accepted: whoever sends it again has it answered, once."""
    with house(tmp_path, theatre) as first:
        first.received()
        with after_its_kill(tmp_path, theatre, first) as second:
            second.post.send("m1", "first")
            answer = second.post.answer("m1")
            assert answer["accepted"]
            assert "duplicate" not in answer
            second.agent.open("s1")
            assert second.agent.reply("to the first", "s1") == "first"
            shown = second.post.delivery()
            assert shown.messages == (answer["messageId"],)
            second.post.confirm(shown)
            second.check_goes_on()


def test_the_daemon_dies_with_a_message_queued(tmp_path: Path, theatre: Stage) -> None:
    with house(tmp_path, theatre) as first:
        message = first.queued()
        with after_its_kill(tmp_path, theatre, first) as second:
            second.agent.open("s1")
            assert second.agent.reply("to the first", "s1") == "first"
            shown = second.post.delivery()
            assert (shown.messages, shown.is_repeat) == ((message,), False)
            second.post.confirm(shown)
            second.post.wait_state(message, "delivered")
            second.check_goes_on()


def test_the_daemon_dies_with_a_message_running(tmp_path: Path, theatre: Stage) -> None:
    """It may have done something already: its user is told, and it is not run again."""
    with house(tmp_path, theatre) as first:
        message = first.running()
        with after_its_kill(tmp_path, theatre, first) as second:
            shown = second.post.delivery()
            assert (shown.messages, shown.is_error) == ((message,), True)
            second.post.confirm(shown)
            second.post.wait_state(message, "interrupted")
            second.check_goes_on()


def test_a_message_that_ran_is_run_again_where_that_is_wanted(
    tmp_path: Path, theatre: Stage
) -> None:
    with house(tmp_path, theatre, recovery="retry") as first:
        message = first.running()
        with after_its_kill(tmp_path, theatre, first) as second:
            second.resume()
            assert second.agent.reply("to the first", "s1") == "first"
            shown = second.post.delivery()
            assert (shown.messages, shown.is_error) == ((message,), False)
            second.post.confirm(shown)
            second.check_goes_on()


def test_the_daemon_dies_with_a_message_answered(tmp_path: Path, theatre: Stage) -> None:
    """Nobody has confirmed the answer: it is sent again, whole, marked, under the same id."""
    with house(tmp_path, theatre) as first:
        message = first.answered()
        with after_its_kill(tmp_path, theatre, first) as second:
            shown = second.post.delivery()
            assert shown.id == first.shown.id
            assert (shown.messages, shown.is_repeat) == ((message,), True)
            assert "to the first" in shown.text
            second.post.confirm(shown)
            assert second.post.wait_state(message, "delivered")["deliveryId"] == shown.id
            second.check_goes_on()


def test_the_daemon_dies_with_an_answer_that_its_channel_does_not_read(
    tmp_path: Path, theatre: Stage
) -> None:
    with house(tmp_path, theatre) as first:
        message = first.running()
        first.daemon.ctl("kill", "--signal", "STOP", "web.channel")
        first.agent.chunk("to the first", "s1")
        first.agent.done(first.request)
        wait_state_in_status(first.daemon, message, "answered")
        with after_its_kill(tmp_path, theatre, first) as second:
            shown = second.post.delivery()
            assert shown.messages == (message,)
            assert "to the first" in shown.text
            second.post.confirm(shown)
            second.check_goes_on()


def test_the_daemon_dies_with_a_message_delivered(tmp_path: Path, theatre: Stage) -> None:
    """It is over: nothing of it is ever heard again, but its state can be asked for."""
    with house(tmp_path, theatre) as first:
        message = first.delivered()
        with after_its_kill(tmp_path, theatre, first) as second:
            told = second.post.state(message)
            assert (told["state"], told["deliveryId"]) == ("delivered", first.shown.id)
            second.check_goes_on()


def test_the_daemon_dies_again_before_the_repetition_is_confirmed(
    tmp_path: Path, theatre: Stage
) -> None:
    with house(tmp_path, theatre) as first:
        message = first.answered()
        with after_its_kill(tmp_path, theatre, first) as second:
            assert second.post.delivery().id == first.shown.id
            second.daemon.kill()
            with running(tmp_path) as daemon:
                third = House(theatre, daemon)
                shown = third.post.delivery()
                assert (shown.id, shown.is_repeat) == (first.shown.id, True)
                third.post.confirm(shown)
                third.post.wait_state(message, "delivered")


def test_a_daemon_that_is_stopped_keeps_what_waits(tmp_path: Path, theatre: Stage) -> None:
    with house(tmp_path, theatre) as first:
        message = first.queued()
        first.daemon.signal(signal.SIGTERM)
        assert first.daemon.wait_exit() == 0
        with running(tmp_path) as daemon:
            second = House(theatre, daemon)
            second.agent.open("s1")
            assert second.agent.reply("to the first", "s1") == "first"
            assert second.post.delivery().messages == (message,)


# -- the agent ------------------------------------------------------------------------------------


def test_the_agent_dies_with_a_message_queued(tmp_path: Path, theatre: Stage) -> None:
    with house(tmp_path, theatre) as here:
        message = here.queued()
        here.agent.kill()
        here.next_agent().open("s1")
        assert here.agent.reply("to the first", "s1") == "first"
        shown = here.post.delivery()
        assert (shown.messages, shown.is_error) == ((message,), False)
        here.post.confirm(shown)
        here.check_goes_on()


def test_the_agent_dies_with_a_message_running(tmp_path: Path, theatre: Stage) -> None:
    with house(tmp_path, theatre) as here:
        message = here.running()
        here.agent.kill()
        shown = here.post.delivery()
        assert (shown.messages, shown.is_error) == ((message,), True)
        here.post.confirm(shown)
        here.post.wait_state(message, "interrupted")
        here.next_agent()
        here.check_goes_on()


@pytest.mark.parametrize("state", ["answered", "delivered"])
def test_the_agent_dies_when_it_has_answered(tmp_path: Path, theatre: Stage, state: str) -> None:
    with house(tmp_path, theatre) as here:
        message = here.answered() if state == "answered" else here.delivered()
        here.agent.kill()
        here.next_agent()
        here.post.confirm(here.shown)
        here.post.wait_state(message, "delivered")
        here.check_goes_on()


# -- the channel ----------------------------------------------------------------------------------


def test_the_channel_dies_with_a_message_received(tmp_path: Path, theatre: Stage) -> None:
    """It does not know, and sends the message again: it is one message all the same."""
    with house(tmp_path, theatre) as here:
        here.received()
        here.post.puppet.kill()
        here.daemon.signal(signal.SIGCONT)
        here.next_post().send("m1", "first")
        message = here.post.answer("m1")["messageId"]
        here.agent.open("s1")
        assert here.agent.reply("to the first", "s1") == "first"
        shown = here.post.delivery()
        assert shown.messages == (message,)
        here.post.confirm(shown)
        here.check_goes_on()


def test_the_channel_dies_with_a_message_queued(tmp_path: Path, theatre: Stage) -> None:
    with house(tmp_path, theatre) as here:
        message = here.post.hand_in("m1", "first")
        request = here.agent.expect("session/new")
        here.post.puppet.kill()
        here.next_post()
        here.agent.answer(request, {"sessionId": "s1"})
        assert here.agent.reply("to the first", "s1") == "first"
        shown = here.post.delivery()
        assert (shown.messages, shown.is_repeat) == ((message,), False)
        here.post.confirm(shown)
        here.check_goes_on()


def test_the_channel_dies_with_a_message_running(tmp_path: Path, theatre: Stage) -> None:
    with house(tmp_path, theatre) as here:
        message = here.running()
        here.post.puppet.kill()
        here.next_post()
        here.agent.chunk("to the first", "s1")
        here.agent.done(here.request)
        shown = here.post.delivery()
        assert (shown.messages, shown.is_repeat) == ((message,), False)
        here.post.confirm(shown)
        here.check_goes_on()


def test_the_channel_dies_before_it_confirms(tmp_path: Path, theatre: Stage) -> None:
    with house(tmp_path, theatre) as here:
        message = here.answered()
        here.post.puppet.kill()
        shown = here.next_post().delivery()
        assert (shown.id, shown.messages) == (here.shown.id, (message,))
        assert shown.is_repeat
        assert "to the first" in shown.text
        here.post.confirm(shown)
        here.post.wait_state(message, "delivered")
        here.check_goes_on()


def test_the_channel_dies_when_it_has_confirmed(tmp_path: Path, theatre: Stage) -> None:
    with house(tmp_path, theatre) as here:
        here.delivered()
        here.post.puppet.kill()
        here.next_post()
        here.check_goes_on()

"""Real agents under a real daemon, with a pretended model: every row of the page's table.

Run by hand: `ANYCLAWD_REAL_AGENTS=/opt/agents pytest -m real`. Skipped where the agents are not.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from anyclawd.model.value import Json
from tests.fakes.daemon import Chat, Daemon, Deadline, is_alive, marked, running, until
from tests.real.agents import REAL_AGENTS, declared, installed
from tests.real.model_server import KEY, model_server

pytestmark = pytest.mark.real

Record = Callable[[str, object], None]

#: What the channel makes of the `result` of a turn whose text has been streamed.
TURN_ENDED = ("", "")

SESSION = "debug-http:local:local"


class Scene:
    """A daemon with one real agent that is ready, and a chat with it."""

    def __init__(self, daemon: Daemon, name: str) -> None:
        self.daemon, self.name, self.unit = daemon, name, f"{name}.agent"
        self.project = daemon.directory / "project"
        self.chat: Chat = daemon.chat()

    def processes(self) -> list[int]:
        found = marked(self.daemon.instance)
        return sorted(pid for pid, unit in found.items() if unit == self.unit)

    def rss_mib(self) -> int:
        pages = (Path(f"/proc/{pid}/statm").read_text().split()[1] for pid in self.processes())
        return sum(map(int, pages)) * os.sysconf("SC_PAGE_SIZE") // 2**20

    def say(self, text: str, last: str) -> None:
        """Say a text in the chat; returns when `last` was answered and the turn has ended."""
        with self.chat.listening() as events:
            self.chat.say(text)
            heard(events, last)
            until(events, TURN_ENDED)

    def answer_question(self, *, allow: bool) -> list[str]:
        """Answer what the agent asks: allow it once, or reject it, which comes last."""
        pending = self.wait_question()
        options = [option["optionId"] for option in pending["options"]]
        chosen = next(each for each in options if "once" in each) if allow else options[-1]
        path = f"/permissions/{pending['requestId']}/respond"
        assert self.chat.ask("POST", path, {"optionId": chosen})[0] == 200
        return options

    def wait_question(self) -> Json:
        deadline = Deadline()
        while not (pending := self.chat.pending()):
            deadline.left("a question")
        return pending[0]

    def agent_session(self) -> str:
        (row,) = self.daemon.ctl_json("sessions")["sessions"]
        found: str = row["agent_session"]
        return found


def heard(events: Iterator[tuple[str, str]], last: str) -> list[str]:
    """What is said from here on, up to a text that contains `last`."""
    found = []
    for name, text in events:
        if name == "":
            found.append(text)
            if last in text:
                return found
    raise AssertionError(f"the stream ended before {last!r}: {found}")


@contextmanager
def played(tmp_path: Path, name: str, key: str = KEY) -> Iterator[Scene]:
    root, _ = installed(name)
    with model_server() as model:
        config = declared(name, root, tmp_path, model.url)
        environ = {REAL_AGENTS[name].key: key}
        with running(tmp_path, config, environ=environ) as daemon:
            daemon.wait_unit(f"{name}.agent", "active", "running")
            yield Scene(daemon, name)


@pytest.fixture(params=REAL_AGENTS)
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def scene(tmp_path: Path, name: str) -> Iterator[Scene]:
    with played(tmp_path, name) as found:
        yield found


# -- a turn ---------------------------------------------------------------------------------------


def test_it_is_ready_and_answers(scene: Scene, record_property: Record) -> None:
    record_property("version", installed(scene.name)[1])
    rows = scene.daemon.ctl_json("analyze", "blame")["blame"]
    record_property("ready_s", next(row["took_s"] for row in rows if row["unit"] == scene.unit))
    record_property("idle_mib", scene.rss_mib())
    for nth in ("first", "second"):
        begun = time.monotonic()
        scene.say(f"[[say:the {nth} answer]]", f"the {nth} answer")
        record_property(f"{nth}_turn_s", round(time.monotonic() - begun, 2))
    record_property("after_turn_mib", scene.rss_mib())
    record_property("processes", len(scene.processes()))
    assert not files_with_the_key(scene.daemon.directory)


def test_it_answers_on_the_command_line(scene: Scene) -> None:
    done = scene.daemon.ctl("send", "--agent", scene.name, "[[say:by hand]]")
    assert (done.returncode, "by hand" in done.stdout) == (0, True), done.stderr


def test_a_refused_key_is_told(tmp_path: Path, name: str, record_property: Record) -> None:
    with played(tmp_path, name, key="another-key") as scene:
        begun = time.monotonic()
        result = scene.daemon.answer("[[say:hello]]", agent=name)
        record_property("told_after_s", round(time.monotonic() - begun, 2))
        record_property("told", result)
        assert "hello" not in result["text"]
        assert "another-key" not in scene.daemon.log_text()


def files_with_the_key(directory: Path) -> list[str]:
    files = [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path.name for path in files if KEY.encode() in path.read_bytes()]


def test_a_login_through_the_daemon(scene: Scene, record_property: Record) -> None:
    agent = REAL_AGENTS[scene.name]
    offered = scene.daemon.ctl_json("login", scene.name)["methods"]
    record_property("offers", [method["id"] for method in offered])
    if not agent.login:
        assert offered == []
        return
    done = scene.daemon.ctl("login", scene.name, agent.login)
    assert done.returncode == 0, done.stderr
    assert bool(files_with_the_key(scene.daemon.directory)) == agent.writes_key
    scene.say("[[say:inside]]", "inside")
    record_property("logout", scene.daemon.ctl("logout", scene.name).returncode)


# -- permission, cancellation, choices ------------------------------------------------------------


def test_it_asks_before_it_acts(scene: Scene, record_property: Record) -> None:
    with scene.chat.listening() as events:
        scene.chat.say("[[touch:allowed]]")
        record_property("options", scene.answer_question(allow=True))
        heard(events, "touched")
    assert (scene.project / "allowed").exists()
    with scene.chat.listening() as events:
        scene.chat.say("[[touch:refused]]")
        scene.answer_question(allow=False)
        scene.chat.say("[[say:done]]")
        heard(events, "done")
    assert not (scene.project / "refused").exists()


def test_a_turn_is_cancelled(scene: Scene, record_property: Record) -> None:
    with scene.chat.listening() as events:
        scene.chat.say("[[hold:working]]")
        heard(events, "working")
        begun = time.monotonic()
        scene.chat.say("/cancel")
        scene.chat.say("[[say:next]]")
        record_property("told", heard(events, "next"))
        record_property("next_answer_s", round(time.monotonic() - begun, 2))


def test_a_turn_is_cancelled_while_it_asks(scene: Scene, record_property: Record) -> None:
    with scene.chat.listening() as events:
        scene.chat.say("[[touch:never]]")
        scene.wait_question()
        scene.chat.say("/cancel")
        scene.chat.say("[[say:next]]")
        record_property("told", heard(events, "next"))
    assert scene.chat.pending() == []
    assert not (scene.project / "never").exists()


def test_its_modes_and_models_are_chosen_in_the_chat(scene: Scene, record_property: Record) -> None:
    scene.say("[[say:hello]]", "hello")
    (found,) = scene.daemon.ctl_json("sessions", "show", SESSION)["sessions"]
    for choice in found["choices"]:
        record_property(choice["category"] or choice["name"], choice["current"])
    with scene.chat.listening() as events:
        for category in ("mode", "model"):
            choice = next((each for each in found["choices"] if each["category"] == category), None)
            if category in REAL_AGENTS[scene.name].own_commands:
                scene.chat.say(f"//{category}")
                heard(events, "Current")
            scene.chat.say(f"/{category}")
            if choice is None:
                heard(events, f"has no {category} to choose")
            else:
                values = [value["id"] for value in choice["values"]]
                other = next(value for value in values if value != choice["current"])
                scene.chat.say(f"/{category} {other}")
                heard(events, f"is {other} now")
        scene.chat.say("[[say:as it was chosen]]")
        until(events, TURN_ENDED)


def test_a_conversation_is_closed_forked_and_erased(scene: Scene, record_property: Record) -> None:
    scene.say("[[say:pelican]]", "pelican")
    assert scene.daemon.ctl("sessions", "close", SESSION).returncode == 0
    with scene.chat.listening() as events:
        scene.chat.say("[[recall]]")
        assert "pelican" in heard(events, "recalled")[-1]
        until(events, TURN_ENDED)
    done = scene.daemon.ctl("sessions", "fork", SESSION)
    record_property("fork", (done.stdout + done.stderr).strip())
    if done.returncode == 0:
        copy = done.stdout.partition(" ")[0]
        told = scene.daemon.ctl("send", "--session", copy, "[[recall]]")
        assert "pelican" in told.stdout, told.stderr
    else:
        assert "does not offer session/fork" in done.stderr
    done = scene.daemon.ctl("sessions", "delete", SESSION)
    assert done.returncode == 0, done.stderr


# -- ends -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["resting", "within-a-turn"])
def test_the_conversation_goes_on_after_a_kill(
    scene: Scene, record_property: Record, moment: str
) -> None:
    scene.say("[[say:pelican]]", "pelican")
    session = scene.agent_session()
    with scene.chat.listening() as events:
        if moment == "within-a-turn":
            scene.chat.say("[[hold:working]]")
            heard(events, "working")
        before = scene.processes()
        pid = scene.daemon.units()[scene.unit]["pid"]
        begun = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        scene.daemon.wait_restarted(scene.unit, pid)
        assert not [old for old in before if is_alive(old)]
        scene.chat.say("[[recall]]")
        told = heard(events, "recalled")
    record_property("back_s", round(time.monotonic() - begun, 2))
    record_property("told", told)
    record_property("is_the_same_session", scene.agent_session() == session)
    assert "pelican" in told[-1]


def test_the_conversation_goes_on_after_a_kill_of_the_daemon(
    tmp_path: Path, name: str, record_property: Record
) -> None:
    """Agent and daemon have gone together; the chat is told of the turn that was running."""
    root, _ = installed(name)
    with model_server() as model:
        config = declared(name, root, tmp_path, model.url)
        environ = {REAL_AGENTS[name].key: KEY}
        with running(tmp_path, config, environ=environ) as daemon:
            daemon.wait_unit(f"{name}.agent", "active", "running")
            scene = Scene(daemon, name)
            scene.say("[[say:pelican]]", "pelican")
            session, before = scene.agent_session(), scene.processes()
            with scene.chat.listening() as events:
                scene.chat.say("[[hold:working]]")
                heard(events, "working")
                daemon.kill()
        with running(tmp_path, environ=environ) as daemon:
            assert not [pid for pid in before if is_alive(pid)]
            scene = Scene(daemon, name)
            with scene.chat.listening() as events:
                scene.chat.say("[[recall]]")
                told = heard(events, "recalled")
            record_property("told", told)
            record_property("is_the_same_session", scene.agent_session() == session)
            assert "pelican" in told[-1]
            (found,) = daemon.ctl_json("sessions", "show", SESSION)["sessions"]
            states = [message["state"] for message in found["messages"]]
            assert sorted(states[:2]) == ["delivered", "interrupted"]


def test_a_helper_of_it_that_dies_is_got_over(scene: Scene, record_property: Record) -> None:
    """Kill what the agent has started for itself, within a turn."""
    scene.say("[[say:pelican]]", "pelican")
    pid = scene.daemon.units()[scene.unit]["pid"]
    helpers = [other for other in scene.processes() if other != pid]
    if not helpers:
        pytest.skip(f"{scene.name} has no helper")
    with scene.chat.listening() as events:
        scene.chat.say("[[hold:working]]")
        heard(events, "working")
        for helper in helpers:
            with suppress(ProcessLookupError):  # some live for a moment only
                os.kill(helper, signal.SIGKILL)
        told = []
        for _ in range(5):
            told += heard(events, "")
            scene.chat.say("[[recall]]")
            if "recalled" in told[-1]:
                break
        record_property("told", told)
        record_property("is_the_same_process", scene.daemon.units()[scene.unit]["pid"] == pid)


@pytest.mark.parametrize("moment", ["unused", "resting", "within-a-turn"])
def test_nothing_is_left_when_it_is_stopped(
    scene: Scene, record_property: Record, moment: str
) -> None:
    if moment != "unused":
        scene.say("[[say:pelican]]", "pelican")
    with scene.chat.listening() as events:
        if moment == "within-a-turn":
            scene.chat.say("[[hold:working]]")
            heard(events, "working")
        begun = time.monotonic()
        (job,) = scene.daemon.job("stop", scene.unit)
        record_property("stop_s", round(time.monotonic() - begun, 2))
    assert job["result"] == "done"
    record_property("exit", scene.daemon.unit(scene.unit)["exit"])
    assert not scene.processes()

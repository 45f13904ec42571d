"""One agent as several processes: who gets which, and what the end of one means to whom."""

import json
from pathlib import Path

from anyclawd.model.value import Json
from tests.fakes.daemon import Daemon, mock, running, system, write_config
from tests.fakes.puppet import AgentPuppet, ChannelPuppet, Stage

W1, W2, W3 = (f"coder@{number}.agent" for number in (1, 2, 3))


def pool(theatre: Stage, **settings: Json) -> Json:
    """A system whose one agent is a pool of up to two; turns that run do not hold up its end."""
    entry = theatre.agent("a", **{"max_workers": 2, "timeouts": {"stop": 1}, **settings})
    return system({"coder": entry}, {"web": theatre.channel("w", "coder")})


def begin(channel: ChannelPuppet, agent: AgentPuppet, peer: str) -> Json:
    """Have a peer's first message prompted in a new session of the same name; the request."""
    channel.message(f"hello of {peer}", peer)
    agent.open(peer)
    request, asked = agent.prompted()
    assert asked.endswith(f"hello of {peer}")
    return request


def end(agent: AgentPuppet, channel: ChannelPuppet, request: Json, peer: str) -> None:
    agent.chunk(f"for {peer}", peer)
    agent.done(request)
    assert ("agent_message_chunk", f"for {peer}") in channel.turn()


def actives(daemon: Daemon) -> dict[str, str]:
    return {name: row["active"] for name, row in daemon.units().items() if "coder" in name}


def test_a_worker_is_started_when_all_are_busy_and_shared_when_there_is_none(
    tmp_path: Path, theatre: Stage
) -> None:
    with running(tmp_path, pool(theatre)) as daemon:
        assert daemon.status()["state"] == "running"
        assert actives(daemon) == {W1: "active", W2: "inactive"}
        assert json.loads(daemon.tcp("/health")[1])["status"] == "healthy"
        channel, first = theatre.accept_channel("w"), theatre.accept_agent("a")
        anns = begin(channel, first, "ann")
        channel.message("hello of bob", "bob")
        second = theatre.accept_agent("a")
        assert (first.unit, second.unit) == (W1, W2)
        second.open("bob")
        bobs, _ = second.prompted()
        said = daemon.ctl("explain", W2).stdout
        assert "because its pool needs one more worker" in said
        cats = begin(channel, first, "cat")
        health = json.loads(daemon.tcp("/health")[1])
        assert health["status"] == "healthy"
        assert health["agents"] == [{"name": "coder", "connected": True, "session_count": 3}]
        end(first, channel, anns, "ann")
        end(second, channel, bobs, "bob")
        end(first, channel, cats, "cat")
        channel.message("again", "bob")
        assert second.prompted()[1] == "again"


def test_a_worker_that_rests_is_stopped_and_its_session_goes_on_elsewhere(
    tmp_path: Path, theatre: Stage
) -> None:
    with running(tmp_path, pool(theatre, worker_idle=0.1, history_replay=False)) as daemon:
        channel, first = theatre.accept_channel("w"), theatre.accept_agent("a")
        anns = begin(channel, first, "ann")
        channel.message("hello of bob", "bob")
        second = theatre.accept_agent("a")
        second.open("bob")
        bobs, _ = second.prompted()
        end(second, channel, bobs, "bob")
        second.expect_end()
        daemon.wait_unit(W2, "inactive", "dead")
        said = daemon.ctl("explain", W2).stdout
        assert "because its pool has done without it for long enough" in said
        assert "It is started when a session needs one more worker" in said
        end(first, channel, anns, "ann")
        channel.message("more of bob", "bob")
        first.open("bob again")
        assert first.prompted()[1].endswith("more of bob")
        assert actives(daemon) == {W1: "active", W2: "inactive"}
        assert daemon.status()["state"] == "running"


def test_the_crash_of_a_worker_touches_its_own_sessions_only(
    tmp_path: Path, theatre: Stage
) -> None:
    config = pool(theatre, min_workers=2, history_replay=False, backoff={"initial": 0})
    with running(tmp_path, config) as daemon:
        channel = theatre.accept_channel("w")
        agents = {one.unit: one for one in (theatre.accept_agent("a"), theatre.accept_agent("a"))}
        first, second = agents[W1], agents[W2]
        anns = begin(channel, first, "ann")
        begin(channel, second, "bob")
        second.kill()
        shown = str(channel.turn())
        assert "ann" not in shown
        assert "coder@" not in shown
        end(first, channel, anns, "ann")
        assert [frame["method"] for frame in first.read()] == ["initialize"]
        heir = theatre.accept_agent("a")
        assert heir.unit == W2
        channel.message("again", "bob")
        heir.open("bob")
        request, asked = heir.prompted()
        assert asked.endswith("again")
        end(heir, channel, request, "bob")
        daemon.wait_unit(W2, "active")


def test_a_pool_leaves_alone_what_was_stopped_by_hand(tmp_path: Path, theatre: Stage) -> None:
    with running(tmp_path, pool(theatre)) as daemon:
        channel, first = theatre.accept_channel("w"), theatre.accept_agent("a")
        daemon.job("stop", W2)
        begin(channel, first, "ann")
        begin(channel, first, "bob")
        assert actives(daemon) == {W1: "active", W2: "inactive"}
        daemon.job("start", W2)
        second = theatre.accept_agent("a")
        assert second.unit == W2
        begin(channel, second, "cat")


def test_a_worker_that_cannot_start_is_passed_over(tmp_path: Path, theatre: Stage) -> None:
    """The second one refuses to run at all, as its program says by exit code 78."""
    config = pool(theatre, history_replay=False)
    entry = config["agents_manager"]["agents"]["coder"]
    only_the_first = 'case "$ANYCLAWD_UNIT" in *@1.agent) exec "$@";; esac; exit 78'
    entry["workspace"]["binary"] = ["sh", "-c", only_the_first, "x", *entry["workspace"]["binary"]]
    with running(tmp_path, config) as daemon:
        channel, first = theatre.accept_channel("w"), theatre.accept_agent("a")
        begin(channel, first, "ann")
        begin(channel, first, "bob")
        assert actives(daemon) == {W1: "active", W2: "failed"}
        begin(channel, first, "cat")


def test_whoever_sends_through_the_admin_api_names_the_pool(tmp_path: Path) -> None:
    config = system({"coder": {**mock(), "max_workers": 2, "min_workers": 0}})
    with running(tmp_path, config) as daemon:
        assert daemon.answer("hello", agent="coder")["text"] == "Echo: hello"
        assert daemon.answer("hello")["text"] == "Echo: hello"
        refused = daemon.ctl("send", "hello", "--agent", "coder@1")
        assert "no agent 'coder@1'; there is 'coder'" in refused.stderr


def test_a_pool_may_rest_as_a_whole(tmp_path: Path, theatre: Stage) -> None:
    with running(tmp_path, pool(theatre, min_workers=0, worker_idle=0.1)) as daemon:
        assert actives(daemon) == {W1: "inactive", W2: "inactive"}
        channel = theatre.accept_channel("w")
        channel.message("hello of ann", "ann")
        first = theatre.accept_agent("a")
        first.open("ann")
        request, _ = first.prompted()
        end(first, channel, request, "ann")
        first.expect_end()
        daemon.wait_unit(W1, "inactive", "dead")


def test_a_reload_makes_a_pool_larger_and_smaller(tmp_path: Path, theatre: Stage) -> None:
    config = pool(theatre, min_workers=2, history_replay=False)
    entry = config["agents_manager"]["agents"]["coder"]
    with running(tmp_path, config) as daemon:
        channel = theatre.accept_channel("w")
        agents = {one.unit: one for one in (theatre.accept_agent("a"), theatre.accept_agent("a"))}
        begin(channel, agents[W1], "ann")
        bobs = begin(channel, agents[W2], "bob")
        entry["max_workers"] = 3
        write_config(daemon.config, config)
        assert daemon.ctl("reload").returncode == 0
        channel.message("hello of cat", "cat")
        third = theatre.accept_agent("a")
        assert third.unit == W3
        third.open("cat")
        cats, _ = third.prompted()
        end(third, channel, cats, "cat")
        end(agents[W2], channel, bobs, "bob")
        entry["max_workers"] = 2
        write_config(daemon.config, config)
        daemon.ctl("reload")
        third.expect_end()
        assert W3 not in daemon.units()
        channel.message("more of cat", "cat")
        agents[W2].open("cat again")
        assert agents[W2].prompted()[1].endswith("more of cat")


def test_an_agent_becomes_a_pool_and_its_chats_go_on(tmp_path: Path, theatre: Stage) -> None:
    config = pool(theatre, max_workers=1, history_replay=False)
    entry = config["agents_manager"]["agents"]["coder"]
    with running(tmp_path, config) as daemon:
        channel, alone = theatre.accept_channel("w"), theatre.accept_agent("a")
        assert alone.unit == "coder.agent"
        request = begin(channel, alone, "ann")
        end(alone, channel, request, "ann")
        entry["max_workers"] = 2
        write_config(daemon.config, config)
        assert daemon.ctl("reload").returncode == 0
        first = theatre.accept_agent("a")
        assert first.unit == W1
        request = begin(channel, first, "ann")
        end(first, channel, request, "ann")
        assert actives(daemon) == {W1: "active", W2: "inactive"}
        assert daemon.status()["state"] == "running"


def test_a_boot_from_the_kept_plan_starts_as_few_workers(tmp_path: Path) -> None:
    config = system({"coder": {**mock(), "max_workers": 3, "min_workers": 2}})
    for _ in range(2):
        with running(tmp_path, config) as daemon:
            assert actives(daemon) == {W1: "active", W2: "active", W3: "inactive"}
            assert daemon.answer("hello")["text"] == "Echo: hello"

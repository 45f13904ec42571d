"""A task from its making to its arrival: agent, endpoint, tool, orchestrator and back."""

import json
import os
import signal
from pathlib import Path

from tests.fakes.daemon import debug_http, mock, running, system


def test_a_task_survives_its_scheduler_and_arrives_in_its_chat(tmp_path: Path) -> None:
    config = system(
        {"default": mock(obey=True)},
        {"debug-http": debug_http()},
        tools_manager={"tools": {"scheduler": {"binary": "@built-in/tools/scheduler"}}},
    )
    with running(tmp_path, config) as daemon:
        pid = daemon.wait_unit("scheduler.tool", "active")["pid"]
        task = {"message": "water the plants", "title": "plants", "after": "1s"}
        chat = daemon.chat()
        with chat.listening() as events:
            chat.say(f"!call schedule_create {json.dumps(task)}")
            made = next(data for _, data in events if "scheduled t" in data)
            assert "'plants': active" in made
            os.kill(pid, signal.SIGKILL)
            echo = next(data for _, data in events if "water the plants" in data)
            assert echo.startswith("Echo: [scheduled task t")
            assert "'plants', due 20" in echo
        daemon.wait_restarted("scheduler.tool", pid)
        with chat.listening() as events:
            told = ""
            while "delivered" not in told:  # it may be asked before it has read the answer
                chat.say("!call schedule_list")
                told = next(data for _, data in events if "it is 20" in data)
            assert "finished" in told
        assert len(list(tmp_path.rglob("units/scheduler.tool/scheduler.db"))) == 1

"""The system-info tool, on the machine that runs the tests."""

import os
from pathlib import Path

import jsonschema
import pytest

from anyclaw_sdk.testing import ToolTester
from tests.fakes.extension import load_extension

modules = load_extension("tools/system-info")
SECTIONS = ["system", "cpu", "memory", "disk", "uptime", "time"]


async def test_all_of_it_is_told_in_text_and_in_types() -> None:
    async with ToolTester(modules.main.system_info) as tester:
        (tool,) = await tester.list()
        result = await tester.call("system_info")
        assert list(result.structured) == SECTIONS
        jsonschema.validate(result.structured, tool["outputSchema"])
        assert result.text == modules.report.report_of(result.structured)
        assert result.structured["system"]["hostname"] == os.uname().nodename
        assert result.structured["cpu"]["usable"] == len(os.sched_getaffinity(0))
        assert result.structured["memory"]["total"] > result.structured["memory"]["available"] > 0
        (disk,) = result.structured["disk"]
        assert (disk["path"], disk["total"] >= disk["free"]) == ("/", True)


async def test_a_section_can_be_asked_for() -> None:
    async with ToolTester(modules.main.system_info) as tester:
        for section in SECTIONS:
            result = await tester.call("system_info", {"sections": [section]})
            assert list(result.structured) == [section]
        result = await tester.call("system_info", {"sections": ["time", "cpu", "time"]})
        assert list(result.structured) == ["cpu", "time"]


@pytest.mark.parametrize("trusted", [True, False])
async def test_other_disks_can_be_told_of(tmp_path: Path, *, trusted: bool) -> None:
    options = {"disks": [str(tmp_path), "/nothing/there"]}
    async with ToolTester(modules.main.system_info, options=options, trusted=trusted) as tester:
        result = await tester.call("system_info", {"sections": ["disk"]})
        here, nowhere = result.structured["disk"]
        assert here["path"] == str(tmp_path)
        assert nowhere == {"path": "/nothing/there", "error": "no such file or directory"}


@pytest.mark.parametrize("disks", ["/", ["here"], [1]])
async def test_a_disk_is_a_full_path(disks: object) -> None:
    async with ToolTester(modules.main.system_info, options={"disks": disks}) as tester:
        result = await tester.call("system_info", {"sections": ["disk"]})
        assert result.is_error
        assert "option disks: expected a list of full paths" in result.text

"""What is known of a unit's processes outlives each of them, until the unit is forgotten."""

from dataclasses import replace
from types import MappingProxyType

from anyclawd.gateway.processes import Processes
from anyclawd.gateway.service import ServicePeer
from anyclawd.model.unit import Protocol
from anyclawd.runtime.connection import Connection
from tests.fakes.wire import FakeReport, FakeWire
from tests.fakes.world import answering

UNIT = answering("s.service", protocol=Protocol.SERVICE)
NOISE = b"this is no message\n"


def connect(report: FakeReport | None = None) -> Connection:
    peer = ServicePeer(UNIT, FakeWire(UNIT), report or FakeReport(), "", {}, lambda *_: None)
    return peer.connection


async def test_noise_is_counted_over_all_processes_of_a_unit() -> None:
    processes = Processes()
    assert processes.noise(UNIT.name) == 0
    for lines in (2, 3):
        connection = connect()
        processes.begin(UNIT.name, connection)
        connection.data_received(NOISE * lines)
    assert processes.noise(UNIT.name) == 5
    processes.forget(UNIT.name)
    assert processes.noise(UNIT.name) == 0


def test_the_defaults_of_the_last_handshake_hold() -> None:
    processes = Processes()
    assert processes.defaults(UNIT.name) == {}
    processes.note_defaults(UNIT.name, {"size": 2})
    processes.note_defaults(UNIT.name, {"size": 3})
    assert processes.defaults(UNIT.name) == {"size": 3}
    processes.forget(UNIT.name)
    assert processes.defaults(UNIT.name) == {}


async def test_another_plan_bounds_the_lines_of_a_process_that_runs() -> None:
    processes, report = Processes(), FakeReport()
    connection = connect(report)
    processes.begin(UNIT.name, connection)
    connection.data_received(NOISE)
    shorter = replace(UNIT, stdout_line_max_bytes=len(NOISE) - 2)
    processes.adopt(MappingProxyType({UNIT.name: shorter}))
    assert report.told == []
    connection.data_received(NOISE)
    [(what, _)] = report.told
    assert what == "failed"

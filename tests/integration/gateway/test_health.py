"""How processes are asked how they are, each in its own protocol."""

import pytest

from anyclawd.model.deps import UnitName
from anyclawd.model.span import BUILT_IN
from anyclawd.model.unit import Kind, Protocol, Unit
from anyclawd.model.value import Json
from tests.integration.gateway.peers import (
    AgentProcess,
    ChannelProcess,
    Process,
    agent_unit,
    channel_unit,
    open_gateway,
    plan_of,
)

SERVICE = Unit(
    name=UnitName("proxy.service"),
    kind=Kind.SERVICE,
    span=BUILT_IN,
    protocol=Protocol.SERVICE,
    argv=("/bin/proxy",),
)


def service() -> Process:
    """A service that has been initialized."""
    process = Process(open_gateway(plan_of(SERVICE)), SERVICE)
    process.answer(process.expect("initialize"), {})
    return process


ANSWERS = {  # behaviour: (result, what is wrong)
    "healthy": ({"status": "healthy"}, ""),
    "degraded": ({"status": "degraded", "message": "slow"}, ""),
    "unhealthy": ({"status": "unhealthy"}, "says it is unhealthy"),
    "unhealthy-with-a-reason": (
        {"status": "unhealthy", "message": "no disk"},
        "says it is unhealthy: no disk",
    ),
    "spelled-as-rust-does": ({"status": "Unhealthy"}, "says it is unhealthy"),
    "another-word": ({"status": "fine"}, ""),
    "no-status": ({}, ""),
    "no-object": ("well", ""),
    "nothing": (None, ""),
}


@pytest.mark.parametrize(("result", "failure"), ANSWERS.values(), ids=ANSWERS)
async def test_a_service_is_believed(result: Json, failure: str) -> None:
    process, found = service(), list[str]()
    process.sink.probe(found.append)
    request = process.expect("health")
    assert request["params"] == {}
    assert found == []
    process.answer(request, result)
    assert found == [failure]


async def test_a_service_that_does_not_know_the_request_lives() -> None:
    process, found = service(), list[str]()
    process.sink.probe(found.append)
    process.fail(process.expect("health"), -32601, "no such method")
    process.sink.probe(found.append)
    process.fail(process.expect("health"), -32000, "on fire")
    assert found == ["", "answered health with an error: on fire (-32000)"]


async def test_a_service_that_says_it_is_degraded_is_so_until_it_takes_that_back() -> None:
    process, found = service(), list[str]()
    for status in ("healthy", "degraded", "unhealthy", "healthy", "healthy"):
        process.sink.probe(found.append)
        process.answer(process.expect("health"), {"status": status, "message": "slow"})
    assert process.report.told == [
        ("ready", ""),
        ("degraded", "says it is degraded: slow"),
        ("recovered", ""),
    ]


@pytest.mark.parametrize("kind", ["agent", "channel"])
async def test_any_answer_of_an_agent_or_a_channel_is_a_sign_of_life(kind: str) -> None:
    units = agent_unit(), channel_unit()
    gateway = open_gateway(plan_of(*units))
    gateway.start()
    process: AgentProcess | ChannelProcess
    if kind == "agent":
        process = AgentProcess(gateway, units[0])
    else:
        process = ChannelProcess(gateway, units[1])
    process.initialize()
    found: list[str] = []
    process.sink.probe(found.append)
    process.fail(process.expect("_anyclaw/health"), -32601, "no such method")
    process.sink.probe(found.append)
    process.answer(process.expect("_anyclaw/health"), {})
    assert found == ["", ""]


async def test_an_answer_that_nobody_waits_for_any_more_is_dropped() -> None:
    process, found = service(), list[str]()
    forget = process.sink.probe(found.append)
    forget()
    process.answer(process.expect("health"), {"status": "unhealthy"})
    forget()
    assert found == []

import asyncio
from collections.abc import Coroutine

import pytest

from anyclaw_sdk._service_harness import ServiceHarness
from anyclaw_sdk.service import Health, Installation, Service, Started
from anyclaw_sdk.testing import ServiceTester, connection_pair
from anyclaw_sdk.types import (
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    SERVER_ERROR,
    Json,
    Message,
    RpcError,
    ServiceInitialize,
)


def run(test: Coroutine[None, None, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(bounded())


class Shelf(Service):
    def __init__(self) -> None:
        self.state = Health.healthy()
        self.story: list[str] = []

    def defaults(self) -> Message:
        return {"books": 3, "name": "shelf"}

    async def start(self, initialize: ServiceInitialize) -> Started:
        self.story.append(f"start {initialize.namespace} {initialize.port}")
        if initialize.options.get("refuse"):
            raise RpcError(SERVER_ERROR, "option refuse: set")
        name = initialize.options["name"]
        installation = Installation(
            environment={"SHELF_BOOKS": str(initialize.options["books"])},
            urls={name: f"http://127.0.0.1:{initialize.port}"},
        )
        return Started(initialize.port, installation)

    async def serve(self) -> None:
        self.story.append("serve")
        try:
            await asyncio.Event().wait()
        finally:
            self.story.append("served")

    async def health(self) -> Health:
        return self.state

    async def stop(self) -> None:
        self.story.append("stop")

    async def handle_unknown(self, method: str, params: Message) -> Json:
        if method == "books/count":
            return {"count": 3}
        return await super().handle_unknown(method, params)


def test_a_service_starts_tells_its_health_and_stops() -> None:
    async def test() -> None:
        shelf = Shelf()
        async with ServiceTester(shelf, namespace="here") as tester:
            started = await tester.start({"name": "books"}, port=81)
            assert started == Started(
                81, Installation({"SHELF_BOOKS": "3"}, {"books": "http://127.0.0.1:81"})
            )
            assert await tester.health() == Health("healthy")
            shelf.state = Health.degraded("half of it is empty")
            assert await tester.health() == Health("degraded", "half of it is empty")
            shelf.state = Health.unhealthy()
            assert await tester.health() == Health("unhealthy")
            assert await tester.request("books/count", {}) == {"count": 3}
            await tester.stop()
            assert shelf.story == ["start here 81", "serve", "served", "stop"]
        assert shelf.story[-1] == "stop"

    run(test())


def test_what_is_answered_is_what_the_original_answers() -> None:
    assert Started().to_wire() == {"port": 0, "installation": {}}
    whole = Installation({"A": "1"}, {"b": "http://x"}, ["/srv"])
    assert Started(7, whole).to_wire() == {
        "port": 7,
        "installation": {"environment": {"A": "1"}, "urls": {"b": "http://x"}, "volumes": ["/srv"]},
    }
    assert Health.healthy().to_wire() == {"status": "healthy"}
    assert Health.degraded("slow").to_wire() == {"status": "degraded", "message": "slow"}


def test_the_end_of_stdin_stops_a_service_once() -> None:
    async def test() -> None:
        shelf = Shelf()
        async with ServiceTester(shelf) as tester:
            assert (await tester.start()).port == 0
        assert shelf.story == ["start test 0", "serve", "served", "stop"]

    run(test())


def test_what_has_not_started_is_not_stopped() -> None:
    async def test() -> None:
        shelf = Shelf()
        async with ServiceTester(shelf) as tester:
            with pytest.raises(RpcError, match="health: the service has not started"):
                await tester.health()
            with pytest.raises(RpcError, match="option refuse: set"):
                await tester.start({"refuse": True})
            await tester.stop()
        assert shelf.story == ["start test 0"]

    run(test())


def test_a_service_starts_once() -> None:
    async def test() -> None:
        async with ServiceTester(Shelf()) as tester:
            await tester.start()
            with pytest.raises(RpcError) as raised:
                await tester.start()
            assert raised.value.code == INVALID_REQUEST
            with pytest.raises(RpcError) as raised:
                await tester.request("books/burn", {})
            assert raised.value.code == METHOD_NOT_FOUND

    run(test())


class Broken(Service):
    def __init__(self, *, fails: bool = False) -> None:
        self.opens, self.fails = asyncio.Event(), fails

    async def start(self, initialize: ServiceInitialize) -> Started:
        if initialize.options.get("wait"):
            await self.opens.wait()
        return Started()

    async def serve(self) -> None:
        if self.fails:
            raise OSError("the socket is gone")

    async def health(self) -> Health:
        raise ZeroDivisionError("by zero")

    async def stop(self) -> None:
        raise OSError("the disk is gone")


def test_a_fault_of_a_service_is_answered_for_and_logged() -> None:
    async def test() -> None:
        near, far = connection_pair()
        failures: list[str] = []
        harness = ServiceHarness(Broken(), far, lambda method, _: failures.append(method))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(harness.serve())
            await near.request("initialize", {})
            with pytest.raises(RpcError, match="ZeroDivisionError: by zero"):
                await near.request("health", {})
            far.end()
        assert failures == ["health", "stop"]

    run(test())


def test_a_service_whose_own_work_fails_ends_with_1() -> None:
    async def test() -> None:
        near, far = connection_pair()
        failures: list[str] = []
        harness = ServiceHarness(Broken(fails=True), far, lambda method, _: failures.append(method))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(harness.serve())
            await near.request("initialize", {})
        assert (harness.exit_code, failures) == (1, ["serve", "stop"])

    run(test())


def test_a_start_that_never_ends_ends_with_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Broken, "eof_grace_s", 0.0)

    async def test() -> None:
        near, far = connection_pair()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ServiceHarness(Broken(), far).serve())
            answer = near.call("initialize", {"options": {"wait": True}})
            await asyncio.sleep(0)
            far.end()
        with pytest.raises(RpcError, match="the request was cancelled"):
            await answer

    run(test())

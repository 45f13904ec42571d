"""The media service in the process of the test, on a port of its own; its clock is in our hands."""

import asyncio
import importlib.util
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

from anyclaw_sdk.media import Media
from anyclaw_sdk.types import Json, Message, ServiceInitialize
from tests.fakes.loopback import own_address
from tests.integration.ext.supervisor import ROOT, WAIT_S

MEDIA = ROOT / "ext/services/media"
#: Of modules that are loaded by their path, and know no types here.
Loaded: TypeAlias = Any


def _load() -> SimpleNamespace:
    """The modules of the service; their names are left to those of other extensions."""
    names = [path.stem for path in MEDIA.glob("*.py") if path.stem not in ("__main__", "worker")]
    wanted = [name for name in names if name != "shrink"]  # which imports Pillow
    sys.path.insert(0, str(MEDIA))
    try:
        loaded = {name: importlib.import_module(name) for name in wanted}
        spec = importlib.util.spec_from_file_location("media_main", MEDIA / "__main__.py")
        assert spec is not None
        assert spec.loader is not None
        main = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(main)
    finally:
        sys.path.remove(str(MEDIA))
        for name in names:
            sys.modules.pop(name, None)
    return SimpleNamespace(**loaded, main=main)


modules = _load()


class House:
    """One running service."""

    def __init__(self, directory: Path, options: Message) -> None:
        self.directory = directory
        self.now = 1_000_000.0  #: of its wall clock
        self.service = modules.main.MediaService(lambda: self.now)
        #: At an address where no other process takes its port while it is away.
        at_ease = {"host": own_address(), "image_timeout": WAIT_S}
        self._options = {"directory": str(directory), **at_ease, **options}

    async def start(self) -> None:
        request = ServiceInitialize(namespace="anyclaw", options=self._options)
        self.started = await self.service.start(request)
        installation = self.started.installation
        self.url = installation.urls["media"]
        self.key = installation.environment["ANYCLAW_MEDIA_KEY"]
        self.media = Media(self.url, self.key)

    @property
    def vault(self) -> Loaded:
        return self.service.vault

    def files(self) -> list[str]:
        """What lies in the directories of content."""
        return sorted(
            f"{part}/{path.name}"
            for part in ("incoming", "items")
            for path in (self.directory / part).iterdir()
        )

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Let the service go on until something is so; the bound of the test is the bound of it."""
        while not is_so():  # noqa: ASYNC110 - files tell nobody that they are there
            await asyncio.sleep(0.001)

    async def ask(
        self, method: str, target: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One request by hand; its target may be a whole URL."""
        target = target.removeprefix(self.url)
        host, port = self.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        fields = {"Host": host, "Connection": "close", "Content-Length": str(len(body))}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body)
        answer = await reader.read()
        writer.close()
        top, _, content = answer.partition(b"\r\n\r\n")
        first, *lines = top.decode().split("\r\n")
        pairs = (line.partition(": ")[::2] for line in lines)
        return int(first.split()[1]), {name.lower(): value for name, value in pairs}, content

    async def refusal(self, method: str, target: str, **more: Json) -> tuple[int, str, str]:
        """The status, the code and the text of a request that is refused."""
        status, _, content = await self.ask(method, target, **more)
        error = json.loads(content)["error"]
        return status, error["code"], error["message"]

    @property
    def bearer(self) -> str:
        return f"Bearer {self.key}"


@asynccontextmanager
async def open_house(directory: Path, **options: Json) -> AsyncIterator[House]:
    """A service that runs until the end of the block."""
    house = House(directory, options)
    await house.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            sys.modules["server"] = modules.server  # which it imports when it serves
            serving = tasks.create_task(house.service.serve())
            await asyncio.sleep(0)
            del sys.modules["server"]
            try:
                yield house
            finally:
                serving.cancel()
    finally:
        await house.service.stop()
